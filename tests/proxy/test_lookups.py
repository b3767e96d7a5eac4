"""Name lookups: shared, limited by client and by upstream, and slow ones do not delay others."""

from __future__ import annotations

import asyncio
import os
import select
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from brokenreg.listening.inbound_connection import INBOUND, AcceptedConnections, InboundConnection
from brokenreg.proxy.errors import UpstreamBusyError, UpstreamSilentError
from brokenreg.proxy.http import lookups
from brokenreg.proxy.http.lookups import Lookups
from tests.process import brokenreg_process
from tests.proxy.asked import asking, get
from tests.registry.pushing import digest_of

_SLOW_RESOLVER = """
import socket, time
resolve = socket.getaddrinfo
def slow(host, *arguments, **options):
    if host.endswith(".slow.example"):
        time.sleep(3600)
    return resolve(host, *arguments, **options)
socket.getaddrinfo = slow
"""


class Resolver:
    """A replacement for the system's resolver. It responds once `respond` is set."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.respond = threading.Event()

    def __call__(self, host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        self.asked.append(host)
        assert self.respond.wait(10)
        if host.startswith("missing"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", port))] * 100


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    resolver = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    yield resolver
    resolver.respond.set()


def of_client(host: str) -> None:
    """Let this task serve a client at that address."""
    INBOUND.set(
        InboundConnection(
            AcceptedConnections(), f"{host}:50000", over_tls=False, cut=lambda: None, send_last=lambda _: None
        )
    )


async def started(looking: Lookups, client: str, upstream: str, host: str) -> asyncio.Task[Any]:
    """Return a lookup that has begun or failed."""

    async def look() -> Any:
        of_client(client)
        return await looking.resolve(host, 443, upstream)

    task = asyncio.create_task(look())
    await asyncio.sleep(0)
    return task


async def test_concurrent_callers_share_a_lookup(resolver: Resolver) -> None:
    looking = Lookups()
    tasks = [await started(looking, "192.0.2.7", "quay.io", "cdn.example") for _ in range(50)]
    tasks[0].cancel()  # it goes on for the others
    resolver.respond.set()
    results = await asyncio.gather(*tasks[1:])
    assert resolver.asked == ["cdn.example"]
    assert results[0] == [(socket.AF_INET, ("192.0.2.1", 443))] * 32
    assert await looking.resolve("cdn.example", 443, "quay.io") == results[0]
    assert len(resolver.asked) == 2, "nothing is kept"


async def test_what_is_not_found(resolver: Resolver) -> None:
    resolver.respond.set()
    with pytest.raises(socket.gaierror, match="not known"):
        await Lookups().resolve("missing.example", 443, "quay.io")


async def test_names_that_resolvers_do_not_accept() -> None:
    """Python's codec for host names raises errors of other types."""
    for host in (f"{'a' * 64}.example", "a..example", ".example"):
        with pytest.raises(OSError, match="Not a valid host name"):
            await Lookups().resolve(host, 443, "quay.io")


async def test_a_resolver_error_reaches_all_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    def breakpoints(*_: Any, **__: Any) -> None:
        raise OverflowError("too large")

    monkeypatch.setattr(socket, "getaddrinfo", breakpoints)
    looking = Lookups()
    for _ in range(2):
        with pytest.raises(OverflowError, match="too large"):
            await asyncio.wait_for(looking.resolve("cdn.example", 443, "quay.io"), 5)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_an_address_needs_no_thread(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "Thread", None)
    assert (await Lookups().resolve(address, 443, "quay.io"))[0][1][:2] == (address, 443)


async def test_lookups_are_limited_by_client(resolver: Resolver) -> None:
    """For all upstreams together. Other clients are served."""
    looking = Lookups()
    for number in range(lookups.MAX_LOOKUPS_OF_ONE):
        await started(looking, "192.0.2.7", f"h{number}.example", f"h{number}.example")
    refused = await started(looking, "192.0.2.7", "quay.io", "quay.io")
    with pytest.raises(
        UpstreamBusyError, match=r"^16 other host names are being resolved for client 192\.0\.2\.7;"
    ):
        await refused
    joined = await started(looking, "192.0.2.7", "h1.example", "h1.example")
    served = await started(looking, "192.0.2.8", "quay.io", "quay.io")
    resolver.respond.set()
    assert await served == await joined
    assert await (await started(looking, "192.0.2.7", "quay.io", "quay.io"))


async def test_lookups_are_limited_by_upstream(resolver: Resolver) -> None:
    """For all clients and redirect targets together."""
    looking = Lookups()
    for number in range(lookups.MAX_LOOKUPS_OF_ONE):
        await started(looking, f"192.0.2.{number}", "evil.example", f"h{number}.example")
    refused = await started(looking, "192.0.2.99", "evil.example", "more.example")
    with pytest.raises(
        UpstreamBusyError, match=r"^16 other host names are being resolved for upstream evil\.example;"
    ) as failed:
        await refused
    assert (failed.value.status, failed.value.headers) == (503, {"retry-after": "10"})


async def test_lookups_are_limited_in_total(resolver: Resolver) -> None:
    looking = Lookups()
    for number in range(lookups.MAX_LOOKUPS):
        await started(looking, f"192.0.2.{number}", f"u{number}.example", f"h{number}.example")
    refused = await started(looking, "192.0.2.99", "quay.io", "quay.io")
    with pytest.raises(UpstreamBusyError, match="64 other host names are being resolved"):
        await refused
    assert len(resolver.asked) == lookups.MAX_LOOKUPS


async def test_the_time_for_a_lookup_is_that_for_connecting(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("brokenreg.proxy.http.client._CONNECT", 0.1)
    async with asking({}) as client:
        with pytest.raises(UpstreamSilentError, match=r"quay\.io did not accept a connection in time"):
            await get(client, "quay.io")


@pytest.mark.slow
def test_slow_lookups_delay_neither_pushes_nor_the_shutdown(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(_SLOW_RESOLVER)
    upstream = "--upstream", "local=http://127.0.0.1:1"  # else the tests' brokenreg is offline
    with (
        brokenreg_process(tmp_path / "data", *upstream, PYTHONPATH=str(tmp_path)) as running,
        httpx.Client(base_url=running.url, timeout=10) as client,
    ):
        waiting = [_ask(running.url, f"h{number}.slow.example") for number in range(20)]
        refused, _, _ = select.select(waiting, [], [], 5)
        blob = os.urandom(300_000)
        pushed = client.post(
            "/v2/a/b/blobs/uploads/",
            params={"digest": digest_of(blob)},
            content=blob,
            headers={"content-type": "application/octet-stream"},
        )
        assert pushed.status_code == 201
        assert running.stop(timeout=5) == 0
        assert refused[0].recv(12) == b"HTTP/1.1 503"


def _ask(url: str, upstream: str) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    asking = socket.create_connection((host, int(port)), timeout=5)
    asking.sendall(f"GET /v2/x/y/manifests/v1?ns={upstream} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    return asking
