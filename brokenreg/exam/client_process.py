"""Runs the client by its guard, within a time limit, and passes on what it prints."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brokenreg.concurrency import in_own_thread, shielded
from brokenreg.exam import client_guard
from brokenreg.exam.errors import RunError

KEPT = 1 << 20
"""Number of bytes of the output that are kept: the last ones."""

_LAST_OUTPUT = 1.0
"""Seconds in which the rest of the output must come once the client has ended."""

_GUARD_TIME = client_guard.GRACE + client_guard.END + 2.0
"""Seconds that the guard has to end the client."""

_LONGEST_MESSAGE = 1 << 16
_STANDARD_OUTPUT = 1


@dataclass(frozen=True, slots=True)
class ClientResult:
    """How a client ended. `status` is None if the time was up; it is negative for a signal, as in Python."""

    status: int | None
    duration: float
    output: str
    dropped: int
    """Number of bytes at the beginning of the output that were not kept."""


class ClientProcess:
    """A client that can be run once, with a folder for its files."""

    def __init__(self, guard: asyncio.subprocess.Process, folder: Path, output: _Output) -> None:
        self.folder = folder
        self._guard = guard
        self._output = output

    async def run(
        self, command: Sequence[str], environment: Mapping[str, str], timeout: float
    ) -> ClientResult:
        """Run the command to its end, or until the time is up. Raise `RunError`."""
        clock = asyncio.get_running_loop().time
        started = clock()
        self._send(json.dumps({"command": list(command), "environment": dict(environment)}))
        try:
            async with asyncio.timeout(timeout):
                message = await _message(self._guard)
        except TimeoutError:
            message = {"status": None}
        duration = clock() - started
        if message.get("status", 0) is None:
            self._send("stop")  # only now, so that requests that this ends have lasted until `duration`
        if "error" in message:
            is_quoted = len(command) == 1 and " " in command[0]
            hint = " (the command is one quoted word: leave the quotes out)" if is_quoted else ""
            raise RunError(f"cannot run {command[0]}: {message['error']}{hint}")
        try:
            async with asyncio.timeout(_GUARD_TIME):
                while "ended" not in await _message(self._guard):
                    continue
        except TimeoutError:
            raise RunError(f"{command[0]} does not end") from None
        await self._output.finish()
        return ClientResult(message["status"], duration, self._output.text(), self._output.dropped)

    def _send(self, line: str) -> None:
        assert self._guard.stdin is not None  # noqa: S101 - a pipe was requested
        self._guard.stdin.write(f"{line}\n".encode())


@asynccontextmanager
async def client_process(*, passes_on: bool) -> AsyncIterator[ClientProcess]:
    """Provide a client process. Leaving the block ends all of it, and removes its folder.

    `passes_on` says whether its output goes to standard output, too, as soon as it comes.
    """
    reader, writer = os.pipe()
    try:
        guard = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", client_guard.__file__),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=writer,
            limit=_LONGEST_MESSAGE,
            start_new_session=True,  # ctrl+c is for the run, which then ends the client
        )
    finally:
        os.close(writer)
    output = _Output(reader, passes_on=passes_on)
    folder = ""
    try:
        folder = (await _message(guard))["folder"]
        yield ClientProcess(guard, Path(folder), output)
    finally:
        await shielded(_end(guard))  # a second error or signal must not disturb this
        shutil.rmtree(folder, ignore_errors=True)  # the guard has removed it, unless it was killed


async def _end(guard: asyncio.subprocess.Process) -> None:
    """End the client, and wait for the end of its guard, which removes the folder."""
    assert guard.stdin is not None  # noqa: S101 - a pipe was requested
    guard.stdin.close()
    try:
        async with asyncio.timeout(_GUARD_TIME):
            await guard.wait()
    except TimeoutError:
        guard.kill()
        await guard.wait()


async def _message(guard: asyncio.subprocess.Process) -> dict[str, Any]:
    """Return the next message of the guard. Raise `RunError` if the guard has ended."""
    assert guard.stdout is not None  # noqa: S101 - a pipe was requested
    line = await guard.stdout.readline()
    if not line:
        raise RunError("the process that runs the client has ended")
    message: dict[str, Any] = json.loads(line)
    return message


class _Output:
    """Keeps the end of what a pipe delivers. A thread reads it: to print can block."""

    def __init__(self, pipe: int, *, passes_on: bool) -> None:
        self.dropped = 0
        self._pipe = pipe
        self._passes_on = passes_on
        self._kept = bytearray()
        self._ended = in_own_thread(self._read, "output of the client")

    async def finish(self) -> None:
        """Wait a moment for the rest, because the reader of our own output may be slow."""
        await asyncio.wait([self._ended], timeout=_LAST_OUTPUT)
        self._passes_on = False

    def text(self) -> str:
        return bytes(self._kept).decode(errors="replace")

    def _read(self) -> None:
        with open(self._pipe, "rb", buffering=0) as pipe:
            while data := pipe.read(1 << 16):
                self._kept += data
                if (excess := len(self._kept) - KEPT) > 0:
                    del self._kept[:excess]
                    self.dropped += excess
                if self._passes_on:
                    print_bytes(data)


def print_bytes(data: bytes) -> None:
    """Write to standard output, without its Python stream, whose lock could keep the process from ending."""
    with contextlib.suppress(OSError):  # nobody reads our output any more: the run goes on
        while data:
            data = data[os.write(_STANDARD_OUTPUT, data) :]
