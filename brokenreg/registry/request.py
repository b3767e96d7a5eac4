"""A request to the registry, with everything that endpoints need to respond to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar
from urllib.parse import parse_qs

from brokenreg.http.asgi import ClientDisconnectedError, Receive, Scope, header
from brokenreg.http.entity_tags import lists_tag
from brokenreg.images.images import Images
from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.proxy.proxy import Proxy
from brokenreg.proxy.routes import Route
from brokenreg.registry.auth.token_service import TokenService
from brokenreg.storage import Store
from brokenreg.storage.records import Repository, RepositoryKey
from brokenreg.traffic.exchange import UpstreamTrace
from brokenreg.traffic.recorder import RecordedBody, exchange_of, lent_body, target_of
from brokenreg.wire.stream import stream_of
from brokenreg.wording import counted

Result = TypeVar("Result")


Deliver = Callable[[], Awaitable[None]]


async def alone() -> None:
    """Wait for no other process."""


@dataclass(frozen=True, slots=True)
class CatalogSettings:
    """The predecessor's settings V2_CATALOG_DELAY (in seconds) and V2_CATALOG_NUM_REPOS."""

    delay: float = 0.0
    fabricated: int = 0


@dataclass(frozen=True, slots=True)
class Services:
    """The content, settings and services that endpoints use."""

    store: Store
    images: Images
    catalog: CatalogSettings
    tokens: TokenService
    proxy: Proxy
    deliver: Deliver = alone
    """Waits until all processes serve what this one has deleted or replaced."""


