"""Listens for the notifications of other processes that share a PostgreSQL database."""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections.abc import Callable

import psycopg

from brokenreg.storage.database.postgresql_connection import connect

CHANNEL = "brokenreg_changes"

POLL = 0.25
"""Seconds between two looks at the database without a notification."""


class Listener:
    """Calls `wake` when another process has committed, and every `POLL` seconds.

    A lost connection is opened again. Until then, changes are found by looking.
    """

    def __init__(self, url: str, replica: str, wake: Callable[[], None]) -> None:
        self._url = url
        self._replica = replica
        self._wake = wake
        self._stopping, self._stop = os.pipe()
        self._thread = threading.Thread(target=self._run, name="brokenreg-listener", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop, and wait for the end of the thread, unless it is about to connect."""
        os.close(self._stop)
        self._thread.join(0.5)

    def _run(self) -> None:
        is_running = True
        while is_running:
            try:
                with connect(self._url) as connection:
                    connection.execute(f"LISTEN {CHANNEL}")
                    while is_running:
                        is_running = self._listen(connection)
            except (psycopg.Error, OSError):
                is_running = not self._is_stopped(POLL)
                self._wake()
        os.close(self._stopping)

    def _listen(self, connection: psycopg.Connection[tuple[object, ...]]) -> bool:
        """Wait for notifications, and wake once. Return False if the thread must end."""
        link = connection.pgconn
        ready, _, _ = select.select([link.socket, self._stopping], [], [], POLL)
        if self._stopping in ready:
            return False
        is_by_others = not ready
        if ready:
            link.consume_input()
            while (notification := link.notifies()) is not None:
                is_by_others = is_by_others or notification.extra != self._replica.encode()
        if is_by_others:
            self._wake()
        return True

    def _is_stopped(self, patience: float) -> bool:
        with contextlib.suppress(OSError):
            return bool(select.select([self._stopping], [], [], patience)[0])
        return True
