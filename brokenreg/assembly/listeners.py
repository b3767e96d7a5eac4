"""The listeners of a run: their sockets, Hypercorn, and how they start and stop together."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config, Sockets

from brokenreg.assembly.certificate import Certificate, tls_context
from brokenreg.assembly.occupied import AddressError, ListenError, explained
from brokenreg.concurrency import first_of
from brokenreg.config.addresses import Address
from brokenreg.config.settings import Settings
from brokenreg.listening.accept_pause import is_due_to_pause
from brokenreg.listening.inbound_connection import HANDSHAKE_PATIENCE
from brokenreg.listening.listen_socket import ListenSocket
from brokenreg.wire import tcp_server
from brokenreg.wire.application import Application

logger = logging.getLogger(__name__)

_PATIENCE = 1.0
"""Seconds in which a listener must end after its connections were cut."""

_BACKLOG = 4096
_OPTIONS = {
    "registry": "--listen",
    "second origin": "--second-origin",
    "control API": "--control",
    "fleet listener": "--fleet-network",
}
"""The option that says where a listener is, by its name."""


class _ListenerConfig(Config):
    """The settings of Hypercorn. The time limits of requests are enforced by `wire`."""

    ssl_handshake_timeout = HANDSHAKE_PATIENCE
    backlog = _BACKLOG
    include_server_header = False
    loglevel = "WARNING"

    def __init__(self, bound: ListenSocket, certificate: Certificate | None, stop_timeout: float) -> None:
        # Longer than ours: connections are cut first. Hypercorn would cancel their tasks, which asyncio logs.
        self.graceful_timeout = stop_timeout + _PATIENCE
        self.errorlog = logging.getLogger("brokenreg.hypercorn")
        # Below that level, it logs addresses without the name of the listener; `Listener.start` logs both.
        self.errorlog.setLevel(logging.WARNING)
        self._bound = bound
        self._certificate = certificate
        if certificate is not None:
            self.certfile, self.keyfile = str(certificate.chain), str(certificate.key)

    def create_sockets(self) -> Sockets:
        bound = self._bound.sockets
        return Sockets(bound, [], []) if self.ssl_enabled else Sockets([], bound, [])

    def create_ssl_context(self) -> ssl.SSLContext | None:
        return None if self._certificate is None else tls_context(self._certificate)


class Listener:
    """A bound address and its application; `name` is for display.

    If it `uses_reserve`, it still accepts connections when other listeners must wait for free files.
    """

    def __init__(
        self,
        name: str,
        address: Address,
        certificate: Certificate | None,
        stop_timeout: float,
        *,
        uses_reserve: bool = False,
    ) -> None:
        """Bind and listen. From now on, the kernel queues connections. Raise `ListenError`."""
        self.name = name
        self._socket = _bind(
            _OPTIONS[name], address, over_tls=certificate is not None, uses_reserve=uses_reserve
        )
        self._config = _ListenerConfig(self._socket, certificate, stop_timeout)
        self._task: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self.address = Address(host=address.host, port=self._socket.getsockname()[1])
        self.url = f"{'https' if certificate else 'http'}://{self.address}"
        if certificate is not None:
            try:
                tls_context(certificate)
            except (OSError, ssl.SSLError) as error:
                self._socket.close()
                raise ListenError(
                    f"cannot use certificate {certificate.chain} with key {certificate.key}: "
                    f"{error.strerror or error}; both must be PEM files that belong together"
                ) from None

    def start(self, app: Application) -> None:
        """Start to serve."""
        tcp_server.install()
        self._socket.use(app.accepted)
        self._task = asyncio.create_task(
            serve(app, self._config, shutdown_trigger=self._stop.wait),  # type: ignore[arg-type]
            name=f"listener {self.url}",
        )
        logger.info("the %s listens on %s", self.name, self.url)

    async def wait(self) -> None:
        """Wait until the listener ends; raise its error, if any."""
        if self._task is not None:
            await asyncio.shield(self._task)

    def announce_end(self) -> None:
        """Close each connection after its next response, which says so."""
        self._socket.accepted.is_stopping = True

    async def drain(self) -> None:
        """Accept no more connections, and wait until exchanges in flight have ended."""
        self._stop.set()
        if self._task is None:
            return
        for inbound in tuple(self._socket.accepted.connections):
            if inbound.is_served:
                inbound.finish()
            else:
                inbound.cut()
        await self._socket.rejections_ended()
        await asyncio.wait([self._task])

    async def close(self) -> None:
        """End exchanges that are still in flight after `drain`, and close the socket."""
        self._stop.set()
        if self._task is None:
            self._socket.close()
            return
        # From Python 3.12 on, a server waits for its connections without limit, so they are cut first.
        for inbound in tuple(self._socket.accepted.connections):
            inbound.cut()
        done, _ = await asyncio.wait([self._task], timeout=_PATIENCE)
        if not done:  # one of their threads is waiting for the disk
            self._task.add_done_callback(_see)
            self._task.cancel()


@dataclass(frozen=True, slots=True)
class Listeners:
    """All listeners of a run."""

    registry: tuple[Listener, ...]
    second_origin: Listener
    control: Listener | None
    fleet: Listener | None
    """Receives the calls of other replicas; None without a fleet."""
    dead_port: int
    """A port at the host of the second origin that refuses connections."""

    @classmethod
    @contextlib.asynccontextmanager
    async def bound(
        cls,
        settings: Settings,
        certificate: Certificate | None,
        of_control: Certificate | None,
        *,
        of_fleet: Address | None = None,
    ) -> AsyncIterator[Listeners]:
        """Bind all addresses. Leaving the block cuts exchanges in flight and closes all sockets.

        Unless the settings say otherwise, the second origin has the host and the certificate of the first
        registry listener. `of_fleet` is where replicas call this one, or None without a fleet. Raise
        `ListenError`.
        """
        bound: list[Listener] = []

        def bind(
            name: str, address: Address, certificate: Certificate | None, *, uses_reserve: bool = False
        ) -> Listener:
            timeout = settings.stop_timeout
            bound.append(Listener(name, address, certificate, timeout, uses_reserve=uses_reserve))
            return bound[-1]

        try:
            registry = tuple(bind("registry", address, certificate) for address in settings.listen)
            place = settings.second_origin or Address(host=settings.listen[0].host, port=0)
            second_origin = bind("second origin", place, certificate)
            control = None
            if settings.control is not None:
                control = bind("control API", settings.control, of_control, uses_reserve=True)
            fleet = None if of_fleet is None else bind("fleet listener", of_fleet, None, uses_reserve=True)
            with _dead_port(place) as dead_port:
                yield cls(registry, second_origin, control, fleet, dead_port)
        except AddressError as error:
            raise await explained(error) from None
        finally:
            await asyncio.gather(*(listener.close() for listener in bound))

    def __iter__(self) -> Iterator[Listener]:
        yield from self.registry
        yield self.second_origin
        if self.control is not None:
            yield self.control
        if self.fleet is not None:
            yield self.fleet

    def addresses(self) -> list[tuple[str, int]]:
        """Return host and port of each listener."""
        return [(listener.address.host, listener.address.port) for listener in self]

    async def wait(self) -> None:
        """Wait until a listener ends by itself; raise its error, if any."""
        await first_of(*(listener.wait() for listener in self))


@contextlib.contextmanager
def _dead_port(address: Address) -> Iterator[int]:
    """Reserve a port that refuses connections.

    The socket is bound and does not listen. Without SO_REUSEADDR, no other process can bind the port. Raise
    `ListenError`.
    """
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            address.host, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        reserved = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ListenError(f"cannot reserve a port at {address.host}: {error.strerror}") from None
    with reserved:
        try:
            reserved.bind(where)
        except OSError as error:
            raise ListenError(f"cannot reserve a port at {address.host}: {error.strerror}") from None
        yield reserved.getsockname()[1]


def _see(task: asyncio.Task[None]) -> None:
    """Retrieve and ignore the error of a task of Hypercorn that was cancelled during shutdown."""
    if not task.cancelled():
        task.exception()


def _bind(option: str, address: Address, *, over_tls: bool, uses_reserve: bool) -> ListenSocket:
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = ListenSocket(family, kind, protocol, over_tls=over_tls, uses_reserve=uses_reserve)
    except OSError as error:
        raise AddressError(option, address, error) from None
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(where)
        bound.listen(_BACKLOG)
        bound.setblocking(False)
    except OSError as error:
        bound.close()
        raise AddressError(option, address, error) from None
    return bound


def quiet_handshakes(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Handle exceptions of the loop, but ignore lost connections, TLS errors of clients and cancellations.

    If a connection itself failed, asyncio provides the transport; exceptions of our tasks and callbacks are
    always reported. Cancellations occur on shutdown: Hypercorn cancels connections that wait for a slow disk,
    and asyncio's callback for them raises the cancellation. A listener that pauses has already reported this.
    """
    error = context.get("exception")
    is_of_a_connection = "transport" in context and isinstance(error, ssl.SSLError | ConnectionError)
    if not (is_of_a_connection or isinstance(error, asyncio.CancelledError) or is_due_to_pause(context)):
        loop.default_exception_handler(context)
