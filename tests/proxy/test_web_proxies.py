"""Upstreams behind a web proxy: reached only with CONNECT, and checked if their names can be resolved."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping

import httpx
import pytest
import trustme

from brokenreg.config.upstreams import WebProxy as Setting
from brokenreg.proxy.auth.authorization import UpstreamAuth
from brokenreg.proxy.auth.tokens import TokenCache
from brokenreg.proxy.errors import (
    UpstreamError,
    UpstreamForbiddenError,
    UpstreamSilentError,
    UpstreamUnreachableError,
)
from brokenreg.proxy.http.addresses import AddressPolicy
from brokenreg.proxy.http.lookups import Lookups
from brokenreg.proxy.http.web_proxies import WebProxies
from brokenreg.proxy.routes import Route
from brokenreg.traffic.timeline_events import AddEvent
from tests.proxy.asked import OK, Listening, asking, get, redirect
from tests.proxy.web_proxy import WebProxy, listening
from tests.registry.pushing import MIB

HTTP = {"quay.io": "http://registry.test"}
"""Nobody resolves it but the web proxy."""

OFF_LOOPBACK = AddressPolicy(list, beyond_loopback=True)
LOGIN = "robot:s3cret"


def through(proxy: WebProxy) -> WebProxies:
    return WebProxies.only(Setting.parse(proxy.url))


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_side(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def client_side(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.mark.parametrize("kind", ["http", "https"])
async def test_an_upstream_without_tls_is_reached_only_by_connect(kind: str, authority: trustme.CA) -> None:
    own = server_side(authority, "127.0.0.1") if kind == "https" else None
    async with (
        Listening.at() as upstream,
        listening(WebProxy({"registry.test:80": upstream.host}, LOGIN), own) as proxy,
        asking(HTTP, web_proxies=through(proxy), context=client_side(authority)) as client,
    ):
        assert [await get(client, "quay.io") for _ in range(2)] == [b"{}", b"{}"]
    assert proxy.asked == ["CONNECT registry.test:80 HTTP/1.1"]
    assert b"proxy-authorization" not in b"".join(upstream.requests).lower()


@pytest.mark.parametrize("kind", ["http", "https"])
async def test_an_upstream_with_tls_is_reached_by_connect(kind: str, authority: trustme.CA) -> None:
    """With TLS inside TLS if the web proxy uses TLS too."""
    own = server_side(authority, "127.0.0.1") if kind == "https" else None
    upstream = Listening(OK, closes=False)
    server = await asyncio.start_server(
        upstream._serve, "127.0.0.1", 0, ssl=server_side(authority, "quay.io")
    )
    host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with (
        server,
        listening(WebProxy({"quay.io:443": host}), own) as proxy,
        asking({}, web_proxies=through(proxy), context=client_side(authority)) as client,
    ):
        assert [await get(client, "quay.io") for _ in range(2)] == [b"{}", b"{}"]
        assert b"GET" not in b"".join(proxy.sent)
    assert proxy.asked == ["CONNECT quay.io:443 HTTP/1.1"]


async def test_a_long_body_within_two_layers_of_tls(authority: trustme.CA) -> None:
    """A thread cannot read it, because there is no socket of its own."""
    body = bytes(MIB)
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (MIB, body)
    server = await asyncio.start_server(
        Listening(answer, closes=True)._serve, "127.0.0.1", 0, ssl=server_side(authority, "quay.io")
    )
    host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with (
        server,
        listening(WebProxy({"quay.io:443": host}), server_side(authority, "127.0.0.1")) as proxy,
        asking({}, web_proxies=through(proxy), context=client_side(authority)) as client,
        client.request(Route("quay.io", "a/b"), "GET", "blobs/x", add_event=print) as response,
    ):
        assert response.remaining_body() is None
        assert await response.read(MIB) == body


async def test_the_error_mentions_a_web_proxy_that_replaces_certificates(authority: trustme.CA) -> None:
    server = await asyncio.start_server(
        Listening(OK, closes=False)._serve, "127.0.0.1", 0, ssl=server_side(authority, "quay.io")
    )
    host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with (
        server,
        listening(WebProxy({"quay.io:443": host}, LOGIN)) as proxy,
        asking({}, web_proxies=through(proxy)) as client,
    ):
        with pytest.raises(UpstreamUnreachableError) as caught:
            await get(client, "quay.io")
    assert f"(through the web proxy {proxy.place}; if it decrypts TLS, add its CA" in caught.value.message
    assert "s3cret" not in caught.value.message


REFUSED = [
    ("http://169.254.1.2", "a link-local address"),
    ("http://169.254.169.254.", "a metadata service"),
    ("http://[::ffff:169.254.169.254]", "a metadata service"),
    ("https://metadata.google.internal", "a metadata service"),
    ("http://10.1.2.3", "in a private network"),
    ("http://0x0a.1.2.3.4", "neither a host name nor an address"),
    ("http://reg%69stry.test", "neither a host name nor an address"),
    ("http://127.0.0.1:9", "this machine"),
    ("http://2130706433:9", "this machine"),
    ("http://127.1:9", "this machine"),
    ("http://[::1]:9", "this machine"),
    ("http://localhost:9", "this machine"),
]


@pytest.mark.parametrize(("url", "reason"), REFUSED)
async def test_refused_addresses_are_not_requested_from_the_web_proxy(url: str, reason: str) -> None:
    """Also after a redirect, so that clients cannot explore the network of the web proxy."""
    async with (
        Listening.at(redirect(f"{url}/blob")) as upstream,
        listening(WebProxy({"registry.test:80": upstream.host})) as proxy,
        asking(HTTP, web_proxies=through(proxy), policy=OFF_LOOPBACK) as client,
    ):
        with pytest.raises(UpstreamForbiddenError) as caught:
            await get(client, "quay.io")
    assert reason in caught.value.message
    assert proxy.asked == ["CONNECT registry.test:80 HTTP/1.1"]


async def test_loopback_names_are_not_requested_from_the_web_proxy() -> None:
    """Not even if brokenreg cannot resolve it."""
    async with (
        Listening.at(redirect("http://registry.localhost:9/blob")) as upstream,
        listening(WebProxy({"registry.test:80": upstream.host})) as proxy,
        asking(HTTP, web_proxies=through(proxy)) as client,
    ):
        with pytest.raises(UpstreamError):
            await get(client, "quay.io")
    assert len(proxy.asked) == 1


async def test_a_redirect_goes_through_the_web_proxy_too() -> None:
    async with (
        Listening.at() as cdn,
        Listening.at(redirect("http://cdn.test:8000/blob")) as upstream,
        listening(WebProxy({"registry.test:80": upstream.host, "cdn.test:8000": cdn.host})) as proxy,
        asking(HTTP, web_proxies=through(proxy), policy=OFF_LOOPBACK) as client,
    ):
        assert await get(client, "quay.io") == b"{}"
    assert proxy.asked == ["CONNECT registry.test:80 HTTP/1.1", "CONNECT cdn.test:8000 HTTP/1.1"]


def challenge(realm: str) -> bytes:
    """Return a 401 that names a token service."""
    return (
        f'HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer realm="{realm}"\r\nContent-Length: 0\r\n\r\n'.encode()
    )


def anonymous(route: Route, http: httpx.AsyncClient, add_event: AddEvent) -> httpx.Auth:
    return UpstreamAuth(route, http, None, TokenCache(), add_event)


async def test_a_token_service_is_reached_through_the_web_proxy_too() -> None:
    """Also if it redirects."""
    token = b'HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{"token":"t0ken"}'
    async with (
        Listening.at(token) as tokens,
        Listening.at(redirect("http://tokens.test/token")) as service,
        Listening.at(challenge("http://service.test/token")) as upstream,
        listening(WebProxy({})) as proxy,
        asking(HTTP, web_proxies=through(proxy), authorize=anonymous, policy=OFF_LOOPBACK) as client,
    ):
        proxy.routes = {
            "registry.test:80": upstream.host,
            "service.test:80": service.host,
            "tokens.test:80": tokens.host,
        }
        with pytest.raises(UpstreamError, match="does not accept"):  # whatever the token
            await get(client, "quay.io")
        assert b"authorization: Bearer t0ken" in upstream.requests[-1]
    assert proxy.asked == [f"CONNECT {name}.test:80 HTTP/1.1" for name in ("registry", "service", "tokens")]


@pytest.mark.parametrize(
    ("realm", "reason"),
    [("http://169.254.169.254/token", "a metadata service"), ("http://127.0.0.1:9/token", "this machine")],
)
async def test_a_refused_token_service_is_not_requested_from_the_web_proxy(realm: str, reason: str) -> None:
    async with (
        Listening.at(challenge(realm)) as upstream,
        listening(WebProxy({"registry.test:80": upstream.host})) as proxy,
        asking(HTTP, web_proxies=through(proxy), authorize=anonymous) as client,
    ):
        with pytest.raises(UpstreamForbiddenError, match=reason):
            await get(client, "quay.io")
    assert len(proxy.asked) == 1


async def test_names_that_only_the_web_proxy_resolves_cause_one_lookup(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a name service, each lookup takes until its timeout."""
    lookups = []

    async def resolve(_: Lookups, host: str, port: int, upstream: str) -> list[object]:
        if host == "127.0.0.1":
            return [(socket.AF_INET, (host, port))]
        lookups.append(host)
        return await asyncio.Future()

    monkeypatch.setattr(Lookups, "resolve", resolve)
    monkeypatch.setattr("brokenreg.proxy.http.connecting._LOOKUP", 0.05)
    async with (
        Listening.at(closes=True) as upstream,
        listening(WebProxy({"registry.test:80": upstream.host})) as proxy,
        asking(HTTP, web_proxies=through(proxy)) as client,
    ):
        assert [await get(client, "quay.io") for _ in range(3)] == [b"{}"] * 3
    assert (len(proxy.asked), lookups) == (3, ["registry.test"])


