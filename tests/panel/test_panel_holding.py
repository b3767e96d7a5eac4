"""Holding with keys: what a client on a socket then receives, and what the screen shows."""

from __future__ import annotations

import pytest
from screen import line_at_cursor, line_with, lines
from serving import Client, Serving, digest_of, serving

from brokenreg.gate.passage import STEP
from brokenreg.traffic.exchange import Ended, Exchange

SIZE = 32 * 1024 * 1024
SMALL = 200_000


def is_held(exchange: Exchange) -> bool:
    return exchange.held_since is not None


async def held_layer(shown: Serving, size: int = SMALL) -> tuple[Client, str, Exchange]:
    """A client that waits for the head of a layer, which a breakpoint holds."""
    path, digest = await shown.layer(size)
    shown.runtime.gate.breakpoints.add("endpoint:layer")
    client = await shown.client()
    await client.ask(path)
    exchange = await shown.until(is_held)
    await shown.look()
    return client, digest, exchange


@pytest.mark.slow
async def test_a_download_is_held_stepped_and_completed() -> None:
    async with serving() as shown:
        path, digest = await shown.layer(SIZE)
        client = await shown.client()
        await client.ask(path)
        _, headers = await client.head()
        assert "p Hold" in await shown.look()
        await shown.look("p")
        received = b""
        while not shown.runtime.gate.held:
            received += await client.reader.read(65536)
        exchange = await shown.until(is_held)
        received += await client.body(exchange.response_bytes - len(received))
        assert not await client.has_more(), "it stands still"
        assert len(received) < int(headers["content-length"])
        screen = await shown.look()
        assert line_at_cursor(shown.panel).startswith("▌⏸ ")
        assert " HELD " in line_at_cursor(shown.panel)
        assert "1 HELD" in lines(shown.panel)[0]
        assert "by hand" in line_with(shown.panel, f"─ #{exchange.id} GET")
        assert "p Hold" not in screen
        for words in ("s Step", "a Resume", "X Abort"):
            assert words in screen
        assert "e Edit" not in screen, "the headers are gone"
        for _ in range(2):
            before = exchange.response_bytes
            await shown.look("s")
            received += await client.body(STEP)
            assert not await client.has_more(), "one chunk, and no more"
            assert exchange.response_bytes == before + STEP
            place = await shown.look()
            size = exchange.response_bytes
            exact = (f"{size:,} B", f"{size // 1024} KiB", f"{size / 2**20:g} MiB")
            assert any(f" at {words} by hand" in place for words in exact)
        await shown.look("a")
        received += await client.body(int(headers["content-length"]) - len(received))
        assert digest_of(received) == digest
        await shown.until(lambda exchange: exchange.ended)
        assert exchange.ended is Ended.COMPLETE
        assert "HELD" not in await shown.look()


@pytest.mark.slow
async def test_another_step_size() -> None:
    async with serving() as shown:
        client, _, exchange = await held_layer(shown)
        assert 'invalid size "7x"' in await shown.look("S", *"7x")
        assert "Bytes per step" in await shown.look("enter"), "what is wrong is not taken"
        await shown.look("ctrl+a", "ctrl+k", *"1000")
        screen = await shown.look("enter")
        assert "Bytes per step (now 64 KiB)" not in screen
        assert "a step sends 1000 B" in screen
        assert "s Step 1000 B  " in screen.split("\n")[-1]
        await shown.look("s")
        assert (await client.head())[0] == 200
        await client.body(1000)
        assert not await client.has_more()
        await shown.look("S", "escape", "s")
        await client.body(1000)
        assert exchange.response_bytes == 2000


async def test_abort_resets() -> None:
    async with serving() as shown:
        client, _, exchange = await held_layer(shown)
        await shown.look("X")
        with pytest.raises(ConnectionResetError):
            await client.reader.read(1)
        assert exchange.ended is Ended.ABORTED
        assert "aborted" in await shown.look()


async def test_resuming_all_begins_with_the_one_held_longest() -> None:
    async with serving() as shown:
        first, digest, exchange = await held_layer(shown)
        second = await shown.client()
        await second.ask(exchange.path)
        await shown.until(lambda newest: newest is not exchange and is_held(newest))
        await shown.look("g")  # on something that is not held
        assert line_with(shown.panel, f"─ #{exchange.id} GET")
        assert "⏸ 2 HELD" in lines(shown.panel)[0]
        await shown.look("s", "s")
        assert (await first.head())[0] == 200
        await first.body(2 * STEP)
        assert not await second.has_more(), "both steps were for the same"
        assert line_with(shown.panel, f"─ #{exchange.id} GET")
        await shown.look("A")
        length = int((await second.head())[1]["content-length"])
        assert digest_of(await second.body(length)) == digest
        await first.body(length - 2 * STEP)


