"""Sends requests to upstreams, follows redirects, retries after rate limits, and reports each request.

Reports contain only host and path of a URL: queries carry signatures.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx

from brokenreg import __version__
from brokenreg.oci.upstreams import DOCKER_HUB
from brokenreg.proxy.errors import (
    UpstreamError,
)
from brokenreg.proxy.http.addresses import AddressPolicy, Trust, host_and_port, upstream_url
from brokenreg.proxy.http.bodies import (
    BodySource,
    limited_chunks,
    unrequested_encoding,
    with_encoding,
)
from brokenreg.proxy.http.failures import Destination, redirect_errors, upstream_errors
from brokenreg.proxy.http.lookups import Lookups
from brokenreg.proxy.http.pools import LimitedTransport, Pools
from brokenreg.proxy.http.rate_limits import retry_rate_limited
from brokenreg.proxy.http.transport import TracingTransport, Transport, silence_limit
from brokenreg.proxy.http.web_proxies import DIRECT, WebProxies
from brokenreg.proxy.routes import Route, new_pseudonym
from brokenreg.traffic.timeline_events import AddEvent
from brokenreg.traffic.upstream_events import UpstreamFailed

Authorize = Callable[[Route, httpx.AsyncClient, AddEvent], httpx.Auth]
"""Returns the authentication for the requests of one route. It may send requests with the same client."""

NO_CREDENTIALS_REASON = "no_credentials_reason"
"""The key in a 401's extensions for why no credentials were sent; missing if some were."""

_CONNECT = 10.0
"""Seconds to connect, including TLS."""

_BULK = 1024 * 1024
"""Minimum size of a body that a thread reads, in bytes: its connection cannot be used again."""

_MAX_REDIRECTS = 10
_MAX_UPSTREAMS = 128
_DOCKER_HUB_URL = "https://registry-1.docker.io"


class UpstreamResponse:
    """The response of an upstream, before its body was read."""

    def __init__(self, destination: Destination, response: httpx.Response) -> None:
        self.status = response.status_code
        self.source = destination.name_at(response.url)
        """The name of the server that responded: the upstream, or a redirect target."""
        self.source_with_host = destination.name_and_host_at(response.url)
        """`source` and its host, which may differ from the name."""
        self.is_redirected = bool(response.history)
        """Whether the request was redirected."""
        self.no_credentials_reason: str = response.extensions.get(NO_CREDENTIALS_REASON, "")
        """Why no credentials were sent before a 401; empty if some were, or if it is not known."""
        self.encoding = unrequested_encoding(response.headers)
        """Its Content-Encoding, or None. Encoded content can still have the right digest."""
        self._destination = destination
        self._response = response
        self._received = 0

    @property
    def source_with_encoding(self) -> str:
        """Return `source` for messages about the content: with its Content-Encoding, if any."""
        return with_encoding(self.source, self.encoding)

    @property
    def length(self) -> int | None:
        """Return the Content-Length, or None."""
        value = self.header("content-length") or ""
        return int(value) if value.isdecimal() else None

    def header(self, name: str) -> str | None:
        """Return the value of a header, or None."""
        value: str | None = self._response.headers.get(name)
        return value

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body, without decoding it. Raise `UpstreamError` if it ends too early or stalls."""
        async for chunk in self._response.aiter_raw():
            self._received += len(chunk)
            yield chunk

    def remaining_body(self) -> BodySource | None:
        """Return the rest of the body for a thread, or None if it is short or has no Content-Length.

        Do not read more `chunks` afterwards.
        """
        connection = self._response.extensions["network_stream"].get_extra_info("socket")
        if connection is None or self.length is None or self.header("transfer-encoding") is not None:
            return None
        left = self.length - self._received
        if left < _BULK:
            return None
        patience = silence_limit(self._response.request)
        errors = partial(upstream_errors, self._destination, self._response.url)
        return BodySource(connection, left, patience, errors)

    async def read(self, limit: int) -> bytes:
        """Return the whole body. Raise `UpstreamError` if it exceeds `limit` bytes or is too slow."""
        body = bytearray()
        patience = silence_limit(self._response.request)
        async for chunk in limited_chunks(self.chunks(), self.source, limit, patience):
            body += chunk
        return bytes(body)


class UpstreamClient:
    """Sends requests to upstreams. Call `close` when done.

    `urls` maps upstreams to their URLs, where these are not `https://<name>`. An upstream may be silent for
    `patience` seconds. If `web_proxies` has no web proxy for an upstream, the connection is direct.
    """

    def __init__(
        self,
        urls: Mapping[str, str],
        policy: AddressPolicy,
        context: ssl.SSLContext,
        authorize: Authorize,
        patience: float,
        web_proxies: WebProxies = DIRECT,
        *,
        pseudonym: str = "",
    ) -> None:
        self.pseudonym = pseudonym or new_pseudonym()
        """The name of this proxy in its own requests (Via, RFC 9110, section 7.6.3)."""
        self._via = f"1.1 {self.pseudonym}"
        self._urls = urls
        self._policy = policy
        self._context = context
        self._authorize = authorize
        self._web_proxies = web_proxies
        self._lookups = Lookups()
        self._timeout = httpx.Timeout(_CONNECT, read=patience, pool=None)
        self._pools = Pools(self._make_client, _MAX_UPSTREAMS)

    @asynccontextmanager
    async def request(
        self,
        route: Route,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        add_event: AddEvent,
        retry_429: bool = True,
    ) -> AsyncIterator[UpstreamResponse]:
        """Request `/v2/<repository>/<path>`. The response must be read within the block.

        Redirects are followed, a 401 is answered with credentials, and with `retry_429`, a 429 is retried.
        All other responses are returned. Raise `UpstreamError` if the upstream cannot be reached or does not
        respond.
        """
        via = {"via": ", ".join((*route.via, self._via))}
        async with self._pools.using(route.upstream) as client:
            url = upstream_url(route.upstream, f"{self._url(route.upstream)}/v2/{route.repository}/{path}")
            destination = Destination(route.upstream, url)
            request = client.build_request(
                method,
                url,
                headers={**(headers or {}), **via},
                extensions=request_extensions(destination, add_event),
            )
            auth = self._authorize(route, client, add_event)
            send = partial(_send, client, request, auth, destination, add_event)
            response = await (
                retry_rate_limited(send, lambda answer: destination.name_at(answer.url), add_event)
                if retry_429
                else send()
            )
            try:
                yield UpstreamResponse(destination, response)
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
            transport=TracingTransport(LimitedTransport(self._make_transport(upstream), upstream)),
            timeout=self._timeout,
            follow_redirects=True,
            max_redirects=_MAX_REDIRECTS,
            trust_env=False,
            # Cookies would be sent with the requests of other clients, and could fill the memory.
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


def request_extensions(destination: Destination, add_event: AddEvent) -> dict[str, Any]:
    """Return the extensions of a request, which redirects and authentication pass on."""
    return {"destination": destination, "add_event": add_event}


async def _send(
    client: httpx.AsyncClient,
    request: httpx.Request,
    auth: httpx.Auth,
    destination: Destination,
    add_event: AddEvent,
) -> httpx.Response:
    try:
        with redirect_errors(destination):
            return await client.send(request, stream=True, auth=auth)
    except UpstreamError as error:
        add_event(UpstreamFailed(error.message))
        raise
