"""Heads that are edited before they are sent: what is shown, and what the client gets."""

from __future__ import annotations

from typing import Any

import pytest

from brokenreg.gate.edits import EditableHead
from brokenreg.tui.holding.edit import visible_lines

FIRST, SECOND = b"a=first-secret; Path=/", b"a=second-secret; Path=/"


def waiting(*headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http.response.start", "status": 200, "headers": list(headers)}


TWO = waiting((b"Set-Cookie", FIRST), (b"x-other", b"1"), (b"set-cookie", SECOND))


def sent(head: EditableHead, message: dict[str, Any] = TWO) -> list[tuple[bytes, bytes]]:
    return list(head.message(message)["headers"])


def test_each_secret_that_is_left_as_it_is_comes_back() -> None:
    head = EditableHead.of(TWO)
    assert "secret" not in str(head)
    assert len({value for name, value in head.headers if name == "set-cookie"}) == 2
    assert EditableHead.parse(str(head)).changes_from(head, "GET") == ""
    assert sent(EditableHead.parse(str(head))) == [
        (b"set-cookie", FIRST),
        (b"x-other", b"1"),
        (b"set-cookie", SECOND),
    ]


@pytest.mark.parametrize(("removed", "left"), [(0, SECOND), (2, FIRST)])
def test_the_secret_that_is_not_removed_stays(removed: int, left: bytes) -> None:
    head = EditableHead.of(TWO)
    kept = tuple(header for place, header in enumerate(head.headers) if place != removed)
    assert (b"set-cookie", left) in sent(EditableHead(200, kept))
    assert len(sent(EditableHead(200, kept))) == 2


def test_secrets_as_the_log_shows_them_come_back_in_order() -> None:
    """`***` occurs twice, as in the exchange of the control API."""
    shown = EditableHead.of(waiting(TWO["headers"][0])).headers[0][1]
    both = EditableHead(200, (("Set-Cookie", shown), ("x-other", "2"), ("set-cookie", f" {shown}")))
    assert both.changes_from(EditableHead.of(TWO), "GET") == "x-other changed"
    assert [value for name, value in sent(both) if name == b"set-cookie"] == [FIRST, SECOND]


def test_the_same_secret_twice_needs_no_number() -> None:
    message = waiting((b"set-cookie", FIRST), (b"set-cookie", FIRST))
    head = EditableHead.of(message)
    assert head.headers[0] == head.headers[1]
    assert sent(head, message) == message["headers"]


def test_blanks_around_a_value_are_no_change() -> None:
    message = waiting((b"authorization", b" Bearer secret "), (b"x", b" 1 "))
    head = EditableHead.of(message)
    assert EditableHead.parse(str(head)).changes_from(head, "GET") == ""
    assert sent(EditableHead.parse(str(head)), message) == message["headers"]


def test_equal_values_in_the_dialogue_are_distinguished() -> None:
    head = EditableHead(200, (("x", "a\x80"), ("x", "a\\x80")))
    assert visible_lines(head).splitlines() == ["200", "x: a\\x80", "x: a\\x80 (2)"]
