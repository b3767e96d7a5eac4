"""The compose file fits the Dockerfile, whose image tests/clients/test_container.py builds."""

from __future__ import annotations

from pathlib import Path

import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"


def test_compose_builds_and_restricts_the_image() -> None:
    service = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["registry"]
    context = DEPLOY / service["build"]["context"]
    assert (context / service["build"]["dockerfile"]).resolve() == DEPLOY / "Dockerfile"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_the_build_sees_only_what_it_copies() -> None:
    copied = [
        line.split()[1:-1]
        for line in (DEPLOY / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY ") and "--from" not in line
    ]
    seen = (DEPLOY.parent / ".dockerignore").read_text().splitlines()
    assert {f"!{name}" for names in copied for name in names} == {line for line in seen if line[0] == "!"}
