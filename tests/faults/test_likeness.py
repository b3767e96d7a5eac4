"""A rule made of an exchange: the scenario loader reads it, and it strikes the same and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenreg.faults.likeness import scenario_like
from brokenreg.faults.rulebook import RuleBooks
from brokenreg.faults.rules import FieldError, rule_of
from brokenreg.faults.scenario import read_scenario
from brokenreg.traffic.exchange import Exchange
from tests.traffic import making

UPLOAD = "0198f2d05a3e7cc398c4dc0c0c07398f"
DIGEST = "sha256:" + "0" * 64


def exchange(path: str, method: str = "GET", agent: str = "docker/27.3.1 go/1.22") -> Exchange:
    return making.exchange(path, method, request_headers=(("user-agent", agent),) if agent else ())


def strikes(scenario: str, seen: Exchange) -> dict[str, Any] | None:
    """The fault that a scenario file has for an exchange."""
    books = RuleBooks(1, lambda target: (), [read_scenario(scenario, "faults.yaml")])
    choices = books.choose(seen, ())
    return choices[0].active.rule.written()["fault"] if choices else None


def test_it_has_the_fault_that_struck_and_strikes_the_same_again() -> None:
    seen = exchange(f"/v2/team/app/blobs/{DIGEST}")
    fault = {"type": "truncate", "after": "64KiB"}
    books = RuleBooks(1, lambda target: ())
    books.book("").add(rule_of({"fault": fault, "times": 1}), "here")
    assert books.choose(seen, ())
    scenario = scenario_like(seen)
    written = strikes(scenario, exchange(seen.path, agent="docker/28"))
    assert written is not None
    assert (written["type"], written["after"]) == ("truncate", 65536)
    for other in (
        exchange(seen.path, agent="skopeo/1"),
        exchange(seen.path.replace("team", "tram")),
        exchange(seen.path[:-1] + "1"),
        exchange("/v2/team/app/manifests/v1"),
    ):
        assert strikes(scenario, other) is None


def test_without_a_fault_it_is_an_error() -> None:
    scenario = scenario_like(exchange("/v2/team/app/manifests/v1"))
    assert strikes(scenario, exchange("/v2/team/app/manifests/v1")) == {"type": "error", "status": 503}


@pytest.mark.parametrize(
    "path",
    [
        "/v2/",
        "/v2/_catalog",
        "/v2/a/tags/list",
        f"/v2/a/blobs/uploads/{UPLOAD}",
        f"/v2/a/referrers/{DIGEST}",
    ],
)
def test_every_endpoint_has_its_rule(path: str) -> None:
    seen = exchange(path, agent="")
    assert strikes(scenario_like(seen), exchange(path)) == {"type": "error", "status": 503}


@pytest.mark.parametrize("path", ["/", "/v2/UPPER/manifests/v1"])
def test_what_addresses_nothing_has_none(path: str) -> None:
    with pytest.raises(FieldError, match="addresses nothing"):
        scenario_like(exchange(path))


@given(st.text(max_size=300), st.text(max_size=20).filter(str.strip))
def test_whatever_a_client_calls_itself(agent: str, method: str) -> None:
    seen = exchange("/v2/a/manifests/v1", method.upper(), agent)
    scenario = scenario_like(seen)
    assert strikes(scenario, replace(seen, verdicts=[])) == {"type": "error", "status": 503}
