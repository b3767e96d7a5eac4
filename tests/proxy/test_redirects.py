"""Redirects do not lead to a nearer scope than the upstream's. Errors name the host that failed."""

from __future__ import annotations

import gzip
import socket
import tracemalloc
from typing import ClassVar

import pytest

from brokenreg.oci.upstreams import is_upstream
from brokenreg.proxy.errors import (
    UpstreamContentError,
    UpstreamError,
    UpstreamForbiddenError,
    UpstreamNameError,
    UpstreamSilentError,
    UpstreamUnreachableError,
)
from brokenreg.proxy.http.addresses import AddressPolicy, Trust
from tests.proxy.asked import Listening, asking, get, redirect
from tests.registry.pushing import MIB


def status(code: int, *headers: str) -> bytes:
    """An answer without a body."""
    return "\r\n".join((f"HTTP/1.1 {code} Told", "Content-Length: 0", *headers, "", "")).encode()


FAILURES = [
    pytest.param(b"", UpstreamUnreachableError, 502, id="an end instead of an answer"),
    pytest.param(
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", UpstreamUnreachableError, 502, id="a cut"
    ),
    pytest.param(b"220 mail.example ESMTP\r\n", UpstreamUnreachableError, 502, id="no HTTP"),
    pytest.param(status(403), UpstreamError, 403, id="403"),
    pytest.param(status(404), UpstreamError, 404, id="404"),
    pytest.param(status(401), UpstreamError, 401, id="401"),
    pytest.param(status(429, "Retry-After: 600"), UpstreamError, 429, id="429"),
    pytest.param(status(503), UpstreamError, 502, id="503"),
    pytest.param(redirect("https://quay.io:port/"), UpstreamContentError, 502, id="a redirect to nowhere"),
]


def place(host: str) -> bytes:
    """Return a redirect to a URL that contains secrets."""
    return redirect(f"http://robot:s3cret@{host}/blob?X-Amz-Signature=s1gned")


def check_names_the_target(problem: UpstreamError, host: str) -> None:
    assert f"{host} (to which quay.io redirects)" in problem.message
    assert not any(secret in problem.message for secret in ("robot", "s3cret", "s1gned", "docker login"))


@pytest.mark.parametrize(("answer", "kind", "status"), FAILURES)
async def test_errors_name_the_redirect_target(answer: bytes, kind: type[UpstreamError], status: int) -> None:
    async with (
        Listening.at(answer, closes=True) as cdn,
        Listening.at(place(cdn.host)) as upstream,
        asking({"quay.io": upstream.url}) as client,
    ):
        with pytest.raises(kind) as failed:
            await get(client, "quay.io")
    check_names_the_target(failed.value, cdn.host)
    assert failed.value.status == status


async def test_a_redirect_to_a_closed_port() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and it does not listen
        host = f"127.0.0.1:{bound.getsockname()[1]}"
        async with Listening.at(place(host)) as upstream, asking({"quay.io": upstream.url}) as client:
            with pytest.raises(UpstreamUnreachableError) as failed:
                await get(client, "quay.io")
        async with asking({"quay.io": f"http://{host}"}) as client:
            with pytest.raises(UpstreamUnreachableError) as down:
                await get(client, "quay.io")
    assert failed.value.message.startswith(f"cannot reach {host} (to which quay.io redirects): ")
    check_names_the_target(failed.value, host)
    assert (failed.value.is_outage, down.value.is_outage) == (False, True)


@pytest.mark.parametrize("port", [-5, 0, 65536, 65536 + 80, 99999])
async def test_a_redirect_to_an_invalid_port(port: int) -> None:
    async with (
        Listening.at(redirect(f"http://127.0.0.1:{port}/")) as upstream,
        asking({"quay.io": upstream.url}) as client,
    ):
        with pytest.raises(UpstreamUnreachableError, match=f": invalid port {port}$"):
            await get(client, "quay.io")


