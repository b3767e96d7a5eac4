"""Reads the entries of a HAR file one after another, also those of a file that is broken or incomplete.

Source: http://www.softwareishard.com/blog/har-12-spec/.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from brokenreg.traffic.saved.json_window import EndOfTextError, InvalidValueError, JSONWindow

HAR_BEGINS = re.compile(r'\s*\{\s*"log"\s*:\s*\{')
"""The beginning of every HAR file."""

_ENTRY_BEGINS = re.compile(
    r'\{\s*"(?:startedDateTime|pageref|connection|time|_id|_initiator|_fromCache|_priority|_resourceType|'
    r'_connectionId)"\s*:'
)
"""Where to read on after an entry whose end cannot be found."""

_KEPT = ("creator", "_connections")
"""The members of `log` that are kept in addition to the entries."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry, counted from 1. `document` is the JSON value, unless `problem` says why it is missing."""

    number: int
    document: Any = None
    problem: str = ""


@dataclass(slots=True)
class HARStream:
    """The entries of a file. `members` are other members of `log`, as far as they have been read.

    `problem` says afterwards what is missing at the end of the file.
    """

    window: JSONWindow
    members: dict[str, Any] = field(default_factory=dict)
    problem: str = ""
    _number: int = 0

    def entries(self) -> Iterator[Entry]:
        """Yield the entries in the order of the file."""
        window = self.window
        try:
            for _ in self._keys(("log",)):
                for name in self._keys(("entries", *_KEPT)):
                    if name == "entries" and window.take("["):
                        yield from self._entries()
                    else:
                        self.members[name] = window.value()
        except EndOfTextError:
            after = f"after entry {self._number}" if self._number else "before the first entry"
            self.problem = self.problem or f"the file is incomplete: it ends {after}"
        except InvalidValueError:
            self.problem = self.problem or f"nothing after entry {self._number} can be read"

    def _keys(self, wanted: tuple[str, ...]) -> Iterator[str]:
        """Yield the wanted keys of an object, whose value is then next; skip other values."""
        window = self.window
        _expect(window, "{")
        if window.take("}"):
            return
        while True:
            key = window.value()
            _expect(window, ":")
            if key in wanted:
                yield key
            else:
                window.skip()
            if window.take("}"):
                return
            _expect(window, ",")

    def _entries(self) -> Iterator[Entry]:
        """Yield the entries after the opening bracket, and move behind the closing one."""
        window = self.window
        if window.take("]"):
            return
        while True:
            yield self._entry()
            if window.take("]"):
                return
            if not window.take(","):
                self._find_next()

    def _find_next(self) -> None:
        """Move to the beginning of the next entry, past what cannot be read."""
        if not self.window.peek():
            raise EndOfTextError
        if not self.window.skip_to(_ENTRY_BEGINS):
            self.problem = f"nothing after entry {self._number} can be read"
            raise EndOfTextError

    def _entry(self) -> Entry:
        self._number += 1
        try:
            return Entry(self._number, self.window.value())
        except InvalidValueError as error:
            return Entry(self._number, problem=f"is {error}")
        except EndOfTextError:
            self.problem = "the file is incomplete"
            return Entry(self._number, problem="is incomplete")


def _expect(window: JSONWindow, character: str) -> None:
    if not window.take(character):
        raise InvalidValueError(f"not valid JSON: no {character}") if window.peek() else EndOfTextError
