"""Lets through only what a panel sends: text, colours, cursor, pointer, modes, the bell, and the clipboard.

A server could otherwise let the terminal send the clipboard or the title as if the user had typed it.
"""

from __future__ import annotations

import re
from codecs import getincrementaldecoder

_PANEL = re.compile(
    r"""(?:
    [^\x00-\x1f\x7f-\x9f]++
    | \x1b\[ (?: [0-9;]*+[mH]                                               # colours, and the cursor
               | \?(?:7|25|1000|1003|1004|1006|1015|1049|2004|2026)[hl]     # modes
               | (?:>25|<)u                                                 # the keyboard protocol
               | \?2026\$p )                                                # synchronized output?
    | \x1b\]22;[a-z-]{1,32}+\a                                              # the shape of the pointer
    | \x1b\]52;c;[A-Za-z0-9+/=]*+\a                                         # copies, and never reads
    | [\a\n]
    )*+""",
    re.VERBOSE,
)
"""What the driver of an attached panel sends (`tui/drivers/attached.py`, and Textual's copying)."""

_OTHER = re.compile(
    r"""
    \x1b\[[0-?]*+[\ -/]*+ (?: [@-~] | (?=[^@-~]) )
    | \x1b[\]PX^_][^\x07\x1b\x9c]*+ (?: \x07 | \x9c | \x1b\\ | (?=\x1b[^\\]) )
    | \x1b (?: [\ -/]++(?: [0-~] | (?=[^\ -~]) ) | [0-OQ-WYZ\\`-~] | (?=[^\ -~]) )
    | [\x00-\x1a\x1c-\x1f\x7f-\x9f]
    """,
    re.VERBOSE,
)
"""One other sequence, complete or ended by what cannot be a part of it, or a control character (ECMA-48)."""

_BEGINS_STRING = re.compile(r"\x1b[\]PX^_]")
_MAY_END_STRING = re.compile(r"[\x07\x1b\x9c\\]")
_LONGEST = 256
_LONGEST_STRING = 512 * 1024
"""Maximum number of characters of a sequence whose end has not come. A clipboard has at most 256 Ki."""


class OutputFilter:
    """Removes all other sequences and control characters, also if they come in pieces."""

    def __init__(self) -> None:
        self._decode = getincrementaldecoder("utf-8")("replace").decode
        self._waiting: list[str] = []
        self._length = 0
        self._is_string = False

    def feed(self, data: bytes) -> bytes:
        """Return what of the output is let through. The beginning of a sequence waits for its end.

        Raise `ConnectionError` if the end does not come.
        """
        text = self._decode(data)
        if self._is_string and not _MAY_END_STRING.search(text):
            return self._wait(text)
        text = "".join((*self._waiting, text))
        self._waiting, self._length = [], 0
        known: list[str] = []
        place = 0
        while True:
            found = _PANEL.match(text, place)
            assert found is not None  # noqa: S101 - it matches an empty text
            known.append(found[0])
            other = _OTHER.match(text, found.end())
            if other is None:
                self._is_string = _BEGINS_STRING.match(text, found.end()) is not None
                return "".join(known).encode() + self._wait(text[found.end() :])
            place = other.end()

    def _wait(self, text: str) -> bytes:
        self._waiting.append(text)
        self._length += len(text)
        if self._length > (_LONGEST_STRING if self._is_string else _LONGEST):
            raise ConnectionError("the server sends a sequence that is too long")
        return b""