async def test_loopback_is_connected_to_directly() -> None:
    async with (
        Listening.at() as upstream,
        listening(WebProxy({})) as proxy,
        asking({"local": upstream.url}, web_proxies=through(proxy)) as client,
    ):
        assert await get(client, "local") == b"{}"
    assert proxy.asked == []


async def test_a_web_proxy_without_the_required_credentials() -> None:
    """Its response repeats what it was sent. Errors do not contain that."""
    proxy = WebProxy({"registry.test:80": "127.0.0.1:9"}, "other:login")
    async with listening(proxy):
        cases = [
            (
                f"http://{proxy.place}",
                "it requires credentials; put the user name and password before the host in --upstream-proxy",
            ),
            (f"http://{LOGIN}@{proxy.place}", "it does not accept the configured credentials"),
        ]
        for url, reason in cases:
            async with asking(HTTP, web_proxies=WebProxies.only(Setting.parse(url))) as client:
                with pytest.raises(UpstreamUnreachableError) as caught:
                    await get(client, "quay.io")
            assert caught.value.status == 502
            assert caught.value.message == (
                f"the web proxy {proxy.place} responded with 407 (Proxy Authentication Required) "
                f"to CONNECT registry.test:80: {reason}"
            )


ANSWERS = [
    pytest.param(
        b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        "sent bytes after its response",
        id="bytes after the head",
    ),
    pytest.param(
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", "an invalid response", id="a long head"
    ),
    pytest.param(b"HTTP/1.1 102 Processing\r\n\r\n" * 1000, "an invalid response", id="many of 1xx"),
    pytest.param(b"SSH-2.0-OpenSSH_9.9\r\n", "an invalid response", id="no HTTP"),
    pytest.param(b"HTTP/1.1 200 OK\r\n", "an invalid response", id="a cut"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "reason"), ANSWERS)