@pytest.mark.slow
async def test_breakpoints_are_set_switched_and_removed() -> None:
    async with serving() as shown:
        assert "No breakpoints." in await shown.look("i")
        screen = await shown.look(*"endpont:layer")
        assert 'unknown key "endpont": did you mean endpoint?' in screen
        assert "unknown key" in await shown.look("enter")
        assert not len(shown.runtime.gate.breakpoints)
        await shown.look("ctrl+a", "ctrl+k", *"endpoint:ping status:2xx", "enter")
        screen = await shown.look(*"[b]x", "enter")
        assert "2 breakpoints, enabled" in screen
        assert line_with(shown.panel, "▌").split("▌")[1].split()[0] == "[b]x"
        await shown.look("ctrl+r")
        assert "▌ endpoint:ping status:2xx" in line_with(shown.panel, "▌")
        await shown.look("escape")
        client = await shown.client()
        await client.ask("/v2/")
        await shown.until(is_held)
        assert "by breakpoint endpoint:ping status:2xx" in await shown.look()
        assert "breakpoints disabled" in await shown.look("I", "a")
        assert (await client.head())[0] == 200
        other = await shown.client()
        await other.ask("/v2/")
        assert (await other.head())[0] == 200
        assert "1 breakpoint, DISABLED" in await shown.look("i")
        assert "1 breakpoint, enabled" in await shown.look("ctrl+t")
        assert "No breakpoints." in await shown.look("ctrl+r")
        await shown.look("escape")


@pytest.mark.slow
async def test_an_edited_head_arrives() -> None:
    async with serving() as shown:
        client, _, exchange = await held_layer(shown)
        screen = await shown.look("e")
        assert f"Edit response of exchange {exchange.id}" in screen
        assert "no changes yet" in screen
        await shown.look("delete", "delete", "delete", *"99")
        assert "the first line must be the status: three digits" in await shown.look("ctrl+s")
        assert is_held(exchange), "what cannot be sent is not sent"
        await shown.look("backspace", "backspace", *"418", "enter", *"x-edited: by hand")
        assert "status 200 to 418, x-edited added" in await shown.look()
        await shown.look("ctrl+s")
        status, headers = await client.head()
        assert (status, headers["x-edited"]) == (418, "by hand")
        await client.body(int(headers["content-length"]))
        await shown.until(lambda newest: newest.ended)
        assert exchange.edited == "status 200 to 418, x-edited added"
        told = "edited: status 200 to 418, x-edited added"
        assert told in await shown.look("enter", "l", "l"), "the timeline says so"
        assert told in await shown.look("l"), "and so does Why"


async def test_an_edit_can_be_cancelled() -> None:
    async with serving() as shown:
        client, _, exchange = await held_layer(shown)
        await shown.look("e", "9", "escape")
        assert is_held(exchange)
        await shown.look("a")
        assert (await client.head())[0] == 200


async def test_a_client_that_disconnects_while_its_head_is_edited() -> None:
    async with serving() as shown:
        client, _, exchange = await held_layer(shown)
        await shown.look("e")
        client.writer.close()
        await shown.until(lambda newest: newest.ended)
        assert f"exchange {exchange.id} is not held" in await shown.look("ctrl+s")
        await shown.look("escape")


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("p", "the exchange has ended; only responses in flight can be held"),
        ("s", "nothing is held; p holds a response in flight"),
        ("a", "nothing is held; p holds"),
        ("X", "nothing is held; p holds"),
        ("e", "nothing is held; p holds"),
        ("A", "nothing is held"),
        ("I", "no breakpoints; i adds one"),
    ],
)
async def test_a_disabled_key_says_why(key: str, told: str) -> None:
    async with serving() as shown:
        client = await shown.client()
        await client.ask("/v2/")
        await client.head()
        await shown.until(lambda newest: newest.ended)
        screen = await shown.look()
        for words in ("p Hold", "s Step", "a Resume", "X Abort", "e Edit"):
            assert words not in screen
        assert told in " ".join((await shown.look(key)).replace("▌", " ").split())


async def test_a_wide_screen_has_a_pane_of_exchanges_in_flight() -> None:
    async with serving((160, 45)) as shown:
        client, _, exchange = await held_layer(shown)
        screen = await shown.look()
        assert "In flight: 1" in screen
        assert line_with(shown.panel, "·········· no response yet").endswith("no response yet")
        assert f"▌  #{exchange.id} HELD" in screen
        await shown.look("s")
        await client.head()
        await client.body(STEP)
        await shown.until(is_held)
        assert "64 KiB/19" in await shown.look()


async def test_the_panel_ends_immediately_despite_held_responses() -> None:
    async with serving() as shown:
        client, digest, _ = await held_layer(shown)
        assert "1 response is held." in await shown.look("q")
        await shown.look("y")
    length = int((await client.head())[1]["content-length"])
    assert digest_of(await client.body(length)) == digest, "it was let go"
