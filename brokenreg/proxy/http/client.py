"""Requests to upstreams: redirects, patience with rate limits, and each of them told of.

Nothing but host and path of what is asked is ever told: queries carry signatures.
"""

from __future__ import annotations

import secrets
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, cast

import anyio
import httpx

from brokenreg import __version__
from brokenreg.oci.upstreams import DOCKER_HUB
from brokenreg.proxy.errors import (
    UpstreamContentError,
    UpstreamError,
    UpstreamSilentError,
    UpstreamUnreachableError,
)
from brokenreg.proxy.http.addresses import AddressPolicy, Trust, host_and_port, upstream_url
from brokenreg.proxy.http.bodies import BodySource, limit_body, shortened, unrequested_encoding, with_encoding
from brokenreg.proxy.http.failures import Asked, told_failures, told_redirects
from brokenreg.proxy.http.lookups import Lookups
from brokenreg.proxy.http.pools import LimitedTransport, Pools
from brokenreg.proxy.http.rate_limits import retry_rate_limited
from brokenreg.proxy.http.transport import Transport
from brokenreg.proxy.http.web_proxies import DIRECT, WebProxies
from brokenreg.proxy.routes import Route
from brokenreg.traffic.timeline_events import AddEvent, UpstreamFailed, UpstreamResponded

Authorize = Callable[[Route, httpx.AsyncClient, AddEvent], httpx.Auth]
"""What authenticates the requests for one route; it may ask others by the same client."""

LACKS = "lacks"
"""Where in a 401's extensions stands why no credentials were shown; nothing if some were."""

_CONNECT = 10.0
"""Seconds to connect, TLS and all."""

_BULK = 1024 * 1024
"""Bytes that are worth a connection: one whose body was not read as HTTP is closed."""

_LONGEST_LOCATION = 16 * 1024
"""Maximum length of a redirect's URL, in bytes: parsing a longer one would block the loop too long."""

_MOST_REDIRECTS = 10
_MOST_UPSTREAMS = 128
_DOCKER_HUB_URL = "https://registry-1.docker.io"