async def test_responses_of_a_web_proxy_are_limited(answer: bytes, reason: str) -> None:
    async with (
        listening(WebProxy({"registry.test:80": "127.0.0.1:9"}, says=answer)) as proxy,
        asking(HTTP, web_proxies=through(proxy)) as client,
    ):
        with pytest.raises(UpstreamUnreachableError, match=f"the web proxy {proxy.place} .*{reason}"):
            await get(client, "quay.io")


async def test_a_silent_web_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brokenreg.proxy.http.client._CONNECT", 0.1)
    async with (
        listening(WebProxy({"registry.test:80": "127.0.0.1:9"}, says=b"")) as proxy,
        asking(HTTP, web_proxies=through(proxy)) as client,
    ):
        with pytest.raises(UpstreamSilentError) as caught:
            await get(client, "quay.io")
    reason = f"the web proxy {proxy.place} did not open a tunnel to registry.test:80 in time"
    assert (caught.value.status, caught.value.message) == (504, reason)


async def test_an_unreachable_web_proxy() -> None:
    web_proxies = WebProxies.only(Setting.parse(f"http://{LOGIN}@127.0.0.1:1"))
    async with asking(HTTP, web_proxies=web_proxies) as client:
        with pytest.raises(UpstreamUnreachableError) as caught:
            await get(client, "quay.io")
    assert caught.value.message.startswith("cannot reach the web proxy 127.0.0.1:1: ")
    assert "s3cret" not in caught.value.message


