"""Frees exchanges that were removed from the log, and returns their memory to the system."""

from __future__ import annotations

import gc
import threading

from brokenreg.freed_memory import return_freed_memory
from brokenreg.traffic.exchange import Exchange

_WORTHWHILE = 1024 * 1024
"""Minimum size, in bytes, of exchanges that a thread frees, because it takes noticeable time."""


def dispose(exchanges: list[Exchange]) -> None:
    """Free exchanges that nothing else refers to, and empty the list.

    Freeing 10,000 exchanges takes about 40 ms. If they are large, a thread frees them one at a time, so that
    the event loop is not blocked.
    """
    if sum(exchange.counted for exchange in exchanges) < _WORTHWHILE:
        exchanges.clear()
    else:
        threading.Thread(target=_free, args=(exchanges,), name="brokenreg-disposal", daemon=True).start()


def _free(exchanges: list[Exchange]) -> None:
    while exchanges:
        exchanges.pop()
    gc.collect()  # also empties Python's free lists, whose few small objects can pin most of the memory
    return_freed_memory()
