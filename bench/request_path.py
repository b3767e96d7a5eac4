"""Counts the functions and files of brokenreg that one manifest GET passes through.

    python -m bench.request_path [--list]

A server without rules runs in this process and has one pushed manifest. A client requests it on one
connection, first until all caches are warm, then once under `sys.setprofile`: from the moment that the client
sends the request until the response has arrived and the exchange in the log has ended. All threads are
profiled. Each function, comprehension and lambda that is defined in `brokenreg/` counts once, however often
it is called.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType

import brokenreg
from brokenreg.assembly.server import Server
from brokenreg.config.settings import Settings
from brokenreg.diagnostics import Diagnostics
from brokenreg.oci.mediatypes import OCI_MANIFEST

_PACKAGE = Path(brokenreg.__file__).parent
_URL = "/v2/app/manifests/v1"
_MANIFEST = b'{"schemaVersion":2,"layers":[]}'
_WARM_UP = 5
_SETTLE = 0.1
"""Seconds after which all work for a request is done."""


class CallCounter:
    """Counts calls of functions that are defined in brokenreg while it is on."""

    def __init__(self) -> None:
        self.is_on = False
        self._calls: Counter[CodeType] = Counter()

    def profile(self, frame: FrameType, event: str, _: object) -> None:
        """Count an event that `sys.setprofile` reports."""
        if self.is_on and event == "call" and frame.f_code.co_filename.startswith(f"{_PACKAGE}/"):
            self._calls[frame.f_code] += 1

    def functions(self) -> list[tuple[str, str, int]]:
        """Return file, qualified name and number of calls of each function, in the order of the source."""
        found = sorted(self._calls.items(), key=lambda item: (item[0].co_filename, item[0].co_firstlineno))
        return [
            (str(Path(code.co_filename).relative_to(_PACKAGE)), code.co_qualname, calls)
            for code, calls in found
        ]


async def count_calls(counter: CallCounter) -> None:
    """Serve warm-up requests, then count the calls of one request."""
    with tempfile.TemporaryDirectory(prefix="brokenreg-bench-") as folder:
        settings = Settings(
            listen=["127.0.0.1:0"], control=None, data=Path(folder), fabricate_limit="1GiB", offline=True
        )
        async with Server.running(settings, Diagnostics()) as server:
            host = server.registry_urls[0].removeprefix("http://")
            client = await _Client.connect(host)
            assert await client.request("PUT", _MANIFEST) == 201
            for _ in range(_WARM_UP):
                assert await client.request("GET") == 200
            await asyncio.sleep(_SETTLE)
            counter.is_on = True
            assert await client.request("GET") == 200
            await asyncio.sleep(_SETTLE)
            counter.is_on = False
            assert server.log.in_flight == 0
            client.close()


class _Client:
    """A connection to the server that uses no code of brokenreg on the client side."""

    def __init__(self, host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._host = host
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, host: str) -> _Client:
        name, _, port = host.partition(":")
        return cls(host, *await asyncio.open_connection(name, int(port)))

    async def request(self, method: str, body: bytes = b"") -> int:
        """Send a request, read the whole response, and return its status."""
        head = f"{method} {_URL} HTTP/1.1\r\nHost: {self._host}\r\nUser-Agent: bench\r\nAccept: */*\r\n"
        if body:
            head += f"Content-Type: {OCI_MANIFEST}\r\nContent-Length: {len(body)}\r\n"
        self._writer.write(f"{head}\r\n".encode() + body)
        status, *lines = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        length = next(line.partition(":")[2] for line in lines if line.startswith("content-length:"))
        await self._reader.readexactly(int(length))
        return int(status.split()[1])

    def close(self) -> None:
        self._writer.close()


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m bench.request_path")
    arguments.add_argument("--list", action="store_true", help="print each function and its number of calls")
    options = arguments.parse_args()
    counter = CallCounter()
    threading.setprofile(counter.profile)
    sys.setprofile(counter.profile)
    asyncio.run(count_calls(counter))
    sys.setprofile(None)
    functions = counter.functions()
    if options.list:
        for file, name, calls in functions:
            print(f"{calls:4}  {file:32} {name}")
    print(f"{len(functions)} functions in {len({file for file, _, _ in functions})} files")


if __name__ == "__main__":
    main()
