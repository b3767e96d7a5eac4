"""Suggestions for misspelled names."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from brokenreg.rules.rule import FieldError, Rule, rule_of
from tests.registry.pushing import error_of


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"fault": {"type": "truncate", "aftr": 3}}, "fault.aftr: unknown field: did you mean after?"),
        ({"fault": "truncate", "skp": 1}, "skp: unknown field: did you mean skip?"),
        (
            {"fault": "truncate", "match": {"metod": "GET"}},
            "match.metod: unknown field: did you mean method?",
        ),
        ({"fault": {"type": "not-found", "x": 1}}, "fault.x: unknown field: use attestations or processed"),
        (
            {"fault": {"type": "hold", "at": "foo"}},
            'fault.at: invalid value "foo": use headers, or bytes, such as 65536 or 64KiB',
        ),
        ({"fault": "trunc"}, 'fault.type: no fault "trunc": did you mean truncate?'),
        (
            {"fault": "error", "match": {"endpoint": "connect"}},
            "error needs a request, and endpoint connect has none: use accept or tls",
        ),
        (
            {"fault": "error", "probability": "often"},
            'probability: invalid value "often": use 0 to 1, or a percentage, such as 50% '
            "(50pct in image paths)",
        ),
    ],
)
def test_an_invalid_rule(rule: dict[str, Any], told: str) -> None:
    with pytest.raises(FieldError) as caught:
        rule_of(rule)
    assert str(caught.value) == told


@pytest.mark.parametrize("spelled", [0.5, "0.5", "50%", "50pct"])
def test_a_probability_in_percents(spelled: Any) -> None:
    assert rule_of({"fault": "error", "probability": spelled}) == Rule.model_validate(
        {"fault": "error", "probability": 0.5}
    )


@pytest.mark.parametrize(
    ("name", "status", "told"),
    [
        ("broken/truncat", 404, 'no fault "truncat": did you mean broken/truncate?'),
        ("broken/prepard", 404, 'no fault "prepard": did you mean broken/prepared?'),
        ("broken/with/with/a", 404, 'no fault "with": run "brokenreg faults" for the list'),
        ("broken/tls", 400, 'run "brokenreg rules add tls"'),
        ("broken/token", 400, "use broken/with/token/<repository>"),
    ],
)
async def test_an_invalid_path(http: httpx.AsyncClient, name: str, status: int, told: str) -> None:
    message = error_of(await http.get(f"/v2/{name}/manifests/latest"), status)["message"]
    assert told in message
    assert "for example" not in message
