"""Measures how fast brokenreg stops with requests in flight; the goal is less than 2 s."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.peers import ours

GOAL = 2.0

IN_FLIGHT = {
    "nothing": "",
    "an idle connection": "GET /v2/ HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "a timeout": "GET /v2/broken/timeout/manifests/dur-1h HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "half a request": "GET /v2/ HTT",
    "an upload": "POST /v2/a/blobs/uploads/?digest=sha256:{digest} HTTP/1.1\r\nHost: {host}\r\n"
    "Content-Length: 1000000\r\n\r\nxxx",
    "an image that is being hashed": "GET /v2/broken/random/manifests/layers-100_size-1GiB HTTP/1.1\r\n"
    "Host: {host}\r\n\r\n",
}


def measure(folder: Path) -> dict[str, float]:
    """Return the seconds from SIGTERM to the end of the process, for each of `IN_FLIGHT`."""
    seconds = {}
    for number, (what, request) in enumerate(IN_FLIGHT.items()):
        with ours(folder / str(number)) as own:
            host, port = own.host.rsplit(":", 1)
            with socket.create_connection((host, int(port))) as connection:
                connection.sendall(request.format(host=own.host, digest="0" * 64).encode())
                time.sleep(0.3)
                began = time.perf_counter()
                os.kill(own.process, signal.SIGTERM)
                os.waitid(os.P_PID, own.process, os.WEXITED | os.WNOWAIT)
                seconds[what] = time.perf_counter() - began
    return seconds


def report(seconds: Mapping[str, float]) -> Iterator[tuple[str, str, str]]:
    """Yield rows of (what, value, goal)."""
    for what, taken in seconds.items():
        yield what, f"{taken:.2f} s", f"< {GOAL:.0f} s"
