"""What a server sends to the terminal: what a panel needs passes unchanged, and nothing else passes."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenreg.attach.output_filter import OutputFilter
from brokenreg.attach.web_socket import WebSocket
from brokenreg.tui.drivers import attached
from tests.server import Brokenreg

FRAME = (
    "\x1b[?2026h"
    + "".join(
        f"\x1b[{row};1H" + "\x1b[1;38;2;10;200;30;48;2;0;0;0mGET library/app ⏸ │\x1b[0m " * 8
        for row in range(1, 50)
    )
    + "\x1b[?2026l"
)
PIECES = st.sampled_from(
    [
        *(
            "\x1b",
            "[",
            "]",
            "P",
            "?",
            "\\",
            "m",
            "H",
            "0;1",
            "52;c;",
            "\a",
            "\x9b",
            "\x9d",
            "\x9c",
            "$p",
            "é",
        ),
        *("\x1b[6n", "\x1b]0;title\a", "\x1b]52;c;?\a", "\x1bPq\x1b\\", "\x1b[1m", "\x1b]52;c;YQ==\a", "x"),
        *("\x1b[?1049h", "\x1bc", "\r", "\x05", "\x1b[21t", "\x1b(0", "\x1b_a\x1b\\", "\x1b[1;2\x07m"),
    ]
)
PASSES = re.compile(
    r"(?:[^\x00-\x09\x0b-\x1f\x7f-\x9f]|\x1b\[[0-9;]*[mH]|\x1b\[\?[0-9]+[hl]|\x1b\[(?:>25|<)u|\x1b\[\?2026\$p"
    r"|\x1b\]22;[a-z-]+\a|\x1b\]52;c;[A-Za-z0-9+/=]*\a|\a)*"
)


@pytest.mark.parametrize(
    "sent",
    [
        attached._ENTER,
        attached._ASK_FOR_SYNCHRONIZED_OUTPUT,
        attached._LEAVE,
        FRAME,
        "\a",
        "\x1b]52;c;YQ==\a",
    ],
)
def test_what_a_panel_sends_is_unchanged(sent: str) -> None:
    assert OutputFilter().feed(sent.encode()).decode() == sent


@pytest.mark.parametrize(
    "sent",
    [
        "\x1b]52;c;?\a",  # sends the clipboard
        "\x1b]22;?__current__\a",
        "\x1b]52;p;YQ==\a",
        "\x1b]0;title\x1b\\",
        "\x1b]8;;http://a.example\x1b\\",
        "\x1b[21t",  # sends the title
        *("\x1b[c", "\x1b[>0q", "\x1b[6n", "\x1b[?1;1$p", "\x05"),  # send what the terminal is
        "\x1bP$qm\x1b\\",
        *("\x1bc", "\x1b[!p", "\x1b[?47h", "\x1b(0", "\x9b6n", "\x90q\x9c"),
        "\x1b]10;?\x07",
    ],
)
def test_other_sequences_are_removed(sent: str) -> None:
    assert OutputFilter().feed(f"a{sent}b".encode()).decode().replace("6n", "").replace("q", "") == "ab"


@given(st.lists(PIECES | st.text(max_size=3)), st.lists(st.integers(0, 60)))
def test_only_what_a_panel_sends_passes_however_it_is_cut(pieces: list[str], cuts: list[int]) -> None:
    data = "".join(pieces).encode("utf-8", "surrogatepass")
    whole = OutputFilter().feed(data)
    assert PASSES.fullmatch(whole.decode())
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    in_pieces = OutputFilter()
    assert b"".join(in_pieces.feed(data[a:b]) for a, b in pairwise(places)) == whole
    assert OutputFilter().feed(whole) == whole


@given(st.binary())
def test_any_bytes(data: bytes) -> None:
    assert PASSES.fullmatch(OutputFilter().feed(data).decode())


@pytest.mark.parametrize("begins", ["\x1b]52;c;", "\x1bP", "\x1b[0"])
def test_a_sequence_that_does_not_end_is_too_long(begins: str) -> None:
    tested = OutputFilter()
    assert tested.feed(begins.encode()) == b""
    started = time.process_time()
    with pytest.raises(ConnectionError, match="too long"):
        b"".join(tested.feed(b"1") for _ in range(600_000))
    assert time.process_time() - started < 5


def test_a_screen_takes_a_few_milliseconds_at_most() -> None:
    data = FRAME.encode()
    seconds = []
    for _ in range(5):
        started = time.process_time()
        OutputFilter().feed(data)
        seconds.append(time.process_time() - started)
    assert min(seconds) < 0.005


ESCAPE = b"\x1b[27u"
STEPS = (
    (b"2", "everything works"),
    (b"?", "Search"),
    (ESCAPE, "everything works"),
    (b"1", "manifests/v1"),
    (b"y", "\x1b]52;c;"),
)
"""Keys, and what is on the screen after each."""


async def test_a_real_panel_is_unchanged(own_registry: Brokenreg) -> None:
    async with (
        WebSocket.connected(own_registry.control, "/v1/panel", {}, None) as socket,
        asyncio.timeout(30),
    ):
        await asyncio.to_thread(httpx.get, f"{own_registry.url}/v2/app/manifests/v1")
        colours = {"COLORTERM": "truecolor"}
        await socket.send_json(type="hello", protocol=1, columns=120, rows=40, environment=colours)
        messages = socket.messages()
        sent = await received_until(messages, "LIVE")
        for key, words in STEPS:
            await socket.send(key)
            sent += await received_until(messages, words)
        sent += await received_until(messages, "copied")
    assert len(sent) > 10_000
    assert OutputFilter().feed(sent) == sent


async def received_until(messages: AsyncIterator[bytes | dict[str, Any]], words: str) -> bytes:
    received = b""
    while words not in re.sub(r"\x1b\[[0-9;]*m", "", received.decode(errors="replace")):
        message = await anext(messages)
        assert isinstance(message, bytes)
        received += message
    return received
