"""What people are told who did not find the right word."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from brokenreg.rules.rule import FieldError, Rule, rule_of
from tests.registry.pushing import error_of


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"fault": {"type": "truncate", "aftr": 3}}, "fault.aftr: is not known here; did you mean after?"),
        ({"fault": "truncate", "skp": 1}, "skp: is not known here; did you mean skip?"),
        (
            {"fault": "truncate", "match": {"metod": "GET"}},
            "match.metod: is not known here; did you mean method?",
        ),
        ({"fault": {"type": "not-found", "x": 1}}, "fault.x: is not known here; there are no parameters"),
        (
            {"fault": {"type": "hold", "at": "foo"}},
            "fault.at: write headers, or bytes (65536, 64KiB), not 'foo'",
        ),
        ({"fault": "trunc"}, "fault.type: there is no fault 'trunc'; did you mean truncate?"),
        (
            {"fault": "error", "match": {"endpoint": "connect"}},
            "error needs a request, and endpoint connect has none; use accept or tls",
        ),
        (
            {"fault": "error", "probability": "often"},
            "probability: write a number from 0 to 1, or a percentage (50%, in paths 50pct), not 'often'",
        ),
    ],
)
def test_a_rule_that_is_none(rule: dict[str, Any], told: str) -> None:
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
        ("broken/truncat", 404, "broken/truncat is not a fault; did you mean broken/truncate?"),
        ("broken/prepard", 404, "broken/prepard is not a fault; did you mean broken/prepared?"),
        ("broken/with/with/a", 404, "broken/with is not a fault; there are accept, "),
        ("broken/tls", 400, "use `brokenreg rules add tls`"),
        ("broken/token", 400, "use broken/with/token/<repository>"),
    ],
)
async def test_a_path_that_is_none(http: httpx.AsyncClient, name: str, status: int, told: str) -> None:
    message = error_of(await http.get(f"/v2/{name}/manifests/latest"), status)["message"]
    assert told in message
    assert "for instance" not in message
