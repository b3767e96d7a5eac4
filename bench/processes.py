"""What a process costs: its CPU time and its memory, as the kernel counts them."""

from __future__ import annotations

import time
from pathlib import Path

_ALL_THREADS = 2
"""Which clock of a process, as `clock_getcpuclockid` of the C library has it: CPU time of all its threads."""


def cpu_seconds(process: int) -> float:
    """Return the CPU time of a process so far, with that of threads that have ended, to the nanosecond."""
    return time.clock_gettime(~process << 3 | _ALL_THREADS)


def forget_peak(process: int) -> None:
    """Let the peak of a process's memory begin anew."""
    Path(f"/proc/{process}/clear_refs").write_text("5")


def peak_memory(process: int) -> int:
    """Return the largest resident memory of a process, in bytes, since it was forgotten."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024
