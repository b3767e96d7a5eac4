"""Full garbage collections and the return of memory wait until the process is quiet."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import weakref

import pytest

from brokenreg.assembly.process_tuning import is_due, tidied_when_quiet


class _Knot:
    """Cyclic garbage, which only a collection finds."""

    def __init__(self) -> None:
        self.itself = self


@pytest.mark.slow
async def test_old_garbage_is_found_once_it_is_quiet() -> None:
    found = asyncio.Event()
    async with tidied_when_quiet():
        knot: _Knot | None = _Knot()
        weakref.finalize(knot, asyncio.get_running_loop().call_soon_threadsafe, found.set)
        for _ in range(20):
            gc.collect(1)
        knot = None  # grown old by now
        await asyncio.wait_for(found.wait(), 10)


async def test_thresholds_are_as_before_afterwards() -> None:
    before = gc.get_threshold()
    async with tidied_when_quiet():
        assert gc.get_threshold()[2] > 1_000_000
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


def test_a_busy_process_searches_only_when_it_is_overdue() -> None:
    assert is_due(10, 0.02)
    assert not is_due(9, 0.0)
    assert not is_due(100, 0.9)
    assert is_due(500, 0.9)


_BUSY_THEN_QUIET = """
import asyncio, time
from pathlib import Path
from brokenreg.assembly.process_tuning import tidied_when_quiet
from brokenreg.freed_memory import keep_freed_memory

def resident():
    return int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0]) // 1024

async def main():
    async with tidied_when_quiet():
        buffers = [(b"x" * size, b"y" * 20_000) for size in range(200_000, 200_200)]
        buffers = [small for _, small in buffers]
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            await asyncio.sleep(0)
        busy, deadline = resident(), time.monotonic() + 10
        while resident() > busy - 20 and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
        print(busy - resident())

keep_freed_memory()
asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="glibc alone keeps memory")
def test_freed_memory_returns_to_the_system_once_it_is_quiet() -> None:
    """The freed buffers have 40 MB in total, between small ones that stay."""
    done = subprocess.run([sys.executable, "-c", _BUSY_THEN_QUIET], capture_output=True, check=True)
    assert int(done.stdout) >= 20
