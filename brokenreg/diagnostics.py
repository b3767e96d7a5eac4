"""Keeps the newest lines of the server's own log for the panel, and limits repetitions."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass
from types import TracebackType

from brokenreg.redaction import redact_text

CAPACITY = 2_000
"""Default number of records that are kept."""

_LONGEST = 16 * 1024
"""Maximum number of characters of one record, including its traceback."""

_WINDOW = 60.0
"""Length, in seconds, of the window in which a limited number of records of one kind pass."""

_ALIKE = 20
_TRACEBACKS = 3
"""Records of one kind that pass: without and with a traceback."""

_KINDS = 1_000
"""Maximum number of kinds that are remembered. There is one for each place in the code that logs."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """A log record. `created` is in seconds since the epoch, and `text` may have several lines."""

    created: float
    level: int
    text: str


class RedactingFormatter(logging.Formatter):
    """Formats log records and their tracebacks, with secrets replaced."""

    def format(self, record: logging.LogRecord) -> str:
        return redact_text(super().format(record))


class Diagnostics(logging.Handler):
    """Keeps the newest records. Any thread may log. A changed `version` means that there are new ones."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        super().__init__(logging.INFO)
        self.setFormatter(RedactingFormatter("%(message)s"))
        self._lines: deque[LogLine] = deque(maxlen=capacity)
        self.version = 0
        """A number that grows with every record."""

    def lines(self) -> tuple[LogLine, ...]:
        """Return the records, oldest first."""
        self.acquire()
        try:
            return tuple(self._lines)
        finally:
            self.release()

    def emit(self, record: logging.LogRecord) -> None:
        """Store a record. `logging` calls this with the lock held."""
        try:
            text = self.format(record)
        except Exception:  # noqa: BLE001 - logging must never fail in the code that logs
            text = f"a record of {record.name} cannot be formatted"
        self._lines.append(LogLine(record.created, record.levelno, text[:_LONGEST]))
        self.version += 1


@dataclass(slots=True)
class _Kind:
    """The number of records of one kind since `began` (in seconds of the monotonic clock)."""

    began: float
    count: int = 0


class RepetitionFilter(logging.Filter):
    """Omits repeated warnings and errors, so that clients cannot fill a disk or hide other messages.

    Records are of the same kind if they have the same message (before values are inserted), or if their
    exceptions have the same type and were raised at the same place. One filter serves several handlers.
    """

    def __init__(self) -> None:
        super().__init__()
        self._kinds: dict[tuple[object, ...], _Kind] = {}
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record passes. The last one that passes says that further ones are omitted."""
        if record.levelno < logging.WARNING:
            return True
        facts = record.__dict__  # several handlers get the same record, which counts only once
        if "is_omitted" not in facts:
            facts["is_omitted"] = self._is_omitted(record)
        return not facts["is_omitted"]

    def _is_omitted(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        most = _ALIKE if error is None else _TRACEBACKS
        count, omitted = self._counted(_kind_of(record, error), most)
        if omitted:
            record.msg = f"({omitted} more like this one were omitted) {record.msg}"
        elif count == most:
            record.msg = f"{record.msg} (further ones like this are omitted for {_WINDOW:.0f} s)"
        return count > most

    def _counted(self, key: tuple[object, ...], most: int) -> tuple[int, int]:
        """Count a record. Return its number in the window, and how many were omitted in the previous one."""
        now = time.monotonic()
        with self._lock:
            if key not in self._kinds and len(self._kinds) >= _KINDS:
                self._kinds.clear()
            kind = self._kinds.setdefault(key, _Kind(now))
            omitted = 0
            if now - kind.began >= _WINDOW:
                omitted = max(0, kind.count - most)
                kind.began, kind.count = now, 0
            kind.count += 1
            return kind.count, omitted


def _kind_of(record: logging.LogRecord, error: BaseException | None) -> tuple[object, ...]:
    if error is None:
        # Messages of asyncio contain values from the second line on.
        return record.name, str(record.msg).partition("\n")[0]
    place: TracebackType | None = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = (place.tb_frame.f_code.co_filename, place.tb_lineno) if place is not None else ()
    return record.name, type(error), *where
