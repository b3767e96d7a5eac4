"""Upstreams in a loop: requests are refused immediately, for any length of the loop."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenreg.proxy.errors import UpstreamLoopError
from brokenreg.proxy.routes import parse_via
from tests.assembly.test_command_line import free_port
from tests.proxy.scripted import Answer, Received, scripted
from tests.registry.pushing import digest_of, error_of
from tests.server import Brokenreg, brokenreg

PATIENCE = 30.0
"""Seconds; less than --upstream-timeout: a request that waits for itself fails."""

PATHS = ("manifests/v1", "tags/list", f"blobs/{digest_of(b'a blob')}", f"referrers/{digest_of(b'{}')}")


Ring = list[Brokenreg]


@contextmanager
def ring(folder: Path, size: int) -> Iterator[Ring]:
    """Start registries, each with the next one as its upstream, and the last with the first."""
    ports = [free_port() for _ in range(size)]
    with ExitStack() as stack:
        members = []
        for at, port in enumerate(ports):
            options = ("--listen", f"127.0.0.1:{port}", "--default-upstream", "a.b")
            leads_to = f"a.b=http://127.0.0.1:{ports[(at + 1) % size]}"
            member = brokenreg(folder / str(at), "--upstream", leads_to, *options)
            members.append(stack.enter_context(member))
        yield members


@pytest.fixture(scope="module", params=[2, 3])
def members(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ring]:
    with ring(tmp_path_factory.mktemp("ring"), request.param) as members:
        yield members


@pytest.mark.parametrize("path", PATHS)
def test_a_ring_is_refused_immediately(members: Ring, path: str) -> None:
    for first, second in zip(members, [*members[1:], members[0]], strict=True):
        error = error_of(httpx.get(f"{first.url}/v2/org/app/{path}", timeout=PATIENCE), 403)
        assert error["code"] == "DENIED"
        assert error["message"].startswith(f"request loop: a request to a.b (at {second.host}) came back ")
        assert "--upstream a.b=URL" in error["message"]


@pytest.mark.parametrize("path", PATHS)
def test_all_members_of_a_ring_asked_at_the_same_moment(members: Ring, path: str) -> None:
    """No member waits for its own request at another member."""
    asking = [*members, *members]
    gate = threading.Barrier(len(asking))

    def ask(member: Brokenreg) -> int:
        connection = http.client.HTTPConnection(member.host, timeout=PATIENCE)
        connection.connect()
        gate.wait(30)
        connection.request("GET", f"/v2/org/app/{path}")
        status = connection.getresponse().status
        connection.close()
        return status

    with ThreadPoolExecutor(len(asking)) as pool:
        assert list(pool.map(ask, asking)) == [403] * len(asking)


def test_via_is_passed_on(tmp_path: Path) -> None:
    seen = []

    def answer(received: Received) -> Answer:
        seen.append(received.headers["via"])
        return Answer(404)

    with scripted() as upstream, brokenreg(tmp_path, "--upstream", f"quay.io={upstream.url}") as proxy:
        upstream.answers["/v2/a/b/manifests/v1"] = answer
        headers = [("via", "1.0 fred, 1.1 p.example (Apache, of a kind)"), ("via", "HTTP/2 last:80, nothing")]
        httpx.get(f"{proxy.url}/v2/a/b/manifests/v1", headers=headers)
        (via,) = seen
        assert via.startswith("1.0 fred, 1.1 p.example, HTTP/2 last:80, 1.1 brokenreg-")
        long = ", ".join(f"1.1 p{number}" for number in range(17))
        error = error_of(httpx.get(f"{proxy.url}/v2/a/b/manifests/v2", headers={"via": long}), 403)
        assert error["message"] == "request loop: the request came through more than 16 proxies (Via)"
        again = {"via": via.rpartition(", ")[2]}
        error = error_of(httpx.get(f"{proxy.url}/v2/a/b/manifests/v3", headers=again), 403)
        assert "this registry sent the request itself" in error["message"]


@given(st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=60), max_size=4))
def test_any_via_can_be_parsed(values: list[str]) -> None:
    passed_on = ", ".join(parse_via(values, "me"))
    assert passed_on.isascii()
    assert passed_on.isprintable()
    with pytest.raises(UpstreamLoopError, match="request loop"):
        parse_via([*values, "1.1 me"], "me")


SAYS = b'{"errors": [{"code": "DENIED", "message": " pay\\u001b[31m first \\ud800 %s"}]}' % (b"x" * 300)


@pytest.mark.parametrize("status", [401, 403, 404, 400, 500, 429])
def test_the_upstreams_error_message_reaches_the_client(tmp_path: Path, status: int) -> None:
    with scripted() as upstream, brokenreg(tmp_path, "--upstream", f"quay.io={upstream.url}") as proxy:
        told = Answer(status, {"retry-after": "900"}, SAYS)
        upstream.answers = {"/v2/a/b/manifests/v1": told, "/v2/a/b/manifests/v2": Answer(status, {}, b"[1]")}
        message = httpx.get(f"{proxy.url}/quay.io/v2/a/b/manifests/v1").json()["errors"][0]["message"]
        assert message.startswith("quay.io ")
        assert ": pay\\x1b[31m first \\ud800 xxxx" in message
        assert len(message) < 450
        if status != 429:  # which would be waited for
            plain = httpx.get(f"{proxy.url}/quay.io/v2/a/b/manifests/v2").json()["errors"][0]["message"]
            assert plain.startswith("quay.io ")
            assert "[1]" not in plain
