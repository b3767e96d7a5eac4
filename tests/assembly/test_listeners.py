"""The exception handler of the loop: lost connections are ignored, and bugs are reported."""

from __future__ import annotations

import asyncio
import errno
import ssl
from typing import Any

import pytest

from brokenreg.assembly.listeners import quiet_handshakes
from brokenreg.listening.accept_pause import AcceptPausedError


class Loop:
    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        self.told.append(context)


@pytest.mark.parametrize(
    ("context", "is_told"),
    [
        ({"exception": ssl.SSLError(1, "wrong version"), "transport": "one"}, False),
        ({"exception": ConnectionResetError(), "transport": "one"}, False),
        ({"exception": ValueError(), "transport": "one"}, True),
        ({"exception": ConnectionResetError(), "future": "one"}, True),
        ({"exception": BrokenPipeError(), "handle": "one"}, True),
        ({"exception": asyncio.CancelledError(), "handle": "of a connection that we cancelled"}, False),
        ({"exception": ssl.SSLError(1, "no such file"), "future": "one"}, True),
        ({"exception": AcceptPausedError(), "socket": "one"}, False),
        ({"exception": OSError(errno.EMFILE, "too many"), "socket": "one"}, True),
        ({"exception": ValueError(), "message": "Exception in callback Loop._start_serving()"}, False),
        ({}, True),
    ],
)
def test_what_is_reported(context: dict[str, Any], is_told: bool) -> None:
    loop: Any = Loop()
    quiet_handshakes(loop, {"message": "something failed", **context})
    assert bool(loop.told) is is_told
