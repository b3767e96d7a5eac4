"""`rules` of `/v1/exchanges/{id}`: why each rule was applied or not."""

from __future__ import annotations

from typing import Any

import httpx

from brokenreg.rules.explanations import MAX_EXPLAINED
from tests.server import Brokenreg

LAYER = "blobs/sha256:" + "0" * 64
TEAPOT = {"type": "error", "status": 418}


def add(control: httpx.Client, *rules: dict[str, Any]) -> None:
    for rule in rules:
        control.post("/v1/rules", json=rule).raise_for_status()


def explained(registry: Brokenreg, control: httpx.Client, path: str) -> list[dict[str, Any]]:
    """Send a request, and return the rules of its exchange."""
    httpx.get(f"{registry.url}/v2/{path}")
    (newest,) = control.get("/v1/exchanges", params={"limit": 1}).json()
    rules: list[dict[str, Any]] = control.get(f"/v1/exchanges/{newest['id']}").json()["rules"]
    return rules


def test_each_rule_has_its_outcome_and_the_reason(registry: Brokenreg, control: httpx.Client) -> None:
    add(
        control,
        {"name": "tags", "fault": TEAPOT, "match": {"endpoint": "tags"}},
        {"name": "later", "fault": TEAPOT, "match": {"endpoint": "layer"}, "skip": 1},
        {"name": "off", "fault": TEAPOT, "enabled": False},
        {"name": "teapot", "fault": TEAPOT, "match": {"endpoint": "layer"}, "times": 2},
        {"name": "last", "fault": TEAPOT, "match": {"endpoint": "layer"}},
    )
    rules = explained(registry, control, f"some/app/{LAYER}")
    assert [(rule["id"], rule["rule"], rule["outcome"], rule["reason"]) for rule in rules] == [
        (4, "teapot", "applied", "applied to match 1, 1 of at most 2 times so far"),
        (1, "tags", "no-match", "did not match: endpoint layer is not tags"),
        (2, "later", "skipped", "skipped: match 1, skip 1"),
        (3, "off", "disabled", "disabled"),
        (5, "last", "not-evaluated", "not evaluated: another rule matched first"),
    ]
    assert {rule["source"] for rule in rules} == {"control API"}


def test_a_fault_of_the_path_comes_first_and_has_no_id(registry: Brokenreg, control: httpx.Client) -> None:
    add(control, {"name": "any", "fault": TEAPOT})
    first, second = explained(registry, control, "broken/error/manifests/503")
    assert (first["id"], first["outcome"]) == (None, "applied")
    assert first["source"].startswith("path: ")
    assert (second["rule"], second["outcome"]) == ("any", "not-evaluated")


def test_a_rule_that_was_added_later_says_so(registry: Brokenreg, control: httpx.Client) -> None:
    assert explained(registry, control, f"some/app/{LAYER}") == []
    (before,) = control.get("/v1/exchanges").json()
    add(control, {"name": "late", "fault": TEAPOT, "match": {"endpoint": "layer"}})
    (rule,) = control.get(f"/v1/exchanges/{before['id']}").json()["rules"]
    assert (rule["rule"], rule["outcome"], rule["reason"]) == ("late", "added-later", "added later")


def test_the_number_of_rules_is_limited(registry: Brokenreg, control: httpx.Client) -> None:
    rules = [{"fault": TEAPOT, "match": {"endpoint": "tags"}}] * (MAX_EXPLAINED + 1)
    control.put("/v1/scenario", json={"rules": rules}).raise_for_status()
    assert len(explained(registry, control, f"some/app/{LAYER}")) == MAX_EXPLAINED
