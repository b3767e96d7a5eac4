"""Failures are told in the name of the host that failed, be it the upstream or what it redirects to."""

from __future__ import annotations

import socket

import pytest

from brokenreg.proxy.errors import (
    UpstreamContentError,
    UpstreamError,
    UpstreamSilentError,
    UpstreamUnreachableError,
)
from tests.proxy.asked import Listening, asking, get, redirect


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
    """A redirect there, by a URL full of secrets."""
    return redirect(f"http://robot:s3cret@{host}/blob?X-Amz-Signature=s1gned")


def check_names_the_target(problem: UpstreamError, host: str) -> None:
    assert f"{host} (to which quay.io redirects)" in problem.message
    assert not any(secret in problem.message for secret in ("robot", "s3cret", "s1gned", "docker login"))


@pytest.mark.parametrize(("answer", "kind", "status"), FAILURES)
async def test_what_a_redirect_leads_to_fails_in_its_own_name(
    answer: bytes, kind: type[UpstreamError], status: int
) -> None:
    async with (
        Listening.at(answer, closes=True) as cdn,
        Listening.at(place(cdn.host)) as upstream,
        asking({"quay.io": upstream.url}) as client,
    ):
        with pytest.raises(kind) as failed:
            await get(client, "quay.io")
    check_names_the_target(failed.value, cdn.host)
    assert failed.value.status == status


async def test_a_redirect_to_where_nobody_is() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and it does not listen
        host = f"127.0.0.1:{bound.getsockname()[1]}"
        async with Listening.at(place(host)) as upstream, asking({"quay.io": upstream.url}) as client:
            with pytest.raises(UpstreamUnreachableError) as failed:
                await get(client, "quay.io")
    assert failed.value.message.startswith(f"cannot reach {host} (to which quay.io redirects): ")
    check_names_the_target(failed.value, host)


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"],
    ids=["no answer", "an answer that stops"],
)
async def test_a_redirect_to_where_nothing_comes_from(answer: bytes) -> None:
    async with (
        Listening.at(answer) as cdn,
        Listening.at(place(cdn.host)) as upstream,
        asking({"quay.io": upstream.url}, patience=0.1) as client,
    ):
        with pytest.raises(UpstreamSilentError) as failed:
            await get(client, "quay.io")
    check_names_the_target(failed.value, cdn.host)


@pytest.mark.parametrize(("answer", "kind", "status"), FAILURES)
async def test_what_the_upstream_itself_fails_at(
    answer: bytes, kind: type[UpstreamError], status: int
) -> None:
    """It goes by its name; where it stands is told where the network fails."""
    async with Listening.at(answer, closes=True) as upstream, asking({"quay.io": upstream.url}) as client:
        with pytest.raises(kind) as failed:
            await get(client, "quay.io")
    assert "quay.io" in failed.value.message
    assert failed.value.status == status
    assert (f"quay.io (at {upstream.host})" in failed.value.message) is (kind is UpstreamUnreachableError)


async def test_a_circle_of_redirects() -> None:
    async with Listening.at() as upstream, asking({"quay.io": upstream.url}) as client:
        upstream.answer = redirect(upstream.url)
        with pytest.raises(UpstreamContentError, match=r"quay\.io redirects too many times"):
            await get(client, "quay.io")
        assert len(upstream.requests) == 11


async def test_a_redirect_to_no_web() -> None:
    place = redirect("ftp://robot:s3cret@elsewhere.example/")
    async with Listening.at(place) as upstream, asking({"quay.io": upstream.url}) as client:
        with pytest.raises(UpstreamContentError, match="not by ftp") as failed:
            await get(client, "quay.io")
    check_names_the_target(failed.value, "elsewhere.example")
