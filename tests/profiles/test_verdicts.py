"""A pull is enough for all rules of a profile that are not optional."""

from __future__ import annotations

import httpx
import pytest

from brokenreg.rules.profiles import profile_names
from tests.profiles.conftest import Content, Served
from tests.server import brokenreg


@pytest.mark.parametrize("name", profile_names())
def test_a_pull(content: Content, name: str) -> None:
    """Otherwise, `run` and `check` would call a client wrong that has no reason to request the rest."""
    with brokenreg(content.data, "--scenario", f"profile:{name}") as running:
        served = Served(running, "", content)
        for path in (served.manifest(), served.config, served.layer):
            served.ask(path)
        served.ask(served.token, timeout=0.2)
        verdicts = httpx.get(f"{running.control}/v1/expectations").json()
    assert [each["name"] for each in verdicts if not each["met"]] == []
