"""`POST /v1/expectations`: the verdict of one expectation about the exchanges so far."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from brokenreg.client import Client, ProblemError, UsageError
from brokenreg.client.request_documents import Expectation
from brokenreg.traffic import log
from tests.server import Brokenreg, brokenreg

MANIFEST = "manifests/layers-1_size-10"


def pull(registry: Brokenreg, namespace: str) -> int:
    return httpx.get(f"{registry.url}/v2/broken/in/{namespace}/broken/random/{MANIFEST}").status_code


def test_it_judges_what_is_in_the_log_of_its_namespace_alone(own_registry: Brokenreg) -> None:
    with Client(own_registry.control, namespace="one") as control:
        pull(own_registry, "one")
        pull(own_registry, "two")
        first = control.exchanges()[0]["id"]
        met = control.judge({"filter": "endpoint:manifest", "count": 1})
        assert (met["met"], met["kind"], met["got"], met["nearest"]) == (True, "filter", "1", [])
        unmet = control.judge({"filter": "endpoint:manifest status:404"})
        assert (unmet["met"], unmet["seen"], unmet["wanted"]) == (False, 0, "at least 1")
        assert unmet["nearest"] == [first]
        assert control.verdicts() == []  # it is not an expectation of a scenario


def test_after_leaves_out_older_exchanges(own_registry: Brokenreg) -> None:
    with Client(own_registry.control, namespace="one") as control:
        pull(own_registry, "one")
        since = control.status()["exchanges"]
        pull(own_registry, "one")
        assert control.judge({"filter": ""}, after=since)["seen"] == 1


def test_no_verdict_about_exchanges_that_the_log_has_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log.TrafficLog.__init__, "__defaults__", (2, log.MEMORY))
    with brokenreg(tmp_path) as small, Client(small.control, namespace="one") as control:
        for _ in range(2):
            pull(small, "one")
        since = control.status()["exchanges"]
        for _ in range(2):
            pull(small, "one")
        assert control.judge({"filter": "", "count": 2}, after=since)["met"]
        pull(small, "one")
        with pytest.raises(ProblemError, match=f"no longer has all exchanges after {since}") as caught:
            control.judge({"filter": "", "count": 2}, after=since)
        assert caught.value.status == 409


@pytest.mark.parametrize(
    ("expectation", "field"),
    [
        (Expectation(), None),
        (Expectation(filter="stauts:200"), "filter"),
        (Expectation(filter="", spacing="2"), "spacing"),
    ],
)
def test_an_invalid_one_is_refused(registry: Brokenreg, expectation: Expectation, field: str | None) -> None:
    with Client(registry.control) as control, pytest.raises(UsageError) as caught:
        control.judge(expectation)
    assert caught.value.field == field


def test_leaks_are_counted_afterwards_and_while_they_arrive(own_registry: Brokenreg) -> None:
    with Client(own_registry.control, namespace="one") as control:
        control.load_scenario("expect: [{leaks: 0}]")
        manifest = f"{own_registry.url}/v2/broken/in/one/broken/with/redirect/broken/random"
        layer = httpx.get(f"{manifest}/{MANIFEST}").json()["layers"][0]["digest"]
        location = httpx.get(f"{manifest}/blobs/{layer}").headers["location"]
        httpx.get(location)
        assert control.judge({"leaks": 0})["met"]
        assert control.verdicts()[0]["met"]
        httpx.get(location, headers={"authorization": "Basic c2VjcmV0"})
        got = "1 credential (Authorization Basic)"
        assert (control.judge({"leaks": 0})["met"], control.judge({"leaks": 0})["got"]) == (False, got)
        assert (control.verdicts()[0]["met"], control.verdicts()[0]["got"]) == (False, got)
