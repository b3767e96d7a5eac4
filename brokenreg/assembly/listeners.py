"""Listeners: sockets bound before anything starts, and Hypercorn on them."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config, Sockets

from brokenreg.option_values import Address
from brokenreg.wire import connection, http2
from brokenreg.wire.connection_middleware import ConnectionMiddleware
from brokenreg.wire.handshake import ListenerContext
from brokenreg.wire.inbound_connection import HANDSHAKE_PATIENCE
from brokenreg.wire.listen_socket import ListenSocket

logger = logging.getLogger(__name__)

GRACE = 0.7
"""Seconds that exchanges in flight have when we stop; what is left is then cut."""

_BACKLOG = 4096
_FOR_EVER = 10**9


class ListenError(Exception):
    """An address or a certificate cannot be used; the message is one clear line."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """Certificate chain and key, as PEM files."""

    chain: Path
    key: Path


class _ListenerConfig(Config):
    """Hypercorn's settings where ours differ: nothing may cut a held or slow response."""

    read_timeout = None
    ssl_handshake_timeout = HANDSHAKE_PATIENCE
    backlog = _BACKLOG
    # Longer than ours: we cut connections, Hypercorn would cancel their tasks, and asyncio complain.
    graceful_timeout = GRACE + 1.0
    keep_alive_timeout = 75.0
    keep_alive_max_requests = _FOR_EVER
    include_server_header = False
    h11_max_incomplete_size = 64 * 1024
    # Two messages of one read each: enough to keep a writer busy, and real backpressure for uploads.
    max_app_queue_size = 2
    loglevel = "WARNING"

    def __init__(self, bound: socket.socket, certificate: Certificate | None) -> None:
        self.errorlog = logging.getLogger("brokenreg.hypercorn")
        # Below that level it logs addresses without the listener's name; `Listener.start` logs both.
        self.errorlog.setLevel(logging.WARNING)
        self._bound = bound
        self._certificate = certificate
        if certificate is not None:
            self.certfile, self.keyfile = str(certificate.chain), str(certificate.key)

    def create_sockets(self) -> Sockets:
        if self.ssl_enabled:
            return Sockets([self._bound], [], [])
        return Sockets([], [self._bound], [])

    def create_ssl_context(self) -> ssl.SSLContext | None:
        return None if self._certificate is None else tls_context(self._certificate)


def tls_context(certificate: Certificate) -> ListenerContext:
    """By which a listener shakes hands with that certificate. Raise `OSError` or `ssl.SSLError`."""
    context = ListenerContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # what HTTP/2 demands (RFC 9113, section 9.2)
    context.options |= ssl.OP_NO_COMPRESSION
    context.set_ciphers(Config.ciphers)
    context.set_alpn_protocols(Config.alpn_protocols)
    context.load_cert_chain(certificate.chain, certificate.key, password=_no_passphrase)
    return context


def _no_passphrase() -> str:
    """In place of OpenSSL's own, which would ask at the terminal and wait."""
    raise OSError("the key is encrypted, and nobody is asked for its passphrase; store it decrypted")


class Listener:
    """One bound address and the application behind it; `name` is for people."""

    def __init__(self, name: str, address: Address, certificate: Certificate | None) -> None:
        """Bind and listen: from here on clients queue. Raise `ListenError`."""
        self.name = name
        self._socket = _bind(address, over_tls=certificate is not None)
        self._config = _ListenerConfig(self._socket, certificate)
        self._task: asyncio.Task[None] | None = None
        self._seam: ConnectionMiddleware | None = None
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
                    f"{error.strerror or error}; both must be PEM files, and belong together"
                ) from None

    def start(self, seam: ConnectionMiddleware) -> None:
        """Serve from now on."""
        connection.install()
        http2.install()
        self._seam = seam
        self._socket.door = seam.door
        self._task = asyncio.create_task(
            serve(seam, self._config, shutdown_trigger=self._stop.wait),  # type: ignore[arg-type]
            name=f"listener {self.url}",
        )
        logger.info("the %s listens on %s", self.name, self.url)

    async def wait(self) -> None:
        """Return, or raise what went wrong, when the listener ends."""
        if self._task is not None:
            await asyncio.shield(self._task)

    async def drain(self) -> None:
        """Accept no more connections, and wait up to `GRACE` seconds for exchanges in flight."""
        self._stop.set()
        if self._task is None or self._seam is None:
            self._socket.close()
            return
        for arrival in tuple(self._seam.door.connections):
            if not arrival.is_served:
                arrival.cut()
        await self._socket.turned_away()
        await asyncio.wait([self._task], timeout=GRACE)

    async def cut(self) -> None:
        """End the exchanges that are still in flight after `drain`."""
        if self._task is None or self._seam is None:
            return
        # From Python 3.12 on a server waits for its connections without end: cut them first.
        for arrival in tuple(self._seam.door.connections):
            arrival.cut()
        done, _ = await asyncio.wait([self._task], timeout=GRACE + 0.3)
        if not done:  # one of their threads waits for the disk
            self._task.add_done_callback(_see)
            self._task.cancel()


def _see(task: asyncio.Task[None]) -> None:
    """Retrieve and ignore the error of Hypercorn's task, which was cancelled during shutdown."""
    if not task.cancelled():
        task.exception()


def _bind(address: Address, *, over_tls: bool) -> ListenSocket:
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = ListenSocket(family, kind, protocol, over_tls=over_tls)
    except OSError as error:
        raise ListenError(f"cannot listen on {address}: {error.strerror}") from None
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(where)
        bound.listen(_BACKLOG)
        bound.setblocking(False)
    except OSError as error:
        bound.close()
        raise ListenError(
            f"cannot listen on {address}: {error.strerror}; choose another address, port 0 takes any free one"
        ) from None
    return bound


def quiet_handshakes(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Handle exceptions of the loop, ignoring connections that clients broke off, and their TLS errors.

    Only these are ignored: if the connection itself failed, asyncio gives the transport. Exceptions of our
    tasks and callbacks are always reported. Cancellations are ignored too: on shutdown, Hypercorn cancels the
    connections that wait for a slow disk, and asyncio's callback for them raises the cancellation.
    """
    error = context.get("exception")
    is_of_a_connection = "transport" in context and isinstance(error, ssl.SSLError | ConnectionError)
    if not (is_of_a_connection or isinstance(error, asyncio.CancelledError)):
        loop.default_exception_handler(context)
