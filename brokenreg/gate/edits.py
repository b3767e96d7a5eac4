"""The status and headers of a held response, which the user can edit before they are sent.

Headers that frame the body cannot be edited, because the body is sent as announced. Faults can change them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from brokenreg.http.asgi import Message
from brokenreg.traffic.redaction import redact_headers

Header = tuple[str, str]
Original = TypeVar("Original")

FRAMING = frozenset(
    {"content-length", "transfer-encoding", "connection", "keep-alive", "trailer", "upgrade", "te"}
)
"""Headers that frame the body or belong to the connection (RFC 9110, 7.6.1; RFC 9112, 6)."""

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
"""A token (RFC 9110, 5.6.2)."""

_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]{0,8192}")
"""Octets of a field value (RFC 9110, 5.5)."""

_LINE = re.compile(r"\s*([^:]*?)\s*:(.*)")
_BODILESS = {204: "15.3.5", 205: "15.3.6", 304: "15.4.5"}
"""Statuses without a body, and the section of RFC 9110 that says so."""


class HeadError(ValueError):
    """A head cannot be sent. `field` is `status` or `headers`; the message is one line."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(problem)
        self.field = field


@dataclass(frozen=True, slots=True)
class EditableHead:
    """A status and its headers in order, with names in lower case."""

    status: int
    headers: tuple[Header, ...]

    @classmethod
    def of(cls, message: Message) -> EditableHead:
        """Return the head in an `http.response.start`, with secrets replaced by `***`, `*** (2)`."""
        return cls(message["status"], tuple(header for header, _ in _shown(message)))

    @classmethod
    def parse(cls, text: str) -> EditableHead:
        """Parse a status, followed by one header per line (`name: value`). Raise `HeadError`.

        Empty lines are ignored.
        """
        lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
        first = lines[0][1].strip() if lines else ""
        if not re.fullmatch("[0-9]{3}", first, re.ASCII):
            raise HeadError("status", "the first line must be the status: three digits, for example 503")
        return cls(int(first), tuple(map(_header, lines[1:])))

    def __str__(self) -> str:
        """Return the head in the form that `parse` accepts."""
        return "\n".join([str(self.status), *(f"{name}: {value}" for name, value in self.headers)])

    def message(self, waiting: Message) -> Message:
        """Return the message to send instead of the held one. Each unchanged `***` is the secret again."""
        kept = dict(_shown(waiting))
        headers = [
            (name.encode("ascii"), kept.get((name, value), value.encode("latin-1")))
            for name, value in self._normalized(EditableHead.of(waiting)).headers
        ]
        return {**waiting, "status": self.status, "headers": headers}

    def changes_from(self, waiting: EditableHead, method: str) -> str:
        """Return the changes in words, or an empty text. Raise `HeadError` if the head cannot be sent."""
        self._check_status(waiting, method)
        for name, value in self.headers:
            _check(name, value)
        edited = self._normalized(waiting)
        for name in sorted(FRAMING):
            if edited.values(name) != waiting.values(name):
                raise HeadError("headers", _why_framing_stays(name, waiting.values(name)))
        return ", ".join(edited._changes(waiting))

    def values(self, name: str) -> list[str]:
        """Return all values of a header."""
        return [value for key, value in self.headers if key == name]

    def _normalized(self, waiting: EditableHead) -> EditableHead:
        """Return the head with names in lower case, values stripped, and a number for each repeated `***`.

        The log shows `***` for every secret. In edited headers, they stand for the held secrets, in order.
        """
        headers: list[Header] = []
        for name, value in self.headers:
            header = as_written = (name.lower(), value.strip())
            number = 2
            while header in headers and (following := _numbered(as_written, number)) in waiting.headers:
                header, number = following, number + 1
            headers.append(header)
        return EditableHead(self.status, tuple(headers))

    def _check_status(self, waiting: EditableHead, method: str) -> None:
        if not 200 <= self.status <= 599:
            interim = 100 <= self.status < 200
            why = ", because 1xx is not a final response (RFC 9110, 15.2)" if interim else ""
            raise HeadError("status", f'invalid status "{self.status}": use 200 to 599{why}')
        if self.status in _BODILESS and waiting.status not in _BODILESS and method != "HEAD":
            raise HeadError(
                "status",
                f"a {self.status} has no body (RFC 9110, {_BODILESS[self.status]}), but this response does",
            )

    def _changes(self, waiting: EditableHead) -> Iterator[str]:
        if self.status != waiting.status:
            yield f"status {waiting.status} to {self.status}"
        for name in dict.fromkeys(key for key, _ in (*waiting.headers, *self.headers)):
            before, after = waiting.values(name), self.values(name)
            if before != after:
                yield f"{name} {'added' if not before else 'changed' if after else 'removed'}"


def numbered_duplicates(
    shown: Iterable[Header], originals: Iterable[Original]
) -> Iterator[tuple[Header, Original]]:
    """Yield each header as it is shown, with the original; equal headers get a number."""
    known: dict[Header, Original] = {}
    for (name, value), original in zip(shown, originals, strict=True):
        header, number = (name, value), 1
        while known.setdefault(header, original) != original:
            number += 1
            header = _numbered((name, value), number)
        yield header, original


def _shown(message: Message) -> Iterator[tuple[Header, bytes]]:
    headers = message["headers"]
    shown = ((name, value.strip()) for name, value in redact_headers(headers))
    return numbered_duplicates(shown, (value for _, value in headers))


def _numbered(header: Header, number: int) -> Header:
    name, value = header
    return name, f"{value} ({number})"


def _header(numbered: tuple[int, str]) -> Header:
    number, line = numbered
    match = _LINE.fullmatch(line)
    if match is None:
        raise HeadError("headers", f"line {number}: use the form `name: value`")
    try:
        _check(match[1], match[2].strip())
    except HeadError as error:
        raise HeadError("headers", f"line {number}: {error}") from None
    return match[1].lower(), match[2].strip()


def _check(name: str, value: str) -> None:
    if not _NAME.fullmatch(name):
        raise HeadError(
            "headers", f"{name[:40]!r} is not a valid header name: use letters, digits and !#$%&'*+-.^_`|~"
        )
    if not _VALUE.fullmatch(value):
        raise HeadError("headers", f"{name[:40]}: the value has invalid characters, or more than 8 KiB")


def _why_framing_stays(name: str, values: list[str]) -> str:
    valid = f"leave {', '.join(values)}" if values else "remove it"
    return (
        f"{name} frames the body that follows: {valid}; use the faults truncate and wrong-length to change it"
    )
