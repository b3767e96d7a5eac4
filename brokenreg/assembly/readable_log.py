"""The readable request log: one line of text for each exchange."""

from __future__ import annotations

from typing import IO

from rich.console import Console
from rich.text import Text

from brokenreg.http.dates import clock
from brokenreg.oci.sizes import format_size
from brokenreg.oci.target import Endpoint
from brokenreg.traffic.connections import no_request_reason
from brokenreg.traffic.exchange import Ended, Exchange, Origin
from brokenreg.traffic.timeline_events import ExchangeEnded
from brokenreg.traffic.timeline_text import text_of
from brokenreg.wording import printable


class ReadableLog:
    """Formats each exchange as a line of text, in colour if the terminal supports it."""

    def __init__(self, stream: IO[str]) -> None:
        self._console = Console(file=stream, highlight=False, soft_wrap=True)

    def line(self, exchange: Exchange) -> str:
        status = exchange.status or "---"
        text = Text()
        text.append(clock(exchange.started), style="dim")
        text.append(
            f" {'✗' if exchange.has_failed else '✓'} {status} ",
            _style(exchange),
        )
        text.append(
            f"{printable(exchange.method) or 'CONNECT'} {printable(exchange.path or exchange.client)}"
        )
        if exchange.query:
            text.append(f"?{printable(exchange.query)}", style="dim")
        text.append(f"  {format_size(exchange.response_bytes or exchange.request_bytes)}")
        text.append(f"  {1000 * (exchange.duration or 0):.0f} ms", style="dim")
        text.append(f"  {printable(exchange.user_agent.partition(' ')[0])}", style="dim")
        if exchange.origin is Origin.SECOND:
            text.append("  second origin", style="magenta")
        if exchange.cache is not None:
            text.append(f"  {exchange.cache}", style="cyan")
        if exchange.endpoint is Endpoint.CONNECT:
            told = [text_of(event) for event, _ in exchange.timeline if not isinstance(event, ExchangeEnded)]
            told = told or [reason for reason in (no_request_reason(exchange),) if reason]
            text.append("".join(f"  {what}" for what in told), style="dim")
        elif exchange.faults:
            text.append(f"  fault {'+'.join(exchange.faults)}", style="yellow")
        if exchange.ended is not Ended.COMPLETE:
            text.append(f"  {exchange.ended}", style="yellow")
        with self._console.capture() as captured:
            self._console.print(text, end="")
        return captured.get()


def _style(exchange: Exchange) -> str:
    if exchange.status is None or exchange.status >= 500:
        return "bold yellow"
    return "yellow" if exchange.has_failed else "blue"
