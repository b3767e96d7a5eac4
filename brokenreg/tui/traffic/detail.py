"""One exchange in full: request, response, headers, timeline. Shows what a client sent, never obeys it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from brokenreg.oci.sizes import format_size
from brokenreg.oci.target import Endpoint
from brokenreg.traffic.exchange import Exchange, Headers
from brokenreg.tui.scrolling import MOVES, Scrolling
from brokenreg.tui.text import ELLIPSIS, visible
from brokenreg.tui.traffic import cells

_LABEL = 10
_VALUE_SHOWN = 4096

_Part = str | tuple[str, str]


class Detail(VerticalScroll, Scrolling, can_focus=True, inherit_bindings=False):
    """The detail of one exchange; it changes while the exchange is in flight."""

    DEFAULT_CSS = """
    Detail { background: $surface; padding: 0 1; scrollbar-size-vertical: 1; scrollbar-gutter: stable; }
    Detail > Static { height: auto; text-wrap: nowrap; text-overflow: fold; }
    """
    BINDINGS: ClassVar[list[BindingType]] = MOVES

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        id: str | None = None,  # noqa: A002 - Textual's own name
    ) -> None:
        super().__init__(id=id)
        self._clock = clock
        self._exchange: Exchange | None = None
        self._painted: tuple[int, int, str] | None = None

    def compose(self) -> ComposeResult:
        yield Static(markup=False)

    def show(self, exchange: Exchange | None) -> None:
        """Show `exchange` from its top; None shows nothing."""
        if exchange is not self._exchange:
            self._exchange = exchange
            self.scroll_home(animate=False)
        self.tick()

    def tick(self) -> None:
        """Paint again if the exchange has changed, or is in flight."""
        exchange = self._exchange
        if exchange is None:
            if self._painted is not None:
                self._painted = None
                self.query_one(Static).update("")
            return
        now = self._clock()
        elapsed = "" if exchange.ended else cells.milliseconds(exchange, now)
        state = (exchange.id, exchange.revision, elapsed)
        if state != self._painted:
            self._painted = state
            self.query_one(Static).update(describe(exchange, now))


def describe(exchange: Exchange, now: float) -> Content:
    """All that is known about `exchange`, as text in which nothing that a client sent is markup."""
    lines: list[_Part] = [*_head(exchange, now), "\n"]
    for label, value in _facts(exchange):
        lines += [(f"{label:<{_LABEL}}", "$secondary"), f"{value}\n"]
    lines += [*_timeline(exchange)]
    lines += [*_headers("Request headers", exchange.request_headers)]
    if exchange.status is not None:
        lines += [*_headers("Response headers", exchange.response_headers)]
    return Content.assemble(*lines)


def _head(exchange: Exchange, now: float) -> Iterator[_Part]:
    if exchange.endpoint is Endpoint.CONNECT:
        yield ("A connection that asked nothing\n", "bold")
    else:
        query = f"?{visible(exchange.query)}" if exchange.query else ""
        yield (f"{visible(exchange.method)} {visible(exchange.path)}{query}\n", "bold")
    color = "bold $error" if exchange.has_failed else "bold $success"
    milliseconds = cells.milliseconds(exchange, now)
    length = milliseconds if milliseconds.endswith("s") else f"{milliseconds} ms"
    answer = "no answer" if exchange.status is None else f"{exchange.status} {_phrase(exchange.status)}"
    if exchange.status is None and exchange.ended is None:
        answer = "no answer yet"
    after = "for" if exchange.ended is None else "after"
    yield (
        f"{cells.glyph(exchange)} {answer.rstrip()}, {cells.ended_word(exchange)} {after} {length}\n",
        color,
    )


def _facts(exchange: Exchange) -> Iterator[tuple[str, str]]:
    target = exchange.target
    if exchange.fault is not None:
        yield "Fault", visible(exchange.fault)
    yield "Exchange", str(exchange.id)
    yield "Endpoint", str(target.endpoint)
    if target.namespace:
        yield "Namespace", visible(target.namespace)
    if target.repository:
        yield "Image", visible(target.name)
    if exchange.cache is not None:
        yield "Cache", str(exchange.cache)
    if target.error is not None:
        yield "Refused", visible(str(target.error))
    yield "Client", visible(exchange.client)
    if exchange.http_version:
        yield "Protocol", visible(f"HTTP/{exchange.http_version} ({exchange.scheme})")
    whole, part = divmod(exchange.started, 1)
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(whole))
    yield "Started", f"{stamp}.{int(part * 1000):03d}"
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


def _timeline(exchange: Exchange) -> Iterator[_Part]:
    yield ("\nTimeline\n", "bold")
    for what, seconds in exchange.timeline:
        yield (f"{seconds * 1000:>10.1f} ms  ", "$secondary")
        yield f"{visible(what)}\n"


def _headers(title: str, headers: Headers) -> Iterator[_Part]:
    yield (f"\n{title}\n", "bold")
    if not headers:
        yield ("  none\n", "$secondary")
    for name, value in headers:
        shown = visible(value[:_VALUE_SHOWN])
        yield (f"  {visible(name)}: ", "$secondary")
        yield f"{shown}{ELLIPSIS if len(value) > _VALUE_SHOWN else ''}\n"


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
