"""`/panel`: the page, its files, its form, and the tickets for its WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from brokenreg.attach.web_socket import RefusedError, WebSocket
from brokenreg.control import web_panel
from brokenreg.control.panel_socket import MOST_PANELS
from brokenreg.control.tickets import Tickets
from brokenreg.runtime.operations import Access
from tests.server import Brokenreg, brokenreg

TOKEN, READ = "all-of-it", "only-to-look"
SAME = {"sec-fetch-site": "same-origin", "origin": "null"}
"""What browsers send with a form of a page without referrer."""


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokenreg]:
    options = "--control-token", TOKEN, "--control-read-token", READ
    with brokenreg(tmp_path_factory.mktemp("guarded") / "data", *options) as running:
        yield running


def post(server: Brokenreg, token: str, **headers: str) -> httpx.Response:
    return httpx.post(f"{server.control}/panel", data={"token": token}, headers={**SAME, **headers})


def page_of(server: Brokenreg) -> httpx.Response:
    return httpx.get(f"{server.control}/panel")


def ticket(response: httpx.Response) -> str:
    found = re.search(r'data-session-websocket-url="ws://[^"]*/v1/panel/([^"]+)"', response.text)
    assert found, response.text
    return found[1]


async def first_output(server: Brokenreg, name: str) -> bytes:
    path = f"/v1/panel/{name}?width=90&height=30"
    async with WebSocket.connected(server.control, path, {}, None) as socket:
        async for message in socket.messages():
            assert isinstance(message, bytes)
            return message
    raise AssertionError


async def test_a_ticket_opens_one_panel(guarded: Brokenreg) -> None:
    opened = post(guarded, TOKEN)
    assert TOKEN not in opened.text
    assert "set-cookie" not in opened.headers
    name = ticket(opened)
    assert (await first_output(guarded, name)).startswith(b"\x1b[?1049h")
    for used in (name, "guessed", ""):
        with pytest.raises(RefusedError) as refused:
            await first_output(guarded, used)
        assert refused.value.status in (401, 403)


async def test_a_message_that_is_too_long(guarded: Brokenreg) -> None:
    path = f"/v1/panel/{ticket(post(guarded, READ))}?width=80&height=24"
    async with WebSocket.connected(guarded.control, path, {}, None) as socket, asyncio.timeout(20):
        await socket.send_json(pad="x" * 128 * 1024)
        received = [message async for message in socket.messages() if isinstance(message, bytes)]
    assert b"the message is longer than 131072 characters" in b"".join(received)


def test_the_page_asks_for_the_token(guarded: Brokenreg) -> None:
    page = httpx.get(f"{guarded.control}/panel")
    assert page.status_code == 200
    assert 'method="post"' in page.text
    assert "data-session-websocket-url" not in page.text


@pytest.mark.parametrize("token", ["", "wrong", f"{TOKEN} ", "é"])
def test_a_wrong_token(guarded: Brokenreg, token: str) -> None:
    refused = post(guarded, token)
    assert refused.status_code == 401
    assert "This token is not valid." in refused.text
    assert "data-session-websocket-url" not in refused.text


def test_a_token_in_the_url_is_ignored(guarded: Brokenreg) -> None:
    page = httpx.get(f"{guarded.control}/panel?token={TOKEN}")
    assert "data-session-websocket-url" not in page.text


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "null", "sec-fetch-site": "cross-site"},
        {"origin": "null", "sec-fetch-site": ""},
        {"origin": "http://elsewhere.example", "sec-fetch-site": "same-origin"},
    ],
)
def test_forms_of_other_pages(guarded: Brokenreg, headers: dict[str, str]) -> None:
    assert post(guarded, TOKEN, **headers).status_code == 403


def test_nothing_is_loaded_from_elsewhere(guarded: Brokenreg) -> None:
    page = httpx.get(f"{guarded.control}/panel")
    policy = page.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["referrer-policy"] == "no-referrer"
    opened = post(guarded, READ)
    for url in re.findall(r'(?:src|href)="([^"]+)"', page.text + opened.text):
        assert url.startswith("/panel")
    assert "<style" not in page.text + opened.text
    assert "style=" not in page.text + opened.text
    for path, media_type in (
        ("/panel/textual.js", "text/javascript; charset=utf-8"),
        ("/panel/xterm.css", "text/css; charset=utf-8"),
        ("/panel/panel.css", "text/css; charset=utf-8"),
    ):
        file = httpx.get(f"{guarded.control}{path}")
        assert (file.status_code, file.headers["content-type"]) == (200, media_type)
    assert httpx.get(f"{guarded.control}/panel/../v1/status").status_code in (401, 404)
    assert httpx.get(f"{guarded.control}/panel/other.js").status_code == 404


def test_without_a_token_it_opens_immediately(own_registry: Brokenreg) -> None:
    assert ticket(page_of(own_registry))


def test_without_the_package_it_says_how_to_install_it(
    own_registry: Brokenreg, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(web_panel, "find_spec", lambda name: None if name == "textual_serve" else find(name))
    web_panel._files.cache_clear()
    try:
        page = httpx.get(f"{own_registry.control}/panel")
    finally:
        web_panel._files.cache_clear()
    assert page.status_code == 404
    assert "pip install 'brokenreg[web]'" in page.text


async def test_tickets_expire_and_can_be_used_once() -> None:
    now = 0.0
    tickets = Tickets(b"key", clock=lambda: now)
    full, read = tickets.issue(Access.FULL), tickets.issue(Access.READ)
    assert tickets.access(read) is Access.READ
    assert await tickets.use(read)
    assert not await tickets.use(read)
    assert await tickets.use(full)
    now = 30.0
    assert tickets.access(full) is tickets.access(read) is None


def test_tickets_cannot_be_forged() -> None:
    tickets = Tickets(b"key")
    read = tickets.issue(Access.READ)
    other = Tickets(b"other").issue(Access.FULL)
    for wrong in ("", ".", "é", read[:-1], read.replace("read", "full"), other):
        assert tickets.access(wrong) is None
    assert Tickets(b"key").access(read) is Access.READ


async def test_a_ticket_stays_valid_while_there_is_no_place(own_registry: Brokenreg) -> None:
    name = ticket(page_of(own_registry))
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(MOST_PANELS):
            await stack.enter_async_context(WebSocket.connected(own_registry.control, "/v1/panel", {}, None))
        with pytest.raises(RefusedError) as refused:
            await first_output(own_registry, name)
        assert refused.value.status == 503
    output = b""
    async with asyncio.timeout(10):
        while not output:  # the server notes later that the others have disconnected
            with contextlib.suppress(RefusedError):
                output = await first_output(own_registry, name)
    assert output.startswith(b"\x1b[?1049h")
    with pytest.raises(RefusedError) as used:
        await first_output(own_registry, name)
    assert used.value.status == 403


def test_the_script_is_that_of_the_package() -> None:
    spec = importlib.util.find_spec("textual_serve")
    assert spec is not None
    assert spec.origin is not None
    script = (Path(spec.origin).parent / "static" / "js" / "textual.js").read_bytes()
    assert web_panel._files()["/panel/textual.js"][1] == script
