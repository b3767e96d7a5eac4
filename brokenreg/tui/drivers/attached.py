"""Textual's driver for a terminal that is attached over the network. It belongs to the loop of the server."""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import Iterable, Mapping
from typing import Any

from textual import constants, events, messages
from textual._xterm_parser import XTermParser
from textual.app import App
from textual.driver import Driver
from textual.geometry import Size
from textual.message import Message
from textual.message_pump import MessagePump

from brokenreg.concurrency import paced
from brokenreg.tui.drivers.newest_screen import NewestScreen
from brokenreg.tui.drivers.waiting_input import WaitingInput

_ENTER = (
    "\x1b[?1049h"  # the alternate screen
    "\x1b[?1000h\x1b[?1003h\x1b[?1015h\x1b[?1006h"  # the mouse
    "\x1b[?25l"  # no cursor
    "\x1b[?1004h"  # focus
    "\x1b[>25u"  # all keys as escape codes (the keyboard protocol of kitty)
    "\x1b[?2004h"  # bracketed paste
    "\x1b[?7l"  # no line wrap
)
_ASK_FOR_SYNCHRONIZED_OUTPUT = "\x1b[?2026$p"
_LEAVE = (
    "\x1b[?2004l\x1b[?7h\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[<u\x1b[?1049l\x1b[?25h\x1b[?1004l"
)
_NO_PART_OF_THE_SCREEN = ("\x1b]", "\a")
"""The beginnings of what is no part of the screen: commands such as that for the clipboard, and the bell."""

_SLICE = 64
"""Characters of input that are parsed without a break."""

_FEW = 3
"""Number of messages in a queue of the panel with which it is still ready for input."""

_LONGEST = 1024 * 1024
"""Maximum number of characters of one key or paste."""

_MARGIN = 0.01
"""Seconds by which the parser is asked later than its own limit."""

_SIZES = (events.Resize, messages.InBandWindowResize)
"""Answers to questions that the driver does not ask. The size is checked only in messages of the protocol."""


class _Parser(XTermParser):
    """Textual's parser without its cache of keys, which belongs to the class and would keep ended panels."""

    def _parse_extended_key(self, sequence: str) -> list[events.Key] | None:  # type: ignore[override]  # the cache
        return XTermParser._parse_extended_key.__wrapped__(self, sequence)


class AttachedDriver(Driver):
    """Parses the terminal's input for a `WaitingInput`, and gives the panel's output to a `NewestScreen`."""

    def __init__(
        self,
        app: App[Any],
        screen: NewestScreen,
        waiting_input: WaitingInput,
        environment: Mapping[str, str],
        **options: Any,
    ) -> None:
        super().__init__(app, **options)
        self._screen = screen
        self._input = waiting_input
        self._input.post = self.process_message
        self._input.is_busy = self._is_busy
        self._is_asked = (
            environment.get("TERM_PROGRAM") != "Apple_Terminal"
        )  # it prints a part of the question
        self._screen.repaint = app.refresh
        self._decode = getincrementaldecoder("utf-8")("replace").decode
        self._parser = _Parser()
        self._since_event = 0
        self._is_feeding = False
        self._is_open = False

    def write(self, data: str) -> None:
        """Send output of the panel."""
        if data.startswith(_NO_PART_OF_THE_SCREEN):
            self._screen.keep(data)
        else:
            self._screen.paint(data)

    def start_application_mode(self) -> None:
        """Set up the terminal."""
        self._is_open = True
        self.enter()
        self._post_size()

    def enter(self) -> None:
        """Set up the terminal, also again after it was suspended."""
        self._screen.keep(_ENTER + (_ASK_FOR_SYNCHRONIZED_OUTPUT if self._is_asked else ""))

    def disable_input(self) -> None:
        """Ignore input from now on."""
        self._is_open = False
        self._input.close()

    def stop_application_mode(self) -> None:
        """Restore the terminal."""
        self.disable_input()
        self._screen.keep(_LEAVE)

    def open_url(self, url: str, new_tab: bool = True) -> None:
        """Do nothing: the browser would open on the machine of the server."""

    def send_message(self, message: Message) -> None:
        """Post a message to the panel, whose loop this is."""
        self._app.post_message(message)

    def resize(self, columns: int, rows: int) -> None:
        """Use another size."""
        self._size = (columns, rows)
        if self._is_open:
            self._post_size()

    async def feed(self, data: bytes) -> None:
        """Add the events of input to those that wait for the panel. Other tasks run in between.

        Raise `ValueError` for a key or paste that never ends, or that the parser does not accept.
        """
        text = self._decode(data)
        self._is_feeding = True
        try:
            async for start in paced(range(0, len(text), _SLICE)):
                piece = text[start : start + _SLICE]
                self._add(self._parser.feed(piece), len(piece))
        finally:
            self._is_feeding = False
        # A lone escape character is the escape key only if nothing follows it.
        self._loop.call_later(constants.ESCAPE_DELAY + _MARGIN, self._tick)

    def _tick(self) -> None:
        if not self._is_feeding:  # otherwise, more input follows
            self._add(self._parser.tick(), 0)

    def _add(self, found: Iterable[Message], length: int) -> None:
        self._since_event += length
        for message in found:
            self._since_event = 0
            if not isinstance(message, _SIZES):
                self._input.put(message)
        if self._since_event > _LONGEST:
            raise ValueError(f"a key or paste is longer than {_LONGEST} characters")

    def _post_size(self) -> None:
        size = Size(*(self._size or (80, 24)))
        self._app.post_message(events.Resize(size, size))

    def _is_busy(self) -> bool:
        """Return whether the panel has more than a few messages to handle."""
        nodes: list[MessagePump] = [self._app]
        for screen in self._app.screen_stack[-1:]:
            nodes += [screen] if screen.focused is None else [screen, screen.focused]
        return any(each.is_running and each.message_queue_size > _FEW for each in nodes)
