"""Connects to upstreams: directly, trying several addresses (RFC 8305), or through a web proxy."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Callable, Iterable
from typing import Any

import aiohappyeyeballs
import httpcore
from cachetools import TTLCache

from brokenreg.config.upstreams import WebProxy
from brokenreg.proxy.http.addresses import AddressPolicy, Trust, parse_address
from brokenreg.proxy.http.bounded_stream import BoundedStream
from brokenreg.proxy.http.lookups import Address, Resolve
from brokenreg.proxy.http.stream import Stream, as_httpcore
from brokenreg.proxy.http.tunnel import check_unresolved, is_loopback_name, tunnel

_HEAD_START = 0.25
"""Seconds before the next address is tried too (RFC 8305, section 5)."""

_LOOKUP = 2.0
"""Seconds to resolve a name that a web proxy resolves too. If only the web proxy can, lookups time out."""

_UNRESOLVED = 60.0
"""Seconds for which a name is not looked up again after its lookup took too long."""

_MAX_UNRESOLVED = 64


async def connect(addresses: Iterable[Address]) -> socket.socket:
    """Return a non-blocking connection to the first address that accepts. Raise `OSError` if none does."""
    found = [(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address) for family, address in addresses]
    if not found:
        raise OSError("it has no address")
    try:
        connection = await aiohappyeyeballs.start_connection(found, happy_eyeballs_delay=_HEAD_START)
    except OSError as error:
        if error.errno is None:  # the addresses failed in different ways
            raise
        raise OSError(error.errno, os.strerror(error.errno)) from error
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


class Backend(httpcore.AsyncNetworkBackend):
    """Connects directly, or through the web proxy that `find` returns for a host and a port."""

    def __init__(
        self,
        policy: AddressPolicy,
        trust: Trust,
        resolve: Resolve,
        context: ssl.SSLContext,
        find: Callable[[str, int], WebProxy | None],
    ) -> None:
        self._policy = policy
        self._trust = trust
        self._resolve = resolve
        self._context = context
        self._find = find
        self._unresolved: TTLCache[str, None] = TTLCache(_MAX_UNRESOLVED, _UNRESOLVED)

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        web_proxy = self._find(host, port)
        if web_proxy is not None and await self._uses_web_proxy(host, port):
            return BoundedStream(
                await tunnel(lambda: self._connect_to(web_proxy), web_proxy, host, port, timeout)
            )
        with as_httpcore(httpcore.ConnectTimeout, httpcore.ConnectError):
            async with asyncio.timeout(timeout):
                return BoundedStream(Stream(await self._connect(host, port)))

    async def _connect(self, host: str, port: int) -> socket.socket:
        """Connect to a host after the policy has checked its addresses. The host is not resolved again."""
        found = await self._resolve(host, port)
        for _, address in found:
            self._policy.check(host, str(address[0]), port, self._trust)
        return await connect(found)

    async def _uses_web_proxy(self, host: str, port: int) -> bool:
        """Return whether to use the web proxy for a host. Return False if the host is this machine.

        Raise `UpstreamForbiddenError` if the host resolves to an address that is not allowed.
        """
        if is_loopback_name(host):
            return False
        found = await self._look_up(host.rstrip("."), port)
        if not found:
            check_unresolved(host, port)
        for _, address in found:
            self._policy.check(host, str(address[0]), port, self._trust)
        return not any(parse_address(str(address[0])).is_loopback for _, address in found)

    async def _look_up(self, host: str, port: int) -> list[Address]:
        """Return the addresses of a host behind a web proxy, or none if it cannot be resolved in time."""
        if host in self._unresolved:
            return []
        try:
            async with asyncio.timeout(_LOOKUP):
                return await self._resolve(host, port)
        except TimeoutError:
            self._unresolved[host] = None
        except OSError:
            pass
        return []

    async def _connect_to(self, web_proxy: WebProxy) -> httpcore.AsyncNetworkStream:
        with as_httpcore(httpcore.ConnectTimeout, httpcore.ConnectError):
            found = await self._resolve(web_proxy.host, web_proxy.port)
            stream = Stream(await connect(found), web_proxy)
        return (
            await stream.start_tls(self._context, web_proxy.host) if web_proxy.scheme == "https" else stream
        )

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
