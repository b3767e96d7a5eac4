"""Hostile input in every field that clients can set: the panel shows it and never interprets it."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import socket
import unicodedata
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import pytest
from hostile import ESCAPES, HOSTILE, JOINED, LATIN, MARKUP, TURNED, WIDE, manifest, paths, rows
from serving import Serving, digest_of, serving
from tmux import Terminal

from brokenreg.faults.catalogue import CATALOGUE
from brokenreg.rules.rule import Rule, rule_of
from brokenreg.tui.faults.form import RuleForm
from brokenreg.tui.faults.seen import seen_in
from tests.proxy.scripted import Answer, Scripted, scripted
from tests.raw_http import HTTP2
from tests.registry.pushing import OCI_MANIFEST

pytestmark = pytest.mark.slow

PANES = 4

AGENTS = (
    LATIN.encode("latin-1"),
    f"{MARKUP}{TURNED}{JOINED}{WIDE}/1.2 \tx".encode(),
    f"{JOINED}{JOINED}{JOINED}".encode(),
    b"\xe9" * 40_000,
    b"[/]/[b]",
)
METHODS = (b"G|`T", b"M" * 40_000)


def send(port: int, request: bytes) -> None:
    """One request by hand, and the beginning of its answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        connection.recv(1024)


def send_all(port: int) -> None:
    """Everything that HTTP/1.1 lets through, and over HTTP/2 what is refused, and logged with the reason."""
    host = b"host: 127.0.0.1\r\n"
    for path in paths():
        send(port, b"GET %b HTTP/1.1\r\n%buser-agent: skopeo/1\r\n\r\n" % (path.encode(), host))
    for agent in AGENTS:
        headers = b"user-agent: %b\r\nx-odd: %b\r\nx-`|~: [/]\r\n" % (agent, agent)
        send(port, b"GET /v2/library/app/manifests/1 HTTP/1.1\r\n%b%b\r\n" % (host, headers))
    for method in METHODS:
        send(port, b"%b /v2/library/app/manifests/1 HTTP/1.1\r\n%b\r\n" % (method, host))
    body = HOSTILE.encode(errors="surrogatepass") + b"\xff\xfe"
    length = b"content-type: [b]x\r\ncontent-length: %d\r\n" % len(body)
    send(port, b"PUT /v2/library/app/manifests/1 HTTP/1.1\r\n%b%b\r\n%b" % (host, length, body))
    running = SimpleNamespace(url=f"http://127.0.0.1:{port}", host=f"127.0.0.1:{port}")
    with HTTP2(running) as connection:  # type: ignore[arg-type]
        connection.ask(f"/v2/library/app/manifests/1?{ESCAPES}", f"GE{ESCAPES}T")
        connection.ask(f"/v2/{ESCAPES}{MARKUP}", headers=[("user-agent", f"{ESCAPES}/{ESCAPES}{WIDE}")])


async def checked(served: Serving, *keys: str) -> str:
    """The screen after some keys, without ends of lines; nothing in it was obeyed."""
    await served.look(*keys)
    return "".join(row.strip() for row in rows(served.panel))


def detail(served: Serving) -> str:
    """What is at the right of the list, without ends of lines."""
    return "".join(row.partition("│")[2].strip() for row in rows(served.panel))


async def test_fields_of_requests_are_escaped_in_list_and_panes() -> None:
    async with serving((160, 45)) as served:
        await asyncio.to_thread(send_all, served.port)
        await served.until(lambda newest: newest.ended)
        await checked(served, "u")
        seen = details = ""
        for _ in range(len(served.runtime.log)):
            seen += await checked(served, "k")
            for _ in range(PANES):
                seen += await checked(served, "l")
                details += detail(served)
        assert "GET /v2/[red]r[/] [@click=app.quit]q[/] [/]… 404" in seen
        assert rf"GET /v2/{MARKUP}\x1b]0;EVIL\x07\x1b]52;c;RVZJTA==\x07" in details
        assert f"x-odd: {MARKUP}" in details
        assert served.panel.clipboard == ""
        assert len(served.panel.screen_stack) == 1
        await served.pilot.press("q")
    assert served.panel.return_code == 0


async def test_fields_of_requests_are_escaped_in_dialogues_and_remarks() -> None:
    async with serving() as served:
        await asyncio.to_thread(send_all, served.port)
        await served.until(lambda newest: newest.ended)
        await served.look("u")
        for _ in range(4):
            for keys in ("y", "n", "x", "l", "l", "l"):
                await checked(served, keys)
            await checked(served, "escape", "N")
            if len(served.panel.screen_stack) > 1:
                await checked(served, *"error", "enter")
                await checked(served, *["down"] * 8)
                await checked(served, "escape")
            await checked(served, "r")
            await checked(served, "k")
            served.panel.clear_notifications()
        for keys in ("2", "G", "enter", "escape", "d", "escape", "1"):
            await checked(served, keys)
        for key in ("client", "method", "repo", "rule"):
            await checked(served, "/", *f"{key}:", "tab")
            await checked(served, "escape")
        assert len(served.panel.screen_stack) == 1
        assert served.panel.is_running


