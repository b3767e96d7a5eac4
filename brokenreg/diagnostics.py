"""The newest lines of the server's own log, for the panel."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass

from brokenreg.redaction import redact_text

CAPACITY = 2_000
"""Default number of records that are kept."""

_LONGEST = 16 * 1024
"""Maximum number of characters of one record, including its traceback."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One record: `created` is seconds since the epoch, `level` one of `logging`'s; `text` may have lines."""

    created: float
    level: int
    text: str


class RedactingFormatter(logging.Formatter):
    """Formats log records and their tracebacks, with secrets replaced."""

    def format(self, record: logging.LogRecord) -> str:
        return redact_text(super().format(record))


class Diagnostics(logging.Handler):
    """Keeps the newest records. Any thread may log; readers that repaint compare `version`."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        super().__init__(logging.INFO)
        self.setFormatter(RedactingFormatter("%(message)s"))
        self._lines: deque[LogLine] = deque(maxlen=capacity)
        self.version = 0
        """Grows with every record."""

    def lines(self) -> tuple[LogLine, ...]:
        """Return the records, oldest first."""
        self.acquire()
        try:
            return tuple(self._lines)
        finally:
            self.release()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record. `logging` calls this with the lock held."""
        try:
            text = self.format(record)
        except Exception:  # noqa: BLE001 - as of every handler: whoever logs must not fail
            text = f"a record of {record.name} cannot be formatted"
        self._lines.append(LogLine(record.created, record.levelno, text[:_LONGEST]))
        self.version += 1
