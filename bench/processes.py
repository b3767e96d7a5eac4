"""Reads the CPU time and memory of a process from the kernel."""

from __future__ import annotations

import time
from pathlib import Path

_ALL_THREADS = 2
"""The clock for the CPU time of all threads of a process, as `clock_getcpuclockid` encodes it."""


def cpu_seconds(process: int) -> float:
    """Return the CPU seconds of a process so far, including threads that have ended."""
    return time.clock_gettime(~process << 3 | _ALL_THREADS)


def forget_peak(process: int) -> None:
    """Reset the peak memory of a process."""
    Path(f"/proc/{process}/clear_refs").write_text("5")


def peak_memory(process: int) -> int:
    """Return the peak resident memory of a process, in bytes, since `forget_peak`."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024
