"""Batched writes: one thread at a time, and in order, at any pace of the chunks."""

from __future__ import annotations

import asyncio
import threading
import time

from brokenreg.storage.quota import Quota, Room
from brokenreg.storage.uploads.batched_writer import BatchedWriter

CHUNK = 100 * 1024


async def test_no_two_threads_write_at_once() -> None:
    """The disk is slow, and the chunks arrive so slowly that small batches are written."""
    received = bytearray()
    at_work = threading.Lock()

    def write(data: bytes) -> None:
        assert at_work.acquire(blocking=False), "another thread writes"
        time.sleep(0.03)
        received.extend(data)
        at_work.release()

    room = Room(Quota(None), None)  # without a limit the cache is never asked
    batches = BatchedWriter(room, write, lambda: None)
    sent = bytearray()
    for number in range(60):
        chunk = bytes([number]) * CHUNK
        sent += chunk
        await batches.add(chunk)
        await asyncio.sleep(0.004)
    await batches.end()
    assert received == sent
