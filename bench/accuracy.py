"""Measures how accurate timing faults are while the registry serves 200 other requests per second."""

from __future__ import annotations

import contextlib
import http.client
import json
import multiprocessing
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass

REQUESTS_A_SECOND = 200
_DELAY = 0.2
_RATES = (64 * 1024, 1024 * 1024, 8 * 1024 * 1024)
_SECONDS = 2


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Errors of delays (seconds) and rates (share); `passed` is the number of other requests per second."""

    delays: list[float]
    rates: dict[int, list[float]]
    passed: float


def measure(host: str, rounds: int) -> Accuracy:
    """Request that many delayed manifests and throttled layers each from the registry at `host`."""
    with _traffic(host) as count:
        began = time.perf_counter()
        delays = [_delay(host) - _DELAY for _ in range(10 * rounds)]
        rates = {rate: [_rate(host, rate, number) / rate - 1 for number in range(rounds)] for rate in _RATES}
        passed = count.value / (time.perf_counter() - began)
    return Accuracy(delays, rates, passed)


def report(accuracy: Accuracy) -> Iterator[tuple[str, str, str]]:
    """Yield rows of (what, median error, largest error)."""
    delays = sorted(map(abs, accuracy.delays))
    median = statistics.median(delays)
    yield f"latency of {1000 * _DELAY:.0f} ms", f"{1000 * median:.1f} ms", f"{1000 * delays[-1]:.1f} ms"
    for rate, errors in accuracy.rates.items():
        sizes = sorted(map(abs, errors))
        yield f"{rate >> 10} KiB/s", f"{100 * statistics.median(sizes):.2f} %", f"{100 * sizes[-1]:.2f} %"


def _delay(host: str) -> float:
    """Return the seconds until the headers of a delayed manifest, minus those of one without delay."""
    plain = _timed(host, "/v2/broken/random/manifests/layers-1_size-10")
    path = f"/v2/broken/with/latency_dur-{1000 * _DELAY:.0f}ms/broken/random/manifests/layers-1_size-10"
    return _timed(host, path) - plain


def _timed(host: str, path: str) -> float:
    connection = http.client.HTTPConnection(host)
    connection.connect()
    began = time.perf_counter()
    connection.request("GET", path)
    response = connection.getresponse()
    elapsed = time.perf_counter() - began
    response.read()
    connection.close()
    return elapsed


def _rate(host: str, rate: int, number: int) -> float:
    """Return the bytes per second of a throttled layer, from its headers to its end."""
    connection = http.client.HTTPConnection(host)
    image = f"layers-1_size-{_SECONDS * rate}_seed-{number}"
    connection.request("GET", f"/v2/broken/random/manifests/{image}")
    (layer,) = json.loads(connection.getresponse().read())["layers"]
    connection.request("GET", f"/v2/broken/with/throttle_rate-{rate}/broken/random/blobs/{layer['digest']}")
    response = connection.getresponse()
    began = time.perf_counter()
    size = len(response.read())
    elapsed = time.perf_counter() - began
    connection.close()
    return size / elapsed


@contextlib.contextmanager
def _traffic(host: str) -> Iterator[multiprocessing.sharedctypes.Synchronized[int]]:
    """Send other requests, from a separate process, during the block."""
    context = multiprocessing.get_context("fork")
    count = context.Value("q", 0)
    process = context.Process(target=_ask_on, args=(host, count), daemon=True)
    process.start()
    try:
        yield count
    finally:
        process.kill()
        process.join()


def _ask_on(host: str, count: multiprocessing.sharedctypes.Synchronized[int]) -> None:
    connection = http.client.HTTPConnection(host)
    due = time.perf_counter()
    while True:
        due += 1 / REQUESTS_A_SECOND
        time.sleep(max(0, due - time.perf_counter()))
        connection.request("GET", "/v2/broken/random/manifests/layers-1_size-10")
        connection.getresponse().read()
        count.value += 1
