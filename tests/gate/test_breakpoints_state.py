"""Breakpoints that adopt the state of others are the same, whoever changes them."""

from __future__ import annotations

import json
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from brokenreg.gate.breakpoints import Breakpoints, BreakpointsState
from brokenreg.oci.target import parse_target
from brokenreg.traffic.exchange import Exchange

Change = Callable[[Breakpoints], object]

changes = st.one_of(
    st.sampled_from(["status:200", "method:GET", "endpoint:manifest"]).map(
        lambda text: lambda each: each.add(text)
    ),
    st.integers(1, 6).map(lambda number: lambda each: each.remove(number)),
    st.just(Breakpoints.clear),
    st.booleans().map(lambda is_on: lambda each: setattr(each, "are_on", is_on)),
)


def sent(source: Breakpoints, to: Breakpoints) -> None:
    to.adopt(BreakpointsState.of(json.loads(json.dumps(source.state().document()))))


@given(st.lists(st.tuples(st.booleans(), st.lists(changes, max_size=3)), max_size=8))
def test_two_replicas_hold_the_same_responses(history: list[tuple[bool, list[Change]]]) -> None:
    here, there = Breakpoints(), Breakpoints()
    path = "/v2/app/manifests/v1"
    exchange = Exchange(1, "GET", path, "", "1.1", "http", "1.1.1.1:1", parse_target(path))
    ids: set[int] = set()
    for is_here, made in history:
        changed, other = (here, there) if is_here else (there, here)
        for change in made:
            added = change(changed)
            if added is not None and not isinstance(added, bool):
                assert added.id not in ids  # type: ignore[attr-defined]  # a `Breakpoint`
                ids.add(added.id)  # type: ignore[attr-defined]
        sent(changed, other)
        assert here.state() == there.state()
        for status in (200, 404):
            first, second = (each.first_match(exchange, status) for each in (here, there))
            assert (first and first.id) == (second and second.id)
