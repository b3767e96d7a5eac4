"""Measures the CPU time that the log takes for one manifest GET, in µs: the best of several rounds.

    python -m bench.exchange_cost

The log is full. The request headers are new bytes objects each time, as in the wire.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from functools import partial

from brokenreg.assembly.output import exchange_line
from brokenreg.oci.target import parse_target
from brokenreg.traffic.bodies import BodyTap
from brokenreg.traffic.exchange import Ended, Exchange
from brokenreg.traffic.log import CAPACITY, ExchangeEvent, TrafficLog
from brokenreg.traffic.redaction import redact_headers
from brokenreg.traffic.timeline_events import EXCHANGE_ENDED, HEADERS_SENT, REQUEST_RECEIVED

_ROUNDS = 15
_COUNT = 10_000
_PATH = "/v2/library/app/manifests/v1"
_BODY = b"x" * 1024
_REQUEST = (
    (b"host", b"127.0.0.1:5000"),
    (b"user-agent", b"skopeo/1.9.3"),
    (b"accept", b"application/vnd.oci.image.manifest.v1+json"),
    (b"accept-encoding", b"gzip"),
)
_RESPONSE = (
    (b"content-type", b"application/vnd.oci.image.manifest.v1+json"),
    (b"content-length", b"1024"),
    (b"docker-content-digest", b"sha256:" + b"0" * 64),
    (b"etag", b'"sha256:' + b"0" * 64 + b'"'),
    (b"docker-distribution-api-version", b"registry/2.0"),
)
_TARGET = parse_target(_PATH)

Headers = tuple[tuple[bytes, bytes], ...]


def main() -> None:
    gc.freeze()
    for name, record in (("from memory, sent as a whole", _answered), ("message by message", _passed)):
        log = TrafficLog()
        log.subscribe(lambda _, __: None, ExchangeEvent.ENDED)
        step = partial(record, log)
        _least(CAPACITY, step)  # fills the log
        print(f"exchange, {name:<30} {_least(_COUNT, step):6.2f} µs")
        last = log[log.end - 1]
    print(f"{'its line of JSON':<40} {_least(_COUNT, lambda _: exchange_line(last)):6.2f} µs")


def _answered(log: TrafficLog, headers: Headers) -> None:
    exchange = _exchange(log, headers)
    exchange.add(REQUEST_RECEIVED)
    log.answered(exchange, 200, redact_headers(_RESPONSE), _BODY)


def _passed(log: TrafficLog, headers: Headers) -> None:
    exchange = _exchange(log, headers)
    exchange.add(REQUEST_RECEIVED)
    log.opened(exchange)
    tap = BodyTap(exchange)
    exchange.status, exchange.response_headers = 200, redact_headers(_RESPONSE)
    exchange.add(HEADERS_SENT)
    tap.response({"type": "http.response.start"})
    log.changed(exchange)
    exchange.response_bytes = len(_BODY)
    tap.response({"type": "http.response.body", "body": _BODY})
    log.changed(exchange)
    exchange.ended = Ended.COMPLETE
    exchange.add(EXCHANGE_ENDED)
    log.bodies.keep(exchange, tap.kept())
    log.closed(exchange)


def _exchange(log: TrafficLog, headers: Headers) -> Exchange:
    """Return an exchange. Positional arguments are cheaper than keyword arguments."""
    shown = redact_headers(headers)
    client = "127.0.0.1:40000"
    return Exchange(log.next_id(), "GET", _PATH, "", "1.1", "http", client, _TARGET, "", shown, time.time())


def _least(count: int, step: Callable[[Headers], object]) -> float:
    """Return the time of one step, as the minimum of several rounds."""
    least = float("inf")
    for _ in range(_ROUNDS):
        requests = [
            tuple((bytes(bytearray(n)), bytes(bytearray(v))) for n, v in _REQUEST) for _ in range(count)
        ]
        began = time.process_time()
        for headers in requests:
            step(headers)
        least = min(least, time.process_time() - began)
    return least / count * 1e6


if __name__ == "__main__":
    main()
