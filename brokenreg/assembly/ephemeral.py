"""What makes a server live only as long as the program that started it (`brokenreg serve --ephemeral`).

Standard input is a pipe that the other program keeps open. However that program ends, the pipe ends with it:
this works on every system, and after SIGKILL, too.
"""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from brokenreg.config.settings import Settings

_STANDARD_INPUT = 0
_PIECE = 4096
_ENDED = "brokenreg: standard input ended, stopping: with --ephemeral, it must be a pipe that stays open"


@contextlib.contextmanager
def in_temporary_folder(settings: Settings) -> Iterator[Settings]:
    """Yield the settings with a new data folder, which is removed at the end. Raise `OSError`."""
    with tempfile.TemporaryDirectory(prefix="brokenreg-", ignore_cleanup_errors=True) as folder:
        yield settings.model_copy(update={"data": Path(folder)})


def stop_when_input_ends(is_ready: threading.Event) -> None:
    """Send SIGTERM to this process when standard input ends. What it contains is ignored.

    If nothing keeps standard input open, for instance because a shell started this process in the background,
    a line says so.
    """
    # A thread, because an event loop can wait for pipes, but not for files such as /dev/null.
    threading.Thread(
        target=_stop_when_input_ends, args=[is_ready], name="standard input", daemon=True
    ).start()


def _stop_when_input_ends(is_ready: threading.Event) -> None:
    is_pipe = False
    with contextlib.suppress(OSError):  # closed by whoever started us, which is an end, too
        mode = os.fstat(_STANDARD_INPUT).st_mode
        is_pipe = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
        while os.read(_STANDARD_INPUT, _PIECE):
            continue
    if not is_pipe or not is_ready.is_set():
        print(_ENDED, file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
