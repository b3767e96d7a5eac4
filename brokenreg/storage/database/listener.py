"""Listens for the notifications of other processes that share a PostgreSQL database."""

from __future__ import annotations

import logging
import os
import selectors
import threading
from collections.abc import Callable

import psycopg

from brokenreg.storage.database.postgresql_connection import connect

logger = logging.getLogger(__name__)

CHANNEL = "brokenreg_changes"

POLL = 0.25
"""Seconds between two looks at the database without a notification."""


class ChangeListener:
    """Calls `wake` when another process has committed, and every `POLL` seconds.

    After any error, the connection is opened again. Until then, changes are found by looking.
    """

    def __init__(self, url: str, replica: str, wake: Callable[[], None]) -> None:
        self._url = url
        self._replica = replica
        self._wake = wake
        self._logged = ""
        """The last unexpected error, which is logged once and not every `POLL` seconds."""
        self._stopping, self._stop = os.pipe()
        # Opened now, because a descriptor may be impossible to get when the connection is lost.
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._stopping, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="brokenreg-listener", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop, and wait for the end of the thread, unless it is about to connect."""
        os.close(self._stop)
        self._thread.join(0.5)

    def _run(self) -> None:
        with self._selector:
            is_running = True
            while is_running:
                try:
                    self._wake()
                    self._listen()
                except (psycopg.Error, OSError):
                    pass  # the jobs of the index report that the database cannot be reached
                except Exception as error:  # any error: without this thread, memory would become stale
                    if str(error) != self._logged:
                        self._logged = str(error)
                        logger.exception("listening for changes failed; trying again")
                is_running = not self._selector.select(POLL)
        os.close(self._stopping)

    def _listen(self) -> None:
        """Wake for notifications of others, and every `POLL` seconds, until the thread must end."""
        with connect(self._url) as connection:
            connection.execute(f"LISTEN {CHANNEL}")
            link = connection.pgconn
            socket, selector = link.socket, self._selector
            selector.register(socket, selectors.EVENT_READ)
            try:
                while self._stopping not in (ready := [key.fd for key, _ in selector.select(POLL)]):
                    if ready:
                        link.consume_input()
                    if not ready or self._is_notified(connection):
                        self._wake()
            finally:
                selector.unregister(socket)

    def _is_notified(self, connection: psycopg.Connection[tuple[object, ...]]) -> bool:
        """Return whether another process has sent one of the waiting notifications."""
        is_by_others = False
        while (notification := connection.pgconn.notifies()) is not None:
            is_by_others = is_by_others or notification.extra != self._replica.encode()
        return is_by_others
