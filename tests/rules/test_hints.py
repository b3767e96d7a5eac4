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
        ({"type": "error"}, "fault: required: write fault: {type: error, ...}"),
        ({"type": "error", "status": 503}, "fault: required: write fault: {type: error, ...}"),
        ({"type": ["error"]}, "fault: required, such as {type: error}"),
        ({"error": 503}, "fault: required: did you mean {type: error}?"),
        (
            {"fault": {"type:error": None, "status": 503}},
            "fault.type: put a space after the colon: type: error",
        ),
        ({"fault:error": None}, "fault: put a space after the colon: fault: error"),
        ({"fault": "error", "probability": "150%"}, 'probability: invalid value "150%": use at most 100%'),
        (
            {"fault": "error", "probability": 50},
            'probability: invalid value "50": did you mean 0.5 or 50%?',
        ),
        (
            {"fault": "error", "match": {"endpoint": "connect"}},
            "fault error needs a request, and endpoint connect has none: use accept or tls",
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
        ("broken/image", 404, 'the tag is the kind: run "brokenreg images" for the list'),
        ("broken/image/layer-none", 404, "did you mean broken/image:layer-none?"),
        ("broken/random", 400, "the tag says what is in the image: use layers-<number>_size-<bytes>"),
        ("broken/profile/ghcr-hangs/a", 404, "did you mean broken/as/ghcr-hangs/a?"),
        ("broken/with", 400, '"broken/with" names no image'),
        ("broken/as", 400, '"broken/as" names no image'),
        ("broken/in", 400, '"broken/in" names no image'),
        ("broken/as/docker-hub/a", 404, "did you mean docker-hub-abuse-limited, docker-hub-auth-down, "),
        ("broken/with/throttle_rate_64kib/x", 400, 'parameter "rate" has no value: use rate-64kib'),
        ("broken/tls", 400, 'run "brokenreg rules add tls"'),
        ("broken/token", 400, "use broken/with/token/<repository>"),
    ],
)
async def test_an_invalid_path(http: httpx.AsyncClient, name: str, status: int, told: str) -> None:
    message = error_of(await http.get(f"/v2/{name}/manifests/latest"), status)["message"]
    assert told in message
    assert "for example" not in message or name == "broken/random"
