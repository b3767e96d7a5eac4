"""What an endpoint is given: the target of the request, and what the registry stands on."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar
from urllib.parse import parse_qs

from brokenreg.images.fabricator import Fabricator
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.proxy.proxy import Proxy
from brokenreg.proxy.routes import Route
from brokenreg.registry.auth.service import TokenService
from brokenreg.registry.body import Body
from brokenreg.storage import Store
from brokenreg.storage.records import Repository, RepositoryKey
from brokenreg.traffic.recorder import exchange_of, target_of
from brokenreg.traffic.upstream_trace import UpstreamTrace
from brokenreg.wire.asgi import Receive, Scope, Send, header
from brokenreg.wire.connection_middleware import stream_of

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class CatalogSettings:
    """The predecessor's V2_CATALOG_DELAY (seconds) and V2_CATALOG_NUM_REPOS."""

    delay: float = 0.0
    invented: int = 0


@dataclass(frozen=True, slots=True)
class Services:
    """What the registry stands on."""

    store: Store
    images: Fabricator
    catalog: CatalogSettings
    tokens: TokenService
    proxy: Proxy


class Call:
    """One request to the registry, as a light endpoint sees it."""

    def __init__(self, services: Services, scope: Scope) -> None:
        self.store = services.store
        self.images = services.images
        self.catalog = services.catalog
        self.tokens = services.tokens
        self.proxy = services.proxy
        self.scope = scope
        self.target = target_of(scope)

    @property
    def method(self) -> str:
        method: str = self.scope["method"]
        return method

    @property
    def key(self) -> RepositoryKey:
        return self.target.key

    @property
    def repository(self) -> Repository | None:
        """What was pushed to the repository; None if nothing was."""
        return self.store.index.repository(self.key)

    @property
    def is_fabricated(self) -> bool:
        """Whether brokenreg makes up the images of the repository."""
        return self.images.provides(self.target.repository)

    @cached_property
    def route(self) -> Route | None:
        """Where the image comes from that is not here; None if it can come from nowhere else.

        Raise `UpstreamForbiddenError` if nobody may ask there, `UpstreamLoopError` if we have asked already.
        """
        via = [value.decode("latin-1") for name, value in self.scope["headers"] if name == b"via"]
        return self.proxy.route(self.target, via)

    @property
    def trace(self) -> UpstreamTrace:
        """What tells this exchange of the work upstream."""
        return UpstreamTrace(exchange_of(self.scope))

    @cached_property
    def query(self) -> Mapping[str, list[str]]:
        return parse_qs(self.scope["query_string"].decode("latin-1"), keep_blank_values=True)

    def parameter(self, name: str) -> str | None:
        """Return the first value of a query parameter, or None if it is absent or empty (`n=`)."""
        return next(iter(self.query.get(name, ())), None) or None

    def header(self, name: str) -> str | None:
        """First value of a request header; None if absent."""
        value = header(self.scope, name.encode("ascii"))
        return None if value is None else value.decode("latin-1")

    def location(self, kind: str, reference: str) -> str:
        """The path of something in this repository, prefixes kept. Relative, so that no proxy spoils it."""
        target = self.target
        query = f"?{target.query}" if target.query else ""
        return f"{target.root}/v2/{target.name}/{kind}/{reference}{query}"

    def check_writable(self) -> None:
        """Raise `OCIError` 403 DENIED for what brokenreg itself provides."""
        if self.target.is_reserved:
            raise OCIError(
                403,
                ErrorCode.DENIED,
                f"{self.target.repository} is made by brokenreg and cannot be changed; "
                "push to broken/prepared:<name>, or to any repository outside broken/",
            )


class StreamCall(Call):
    """One request whose endpoint reads the body and sends the response itself."""

    def __init__(self, services: Services, scope: Scope, receive: Receive, send: Send) -> None:
        super().__init__(services, scope)
        self.send = send
        self.body = Body(scope, receive)

    @property
    def left(self) -> asyncio.Event:
        """Set once nobody reads the response."""
        return stream_of(self.scope).gone

    async def unless_gone(self, work: Coroutine[Any, Any, Result]) -> Result:
        """What `work` returns. Raise `ClientDisconnectedError` as soon as the client disconnects."""
        return await stream_of(self.scope).unless_gone(work)

    async def unless_gone_or_known(self, making: Coroutine[Any, Any, Result]) -> Result:
        """Return the result of `making`, which uses the fabricator. Ends as `unless_gone` does."""
        if self.images.knows(self.target.repository, self.target.reference):
            return await making
        return await self.unless_gone(making)

    @property
    def has_answered(self) -> bool:
        """Whether the response has begun, so that no other can be sent."""
        return exchange_of(self.scope).status is not None
