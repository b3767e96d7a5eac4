"""Large stores in the panel: no action on 10,000 blobs blocks the event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from running import registry
from screen import settled
from stored import TEAM

from brokenreg.assembly.process_tuning import tidied_when_quiet
from brokenreg.oci.digests import Digest
from brokenreg.storage import Store
from brokenreg.traffic.log import TrafficLog
from brokenreg.tui.app import Panel

MANY = 10_000
DIGESTS = [Digest.of(str(number).encode()) for number in range(MANY)]
LONGEST = 0.25
"""Seconds of the processor, so that nothing else that runs is counted."""


async def fill(store: Store) -> None:
    """Blobs of one repository, as pushes leave them."""
    for number, digest in enumerate(DIGESTS):
        store.folder.blob(digest).write_bytes(b"x" * (number % 100))
    await asyncio.gather(*(store.index.link_blob(TEAM, digest, time.time()) for digest in DIGESTS))


@asynccontextmanager
async def nothing_holds_the_loop() -> AsyncIterator[None]:
    """Whatever runs meanwhile, another task gets its turn."""
    longest = 0.0

    async def count() -> None:
        nonlocal longest
        while True:
            began = time.thread_time()
            await asyncio.sleep(0.001)
            longest = max(longest, time.thread_time() - began)

    counting = asyncio.create_task(count())
    try:
        yield
    finally:
        counting.cancel()
    assert longest < LONGEST


@pytest.mark.slow
async def test_ten_thousand_blobs_are_opened_moved_in_sorted_and_searched() -> None:
    async with tidied_when_quiet(), registry(TrafficLog()) as runtime:
        await fill(runtime.store)
        panel = Panel(runtime)
        async with panel.run_test(size=(100, 30)) as pilot, nothing_holds_the_loop():
            assert f"{MANY} blobs, by size" in await settled(pilot, "3")
            await settled(pilot, "G", "pageup", "k")
            assert "by last use" in await settled(pilot, "o")
            assert "by name" in await settled(pilot, "o")
            found = sum("1f" in digest for digest in DIGESTS)
            assert f"/ 1f   {found} of {MANY}" in await settled(pilot, "/", *"1f", "enter")
