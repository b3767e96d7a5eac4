"""The terminal of the user: raw while the panel is shown, and as it was before in any other case."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import termios
import tty
from collections.abc import Iterator

LEAVE = (
    b"\x1b[?2026l\x1b[?2004l\x1b[?7h\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[?1004l"
    b"\x1b[<u\x1b[0m\x1b[?1049l\x1b[?25h"
)
"""Undoes what a panel sets up: mouse, focus, keyboard protocol, alternate screen, cursor."""

_VARIABLES = ("TERM", "COLORTERM", "NO_COLOR", "TERM_PROGRAM")
_PIECE = 4096


def is_terminal() -> bool:
    """Return whether standard input and output are a terminal."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stdout is not None and sys.stdout.isatty()


def environment() -> dict[str, str]:
    """Return the variables that describe the terminal."""
    return {name: os.environ[name][:256] for name in _VARIABLES if name in os.environ}


class RawTerminal:
    """The terminal during the block of `opened`. It is read and written without blocking.

    The descriptors are opened again, because those of the process share their flags with the shell.
    """

    @classmethod
    @contextlib.contextmanager
    def opened(cls) -> Iterator[RawTerminal]:
        """Use the terminal of standard input and output. Raise `OSError`."""
        flags = os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        source = os.open(os.ttyname(sys.stdin.fileno()), os.O_RDONLY | flags)
        try:
            target = os.open(os.ttyname(sys.stdout.fileno()), os.O_WRONLY | flags)
            try:
                terminal = cls(source, target)
                try:
                    terminal.enter()
                    yield terminal
                finally:
                    terminal.leave()
            finally:
                os.close(target)
        finally:
            os.close(source)

    def __init__(self, source: int, target: int) -> None:
        self._source = source
        self._target = target
        self._before = termios.tcgetattr(source)
        self._is_raw = False

    def enter(self) -> None:
        """Make it raw: no echo, no lines, no signals by keys."""
        tty.setraw(self._source, termios.TCSANOW)
        self._is_raw = True

    def leave(self) -> None:
        """Restore everything, as far as the terminal still exists and reads."""
        if not self._is_raw:
            return
        self._is_raw = False
        with contextlib.suppress(OSError, termios.error):
            os.write(self._target, LEAVE)
        with contextlib.suppress(OSError, termios.error):
            termios.tcflush(self._source, termios.TCIFLUSH)
            termios.tcsetattr(self._source, termios.TCSANOW, self._before)

    @property
    def size(self) -> tuple[int, int]:
        """Return columns and rows."""
        try:
            columns, rows = os.get_terminal_size(self._target)
        except OSError:
            columns, rows = 0, 0
        return columns or 80, rows or 24

    async def write(self, data: bytes) -> None:
        """Write everything. Return when the terminal has accepted it. Raise `OSError` if it is closed."""
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._target, view) :]
            except BlockingIOError:
                await _ready(self._target, "writer")

    async def read(self) -> bytes:
        """Return what is typed next; empty if the terminal is closed."""
        while True:
            try:
                return os.read(self._source, _PIECE)
            except BlockingIOError:
                await _ready(self._source, "reader")
            except OSError:
                return b""


def _set(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


async def _ready(descriptor: int, side: str) -> None:
    """Wait until a descriptor can be read (`reader`) or written (`writer`)."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    add = loop.add_reader if side == "reader" else loop.add_writer
    remove = loop.remove_reader if side == "reader" else loop.remove_writer
    add(descriptor, _set, ready)
    try:
        await ready
    finally:
        remove(descriptor)
