"""The request of an exchange, sent again through the listener: it meets rules and gate like any other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from brokenreg.oci.target import Endpoint
from brokenreg.traffic.bodies import Body
from brokenreg.traffic.exchange import Exchange, Origin
from brokenreg.traffic.recorder import REPLAY
from brokenreg.traffic.request_line import had_body, has_secret_url, is_token, repeatable_headers, target_of

MOST = 64 * 1024 * 1024
"""Bytes of an answer that a replay reads; then it leaves, as a client may."""

_CONNECT = 5.0
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - compared, not bound


class ReplayError(Exception):
    """It cannot be sent again, or was not answered; the message is one line."""


@dataclass(frozen=True, slots=True)
class Replay:
    """A request that is to be sent again. `left_out` are the headers that were secret."""

    request: httpx.Request
    left_out: tuple[str, ...]

    async def send(self) -> int:
        """Send it, and read the answer to its end, or to `MOST`. The status. Raise `ReplayError`."""
        read = 0
        # Our own listener, whose certificate may be flawed on purpose.
        async with httpx.AsyncClient(
            verify=False,  # noqa: S501
            trust_env=False,
            timeout=httpx.Timeout(None, connect=_CONNECT),
        ) as client:
            try:
                response = await client.send(self.request, stream=True)
                try:
                    async for chunk in response.aiter_raw():
                        read += len(chunk)
                        if read > MOST:
                            break
                finally:
                    await response.aclose()
            except httpx.HTTPError as error:
                raise ReplayError(str(error) or type(error).__name__) from None
        return response.status_code


def replay_of(exchange: Exchange, listeners: Sequence[str], body: Body | None) -> Replay:
    """What has to be sent to which of `listeners` (URLs) to ask the same again.

    Credentials are never kept, so it goes without; it speaks HTTP/1.1. Raise `ReplayError`.
    """
    if exchange.endpoint is Endpoint.CONNECT:
        raise ReplayError("this connection asked nothing; there is nothing to send again")
    if exchange.origin is Origin.SECOND or has_secret_url(exchange):
        raise ReplayError("a part of its URL is secret, and was not kept")
    if body is not None and body.is_redacted:
        raise ReplayError("its body has a secret, which was not kept")
    if had_body(exchange) and (body is None or not body.is_whole):
        raise ReplayError("its body was not kept; those of manifests are")
    if not is_token(exchange.method):
        raise ReplayError("its method is none that could be sent")
    headers, left_out = repeatable_headers(exchange)
    again = [(name, value) for name, value in headers if name != REPLAY.decode()]
    listener = _listener(exchange, listeners)
    request = httpx.Request(
        exchange.method,
        listener,
        headers=[
            ("host", exchange.request_header("host") or urlsplit(listener).netloc),
            *again,
            (REPLAY.decode(), str(exchange.id)),
        ],
        content=body.data if body is not None else None,
        extensions={"target": target_of(exchange).encode("ascii")},  # httpx would tidy the path up
    )
    return Replay(request, tuple(dict.fromkeys(left_out)))


def _listener(exchange: Exchange, listeners: Sequence[str]) -> str:
    """The one whose port was asked for; else the first. Where it listens everywhere, on loopback."""
    port = exchange.request_header("host").rpartition(":")[2]
    found = next((url for url in listeners if url.rpartition(":")[2] == port), listeners[0])
    scheme, _, place = found.partition("://")
    host, _, port = place.rpartition(":")
    return f"{scheme}://{_EVERYWHERE.get(host, host)}:{port}"