class RegistryRequest:
    """One request to the registry."""

    def __init__(self, services: Services, scope: Scope, receive: Receive) -> None:
        self.store = services.store
        self.images = services.images
        self.catalog = services.catalog
        self.tokens = services.tokens
        self.proxy = services.proxy
        self.deliver = services.deliver
        self.scope = scope
        self.method: str = scope["method"]
        self.target = target_of(scope)
        self.opened: AsyncExitStack | None = None
        """The stack of `resources`, or None if nothing was opened."""
        self._receive = receive

    @property
    def resources(self) -> AsyncExitStack:
        """Resources that the response's body reads from. They are closed after the response was sent."""
        if self.opened is None:
            self.opened = AsyncExitStack()
        return self.opened

    @cached_property
    def body(self) -> RequestBody:
        return RequestBody(self.scope, self._receive)

    @property
    def key(self) -> RepositoryKey:
        return self.target.key

    @property
    def repository(self) -> Repository | None:
        """The pushed content of the repository, or None if nothing was pushed to it."""
        return self.store.index.repositories.get(self.target.key)

    @property
    def is_fabricated(self) -> bool:
        """True if brokenreg fabricates the images of the repository."""
        return self.target.is_reserved and self.images.provides(self.target.repository)

    @cached_property
    def route(self) -> Route | None:
        """The route to the upstream for content that is not stored here, or None if there is no upstream.

        Raise `UpstreamForbiddenError` if the upstream must not be contacted, or `UpstreamLoopError` if the
        request has passed through this process before.
        """
        via = [value.decode("latin-1") for name, value in self.scope["headers"] if name == b"via"]
        return self.proxy.route(self.target, via)

    @property
    def trace(self) -> UpstreamTrace:
        """The trace that reports work at upstreams to the exchange."""
        return UpstreamTrace(exchange_of(self.scope))

    @cached_property
    def query(self) -> Mapping[str, list[str]]:
        return parse_qs(self.scope["query_string"].decode("latin-1"), keep_blank_values=True)

    def parameter(self, name: str) -> str | None:
        """Return the first value of a query parameter, or None if it is absent or empty (`n=`)."""
        return next(iter(self.query.get(name, ())), None) or None

    def header(self, name: str) -> str | None:
        """Return the first value of a header, or None if it is absent."""
        value = header(self.scope, name.encode("ascii"))
        return None if value is None else value.decode("latin-1")

    def has_content(self, digest: Digest) -> bool:
        """Return whether If-None-Match says that the client has the content. Then the response is a 304."""
        known = header(self.scope, b"if-none-match")
        return known is not None and lists_tag(known.decode("latin-1"), digest)

    def location(self, kind: str, reference: str) -> str:
        """Return the path for a reference in this repository, with the prefixes that the client used.

        It has no host, so that a proxy in front of the registry does not have to rewrite it.
        """
        target = self.target
        query = f"?{target.query}" if target.query else ""
        return f"{target.root}/v2/{target.name}/{kind}/{reference}{query}"

    def check_writable(self) -> None:
        """Raise `OCIError` 403 DENIED if the repository is fabricated."""
        if self.target.is_reserved:
            raise OCIError(
                403,
                ErrorCode.DENIED,
                f"{self.target.repository} is fabricated by brokenreg and cannot be changed; "
                "push to broken/prepared:<name>, or to any repository outside broken/",
            )

    def lent_body(self) -> AbstractAsyncContextManager[RecordedBody | None]:
        """Lend the rest of the body to a thread within a block. Yield None if that is not possible."""
        return lent_body(self.scope, self._receive)

    async def room(self) -> int:
        """Return how many bytes of the response's body can be sent now. Raise `ClientDisconnectedError`."""
        return await stream_of(self.scope).room()

    @property
    def disconnected(self) -> asyncio.Event:
        """Set when the client disconnects."""
        return stream_of(self.scope).gone

    async def unless_gone(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Return the result of `work`. Raise `ClientDisconnectedError` if the client disconnects."""
        return await stream_of(self.scope).unless_gone(work)

    async def unless_gone_or_known(self, making: Coroutine[Any, Any, Result]) -> Result:
        """Return the result of `making`, work of the fabricator. If it takes time, act as `unless_gone`."""
        if self.images.knows(self.target.repository, self.target.reference):
            return await making
        return await self.unless_gone(making)


class RequestBody:
    """The body of a request. It can be read once, and at most one message is in memory."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._scope = scope
        self._receive = receive
        self._ended = False
        self.received = 0

    @property
    def declared(self) -> int | None:
        """The Content-Length in bytes, or None without one. The wire has validated it."""
        value = header(self._scope, b"content-length")
        return None if value is None else int(value)

    async def chunks(self, expected: int | None = None) -> AsyncIterator[bytes]:
        """Yield the body in pieces.

        Raise `OCIError` 400 SIZE_INVALID at its end if it is shorter than its Content-Length, was cut off, or
        does not have `expected` bytes. Raise `ClientDisconnectedError` if the client disconnects.
        """
        while not self._ended:
            chunk = await self._next()
            if chunk:
                yield chunk
        self.check(expected)

    async def whole(self, limit: int) -> bytes:
        """Return the body. Raise `OCIError` 413 if it exceeds `limit` bytes, and also as `chunks` does."""
        if (self.declared or 0) > limit:
            raise _too_large(limit)
        parts = []
        async for chunk in self.chunks():
            parts.append(chunk)
            if self.received > limit:
                raise _too_large(limit)
        return b"".join(parts)

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._ended = True
            raise ClientDisconnectedError
        self._ended = not message["more_body"]
        chunk: bytes = message["body"]
        self.received += len(chunk)
        return chunk

    def check(self, expected: int | None) -> None:
        """Raise `OCIError` 400 if the body does not have the announced length, or `expected` bytes."""
        sent = stream_of(self._scope).body
        is_cut = sent is not None and sent.is_cut_short
        wanted = self.declared if self.declared is not None else expected
        if is_cut or (wanted is not None and self.received != wanted):
            announced = "an unfinished body" if wanted is None else f"announced {counted(wanted, 'byte')}"
            message = f"{announced}, received {counted(self.received, 'byte')}"
            raise OCIError(400, ErrorCode.SIZE_INVALID, message)
        if expected is not None and self.received != expected:
            raise OCIError(
                400,
                ErrorCode.SIZE_INVALID,
                f"the Content-Range covers {counted(expected, 'byte')}, but the body has {self.received}",
            )


def _too_large(limit: int) -> OCIError:
    return OCIError(
        413, ErrorCode.SIZE_INVALID, f"the body is too large: the limit is {counted(limit, 'byte')}"
    )
