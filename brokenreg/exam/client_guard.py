"""The guard of a client: a program that runs the client, and ends whatever the client leaves.

It is a process of its own because it must outlive a `brokenreg run` that is killed. It notices that by the
end of its standard input. It uses the standard library alone, so that it starts in 20 ms.

- It creates a folder, and writes `{"folder": PATH}` to standard output. It removes the folder at its end.
- It reads one line, `{"command": [...], "environment": {...}}`, and starts the client. What the client prints
  goes to the standard error of the guard.
- It writes `{"status": N}` when the client ends (negative for a signal, as in Python), or `{"error": "..."}`.
  It ends the processes that are left, and writes `{"ended": true}`.
- Another line on standard input ends the client: with SIGTERM, and after a moment with SIGKILL. The end of
  standard input ends the client and the guard.

The client runs in a session of its own. On Linux, a process that leaves this session becomes a child of the
guard when its parent ends (PR_SET_CHILD_SUBREAPER), so the guard ends it, too.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

_INPUT, _ERRORS = 0, 2

GRACE = 1.0
"""Seconds that a client has between SIGTERM and SIGKILL."""

END = 2.0
"""Seconds in which processes must end after SIGKILL. One that waits for a broken disk does not."""

_PAUSE = 0.002
_PR_SET_CHILD_SUBREAPER = 36
"""From <linux/prctl.h>."""


def main() -> None:
    """Run a client from its first to its last process and file."""
    with tempfile.TemporaryDirectory(prefix="brokenreg-client-", ignore_cleanup_errors=True) as folder:
        _say(folder=folder)
        if request := _request():
            _adopt_orphans()
            _run(request["command"], request["environment"])
            while os.read(_INPUT, 1024):
                continue


def _request() -> dict[str, Any]:
    """Return the line that says what to run; empty if the input ends instead."""
    line = b""
    while not line.endswith(b"\n"):
        data = os.read(_INPUT, 1 << 16)
        if not data:
            return {}
        line += data
    found: dict[str, Any] = json.loads(line)
    return found


def _run(command: Sequence[str], environment: Mapping[str, str]) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # with a handler, the end of a child wakes `select`
    signal.set_wakeup_fd(writer)
    try:
        client = subprocess.Popen(  # noqa: S603 - the command is what the user wants to run
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=_ERRORS,
            stderr=_ERRORS,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        _say(error=error.strerror if isinstance(error, OSError) else str(error))
        return
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), _ERRORS)  # the output ends with the last process that has it
    client.returncode = _status(client.pid, reader)  # `Popen` would miss it: `_reap` waits for any child
    _say(status=client.returncode)
    _end_all(client.pid)
    _say(ended=True)


def _status(client: int, wakeup: int) -> int:
    """Wait for the end of the client, which anything on standard input hastens. Return its status."""
    deadline: float | None = None
    while (status := _reap(client)) is None:
        watched = [wakeup] if deadline is not None else [wakeup, _INPUT]
        left = None if deadline is None else max(deadline - time.monotonic(), 0)
        ready = select.select(watched, [], [], left)[0]
        if wakeup in ready:
            os.read(wakeup, 1024)
        if _INPUT in ready:
            deadline = time.monotonic() + GRACE
            _signal_group(client, signal.SIGTERM)
        elif deadline is not None and time.monotonic() >= deadline:
            _signal_group(client, signal.SIGKILL)
            deadline += END
    return status


def _reap(client: int) -> int | None:
    """Remove all children that have ended. Return the status of the client if it is one of them."""
    status = None
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == client:
                status = os.waitstatus_to_exitcode(ended[1])
    return status


def _end_all(client: int) -> None:
    """Kill what the client has left, and wait until nothing of it is there any more."""
    _signal_group(client, signal.SIGKILL)
    deadline = time.monotonic() + END
    while _has_children() and time.monotonic() < deadline:
        for each in _descendants(os.getpid()):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(each, signal.SIGKILL)
        time.sleep(_PAUSE)


def _has_children() -> bool:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue
    except ChildProcessError:
        return False
    return True


def _descendants(ancestor: int) -> Iterator[int]:
    """Yield the processes that come from a process, as far as /proc lists them."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = path.read_text(errors="replace").rpartition(")")[2].split()[1]
            children.setdefault(int(parent), []).append(int(path.parent.name))
    found = [ancestor]
    for each in found:
        found += children.get(each, [])
    yield from found[1:]


def _signal_group(client: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS refuses it for a zombie
        os.killpg(client, number)


def _adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends (Linux)."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _say(**message: object) -> None:
    with contextlib.suppress(BrokenPipeError):  # `brokenreg run` was killed
        print(json.dumps(message), flush=True)


if __name__ == "__main__":
    main()
