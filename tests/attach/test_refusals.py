"""What `brokenreg attach` says when it cannot attach."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from brokenreg.attach.attach import AttachError, PlainTokenError, attach, check_token
from brokenreg.attach.received_files import ReceivedFiles
from brokenreg.attach.web_socket import WebSocket
from tests.process import run_here
from tests.server import Brokenreg


@contextlib.asynccontextmanager
async def older_server(refusal: bytes) -> AsyncIterator[str]:
    """A server that has a status, and refuses WebSockets; its URL."""

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        body = json.dumps({"version": "0.0.9"}).encode()
        response = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n"
        response += b"content-length: %d\r\n\r\n%b" % (len(body), body)
        writer.write(refusal if b"upgrade: websocket" in head.lower() else response)
        writer.close()

    async with await asyncio.start_server(respond, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    "refusal",
    [
        b"HTTP/1.1 403 \r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        b"HTTP/1.1 404 \r\ncontent-type: application/problem+json\r\ncontent-length: 16\r\n\r\n"
        b'{"detail": "no"}',
    ],
)
async def test_an_older_server(refusal: bytes) -> None:
    async with older_server(refusal) as url:
        with pytest.raises(AttachError, match=r"has version 0\.0\.9, which has no panel to attach to"):
            await attach(url, None, None)


async def test_too_many_panels(own_registry: Brokenreg) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(16):
            await stack.enter_async_context(WebSocket.connected(own_registry.control, "/v1/panel", {}, None))
        with pytest.raises(AttachError, match="16 panels are attached, which is the maximum"):
            await attach(own_registry.control, None, None)


@pytest.mark.parametrize(
    "url", ["https://a.example:8081", "http://127.0.0.1:8081", "http://[::1]:8081", "http://localhost:8081"]
)
def test_where_a_token_is_sent(url: str) -> None:
    check_token(url, "secret")


@pytest.mark.parametrize("url", ["http://a.example:8081", "http://10.0.0.1:8081", "http://localhost.example"])
def test_where_no_token_is_sent(url: str) -> None:
    check_token(url, None)
    with pytest.raises(PlainTokenError):
        check_token(url, "secret")


def test_a_token_of_the_environment_is_not_sent_either() -> None:
    done = run_here("attach", "http://10.0.0.1:8081", BROKENREG_CONTROL_TOKEN="secret")
    assert done.returncode == 2
    assert "http://10.0.0.1:8081 is not encrypted, and others could read the token" in done.stderr
    assert "secret" not in done.stderr


def test_without_a_terminal() -> None:
    done = run_here("attach")
    assert done.returncode == 2
    assert 'attach needs a terminal: use "brokenreg log --follow" without one' in done.stderr


def test_keys_that_are_not_valid(tmp_path: Path) -> None:
    config = tmp_path / "panel.toml"
    config.write_text('[keys]\npanel.helb = "f1"\n')
    done = run_here("attach", "--config", str(config))
    assert done.returncode == 2
    assert '[keys] unknown command "panel.helb": did you mean panel.help?' in done.stderr


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../a", "/a", "a/b", "a\\b", ".profile", "-rf", "a\nb", "a\x1b[2Jb", "a" * 201]
)
def test_names_that_no_file_gets(name: str, tmp_path: Path) -> None:
    reply = ReceivedFiles(tmp_path).handle({"id": 1, "name": name, "text": "content", "last": True})
    assert reply is not None
    assert "invalid file name" in reply["problem"]
    assert not any(tmp_path.iterdir())


def test_a_file_is_complete_or_absent(tmp_path: Path) -> None:
    files = ReceivedFiles(tmp_path)
    for text, last in (("one ", False), ("two", True)):
        reply = files.handle({"id": 1, "name": "a.har", "text": text, "last": last})
        assert reply == {"id": 1, "path": str(tmp_path / "a.har")}
    assert (tmp_path / "a.har").read_text() == "one two"
    files.handle({"id": 2, "name": "b.har", "text": "half", "last": False})
    assert files.handle({"id": 2, "cancel": True}) is None
    assert [each.name for each in tmp_path.iterdir()] == ["a.har"]


def test_a_connection_saves_a_hundred_files_and_no_more(tmp_path: Path) -> None:
    files = ReceivedFiles(tmp_path)
    for number in range(100):
        reply = files.handle({"id": number, "name": f"{number}.har", "text": "", "last": True})
        assert reply == {"id": number, "path": str(tmp_path / f"{number}.har")}
    reply = files.handle({"id": 100, "name": "100.har", "text": "", "last": True})
    said = "100 files are saved, which is the maximum: attach again to save more"
    assert reply == {"id": 100, "problem": said}
    assert len(list(tmp_path.iterdir())) == 100


def test_the_size_of_all_files_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brokenreg.attach.received_files._MOST_BYTES", 10)
    files = ReceivedFiles(tmp_path)
    said = "the saved files are larger than 1 GiB in total: attach again to save more"
    assert files.handle({"id": 1, "name": "a", "text": "1234567", "last": True}) is not None
    files.handle({"id": 2, "name": "b", "text": "123", "last": False})
    assert files.handle({"id": 2, "name": "b", "text": "4", "last": True}) == {"id": 2, "problem": said}
    reply = files.handle({"id": 3, "name": "c", "text": "123", "last": True})
    assert reply == {"id": 3, "path": str(tmp_path / "c")}
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a", "c"]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a.har").symlink_to(tmp_path / "elsewhere")
    reply = ReceivedFiles(tmp_path).handle({"id": 1, "name": "a.har", "text": "", "last": True})
    assert reply is not None
    assert "exists in that folder" in reply["problem"]
    assert not (tmp_path / "elsewhere").exists()