async def test_a_redirect_to_ourselves_by_a_port_that_is_too_large() -> None:
    """The system treats 65,616 as 80, so the policy would check another port than the connection uses."""
    async with Listening.at() as ourselves:
        host, _, port = ourselves.host.partition(":")
        policy = AddressPolicy(lambda: [(host, int(port))], beyond_loopback=False)
        answer = redirect(f"http://{host}:{int(port) + 65536}/")
        async with (
            Listening.at(answer) as upstream,
            asking({"quay.io": upstream.url}, policy=policy) as client,
        ):
            with pytest.raises(UpstreamError):
                await get(client, "quay.io")
        assert ourselves.connections == []


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"],
    ids=["no answer", "an answer that stops"],
)
async def test_a_redirect_to_a_silent_server(answer: bytes) -> None:
    async with (
        Listening.at(answer) as cdn,
        Listening.at(place(cdn.host)) as upstream,
        asking({"quay.io": upstream.url}, patience=0.1) as client,
    ):
        with pytest.raises(UpstreamSilentError) as failed:
            await get(client, "quay.io")
    check_names_the_target(failed.value, cdn.host)


@pytest.mark.parametrize(("answer", "kind", "status"), FAILURES)
async def test_failures_of_the_upstream_itself(answer: bytes, kind: type[UpstreamError], status: int) -> None:
    """Errors use its name, and network errors also its host."""
    async with Listening.at(answer, closes=True) as upstream, asking({"quay.io": upstream.url}) as client:
        with pytest.raises(kind) as failed:
            await get(client, "quay.io")
    assert "quay.io" in failed.value.message
    assert failed.value.status == status
    assert (f"quay.io (at {upstream.host})" in failed.value.message) is (kind is UpstreamUnreachableError)


async def test_a_redirect_loop() -> None:
    async with Listening.at() as upstream, asking({"quay.io": upstream.url}) as client:
        upstream.answer = redirect(upstream.url)
        with pytest.raises(UpstreamContentError, match=r"quay\.io redirects too many times"):
            await get(client, "quay.io")
        assert len(upstream.requests) == 11


async def test_a_redirect_to_another_scheme() -> None:
    place = redirect("ftp://robot:s3cret@elsewhere.example/")
    async with Listening.at(place) as upstream, asking({"quay.io": upstream.url}) as client:
        with pytest.raises(UpstreamContentError, match="over ftp: use http or https") as failed:
            await get(client, "quay.io")
    check_names_the_target(failed.value, "elsewhere.example")


def with_body(place: str, encoding: str, body: bytes) -> bytes:
    """Return a redirect with a body."""
    head = f"Location: {place}\r\nContent-Encoding: {encoding}\r\nContent-Length: {len(body)}"
    return f"HTTP/1.1 307 Elsewhere\r\n{head}\r\n\r\n".encode() + body


async def test_a_redirect_with_a_long_body() -> None:
    answer = with_body("/elsewhere", "identity", bytes(2 * MIB))
    async with Listening.at(answer) as upstream, asking({"quay.io": upstream.url}) as client:
        with pytest.raises(UpstreamContentError, match=r"^quay\.io sent more than 262144 bytes"):
            await get(client, "quay.io")


async def test_the_body_of_a_redirect_is_not_unpacked() -> None:
    body = gzip.compress(bytes(64 * MIB))
    async with (
        Listening.at() as cdn,
        Listening.at(with_body(cdn.url, "gzip", body)) as upstream,
        asking({"quay.io": upstream.url}) as client,
    ):
        tracemalloc.start()
        try:
            assert await get(client, "quay.io") == b"{}"
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 8 * MIB


HERE, INSIDE, ALSO_INSIDE, OUTSIDE = "127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"


class Pretending(AddressPolicy):
    """An address policy that treats addresses of this machine as remote ones."""

    elsewhere: ClassVar = {INSIDE: "10.1.2.3", ALSO_INSIDE: "fd00::1", OUTSIDE: "93.184.215.14"}

    def check(self, host: str, address: str, port: int, trust: Trust) -> None:
        super().check(host, self.elsewhere.get(address, address), port, trust)


@pytest.mark.parametrize("beyond_loopback", [False, True])
@pytest.mark.parametrize(
    ("upstream_at", "leads_to", "nearer"),
    [
        (HERE, HERE, False),
        (HERE, INSIDE, False),
        (HERE, OUTSIDE, False),
        (INSIDE, ALSO_INSIDE, False),
        (INSIDE, OUTSIDE, False),
        (OUTSIDE, OUTSIDE, False),
        (OUTSIDE, INSIDE, True),
    ],
)
async def test_how_near_a_redirect_may_lead(
    upstream_at: str, leads_to: str, nearer: bool, beyond_loopback: bool
) -> None:
    """A public upstream may redirect to a private network only if brokenreg listens on loopback."""
    policy = Pretending(list, beyond_loopback)
    async with (
        Listening.at(address=leads_to) as target,
        Listening.at(redirect(target.url), address=upstream_at) as upstream,
        asking({"quay.io": upstream.url}, policy=policy) as client,
    ):
        if nearer and beyond_loopback:
            with pytest.raises(UpstreamForbiddenError, match="in a private network"):
                await get(client, "quay.io")
            assert not target.connections
        else:
            assert await get(client, "quay.io") == b"{}"