def answers(upstream: Scripted) -> None:
    """What an upstream may say, all of it hostile. What no HTTP client takes comes last."""
    octets = (MARKUP + TURNED + JOINED + WIDE).encode().decode("latin-1")
    blob = digest_of(b"hello")
    body = manifest(blob)
    kind = {"content-type": OCI_MANIFEST}
    said = json.dumps({"errors": [{"code": HOSTILE, "message": HOSTILE, "detail": HOSTILE}]}).encode()
    odd = {
        "x-odd": octets,
        "www-authenticate": f'Bearer realm="{octets}"',
        "location": octets,
        "link": octets,
    }
    upstream.answers |= {
        "/v2/evil/app/manifests/1": Answer(200, {**kind, "x-odd": octets}, body),
        f"/v2/evil/app/manifests/{digest_of(body)}": Answer(200, kind, body),
        f"/v2/evil/app/blobs/{blob}": Answer(200, {"content-type": octets, "etag": octets}, b"hello"),
        "/v2/evil/app/manifests/2": Answer(
            200, {"content-type": octets, "docker-content-digest": octets}, b"x"
        ),
        "/v2/evil/app/manifests/3": Answer(500, {"content-type": "application/json", **odd}, said),
        "/v2/evil/app/manifests/4": Answer(401, odd, said),
        "/v2/evil/app/manifests/5": Answer(307, odd),
        "/v2/evil/app/manifests/6": Answer(200, {"x-odd": ESCAPES}),
        "/v2/evil/app/manifests/7": Answer(403, {"retry-after": octets}, said),
        "/v2/evil/app/tags/list": Answer(200, odd, json.dumps({"name": HOSTILE, "tags": [HOSTILE]}).encode()),
    }


async def test_input_of_upstreams_is_escaped() -> None:
    with scripted() as upstream:
        answers(upstream)
        async with serving((160, 45), upstream.url) as served:
            for path in upstream.answers:
                await asyncio.to_thread(
                    send, served.port, f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode()
                )
            await served.until(lambda newest: newest.ended)
            await checked(served, "u")
            for _ in upstream.answers:
                await checked(served, "k")
                for _ in range(PANES):
                    await checked(served, "l")
            await checked(served, "5")
            await checked(served, "4", "l", "l", "l")
            for _ in range(8):
                await checked(served, "l", "j")
                await checked(served, "enter", "G")
                await checked(served, "escape")
                await checked(served, "y", "R")
                await checked(served, "escape", "d")
                await checked(served, "n")
            await checked(served, "3")
            for _ in range(3):
                await checked(served, "enter", "G")
                await checked(served, "escape", "d", "n", "j")
            assert len(served.panel.screen_stack) == 1
            assert served.panel.is_running


async def test_unchanged_escaped_text_is_not_an_edit() -> None:
    with scripted() as upstream:
        answers(upstream)
        async with serving((100, 40), upstream.url) as served:
            served.runtime.gate.breakpoints.add("repo:evil/*")
            client = await served.client()
            await client.ask("/v2/evil/app/manifests/1")
            await served.until(lambda newest: newest.held_since)
            assert "no changes yet" in await checked(served, "e")
            await checked(served, "escape", "A")
            filled_in: list[Rule | None] = []
            rule = rule_of({"match": {"client": "\x1b]0;E*", "repository": "a"}, "fault": {"type": "error"}})
            seen = seen_in(served.runtime.log)
            served.panel.push_screen(RuleForm(CATALOGUE["error"], rule, seen=seen), filled_in.append)
            assert r"\x1b]0;E*" in await checked(served)
            await checked(served, "enter")
            assert filled_in == [rule]


def test_no_sequence_of_a_client_reaches_a_real_terminal(
    terminal: Terminal, ready: dict[str, object], tmp_path: Path
) -> None:
    written = tmp_path / "written"
    terminal.tmux("pipe-pane", f"cat > {shlex.quote(str(written))}")
    port = int(str(ready["registry"]).rpartition(":")[2])
    send_all(port)
    send(port, b"GET /v2/%b HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n" % quote(ESCAPES).encode())
    terminal.wait_for("GET /v2/.*x1b")
    terminal.tmux("send-keys", "u", "w", "y", "n", *"kkkk", "Enter", *"llll")
    terminal.wait_for("Headers.*Timeline")
    terminal.tmux("send-keys", "x")
    terminal.wait_for("Export exchange")
    terminal.tmux("send-keys", "C-c")
    terminal.wait_for("status=0")
    assert terminal.modes() == "0 0 1"
    assert "EVIL" not in terminal.tmux("display-message", "-p", "#{pane_title} #{window_name}")
    terminal.tmux("pipe-pane")
    sent = written.read_bytes()
    assert rb"\x1b]0;EVIL" in sent
    assert not re.search(rb"\x1b\](?!52;|22;default\x07)", sent), "a title, a colour, a link"
    assert b"RVZJTA==" not in sent.replace(rb"\x1b]52;c;RVZJTA==", b""), "the clipboard"
    text = sent.decode()
    assert not {each for each in text if unicodedata.category(each) in ("Cc", "Cf")} - set("\x1b\x07\r\n\x0f")
