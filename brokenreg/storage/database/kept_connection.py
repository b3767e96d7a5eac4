"""Keeps one connection to PostgreSQL open: connects when it is needed, and again after it was lost."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable

import psycopg

from brokenreg.redaction import redact_text
from brokenreg.storage.database.connection import Connection
from brokenreg.storage.database.postgresql_connection import TranslatingConnection, connect, reason
from brokenreg.storage.errors import DatabaseUnreachableError

logger = logging.getLogger(__name__)

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
"""Seconds between two attempts to connect. Each pause is twice as long as the one before."""


class KeptConnection:
    """The connection of one thread."""

    def __init__(self, url: str, on_connect: Callable[[Connection], None]) -> None:
        self._url = url
        self.place = redact_text(url)
        """The URL without its password."""
        self._on_connect = on_connect
        self._connection: TranslatingConnection | None = None
        self._was_connected = False
        self._problem: str | None = None
        """Why the last attempt failed; None if it did not."""
        self._pause, self._next_attempt = 0.0, 0.0

    def connected(self) -> TranslatingConnection:
        """Return the connection. Connect if there is none, but not more often than the pauses allow.

        Raise `psycopg.Error`, or `DatabaseUnreachableError` during a pause.
        """
        if self._connection is not None and not self._connection.raw.closed:
            return self._connection
        self.disconnect()
        if self._problem is not None and time.monotonic() < self._next_attempt:
            raise DatabaseUnreachableError(self._problem)
        try:
            connection = TranslatingConnection(connect(self._url))
            # After a ROLLBACK, psycopg would deallocate what `PreparedStatements` has prepared.
            connection.raw.prepare_threshold = None
            self._on_connect(connection)
        except psycopg.Error as error:
            self._note_problem(f"the database cannot be reached: {reason(error)}")
            raise
        if self._problem is not None:
            logger.warning("the database %s can be reached again", self.place)
        self._problem, self._pause, self._was_connected = None, 0.0, True
        self._connection = connection
        return connection

    def hurry(self) -> None:
        """End the current pause."""
        self._next_attempt = 0.0

    def disconnect(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            with contextlib.suppress(psycopg.Error):
                self._connection.raw.close()
        self._connection = None

    def _note_problem(self, problem: str) -> None:
        if self._problem is None and self._was_connected:
            logger.warning("%s; trying again", problem)
        self._problem = problem
        self._pause = min(_LONGEST_PAUSE, max(_SHORTEST_PAUSE, 2 * self._pause))
        self._next_attempt = time.monotonic() + self._pause
