"""A rule created from an exchange is valid in a scenario, and matches only such requests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenreg.rules.rule import FieldError, fault_of, rule_of
from brokenreg.rules.rule_books import RuleBooks
from brokenreg.rules.rule_from_exchange import no_effect_reason, scenario_from_exchange
from brokenreg.rules.scenario_text import read_scenario
from brokenreg.traffic.exchange import Exchange
from tests.traffic import making

UPLOAD = "0198f2d05a3e7cc398c4dc0c0c07398f"
DIGEST = "sha256:" + "0" * 64


def exchange(path: str, method: str = "GET", agent: str = "docker/27.3.1 go/1.22") -> Exchange:
    return making.exchange(path, method, request_headers=(("user-agent", agent),) if agent else ())


def fault_for(scenario: str, seen: Exchange) -> dict[str, Any] | None:
    """Return the fault in the scenario file for an exchange."""
    books = RuleBooks(1, lambda target: (), [read_scenario(scenario, "faults.yaml")])
    hits = books.evaluate(seen, ())
    return hits[0].active.rule.written()["fault"] if hits else None


def test_it_has_the_applied_fault_and_applies_to_the_same_requests() -> None:
    seen = exchange(f"/v2/team/app/blobs/{DIGEST}")
    fault = {"type": "truncate", "after": "64KiB"}
    books = RuleBooks(1, lambda target: ())
    books.book("").add(rule_of({"fault": fault, "times": 1}), "here")
    assert books.evaluate(seen, ())
    scenario = scenario_from_exchange(seen)
    written = fault_for(scenario, exchange(seen.path, agent="docker/28"))
    assert written is not None
    assert (written["type"], written["after"]) == ("truncate", 65536)
    for other in (
        exchange(seen.path, agent="skopeo/1"),
        exchange(seen.path.replace("team", "tram")),
        exchange(seen.path[:-1] + "1"),
        exchange("/v2/team/app/manifests/v1"),
    ):
        assert fault_for(scenario, other) is None


def test_without_a_fault_it_is_an_error() -> None:
    scenario = scenario_from_exchange(exchange("/v2/team/app/manifests/v1"))
    assert fault_for(scenario, exchange("/v2/team/app/manifests/v1")) == {"type": "error", "status": 503}


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
    assert fault_for(scenario_from_exchange(seen), exchange(path)) == {"type": "error", "status": 503}


@pytest.mark.parametrize("path", ["/", "/v2/UPPER/manifests/v1"])
def test_what_addresses_nothing_has_none(path: str) -> None:
    with pytest.raises(FieldError, match="its path belongs to no endpoint"):
        scenario_from_exchange(exchange(path))


@given(st.text(max_size=300), st.text(max_size=20).filter(str.strip))
def test_whatever_a_client_calls_itself(agent: str, method: str) -> None:
    seen = exchange("/v2/a/manifests/v1", method.upper(), agent)
    scenario = scenario_from_exchange(seen)
    assert fault_for(scenario, replace(seen, rule_outcomes=())) == {"type": "error", "status": 503}


OTHER = "sha256:" + "1" * 64


def manifest(reference: str, method: str = "GET", told: str = DIGEST, **more: Any) -> Exchange:
    seen = exchange(f"/v2/team/app/manifests/{reference}", method)
    headers = (("docker-content-digest", told), ("content-length", "500"))
    return replace(seen, **{"response_headers": headers, "status": 200, **more})


@pytest.mark.parametrize("seen", [manifest("v1", "HEAD"), manifest(DIGEST), manifest("v1", told="")])
def test_a_manifest_is_matched_by_all_its_names(seen: Exchange) -> None:
    """docker requests HEAD of the tag and then GET of the digest, and later only what it does not have."""
    newest = [manifest("v2", told=OTHER), seen, manifest("v1", "HEAD"), manifest("v1", told=OTHER)]
    scenario = scenario_from_exchange(seen, newest)
    for reference in ("v1", DIGEST):
        for method in ("GET", "HEAD"):
            assert fault_for(scenario, exchange(f"/v2/team/app/manifests/{reference}", method)) is not None
        assert fault_for(scenario, exchange(f"/v2/team/app/manifests/{reference}", "PUT")) is None
    for path in ("/v2/team/app/manifests/v2", f"/v2/team/app/manifests/{OTHER}", "/v2/team/web/manifests/v1"):
        assert fault_for(scenario, exchange(path)) is None


def test_many_tags_of_a_manifest_fit_into_its_rule() -> None:
    newest = [manifest(f"{number:0128}") for number in range(100)]
    assert fault_for(scenario_from_exchange(manifest(DIGEST), newest), exchange(newest[0].path)) is not None


def test_what_a_client_calls_its_method_is_no_alternative() -> None:
    seen = exchange("/v2/a/tags/list", "GET|PUT")
    assert fault_for(scenario_from_exchange(seen), exchange("/v2/a/tags/list", "PUT")) is None
    assert fault_for(scenario_from_exchange(seen), exchange("/v2/a/tags/list", "GET|PUT")) is not None


@pytest.mark.parametrize("glob", ["a|", "|a", "a||b", "|"])
@pytest.mark.parametrize("field", ["repository", "reference", "method"])
def test_an_alternative_that_is_empty_is_refused(field: str, glob: str) -> None:
    with pytest.raises(FieldError, match=f"match.{field}: invalid value .*: remove the empty alternative"):
        rule_of({"match": {field: glob}, "fault": "error"})


TEXT = (("content-type", "text/html"),)


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        ({"type": "truncate"}, manifest("v1")),
        ({"type": "truncate"}, manifest("v1", "HEAD")),
        ({"type": "truncate", "after": 10}, manifest("v1", status=404)),
        ({"type": "truncate", "end": "close-notify", "after": 10}, manifest("v1")),
        ({"type": "corrupt", "offset": 500}, manifest("v1")),
        ({"type": "swap"}, manifest("v1")),
        ({"type": "wrong-length"}, replace(manifest("v1"), response_headers=())),
        ({"type": "stall", "at": "64KiB"}, manifest("v1")),
        ({"type": "hold", "at": 500}, manifest("v1")),
        ({"type": "throttle"}, replace(manifest("v1"), response_headers=(("content-length", "0"),))),
        ({"type": "drip"}, replace(manifest("v1"), response_headers=(("content-length", "0"),))),
        ({"type": "malformed", "form": "chunk"}, exchange("/v2/a/tags/list", "HEAD")),
        ({"type": "h2-reset"}, manifest("v1")),
        ({"type": "h2-goaway", "after": 1000}, manifest("v1", http_version="2")),
        ({"type": "content-type"}, replace(manifest("v1"), response_headers=TEXT)),
        ({"type": "no-digest"}, replace(manifest("v1"), response_headers=TEXT)),
        ({"type": "header", "header": "x"}, manifest("v1")),
        ({"type": "range"}, manifest("v1")),
        ({"type": "tag-pages", "page": 1}, replace(exchange("/v2/a/tags/list"), status=404)),
        ({"type": "token"}, replace(exchange("/token"), status=403)),
        ({"type": "token"}, manifest("v1")),
        ({"type": "too-large"}, replace(exchange("/v2/a/blobs/uploads/", "POST"), status=202)),
        ({"type": "upload-location"}, replace(exchange("/v2/a/blobs/uploads/", "POST"), status=201)),
        (
            {"type": "upload-range", "form": "ahead"},
            replace(exchange(f"/v2/a/blobs/uploads/{UPLOAD}", "PUT"), status=201),
        ),
        ({"type": "mount-refused"}, replace(exchange("/v2/a/blobs/uploads/", "POST"), status=202)),
    ],
)
def test_a_fault_without_effect_is_known_before(fault: dict[str, Any], seen: Exchange) -> None:
    """This is known only if no fault changed the exchange; otherwise, the original response is unknown."""
    rule = rule_of({"fault": fault})
    seen = seen if seen.status else replace(seen, status=200)
    why = no_effect_reason(rule.fault, seen)
    assert why is not None
    assert why.startswith(f"{fault['type']} would have no effect on such a response: ")
    other = (*rule.fault, fault_of({"type": "error", "status": 503}))
    assert no_effect_reason(other, seen) is None, "another one would have"


def test_what_is_not_known_may_have_an_effect() -> None:
    truncate = (fault_of({"type": "truncate", "after": 100}),)
    assert no_effect_reason(truncate, manifest("v1")) is None
    assert no_effect_reason(truncate, manifest("v1", "HEAD")) is None
    huge = (fault_of({"type": "truncate"}),)
    for seen in (
        manifest("v1", faults=("error",)),
        manifest("v1", edited="status 200 to 404"),
        replace(manifest("v1"), status=401),
        replace(manifest("v1"), status=None),
        replace(manifest("v1"), response_headers=()),
    ):
        assert no_effect_reason(huge, seen) is None
