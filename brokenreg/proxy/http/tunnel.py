"""Tunnels that a web proxy opens to an upstream (CONNECT, RFC 9110, section 9.3.6).

http:// upstreams are reached through a tunnel too: the web proxy only ever gets CONNECT.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus

import h11
import httpcore

from brokenreg import __version__
from brokenreg.config.upstreams import WebProxy
from brokenreg.http.authority import authority
from brokenreg.proxy.errors import UpstreamForbiddenError, UpstreamSilentError, UpstreamUnreachableError
from brokenreg.proxy.http.bounded_stream import BoundedStream

_READ = 4096
_HOST = re.compile(r"[0-9A-Za-z._-]{1,253}|[0-9A-Fa-f:.]{2,45}")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_METADATA = frozenset(
    {"metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"}
)


def is_loopback_name(host: str) -> bool:
    """Return whether a name stands for the machine that resolves it (RFC 6761, section 6.3)."""
    name = host.lower().rstrip(".")
    return name == "localhost" or name.endswith(".localhost")


def check_unresolved(host: str, port: int) -> None:
    """Raise `UpstreamForbiddenError` for a host that a web proxy could interpret as a refused address.

    Call it for a host that cannot be resolved here.
    """
    name, place = host.lower().rstrip("."), authority(host, port)
    if name in _METADATA:
        raise UpstreamForbiddenError(f"{place} is a metadata service; brokenreg does not connect to it")
    if not _HOST.fullmatch(host) or _NUMBER.fullmatch(name.rpartition(".")[2]):
        raise UpstreamForbiddenError(f"{place!r} is neither a host name nor an address")


async def tunnel(
    reach: Callable[[], Awaitable[httpcore.AsyncNetworkStream]],
    web_proxy: WebProxy,
    host: str,
    port: int,
    timeout: float | None,
) -> httpcore.AsyncNetworkStream:
    """Connect to `host` through a web proxy; `reach` connects to the web proxy. Raise `UpstreamError`."""
    target = authority(host, port)
    try:
        async with asyncio.timeout(timeout):
            stream = await reach()
            try:
                await _request_tunnel(stream, web_proxy, target)
            except BaseException:
                await stream.aclose()
                raise
    except (TimeoutError, httpcore.TimeoutException):
        raise UpstreamSilentError(
            f"the web proxy {web_proxy} did not open a tunnel to {target} in time"
        ) from None
    except httpcore.NetworkError as error:
        raise UpstreamUnreachableError(f"cannot reach the web proxy {web_proxy}: {error}") from None
    except (h11.RemoteProtocolError, httpcore.RemoteProtocolError):
        raise UpstreamUnreachableError(
            f"the web proxy {web_proxy} sent an invalid response to CONNECT {target}"
        ) from None
    return stream


async def _request_tunnel(stream: httpcore.AsyncNetworkStream, web_proxy: WebProxy, target: str) -> None:
    connection = h11.Connection(h11.CLIENT)
    headers = [("host", target), ("user-agent", f"brokenreg/{__version__}")]
    if web_proxy.authorization is not None:
        headers.append(("proxy-authorization", web_proxy.authorization.get_secret_value()))
    request = connection.send(h11.Request(method="CONNECT", target=target, headers=headers))
    bounded = BoundedStream(stream)
    await bounded.write(request or b"")
    connection.send(h11.EndOfMessage())
    status = await _status(bounded, connection)
    if not 200 <= status < 300:
        raise UpstreamUnreachableError(_refusal(web_proxy, target, status))
    if bounded.get_extra_info("is_readable"):  # upstreams send nothing before a request
        raise UpstreamUnreachableError(
            f"the web proxy {web_proxy} sent bytes after its response to CONNECT {target}, or disconnected"
        )


async def _status(stream: httpcore.AsyncNetworkStream, connection: h11.Connection) -> int:
    """Read the final response to CONNECT; responses with 1xx may precede it."""
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Response):
            return event.status_code
        if event is h11.NEED_DATA:
            connection.receive_data(await stream.read(_READ))
        elif not isinstance(event, h11.InformationalResponse):
            raise httpcore.RemoteProtocolError("it closed the connection")


def _refusal(web_proxy: WebProxy, target: str, status: int) -> str:
    """Return a message of our own: the web proxy's message could repeat the credentials."""
    phrase = f" ({HTTPStatus(status).phrase})" if status in set(HTTPStatus) else ""
    message = f"the web proxy {web_proxy} responded with {status}{phrase} to CONNECT {target}"
    if status == 407 and web_proxy.authorization is None:
        return (
            f"{message}: it requires credentials; put the user name and password before the host in "
            "--upstream-proxy"
        )
    if status == 407:
        return f"{message}: it does not accept the configured credentials"
    if status in (403, 405) and not target.endswith(":443"):
        return f"{message}: many web proxies only open tunnels to port 443"
    return message