class UpstreamResponse:
    """What an upstream answered, its body still to come."""

    def __init__(self, asked: Asked, response: httpx.Response) -> None:
        self.status = response.status_code
        self.source = asked.who(response.url)
        """Who answered, as messages call it: the upstream, or what it redirects to."""
        self.place = asked.where(response.url)
        """As `source`, with the host by all means."""
        self.is_redirected = bool(response.history)
        """Return whether the request was redirected."""
        self.lacks: str = response.extensions.get(LACKS, "")
        """Why a 401 was shown no credentials; empty if some were shown, or it is not known."""
        self.encoding = unrequested_encoding(response.headers)
        """Its Content-Encoding, or None. Encoded content can still have the right digest."""
        self._asked = asked
        self._response = response
        self._received = 0

    @property
    def sender(self) -> str:
        """Return `source` for messages about the content: with its encoding, if any."""
        return with_encoding(self.source, self.encoding)

    @property
    def length(self) -> int | None:
        """Content-Length in bytes; None if the upstream does not tell."""
        told = self.header("content-length") or ""
        return int(told) if told.isdecimal() else None

    def header(self, name: str) -> str | None:
        """A header's value; None if there is none."""
        value: str | None = self._response.headers.get(name)
        return value

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes, encoded as it is. Raise `UpstreamError` if it ends too early or stalls."""
        async for chunk in self._response.aiter_raw():
            self._received += len(chunk)
            yield chunk

    def rest(self) -> BodySource | None:
        """What follows the first of the `chunks`, for a thread; nobody may ask for more of those then.

        None if that is not much, or if HTTP says more than where it ends.
        """
        connection = self._response.extensions["network_stream"].get_extra_info("socket")
        if connection is None or self.length is None or self.header("transfer-encoding") is not None:
            return None
        left = self.length - self._received
        if left < _BULK:
            return None
        patience = _patience(self._response.request)
        told = partial(told_failures, self._asked, self._response.url)
        return BodySource(connection, left, patience, told)

    async def read(self, limit: int) -> bytes:
        """Return the whole body. Raise `UpstreamError` if it exceeds `limit` bytes or is too slow."""
        body = bytearray()
        async for chunk in shortened(self.chunks(), self.source, limit, _patience(self._response.request)):
            body += chunk
        return bytes(body)


class UpstreamClient:
    """Sends requests to upstreams. `urls` has the URLs of upstreams whose names do not locate them.

    `patience` is how many seconds an upstream may be silent. If `web_proxies` has no web proxy for an
    upstream, the connection is direct. `close` when done.
    """

    def __init__(
        self,
        urls: Mapping[str, str],
        policy: AddressPolicy,
        context: ssl.SSLContext,
        authorize: Authorize,
        patience: float,
        web_proxies: WebProxies = DIRECT,
    ) -> None:
        anyio.Event()  # else httpcore loads it with the first request, and the loop stands still
        self.pseudonym = f"brokenreg-{secrets.token_hex(8)}"
        """By which our own requests are known (Via, RFC 9110, section 7.6.3)."""
        self._via = f"1.1 {self.pseudonym}"
        self._urls = urls
        self._policy = policy
        self._context = context
        self._authorize = authorize
        self._web_proxies = web_proxies
        self._lookups = Lookups()
        self._timeout = httpx.Timeout(_CONNECT, read=patience, pool=None)
        self._pools = Pools(self._make_client, _MOST_UPSTREAMS)

    @asynccontextmanager
    async def ask(
        self,
        route: Route,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        tell: AddEvent,
        is_patient: bool = True,
    ) -> AsyncIterator[UpstreamResponse]:
        """Request `path`, which follows `/v2/<repository>/`; read the response within the block.

        Redirects are followed, a 401 is answered with credentials, and a 429 is retried if `is_patient`. All
        other responses are returned. Raise `UpstreamError` if the upstream does not respond or cannot be
        contacted.
        """
        via = {"via": ", ".join((*route.via, self._via))}
        async with self._pools.using(route.upstream) as client:
            url = upstream_url(route.upstream, f"{self._url(route.upstream)}/v2/{route.repository}/{path}")
            asked = Asked(route.upstream, url)
            request = client.build_request(
                method, url, headers={**(headers or {}), **via}, extensions=extensions(asked, tell)
            )
            auth = self._authorize(route, client, tell)
            send = partial(_send, client, request, auth, asked, tell)
            response = await (
                retry_rate_limited(send, lambda answer: asked.who(answer.url), tell) if is_patient else send()
            )
            try:
                yield UpstreamResponse(asked, response)
            finally:
                await response.aclose()

    async def close(self) -> None:
        """Close all connections, and refuse new ones."""
        await self._pools.close()
        await self._lookups.close()

    def _url(self, upstream: str) -> str:
        if upstream in self._urls:
            return self._urls[upstream]
        return _DOCKER_HUB_URL if upstream == DOCKER_HUB else f"https://{upstream}"

    def _make_client(self, upstream: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=_TracingTransport(LimitedTransport(self._make_transport(upstream), upstream)),
            timeout=self._timeout,
            follow_redirects=True,
            max_redirects=_MOST_REDIRECTS,
            trust_env=False,
            # What one client has brought would go with the requests of others, and fill our memory.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            headers={
                "user-agent": f"brokenreg/{__version__}",
                "accept-encoding": "identity",
                "via": self._via,
            },
        )

    def _make_transport(self, upstream: str) -> Transport:
        return Transport(
            self._context,
            self._policy,
            self._trust(upstream),
            partial(self._lookups.resolve, upstream=upstream),
            self._web_proxies,
        )

    def _trust(self, upstream: str) -> Trust:
        url = self._urls.get(upstream)
        return Trust(None if url is None else host_and_port(httpx.URL(url)))


def _patience(request: httpx.Request) -> float:
    """Seconds that the responding server may be silent."""
    seconds: float = request.extensions["timeout"]["read"]
    return seconds


def extensions(asked: Asked, tell: AddEvent) -> dict[str, Any]:
    """What goes with a request, and those that redirects and authentication make of it, to be told of."""
    return {"asked": asked, "tell": tell}


async def _send(
    client: httpx.AsyncClient, request: httpx.Request, auth: httpx.Auth, asked: Asked, tell: AddEvent
) -> httpx.Response:
    try:
        with told_redirects(asked):
            return await client.send(request, stream=True, auth=auth)
    except UpstreamError as error:
        tell(UpstreamFailed(error.message))
        raise


class _TracingTransport(httpx.AsyncBaseTransport):
    """Tells of each request, also of those that redirects and authentication lead to, and of its failure."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raise `UpstreamError`."""
        asked: Asked = request.extensions["asked"]
        try:
            with told_failures(asked, request.url):
                response = await self._transport.handle_async_request(request)
        except (UpstreamUnreachableError, UpstreamSilentError) as error:
            error.is_outage = host_and_port(request.url) == host_and_port(asked.url)
            raise
        where = f"{request.url.netloc.decode('ascii')}{request.url.path}"
        web_proxy = response.extensions["network_stream"].get_extra_info("web_proxy")
        tell: AddEvent = request.extensions["tell"]
        through = None if web_proxy is None else str(web_proxy)
        tell(UpstreamResponded(request.method, where, response.status_code, through))
        response.stream = _TracedBody(cast(httpx.AsyncByteStream, response.stream), asked, request.url)
        if response.has_redirect_location:  # which httpx reads whole, to use the connection again
            limit_body(response, asked.who(request.url), _patience(request))
            if len(response.headers["location"]) > _LONGEST_LOCATION:
                await response.aclose()
                raise UpstreamContentError(
                    f"{asked.who(request.url)} redirects to a URL of more than {_LONGEST_LOCATION} bytes"
                )
        return response

    async def aclose(self) -> None:
        await self._transport.aclose()


class _TracedBody(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, asked: Asked, url: httpx.URL) -> None:
        self._stream = stream
        self._asked = asked
        self._url = url

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Raise `UpstreamError`."""
        with told_failures(self._asked, self._url):
            async for chunk in self._stream:
                yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()