@pytest.mark.parametrize("upstream_at", [INSIDE, OUTSIDE])
async def test_no_redirect_from_elsewhere_leads_to_this_machine(upstream_at: str) -> None:
    async with (
        Listening.at(address=HERE) as target,
        Listening.at(redirect(target.url), address=upstream_at) as upstream,
        asking({"quay.io": upstream.url, "local": target.url}, policy=Pretending(list, False)) as client,
    ):
        assert await get(client, "local") == b"{}"
        with pytest.raises(UpstreamForbiddenError, match="is on this machine"):
            await get(client, "quay.io")
        assert len(target.connections) == 1


@pytest.mark.parametrize("spelling", ["127.1", "localhost", "[::ffff:127.0.0.1]", "2130706433"])
async def test_loopback_in_every_spelling(spelling: str) -> None:
    """An upstream that `--upstream` places on loopback may use its other ports, in any spelling."""
    async with Listening.at() as target, Listening.at(redirect(target.url)) as upstream:
        port = upstream.host.partition(":")[2]
        async with asking({"local": f"http://{spelling}:{port}"}) as client:
            assert await get(client, "local") == b"{}"


@pytest.mark.parametrize(
    "place",
    [
        "http://0177.0.0.1/",
        "https://xn--zzzzzz.example/",
        "//xn--zzzzzz.example/",
        "https://[::1/",
        "http://256.1.1.1/",
    ],
)
async def test_a_redirect_to_an_invalid_host(place: str) -> None:
    async with Listening.at(redirect(place)) as upstream, asking({"quay.io": upstream.url}) as client:
        with pytest.raises(UpstreamContentError, match=r"quay\.io redirects to an invalid URL"):
            await get(client, "quay.io")


async def test_a_redirect_to_a_name_that_resolvers_do_not_accept() -> None:
    place = redirect(f"https://{'a' * 64}.example/")
    async with Listening.at(place) as upstream, asking({"quay.io": upstream.url}) as client:
        with pytest.raises(UpstreamUnreachableError, match="Not a valid host name"):
            await get(client, "quay.io")


@pytest.mark.parametrize(
    "name",
    [
        "0177.0.0.1", "0177.0.0.1:5000", "08.0.0.1", "256.1.1.1", "[:::]", "[1]", "[1.2.3.4]",
        "[::ffff:0177.0.0.1]", "xn--a", "xn--zzzzzz.example", f"{'a' * 64}.example",
    ],
)  # fmt: skip
async def test_an_upstream_with_an_invalid_host(name: str) -> None:
    assert is_upstream(name), "the form alone does not tell"
    async with asking({}) as client:
        with pytest.raises(UpstreamNameError) as failed:
            await get(client, name)
    assert (failed.value.status, failed.value.code) == (400, "NAME_INVALID")
    assert failed.value.message.startswith(f'invalid upstream "{name}": use a host name')


@pytest.mark.parametrize(
    "name", ["127.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "017700000001", "0", "2852039166", "[::1]"]
)
async def test_an_unusual_spelling_is_checked_after_resolution(name: str) -> None:
    async with asking({}) as client:
        with pytest.raises(UpstreamForbiddenError):
            await get(client, name)


async def test_a_redirect_to_a_long_url() -> None:
    async with Listening.at() as upstream, asking({"quay.io": upstream.url}) as client:
        upstream.answer = redirect(f"{upstream.url}/{'a' * 16_000}")
        with pytest.raises(UpstreamContentError, match="too many times"):
            await get(client, "quay.io")
        upstream.answer = redirect(f"{upstream.url}/{'a' * 17_000}")
        with pytest.raises(
            UpstreamContentError, match=r"quay\.io redirects to a URL of more than 16384 bytes"
        ):
            await get(client, "quay.io")
