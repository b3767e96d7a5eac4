"""The thread that follows other processes goes on after errors."""

from __future__ import annotations

import contextlib
import os
import resource
import threading
from collections.abc import Iterator

import psycopg

from brokenreg.storage.database.listener import CHANNEL, ChangeListener

PATIENCE = 20.0


@contextlib.contextmanager
def many_descriptors(count: int) -> Iterator[None]:
    """Keep all numbers of descriptors below `count` in use."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * count), hard))
    held = [os.open(os.devnull, os.O_RDONLY)]
    try:
        while held[-1] < count:
            held.append(os.open(os.devnull, os.O_RDONLY))
        yield
    finally:
        for each in held:
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def await_wakes(woken: threading.Event) -> None:
    """Await three wakes: the thread has gone on after each."""
    for _ in range(3):
        assert woken.wait(PATIENCE)
        woken.clear()


def test_it_listens_with_descriptors_of_any_number(database_url: str) -> None:
    """A registry with many connections has no lower number left when it connects again."""
    woken = threading.Event()
    with many_descriptors(1024):
        listener = ChangeListener(database_url, "aaaaaaaa", woken.set)
        try:
            await_wakes(woken)
        finally:
            listener.stop()


def test_it_connects_again_after_any_error(database_url: str) -> None:
    woken = threading.Event()
    errors = [RuntimeError("first"), ValueError("second")]

    def wake() -> None:
        if errors:
            raise errors.pop()
        woken.set()

    listener = ChangeListener(database_url, "aaaaaaaa", wake)
    try:
        await_wakes(woken)
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND query = %s",
                (f"LISTEN {CHANNEL}",),
            )
        woken.clear()
        await_wakes(woken)
    finally:
        listener.stop()
