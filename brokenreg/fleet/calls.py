"""Sends signed calls to other replicas."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterable, AsyncIterator, Collection, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from brokenreg.config.fleet import Network
from brokenreg.fleet.directory import Replica
from brokenreg.fleet.errors import (
    ReplicaEndedError,
    ReplicaLostError,
    ReplicaSilentError,
    UntrustedReplicaError,
)
from brokenreg.fleet.network import is_within
from brokenreg.fleet.signing import CallSigner, SignedHead
from brokenreg.http.asgi import ReadyResponse
from brokenreg.late_imports import Late
from brokenreg.wording import counted, quoted

if TYPE_CHECKING:
    import httpx

CREDENTIAL = "brokenreg-call"
"""The header with the credential of a call."""

PROOF = "brokenreg-proof"
"""The header with the proof in its response."""

LISTENER = "brokenreg-listener"
"""The header with the upstream that the listener of a forwarded request represents."""

SIGNED_HEADERS = ("content-digest", "content-length", "content-range", "content-type", "host", LISTENER)
"""The headers of a call that are signed. The receiver ignores all others."""

NO_HEADERS: Mapping[str, str] = MappingProxyType({})

MOST_RESPONSE = 64 * 1024
"""Default maximum size of the body of a response, in bytes."""

PATIENCE = 60.0
"""Seconds to send or receive each part of a body, and to wait for the response."""

_CONNECT, _QUEUE = 2.0, 10.0
"""Seconds to connect, and to wait for a free connection."""

_MOST_CONNECTIONS, _IDLE_CONNECTIONS, _IDLE = 512, 32, 5.0
"""Maximum numbers of connections, and seconds that unused ones are kept: less than their other side does."""

_DEAD = 10
"""Seconds after which a machine that acknowledges nothing is given up."""

_SOCKET_OPTIONS = (
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *((socket.IPPROTO_TCP, getattr(socket, name), value)
      for name, value in (("TCP_USER_TIMEOUT", _DEAD * 1000), ("TCP_KEEPIDLE", 4), ("TCP_KEEPINTVL", 2))
      if hasattr(socket, name)),
)  # fmt: skip

_OF_CONNECTION = frozenset({"connection", "keep-alive", "transfer-encoding", "date", "server", PROOF})
"""Headers of a response that are not passed on (RFC 9110, section 7.6.1), or that the wire adds again."""


class Calls:
    """Sends the calls of one replica to addresses in `network`. Call `close` when done."""

    def __init__(self, signer: CallSigner, network: Network) -> None:
        self._signer = signer
        self._network = network
        self.client: Late[httpx.AsyncClient] = Late(_make_client)
        """The HTTP client, which is created after the start."""

    async def call(
        self,
        replica: Replica,
        method: str,
        target: str,
        headers: Mapping[str, str] = NO_HEADERS,
        body: AsyncIterable[bytes] | None = None,
        length: int | None = 0,
        most: int = MOST_RESPONSE,
        patience: float = PATIENCE,
    ) -> ReadyResponse:
        """Send a call, and return its response. `length` is that of the body, or None if it is not known.
        `most` is the maximum size of the response, and `patience` the seconds to wait for it.

        `headers` are some of `SIGNED_HEADERS`. If `body` raises an exception, the call is cut, and the
        exception is raised here. Raise `ReplicaError`.
        """
        async with self.stream(replica, method, target, headers, body, length, patience) as response:
            return ReadyResponse(
                response.status_code, _headers_of(response), await _read(response, replica, most)
            )

    @contextlib.asynccontextmanager
    async def stream(
        self,
        replica: Replica,
        method: str,
        target: str,
        headers: Mapping[str, str] = NO_HEADERS,
        body: AsyncIterable[bytes] | None = None,
        length: int | None = 0,
        patience: float = PATIENCE,
    ) -> AsyncIterator[httpx.Response]:
        """Send a call as `call` does, and provide its response, whose body is read in the block.

        Raise `ReplicaError`, also in the block.
        """
        if not is_within(replica.address.host, self._network):
            raise UntrustedReplicaError(f"{replica} is not in --fleet-network {self._network}")
        if replica.address.is_loopback and replica.host != self._signer.own.host:
            raise UntrustedReplicaError(
                f"{replica} is on another machine, {quoted(replica.host)}, but receives calls only from its "
                "own: start all replicas with --fleet-network"
            )
        client = await self.client.get()
        import httpx

        given = {"host": str(replica.address), **headers}
        if length is not None:
            given["content-length"] = str(length)
        head = SignedHead(method, target, tuple(sorted(given.items())))
        credential = self._signer.sign(replica, head)
        try:
            async with client.stream(
                method,
                f"http://{replica.address}/",
                headers=[*head.headers, (CREDENTIAL, credential.header)],
                content=b"" if body is None else body,
                timeout=_timeout(patience),
                # The client would change the spelling of a path in a URL, and with it the signature.
                extensions={"target": target.encode("ascii")},
            ) as response:
                proof, status = response.headers.get(PROOF, ""), response.status_code
                if not self._signer.is_proof(proof, credential.nonce, status):
                    raise UntrustedReplicaError(
                        f"{replica} refused the call: it needs the same --fleet-key and a correct clock"
                    )
                yield response
        except httpx.TimeoutException:
            raise ReplicaSilentError(f"{replica} does not respond") from None
        except httpx.ConnectError as error:
            if _is_refused(error):
                raise ReplicaEndedError(f"{replica} has ended") from None
            raise ReplicaSilentError(f"{replica} cannot be reached") from None
        except httpx.TransportError:
            raise ReplicaLostError(f"the connection to {replica} was lost") from None

    async def close(self) -> None:
        """Close all connections."""
        if self.client.has_begun:
            await (await self.client.get()).aclose()


def _timeout(patience: float) -> httpx.Timeout:
    import httpx

    return httpx.Timeout(PATIENCE, connect=_CONNECT, read=patience, pool=_QUEUE)


def _make_client() -> httpx.AsyncClient:
    import httpcore
    import httpx

    # Otherwise httpcore would load this with the first request, on the event loop.
    asyncio.run(httpcore.AnyIOBackend().sleep(0))
    limits = httpx.Limits(
        max_connections=_MOST_CONNECTIONS,
        max_keepalive_connections=_IDLE_CONNECTIONS,
        keepalive_expiry=_IDLE,
    )
    return httpx.AsyncClient(
        transport=httpx.AsyncHTTPTransport(limits=limits, trust_env=False, socket_options=_SOCKET_OPTIONS),
        trust_env=False,
    )


def _headers_of(
    response: httpx.Response, dropped: Collection[str] = _OF_CONNECTION
) -> tuple[tuple[bytes, bytes], ...]:
    headers = ((name.lower(), value) for name, value in response.headers.raw)
    return tuple((name, value) for name, value in headers if name.decode("ascii") not in dropped)


async def _read(response: httpx.Response, replica: Replica, most: int) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > most:
            raise UntrustedReplicaError(f"the response of {replica} exceeds {counted(most, 'byte')}")
    return bytes(body)


def _is_refused(error: BaseException | None) -> bool:
    """Return whether a connection was refused: the machine responded, but no process listens there."""
    while error is not None:
        if isinstance(error, ConnectionRefusedError):
            return True
        error = error.__cause__ or error.__context__
    return False
