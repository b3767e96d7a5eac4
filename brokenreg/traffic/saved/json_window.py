"""Reads JSON values from a text that is too long for memory, through a window that moves over it (RFC 8259).

It never recurses, so that no input can exhaust the stack, and it reads on after a value that is invalid.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

LONGEST = 1024 * 1024
"""Maximum length of one value, in characters, after `LONGEST_STRING` has been applied to its strings.

Parsing one takes up to 20 ms, during which no other thread can run.
"""

LONGEST_STRING = 128 * 1024
"""Longer strings within long values are cut to this length: a body of 64 KiB in base64 fits."""

_SPACE = re.compile(r"[ \t\r\n]*")
_NO_BRACKET = re.compile(r'[^"{}\[\]]+')
_IN_STRING = re.compile(r'(?:[^"\\\r\n]++|\\[^\r\n])++')
_WHOLE_ESCAPES = re.compile(r'"(?:[^"\\]++|\\u[0-9a-fA-F]{4}|\\[^u])*+')
_SCALAR = re.compile(r"[^,}\]\s]*")
_decode = json.JSONDecoder().raw_decode


class InvalidValueError(ValueError):
    """A value is invalid or too large. The window is behind it, or in it if its end cannot be found."""


class EndOfTextError(ValueError):
    """The text ends inside a value."""


class JSONWindow:
    """The part of a text from `at` on that is in memory. `chunks` are its parts in order."""

    def __init__(self, chunks: Iterator[str]) -> None:
        self._chunks = chunks
        self._text = ""
        self._at = 0
        self._is_ended = False

    def peek(self) -> str:
        """Skip white space, and return the next character, or "" at the end."""
        while True:
            match = _SPACE.match(self._text, self._at)
            self._at = match.end() if match else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def take(self, character: str) -> bool:
        """Skip white space and `character`, if it is the next one."""
        if self.peek() != character:
            return False
        self._at += 1
        return True

    def value(self) -> Any:
        """Return the next value, with long strings cut. Raise `InvalidValueError` or `EndOfTextError`."""
        self.peek()
        while True:
            try:
                value, end = _decode(self._text, self._at)
            except (ValueError, RecursionError):
                if len(self._text) - self._at > LONGEST or not self._more():
                    return self._scanned()
                continue
            if end < len(self._text) or not self._more():  # else, a number might continue
                self._at = end
                return value

    def skip(self) -> None:
        """Skip the next value. Raise `InvalidValueError` or `EndOfTextError`."""
        self.peek()
        self._scan()

    def skip_to(self, pattern: re.Pattern[str]) -> bool:
        """Skip to the next match of `pattern`, which is shorter than 200 characters, if there is one."""
        while True:
            match = pattern.search(self._text, self._at)
            if match is not None:
                self._at = match.start()
                return True
            self._at = max(self._at, len(self._text) - 200)
            if not self._more():
                self._at = len(self._text)
                return False

    def _scanned(self) -> Any:
        """Return the next value, after its end was found."""
        text = self._scan()
        if text is None:
            raise InvalidValueError(f"longer than {LONGEST // 1024} KiB")
        try:
            return json.loads(text)
        except RecursionError:
            raise InvalidValueError("nested too deeply") from None
        except ValueError:
            raise InvalidValueError("not valid JSON") from None

    def _scan(self) -> str | None:
        """Move behind the next value. Return its text with long strings cut; None if it is too long."""
        pieces: list[str] = []
        length = depth = 0
        while True:
            self._fill()
            character = self._text[self._at]
            if character == '"':
                piece = self._string()
            elif character in "{[":
                piece, depth = self._step(1), depth + 1
            elif character in "}]":
                piece, depth = self._step(1), depth - 1
            else:
                match = (_NO_BRACKET if depth else _SCALAR).match(self._text, self._at)
                piece = self._step(max(1, match.end() - self._at if match else 1))
            length += len(piece)
            if length <= LONGEST:
                pieces.append(piece)
            if depth <= 0 and (character in '"}]' or self._at < len(self._text) or not self._more()):
                return "".join(pieces) if length <= LONGEST else None

    def _string(self) -> str:
        """Move behind a string, and return it, cut if it is long."""
        kept = self._step(1)
        is_cut = False
        while True:
            self._fill()
            character = self._text[self._at]
            if character == '"':
                self._at += 1
                return kept + '"'
            if character in "\r\n":
                raise InvalidValueError("not valid JSON")
            match = _IN_STRING.match(self._text, self._at)
            if match is None:  # a backslash at the end of the window
                self._need_more()
                continue
            piece = self._step(match.end() - self._at)
            if not is_cut:
                kept += piece
                if is_cut := len(kept) > LONGEST_STRING:
                    whole = _WHOLE_ESCAPES.match(kept[:LONGEST_STRING])
                    kept = whole[0] if whole else '"'

    def _step(self, length: int) -> str:
        piece = self._text[self._at : self._at + length]
        self._at += length
        return piece

    def _fill(self) -> None:
        """Make sure that there is a next character."""
        if self._at >= len(self._text):
            self._need_more()

    def _need_more(self) -> None:
        if not self._more():
            raise EndOfTextError

    def _more(self) -> bool:
        """Append the next part of the text to the window, and drop what is before `at`."""
        chunk = next(self._chunks, "")
        if not chunk:
            self._is_ended = True
            return False
        self._text = self._text[self._at :] + chunk
        self._at = 0
        return True
