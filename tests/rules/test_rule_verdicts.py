"""Verdicts about rules say why a rule was not applied, and name the exchanges that show it."""

from __future__ import annotations

import time
from typing import Any

import pytest

from brokenreg.traffic.exchange import Exchange
from tests.rules.test_expectations import book_of
from tests.traffic.test_comparisons import finished, logged

LAYER = f"/v2/library/app/blobs/sha256:{'1' * 64}"
MANIFEST = "/v2/library/app/manifests/v1"


def pull(*paths: str, started: float | None = None) -> list[Exchange]:
    begin = time.time() + 1 if started is None else started
    return logged(*(finished(begin + place, 0.1, path=path) for place, path in enumerate(paths)))


def verdict(rule: dict[str, Any], *exchanges: Exchange, before: tuple[dict[str, Any], ...] = ()) -> Any:
    book = book_of({"rules": [*before, {"fault": "not-found", **rule}]})
    for each in exchanges:
        hit = book.evaluate(each)
        each.rule = hit.active.label if hit is not None else None
    return book.verdicts(exchanges)[-1]


@pytest.mark.parametrize(
    ("rule", "got", "nearest"),
    [
        ({"match": {"endpoint": "layer"}}, "2", []),
        (
            {"match": {"endpoint": "layer", "repository": "libary/*"}},
            "0: no request matched (nearest: repository is library/app, not libary/*)",
            [2, 3],
        ),
        (
            {"match": {"endpoint": "tags"}},
            "0: no request matched (nearest: endpoint layer is not tags)",
            [1, 2, 3],
        ),
        (
            {"match": {"endpoint": "tags", "client": "nobody"}},
            "0: no request matched (nearest: endpoint layer is not tags, client is not nobody)",
            [1, 2, 3],
        ),
        (
            {"match": {"endpoint": "manifest", "client": "nobody"}},
            "0: no request matched (nearest: client is not nobody)",
            [1],
        ),
        ({"match": {"endpoint": "layer"}, "times": 3}, "2: no other request matched", [2, 3]),
        ({"match": {"endpoint": "layer"}, "skip": 5}, "0: skip has not passed", [2, 3]),
        ({"match": {"endpoint": "manifest", "attempt": 2}}, "0: attempt 1 is not 2", [1]),
        ({"match": {"endpoint": "layer", "layer": 9}}, "0: not layer 9 of its manifest", [2, 3]),
    ],
)  # fmt: skip
def test_reasons(rule: dict[str, Any], got: str, nearest: list[int]) -> None:
    found = verdict(rule, *pull(MANIFEST, LAYER, LAYER))
    assert (found.got, found.nearest) == (got, nearest)


def test_another_rule_was_applied_instead() -> None:
    first = {"fault": {"type": "error", "status": 503}, "match": {"endpoint": "layer"}, "name": "first"}
    found = verdict({"match": {"endpoint": "layer"}}, *pull(LAYER, LAYER), before=(first,))
    assert (found.got, found.nearest) == ('0: the rule "first" was applied instead', [1, 2])
    limited = {**first, "times": 2}
    found = verdict({"match": {"endpoint": "layer"}}, *pull(LAYER, LAYER), before=(limited,))
    assert not found.met


def test_times_for_each_reference() -> None:
    """A client that gives up one layer after one failure, and another after two, has not met two for each."""
    other = LAYER.replace("1", "2")
    rule = {"match": {"endpoint": "layer"}, "times": 2, "per": "reference"}
    found = verdict(rule, *pull(LAYER, LAYER, other))
    assert (found.met, found.got, found.wanted) == (
        False, "3: fewer than 2 for 1 reference", "at least 2 for each reference",
    )  # fmt: skip
    assert verdict(rule, *pull(LAYER, LAYER, other, other, other)).met
    assert verdict({**rule, "skip": 1, "times": 1}, *pull(LAYER, LAYER, other)).met
    assert verdict({**rule, "probability": "99%"}, *pull(LAYER, LAYER, other)).seen <= 3


def test_without_a_request_and_before_the_rule() -> None:
    none = "0: there was no request in its namespace"
    assert verdict({}).got == none
    assert verdict({"match": {"client": "x"}}, *pull(LAYER, started=1)).got == none


def test_only_some_rules_are_explained() -> None:
    book = book_of({"rules": [{"fault": "not-found", "match": {"client": "x"}}] * 50})
    found = book.verdicts(pull(LAYER) * 100)
    assert not any(each.met for each in found)
    assert sum(":" in each.got for each in found) == 10
