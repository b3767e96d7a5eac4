"""An exchange as text for people: the cells of `brokenreg log`, and one line."""

from __future__ import annotations

import time

from brokenreg.client.documents import Exchange
from brokenreg.oci.sizes import format_size
from brokenreg.wording import printable

_CONNECT = "connect"


def cells(exchange: Exchange) -> tuple[str, str, str, str, str]:
    """Return the id, the time, the status, the request and the result of an exchange."""
    is_connection = exchange["endpoint"] == _CONNECT
    result = [format_size(exchange["response_bytes"])]
    if exchange["duration"] is not None:
        result.append(f"{1000 * exchange['duration']:.0f} ms")
    result += [exchange["cache"]] if exchange["cache"] else []
    result += [f"fault {'+'.join(exchange['faults'])}"] if exchange["faults"] else []
    if exchange["held"]:
        result.append("held")
    elif exchange["ended"] != "complete":
        result.append(exchange["ended"] or "in flight")
    return (
        str(exchange["id"]),
        time.strftime("%H:%M:%S", time.localtime(exchange["time"])),
        str(exchange["status"] or "-"),
        printable("(connection)" if is_connection else f"{exchange['method']} {exchange['path']}"),
        printable(", ".join(result)),
    )


def line(exchange: Exchange) -> str:
    """Return an exchange as one line."""
    number, when, status, request, result = cells(exchange)
    return f"{number:>4}  {when}  {status:<6}  {request}  {result}"