ENVIRONMENT = {
    "HTTPS_PROXY": "http://robot:s3cret@secure.test:3128",
    "http_proxy": "plain.test:3128",
    "NO_PROXY": "corp.example, .lab.example:5000 *.test.example,10.0.0.0/8,[::2]:80,fd00::/8",
}
WAYS = [
    ("https", "quay.io", 443, "secure.test:3128"),
    ("http", "quay.io", 80, "plain.test:3128"),
    ("https", "corp.example", 443, None),
    ("https", "REG.corp.example.", 443, None),
    ("https", "notcorp.example", 443, "secure.test:3128"),
    ("https", "x.lab.example", 5000, None),
    ("https", "x.lab.example", 443, "secure.test:3128"),
    ("https", "x.test.example", 443, None),
    ("https", "10.1.2.3", 443, None),
    ("https", "11.1.2.3", 443, "secure.test:3128"),
    ("http", "::2", 80, None),
    ("http", "::2", 81, "plain.test:3128"),
    ("http", "fd00::5", 81, None),
]


@pytest.mark.parametrize(("scheme", "host", "port", "way"), WAYS)
def test_the_environment_names_web_proxies(scheme: str, host: str, port: int, way: str | None) -> None:
    found = WebProxies.from_environment(ENVIRONMENT).find(scheme, host, port)
    assert (None if found is None else str(found)) == way
    assert "s3cret" not in repr(found)


@pytest.mark.parametrize(
    ("environ", "way"),
    [
        ({}, None),
        ({"ALL_PROXY": "http://all.test"}, "all.test:80"),
        ({"all_proxy": "http://all.test", "HTTPS_PROXY": "https://secure.test"}, "secure.test:443"),
        ({"HTTPS_PROXY": "http://a.test", "https_proxy": "http://b.test"}, "a.test:80"),
        ({"HTTPS_PROXY": "http://a.test", "no_proxy": "*"}, None),
        ({"HTTPS_PROXY": "", "HTTP_PROXY": "http://a.test"}, None),
    ],
)
def test_the_order_of_variables(environ: Mapping[str, str], way: str | None) -> None:
    found = WebProxies.from_environment(environ).find("https", "quay.io", 443)
    assert (None if found is None else str(found)) == way
