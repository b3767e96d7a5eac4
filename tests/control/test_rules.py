"""`/v1/rules`: what is accepted, returned and refused."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.control.problem import problem_of
from tests.server import Brokenreg

RULE = {"name": "twice", "fault": {"type": "error", "status": 503}, "times": 2}


def test_the_life_of_a_rule(registry: Brokenreg, control: httpx.Client) -> None:
    added = control.post("/v1/rules", json=RULE)
    assert added.status_code == 201
    rule = added.json()
    where = added.headers["location"]
    assert where == f"/v1/rules/{rule['id']}"
    assert rule == {**RULE, "id": rule["id"], "source": "control API", "matched": 0, "applied": 0}
    asked = [httpx.get(f"{registry.url}/v2/some/manifests/v1").status_code for _ in range(3)]
    assert asked == [503, 503, 404]
    rule = control.get(where).json()
    assert (rule["matched"], rule["applied"]) == (3, 2)
    off = control.put(where, json={**rule, "enabled": False}).json()  # as GET gave it, counts and all
    assert (off["id"], off["enabled"], off["matched"]) == (rule["id"], False, 0)
    assert httpx.get(f"{registry.url}/v2/some/manifests/v1").status_code == 404
    on = control.put(where, json=RULE).json()
    assert "enabled" not in on
    assert httpx.get(f"{registry.url}/v2/some/manifests/v1").status_code == 503
    removed = control.delete(where)
    assert (removed.status_code, removed.content) == (204, b"")
    problem_of(control.get(where), 404)
    problem_of(control.delete(where), 404)
    problem_of(control.put(where, json=RULE), 404)


def test_the_order_of_evaluation(control: httpx.Client) -> None:
    for name, override in (("first", False), ("last", True), ("second", False)):
        control.post("/v1/rules", json={"name": name, "fault": "error", "override": override})
    assert [rule["name"] for rule in control.get("/v1/rules").json()] == ["first", "second", "last"]
    assert control.delete("/v1/rules").status_code == 204
    assert control.get("/v1/rules").json() == []


@pytest.mark.parametrize(
    ("document", "field", "told"),
    [
        ({"fault": {"type": "truncat"}}, "fault.type", "did you mean truncate?"),
        ({"fault": {"type": "truncate", "after": "lots"}}, "fault.after", 'invalid size "lots"'),
        ({"fault": ["latency", {"type": "error", "status": 99}]}, "fault[1].status", "400"),
        ({"fault": "error", "tims": 2}, "tims", "unknown field"),
        ({"fault": "error", "match": {"endpoint": "kitchen"}}, "match.endpoint", '"kitchen"'),
        ({"fault": "error", "probability": 2}, "probability", "2"),
        ({"match": {}}, "fault", "required"),
        ([], None, "a rule is a mapping"),
        ({"fault": "error", "name": "\ud800"}, "name", "use UTF-8"),
    ],
)
def test_an_error_has_the_field(control: httpx.Client, document: Any, field: str | None, told: str) -> None:
    response = control.post("/v1/rules", content=json.dumps(document))
    assert told in problem_of(response, 400, field)
    assert control.get("/v1/rules").json() == []


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'{"times": NaN, "fault": "error"}', "NaN is not a JSON number"),
        (b'{"fault": "error", "fault": "reset"}', 'the key "fault" is repeated'),
        (b"[" * 200_000, "nested too deeply"),
        (b"\xff", "not JSON"),
    ],
)
def test_what_is_no_json(control: httpx.Client, body: bytes, told: str) -> None:
    assert told in problem_of(control.post("/v1/rules", content=body), 400)


def test_bodies_are_bounded_and_of_a_kind(control: httpx.Client) -> None:
    rule = json.dumps(RULE).encode()
    large = rule.ljust(1024 * 1024 + 1)
    assert "1048576" in problem_of(control.post("/v1/rules", content=large), 413)
    chunked = control.post("/v1/rules", content=iter([large[:600_000], large[600_000:]]))
    problem_of(chunked, 413)
    refused = control.post("/v1/rules", content=rule, headers={"content-type": "application/xml"})
    assert 'invalid Content-Type "application/xml": use application/json' in problem_of(refused, 415)
    for kind in ("application/json; charset=utf-8", "application/x-www-form-urlencoded", "text/plain"):
        assert control.post("/v1/rules", content=rule, headers={"content-type": kind}).status_code == 201


def test_there_is_an_end_to_their_number(control: httpx.Client) -> None:
    most = {"rules": [{"fault": "error"}] * 1000}
    assert control.put("/v1/scenario", json=most).status_code == 200
    assert "1000 rules" in problem_of(control.post("/v1/rules", json={"fault": "error"}), 400)
    assert control.put("/v1/scenario", content=control.get("/v1/scenario").content).status_code == 200


def test_what_is_not_there_and_what_is_not_for_it(control: httpx.Client) -> None:
    for path in ("/v1", "/v1/rule", "/v1/rules/", "/v1/rules/x", "/v1/rules/-1", "//v1/rules", "/v2/"):
        assert "/docs" in problem_of(control.get(path), 404)
    for method in ("PATCH", "PUT", "OPTIONS", "TRACE", "BREW"):
        wrong = control.request(method, "/v1/rules")
        assert "DELETE" in problem_of(wrong, 405)
        assert {"GET", "POST", "DELETE"} <= set(wrong.headers["allow"].split(", "))
    assert "namespace" in problem_of(control.get("/v1/rules?filtre=x"), 400, "filtre")
    assert "a component" in problem_of(control.get("/v1/rules?namespace=a/b"), 400, "namespace")
    assert "name one namespace" in problem_of(control.get("/v1/rules?namespace=*"), 400, "namespace")


def test_namespaces_do_not_touch(registry: Brokenreg, control: httpx.Client) -> None:
    ids = {}
    for namespace, status in (("a", 501), ("b", 502)):
        rule = {"fault": {"type": "error", "status": status}}
        added = control.post("/v1/rules", params={"namespace": namespace}, json=rule)
        assert control.get(added.headers["location"]).json()["id"] == added.json()["id"]
        ids[namespace] = added.json()["id"]

    def ask(name: str) -> int:
        return httpx.get(f"{registry.url}/v2/{name}/manifests/v1").status_code

    assert [ask("broken/in/a/x"), ask("broken/in/b/x"), ask("broken/in/b/x"), ask("x")] == [
        501,
        502,
        502,
        404,
    ]

    def seen(namespace: str) -> tuple[list[int], int]:
        params = {"namespace": namespace}
        rules = control.get("/v1/rules", params=params).json()
        return [rule["applied"] for rule in rules], len(control.get("/v1/exchanges", params=params).json())

    assert [seen("a"), seen("b"), seen("")] == [([1], 1), ([2], 2), ([], 1)]
    assert len(control.get("/v1/exchanges", params={"namespace": "*"}).json()) == 4
    problem_of(control.get(f"/v1/rules/{ids['a']}", params={"namespace": "b"}), 404)
    assert control.post("/v1/reset", params={"namespace": "a"}).status_code == 204
    assert [seen("a"), seen("b"), seen("")] == [([], 0), ([2], 2), ([], 1)]
    control.delete("/v1/rules", params={"namespace": "b"})
    control.delete("/v1/exchanges")
    assert [seen("b"), seen("")] == [([], 2), ([], 0)]


def test_a_rule_is_enabled_and_moved_and_keeps_its_counters(
    registry: Brokenreg, control: httpx.Client
) -> None:
    control.delete("/v1/rules")
    first, second = (
        control.post("/v1/rules", json={"name": name, "fault": "error"}).json()["id"] for name in ("a", "b")
    )
    httpx.get(f"{registry.url}/v2/x/manifests/1")
    changed = control.patch(f"/v1/rules/{first}", json={"enabled": False, "move_by": 1})
    assert (changed.json()["enabled"], changed.json()["applied"]) == (False, 1)
    assert [each["id"] for each in control.get("/v1/rules").json()] == [second, first]
    assert "enabled" not in control.patch(f"/v1/rules/{first}", json={"enabled": True}).json()
    assert control.patch(f"/v1/rules/{first}", json={}).json()["applied"] == 1
    for document, status in (({"times": 1}, 400), ({"move_by": 1001}, 400), ({"enabled": "maybe"}, 400)):
        assert control.patch(f"/v1/rules/{first}", json=document).status_code == status
    assert control.patch("/v1/rules/99999", json={"enabled": True}).status_code == 404
    control.delete("/v1/rules")
