"""The clients of the control API: `Client` and, for asyncio, `AsyncClient`."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx

from brokenreg.client import calls
from brokenreg.client.address import DEFAULT_URL, checked_token, checked_url
from brokenreg.client.call import Call, problem_in
from brokenreg.client.documents import Event, Status
from brokenreg.client.errors import UnreachableError, WaitTimeoutError
from brokenreg.client.event_stream import EVENT_STREAM, EVENTS, EventReader
from brokenreg.client.operations import Operations
from brokenreg.client.tls import certificates, no_certificates, requires_tls, tls_error

Result = TypeVar("Result")

_PATIENCE = 10.0
"""Seconds to wait for each part of a response."""

_QUIET = 60.0
"""Seconds after which a stream without a byte is dead. The server sends a comment every 15 seconds."""

_PAUSE = 0.05
"""Seconds between two attempts of `wait`."""

_LOST = (httpx.ReadError, httpx.RemoteProtocolError)
"""How a stream ends if the server stops while it is read, and a request if the server requires TLS."""


class _Common(Operations):
    """What both clients know: where the control API is, and in which namespace they are."""

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        token: str | None = None,
        namespace: str = "",
        authority: Path | None = None,
    ) -> None:
        """`url` may be HOST:PORT. Raise `AddressError` for an invalid URL, token or authority."""
        self.url = checked_url(url)
        self.namespace = namespace
        self._options: dict[str, Any] = {
            "base_url": self.url,
            "headers": {"authorization": f"Bearer {checked_token(token)}"} if token else {},
            "timeout": _PATIENCE,
            "trust_env": False,
            "verify": certificates(authority) if self.url.startswith("https:") else no_certificates(),
        }

    def _events(self, filter: str | None, replica: str | None) -> dict[str, Any]:
        query = {"filter": filter, "replica": replica}
        call: Call[None] = Call("GET", EVENTS, None, query, accept=EVENT_STREAM)
        return {**call.arguments(self.namespace), "timeout": httpx.Timeout(_PATIENCE, read=_QUIET)}

    def _unreachable(self, error: httpx.HTTPError) -> UnreachableError:
        """Return the error for a request without a response. It may block for two seconds."""
        reason = "timed out" if isinstance(error, httpx.TimeoutException) else str(error)
        if isinstance(error, _LOST) and self.url.startswith("http:") and requires_tls(self.url):
            return UnreachableError(self.url, reason, requires_tls=True)
        tls = tls_error(error) if isinstance(error, httpx.ConnectError) else None
        if isinstance(tls, ssl.SSLCertVerificationError):
            return UnreachableError(self.url, tls.verify_message, is_untrusted=True)
        has_no_tls = tls is not None and tls.reason == "WRONG_VERSION_NUMBER"
        return UnreachableError(self.url, reason, has_no_tls=has_no_tls)

    def _refuse_to_wait(self, error: UnreachableError, deadline: float) -> None:
        """Raise the error if waiting does not help, or `WaitTimeoutError` if the time is up."""
        if error.has_no_tls or error.requires_tls or error.is_untrusted:
            raise error
        if time.monotonic() + _PAUSE > deadline:
            raise WaitTimeoutError(self.url, error.reason) from error


class Client(_Common):
    """A client of the control API. Close it after use, or use it in a `with` statement."""

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        token: str | None = None,
        namespace: str = "",
        authority: Path | None = None,
    ) -> None:
        """`url` may be HOST:PORT. Raise `AddressError` for an invalid URL, token or authority.

        `authority` is the CA (PEM) to trust instead of those of the system.
        """
        super().__init__(url, token=token, namespace=namespace, authority=authority)
        self._http = httpx.Client(**self._options)

    def send(self, call: Call[Result], /, *, timeout: float = _PATIENCE) -> Result:
        """Send a request and return its result. Raise `ControlError`.

        `timeout` is how many seconds to wait for each part of the response.
        """
        try:
            response = self._http.request(**call.arguments(self.namespace), timeout=timeout)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        return call.read(self.url, response)

    def wait(self, timeout: float = 30.0) -> Status:
        """Return the status once the server is ready. Raise `WaitTimeoutError` after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                return self.send(calls.status(), timeout=_left(deadline))
            except UnreachableError as error:
                self._refuse_to_wait(error, deadline)
            time.sleep(_PAUSE)

    @contextmanager
    def events(self, filter: str | None = None, *, replica: str | None = None) -> Iterator[Iterator[Event]]:
        """Subscribe to the events of exchanges that match a filter. Raise `UsageError` for an invalid filter.

        In a fleet, those of all replicas, or of `replica`. The iterator ends when the server stops.
        """
        with ExitStack() as stack:
            try:
                response = stack.enter_context(self._http.stream(**self._events(filter, replica)))
                if response.is_error:
                    response.read()
                    raise problem_in(self.url, response)
            except httpx.TransportError as error:
                raise self._unreachable(error) from error
            yield self._read(response)

    def _read(self, response: httpx.Response) -> Iterator[Event]:
        reader = EventReader()
        try:
            for data in response.iter_raw():
                yield from reader.feed(data)
        except _LOST:
            return
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class AsyncClient(_Common):
    """A client of the control API for asyncio, with the same methods, which are awaited."""

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        token: str | None = None,
        namespace: str = "",
        authority: Path | None = None,
    ) -> None:
        """`url` may be HOST:PORT. Raise `AddressError` for an invalid URL, token or authority.

        `authority` is the CA (PEM) to trust instead of those of the system.
        """
        super().__init__(url, token=token, namespace=namespace, authority=authority)
        self._http = httpx.AsyncClient(**self._options)

    async def send(self, call: Call[Result], /, *, timeout: float = _PATIENCE) -> Result:
        """Send a request and return its result. Raise `ControlError`.

        `timeout` is how many seconds to wait for each part of the response.
        """
        try:
            response = await self._http.request(**call.arguments(self.namespace), timeout=timeout)
        except httpx.HTTPError as error:
            raise await asyncio.to_thread(self._unreachable, error) from error
        return call.read(self.url, response)

    async def wait(self, timeout: float = 30.0) -> Status:
        """Return the status once the server is ready. Raise `WaitTimeoutError` after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                return await self.send(calls.status(), timeout=_left(deadline))
            except UnreachableError as error:
                self._refuse_to_wait(error, deadline)
            await asyncio.sleep(_PAUSE)

    @asynccontextmanager
    async def events(
        self, filter: str | None = None, *, replica: str | None = None
    ) -> AsyncIterator[AsyncIterator[Event]]:
        """Subscribe to the events of exchanges that match a filter. Raise `UsageError` for an invalid filter.

        In a fleet, those of all replicas, or of `replica`. The iterator ends when the server stops.
        """
        async with AsyncExitStack() as stack:
            try:
                response = await stack.enter_async_context(self._http.stream(**self._events(filter, replica)))
                if response.is_error:
                    await response.aread()
                    raise problem_in(self.url, response)
            except httpx.TransportError as error:
                raise await asyncio.to_thread(self._unreachable, error) from error
            yield self._read(response)

    async def _read(self, response: httpx.Response) -> AsyncIterator[Event]:
        reader = EventReader()
        try:
            async for data in response.aiter_raw():
                for event in reader.feed(data):
                    yield event
        except _LOST:
            return
        except httpx.TransportError as error:
            raise await asyncio.to_thread(self._unreachable, error) from error

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()


def _left(deadline: float) -> float:
    """Return how many seconds a request of `wait` may take; at least a moment, for the first one."""
    return min(max(deadline - time.monotonic(), _PAUSE), _PATIENCE)
