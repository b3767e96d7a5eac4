"""`/v1/panel`: the WebSocket of attached terminals, its limits, and what one panel means for the others."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from brokenreg.attach.web_socket import RefusedError, WebSocket
from brokenreg.tui.app import Panel
from tests.server import Brokenreg, brokenreg

PATH = "/v1/panel"
PATIENCE = 20


@contextlib.asynccontextmanager
async def connected(url: str, path: str = PATH, **headers: str) -> AsyncIterator[WebSocket]:
    async with WebSocket.connected(url, path, headers, None) as socket:
        yield socket


async def hello(socket: WebSocket, **more: Any) -> None:
    await socket.send_json(**{"type": "hello", "protocol": 1, "columns": 80, "rows": 24, **more})


async def shown(socket: WebSocket, text: str) -> bytes:
    """What the panel sends until it has sent that text."""
    received = b""
    async with asyncio.timeout(PATIENCE):
        async for message in socket.messages():
            if isinstance(message, bytes):
                received += message
                if text.encode() in received:
                    return received
    raise AssertionError(f"the panel ended without {text}: {received!r}")


async def end(socket: WebSocket) -> tuple[str, str]:
    """Why the panel ended."""
    async with asyncio.timeout(PATIENCE):
        async for message in socket.messages():
            if isinstance(message, dict) and message["type"] == "end":
                return message["reason"], message["message"]
    raise AssertionError("the connection ended without a reason")


async def test_it_shows_the_panel_until_q(own_registry: Brokenreg) -> None:
    async with connected(own_registry.control) as socket:
        await hello(socket)
        first = await shown(socket, "LIVE")
        assert first.startswith(b"\x1b[?1049h"), "the alternate screen"
        await socket.send(b"q")
        assert (await end(socket))[0] == "quit"
    assert own_registry.is_running


async def test_the_terminal_determines_the_colours(own_registry: Brokenreg) -> None:
    colours = {}
    for name, environment in {
        "true": {"TERM": "xterm", "COLORTERM": "truecolor"},
        "some": {"TERM": "xterm-256color"},
        "none": {"TERM": "xterm", "COLORTERM": "truecolor", "NO_COLOR": "1"},
    }.items():
        async with connected(own_registry.control) as socket:
            await hello(socket, environment=environment)
            colours[name] = await shown(socket, "LIVE")
    assert b"38;2;" in colours["true"]
    assert b"38;2;" not in colours["some"]
    assert b"38;5;" in colours["some"]
    assert b"38;2;" not in colours["none"]
    assert b"38;5;" not in colours["none"]


async def test_another_size_and_a_pause(own_registry: Brokenreg) -> None:
    async with connected(own_registry.control) as socket:
        await hello(socket)
        await shown(socket, "LIVE")
        await socket.send_json(type="suspend")
        await socket.send_json(type="resume", columns=80, rows=24)
        again = await shown(socket, "Traffic")
        assert b"\x1b[?1049h" in again
        await socket.send_json(type="resize", columns=130, rows=40)
        await shown(socket, own_registry.url)  # which is shown from 100 columns on


@pytest.mark.parametrize(
    ("first", "said"),
    [
        ({"type": "hello", "protocol": 2, "columns": 80, "rows": 24}, "invalid protocol 2"),
        ({"type": "hello", "protocol": 1, "columns": 0, "rows": 24}, "invalid hello"),
        (
            {"type": "hello", "protocol": 1, "columns": 1000, "rows": 151},
            "invalid hello: 1000 columns x 151 rows are too many cells: use at most 150000",
        ),
        ({"type": "hello", "protocol": 1}, "invalid hello"),
        ({"type": "resize", "columns": 80, "rows": 24}, "invalid hello"),
        (b"q", 'the first message must be a "hello"'),
    ],
)
async def test_a_wrong_first_message(own_registry: Brokenreg, first: Any, said: str) -> None:
    async with connected(own_registry.control) as socket:
        await (socket.send(first) if isinstance(first, bytes) else socket.send_json(**first))
        reason, message = await end(socket)
        assert reason == "invalid"
        assert said in message


async def test_an_invalid_message_ends_the_panel(own_registry: Brokenreg) -> None:
    async with connected(own_registry.control) as socket:
        await hello(socket)
        await shown(socket, "LIVE")
        await socket.send_json(type="resize", columns=80, rows="many")
        assert (await end(socket))[0] == "invalid"


@pytest.mark.parametrize("kind", ["resize", "resume"])
async def test_a_size_with_too_many_cells(own_registry: Brokenreg, kind: str) -> None:
    async with connected(own_registry.control) as socket:
        await hello(socket)
        await shown(socket, "LIVE")
        await socket.send_json(type=kind, columns=1000, rows=1000)
        said = "invalid message: 1000 columns x 1000 rows are too many cells: use at most 150000"
        assert await end(socket) == ("invalid", said)


async def test_a_message_that_is_too_long(own_registry: Brokenreg) -> None:
    async with connected(own_registry.control) as socket:
        await hello(socket)
        await shown(socket, "LIVE")
        await socket.send(b"j" * (64 * 1024 + 1))
        reason, message = await end(socket)
        assert reason == "invalid"
        assert "longer than 65536 bytes" in message


async def test_a_paste_without_end(own_registry: Brokenreg) -> None:
    async with connected(own_registry.control) as socket:
        await hello(socket)
        await shown(socket, "LIVE")
        await socket.send(b"\x1b[200~")
        with contextlib.suppress(OSError):
            for _ in range(20):
                await socket.send(b"x" * 60_000)
        reason, message = await end(socket)
        assert reason == "invalid"
        assert "longer than" in message


async def test_sixteen_panels_and_no_more(own_registry: Brokenreg) -> None:
    async with contextlib.AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(connected(own_registry.control)) for _ in range(16)]
        for socket in sockets:
            await hello(socket, columns=20, rows=5)
        with pytest.raises(RefusedError) as refused:
            async with connected(own_registry.control):
                pass
        assert refused.value.status == 503
        assert b"16 panels are attached" in refused.value.body
        await sockets[0].send(b"\x03")
        assert (await end(sockets[0]))[0] == "quit"
        async with asyncio.timeout(PATIENCE):
            while True:
                with contextlib.suppress(RefusedError):
                    async with connected(own_registry.control) as another:
                        await hello(another)
                        await shown(another, "LIVE")
                        break
                await asyncio.sleep(0.02)


async def test_places_for_full_access_are_kept(tmp_path: Path) -> None:
    tokens = ("--control-token", "full-access", "--control-read-token", "only-to-look")
    read, full = {"authorization": "Bearer only-to-look"}, {"authorization": "Bearer full-access"}
    with brokenreg(tmp_path, *tokens) as running:
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(12):
                await stack.enter_async_context(connected(running.control, **read))
            with pytest.raises(RefusedError) as refused:
                async with connected(running.control, **read):
                    pass
            assert refused.value.status == 503
            assert b"12 read-only panels are attached" in refused.value.body
            for _ in range(4):
                await stack.enter_async_context(connected(running.control, **full))
            with pytest.raises(RefusedError) as refused:
                async with connected(running.control, **full):
                    pass
            assert b"16 panels are attached" in refused.value.body


async def test_a_terminal_that_attaches_again(own_registry: Brokenreg) -> None:
    async with connected(own_registry.control) as first, connected(own_registry.control) as second:
        await hello(first, client="abc")
        await shown(first, "LIVE")
        await hello(second, client="abc")
        assert (await end(first))[0] == "replaced"
        await shown(second, "LIVE")


async def test_an_error_ends_only_its_panel(
    own_registry: Brokenreg, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(panel: Panel) -> None:
        raise RuntimeError("an error of ours")

    monkeypatch.setattr(Panel, "action_theme", fail)
    async with connected(own_registry.control) as one, connected(own_registry.control) as two:
        for socket in (one, two):
            await hello(socket)
            await shown(socket, "LIVE")
        with caplog.at_level(logging.ERROR):
            await one.send(b"t")
            assert (await end(one))[0] == "failed"
        await two.send(b"2")
        await shown(two, "everything works")
    assert "an error of ours" in caplog.text


async def test_what_else_is_refused(own_registry: Brokenreg) -> None:
    for path, headers, status in (
        (PATH, {"origin": "http://elsewhere.example"}, 403),
        (PATH, {"sec-fetch-site": "cross-site"}, 403),
        ("/v1/other", {}, 404),
    ):
        with pytest.raises(RefusedError) as refused:
            async with connected(own_registry.control, path, **headers):
                pass
        assert refused.value.status == status
        assert refused.value.media_type == "application/problem+json"


async def test_the_bell_rings_once_for_each_hold(own_registry: Brokenreg) -> None:
    async with connected(own_registry.control) as socket, httpx.AsyncClient() as client:
        await hello(socket)
        await shown(socket, "LIVE")
        held = asyncio.create_task(client.get(f"{own_registry.url}/v2/broken/hold/manifests/latest"))
        rung = await shown(socket, "HELD 1 s")
        assert rung.count(b"\a") == 1
        held.cancel()


async def test_a_terminal_that_does_not_read_gets_the_newest_screen(own_registry: Brokenreg) -> None:
    async with connected(own_registry.control) as socket, httpx.AsyncClient() as client:
        await hello(socket, columns=200, rows=50)
        await shown(socket, "LIVE")
        for _ in range(200):  # another tab and back: more screens than fit into any buffer
            await socket.send(b"21")
            await asyncio.sleep(0.02)
        for _ in range(1500):
            await client.get(f"{own_registry.url}/v2/")
        received = await shown(socket, "1500 exchanges")
        assert len(received) < 1_500_000, "the screens in between were dropped"


async def test_any_bytes_are_input(own_registry: Brokenreg) -> None:
    draw = random.Random(7)
    parts = [
        b"\x1b",
        b"[",
        b"<",
        b";",
        b"M",
        b"u",
        b"~",
        b"200",
        b"999999999999",
        b"\xff",
        b"j",
        b"\x1b[?2026;1$y",
    ]
    async with connected(own_registry.control) as socket:
        await hello(socket)
        await shown(socket, "LIVE")
        for _ in range(60):
            await socket.send(b"".join(draw.choices(parts, k=8)))
        await socket.send(b"\x1b[201~\x1b[201~\x03\x03")
        assert (await end(socket))[0] in ("quit", "invalid")
    async with connected(own_registry.control) as socket:
        await hello(socket)
        await shown(socket, "LIVE")


async def test_the_end_of_the_server(own_registry: Brokenreg) -> None:
    async with connected(own_registry.control) as socket:
        await hello(socket)
        await shown(socket, "LIVE")
        stopping = asyncio.create_task(asyncio.to_thread(own_registry.stop))
        assert (await end(socket))[0] == "stopped"
        assert await stopping == 0
