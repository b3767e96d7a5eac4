"""`brokenreg log`: the exchanges of a running registry, as a table and as JSON."""

from __future__ import annotations

import json

import httpx

from tests.process import run_here
from tests.server import Brokenreg


def test_exchanges_are_listed_with_what_happened(own_registry: Brokenreg) -> None:
    def log(*arguments: str) -> str:
        done = run_here("log", *arguments, BROKENREG_URL=own_registry.control, COLUMNS="100")
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    assert log() == "no exchanges\n"
    httpx.get(f"{own_registry.url}/v2/")
    httpx.get(f"{own_registry.url}/v2/broken/error/manifests/503")
    httpx.get(f"{own_registry.url}/v2/a%1b[31mb/tags/list")
    heading, *lines = log().splitlines()
    assert heading.split() == ["id", "time", "status", "request", "result"]
    assert [line.split()[2] for line in lines] == ["200", "503", "400"]
    assert "GET /v2/broken/error/manifests/503" in lines[1]
    assert lines[1].rstrip().endswith("fault error")
    assert "\x1b" not in "".join(lines)
    assert len(log("--filter", "status:503").splitlines()) == 2
    assert log("--filter", "status:418") == "no exchanges match\n"
    assert [json.loads(each)["status"] for each in log("--json").splitlines()] == [200, 503, 400]
    ids = [line.split()[0] for line in lines]
    assert [str(json.loads(each)["id"]) for each in log("--json").splitlines()] == ids
