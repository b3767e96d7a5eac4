"""The pane Headers: what is known of an exchange, and both its heads."""

from __future__ import annotations

from collections.abc import Iterator

from brokenreg.http.dates import date_and_clock
from brokenreg.oci.sizes import format_size
from brokenreg.traffic.exchange import Exchange, Headers
from brokenreg.tui.text import beginning, visible
from brokenreg.tui.traffic import cells
from brokenreg.tui.traffic.detail.head import SHOWN, Part

_LABEL = 10


def headers(exchange: Exchange) -> Iterator[Part]:
    """Facts, request headers, response headers."""
    for label, value in _facts(exchange):
        yield f"{label:<{_LABEL}}", "$secondary"
        yield f"{value}\n", ""
    yield from _list("Request headers", exchange.request_headers)
    if exchange.status is not None:
        yield from _list("Response headers", exchange.response_headers)


def _facts(exchange: Exchange) -> Iterator[tuple[str, str]]:
    target = exchange.target
    if exchange.faults:
        yield "Fault", cells.faults_word(exchange)
    yield "Exchange", str(exchange.id)
    if exchange.replay_of is not None:
        yield "Replay", f"of exchange {exchange.replay_of}, without its credentials"
    yield "Endpoint", str(target.endpoint)
    if target.namespace:
        yield "Namespace", visible(target.namespace)
    if target.repository:
        yield "Image", beginning(target.name, SHOWN)
    if exchange.cache is not None:
        yield "Cache", str(exchange.cache)
    if target.error is not None:
        yield "Refused", visible(str(target.error))
    yield "Client", visible(exchange.client)
    if exchange.http_version:
        yield "Protocol", visible(f"HTTP/{exchange.http_version} ({exchange.scheme})")
    whole, part = divmod(exchange.started, 1)
    yield "Started", f"{date_and_clock(whole)}.{int(part * 1000):03d}"
    if exchange.request_bytes:
        yield "Sent", format_size(exchange.request_bytes)
    yield "Answered", _answered(exchange)


def _answered(exchange: Exchange) -> str:
    size = format_size(exchange.response_bytes)
    announced = exchange.response_header("content-length")
    if exchange.method == "HEAD" or not (announced.isascii() and announced.isdigit()) or len(announced) > 18:
        return size
    total = int(announced)
    return size if total == exchange.response_bytes else f"{size} of {format_size(total)}"


def _list(title: str, headers: Headers) -> Iterator[Part]:
    yield f"\n{title}\n", "bold"
    if not headers:
        yield "  none\n", "$secondary"
    for name, value in headers:
        yield f"  {beginning(name, SHOWN)}: ", "$secondary"
        yield f"{beginning(value, SHOWN)}\n", ""
