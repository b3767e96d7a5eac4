"""Frees exchanges that were removed from the log, and returns their memory to the system."""

from __future__ import annotations

import ctypes
import gc
import sys
import threading

from brokenreg.traffic.exchange import Exchange

_WORTHWHILE = 1024 * 1024
"""Bytes from which freeing takes noticeable time, and from which returning them is worthwhile."""


def dispose(exchanges: list[Exchange]) -> None:
    """Free exchanges that nothing else refers to; the list is emptied.

    To free 10,000 takes some 40 ms. If they are large, a thread does it one at a time, so that the event
    loop gets its turn.
    """
    if sum(exchange.counted for exchange in exchanges) < _WORTHWHILE:
        exchanges.clear()
    else:
        threading.Thread(target=_free, args=(exchanges,), name="brokenreg-disposal", daemon=True).start()


def _free(exchanges: list[Exchange]) -> None:
    while exchanges:
        exchanges.pop()
    gc.collect()  # it also frees what Python keeps of small objects for reuse; a few pin most of the memory
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "malloc_trim"):  # glibc keeps freed memory otherwise
            libc.malloc_trim(0)
