"""Threads only for work on files, so that pushes and pulls do not wait for exports or long documents."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")

_THREADS = ThreadPoolExecutor(min(32, (os.cpu_count() or 1) + 4), thread_name_prefix="brokenreg-files")


def in_file_thread(work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> asyncio.Future[_T]:
    """Run `work`, which blocks, in a thread. If the future is cancelled, work that has begun continues."""
    return asyncio.get_running_loop().run_in_executor(_THREADS, partial(work, *args, **kwargs))
