"""`brokenreg attach` in real terminals, with real clients, and with what can happen to both."""

from __future__ import annotations

import os
import re
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from attaching import attach, attached, pid, terminal_of
from test_walk import SLOW, copying, hold
from tmux import Terminal

from bench.line import line_to
from tests.process import BrokenregProcess, brokenreg_process

pytestmark = [pytest.mark.terminal, pytest.mark.usefixtures("terminal")]

TOKEN = "s3cret-of-the-control-API"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[BrokenregProcess]:
    with brokenreg_process(tmp_path / "data") as running:
        yield running


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[BrokenregProcess]:
    options = "--control-tls", "self-signed", "--control-token", TOKEN
    with brokenreg_process(tmp_path / "data", *options) as running:
        yield running


def folder(tmp_path: Path, name: str) -> Path:
    made = tmp_path / name
    made.mkdir()
    return made


def held(server: BrokenregProcess) -> int:
    headers = {"authorization": f"Bearer {TOKEN}"}
    return int(httpx.get(f"{server.control}/v1/status", headers=headers).json()["held"])


def test_two_terminals_see_the_same_and_survive_each_other(tmp_path: Path) -> None:
    one, two, three = (folder(tmp_path, name) for name in ("one", "two", "three"))
    token = "--token", TOKEN  # with which the control API has any name, such as that of the line
    with (
        brokenreg_process(tmp_path / "data", "--control-token", TOKEN) as server,
        line_to(int(server.control.rpartition(":")[2])) as line,
        attached(server.control, *token, size=(80, 24), folder=one) as small,
        attached(f"http://127.0.0.1:{line.port}", *token, size=(200, 50), folder=two) as large,
    ):
        with copying(server.ready, SLOW, tmp_path / "released") as client:
            hold(small)
            large.wait_for("⏸ 1 HELD [0-9]+ s")
            assert client.poll() is None
            large.press("G")
            large.press("a")
            assert client.wait(30) == 0
        small.wait_for("0 in flight")

        with copying(server.ready, SLOW.replace("512kib", "448kib"), tmp_path / "later") as client:
            hold(small)
            large.wait_for("⏸ 1 HELD [0-9]+ s")
            os.kill(pid(one), signal.SIGKILL)
            small.wait_for("Killed|status=137")
            large.press("2")
            large.wait_for("No rules: everything works")
            large.press("1")
            with attached(server.control, *token, folder=three) as other:
                other.wait_for("⏸ 1 HELD [0-9]+ s")
                line.cut()
                screen = large.wait_for("connection to .* lost; trying again in")
                assert re.match(r" NOT CONNECTED  this screen is from \d\d:\d\d:\d\d *\n", screen)
                assert "LIVE" not in screen
                assert held(server) == 1
                assert client.poll() is None, "the client still waits"
                other.wait_for("⏸ 1 HELD [0-9]+ s")
                line.restore()
                assert "NOT CONNECTED" not in large.wait_for("● LIVE")
                other.press("G")
                other.press("A")
                assert client.wait(30) == 0
        large.press("q")
        large.wait_for("status=0")
        assert large.modes() == "0 0 1"
        assert server.is_running


def test_over_tls_with_the_token_in_a_file(secure: BrokenregProcess, tmp_path: Path) -> None:
    where = folder(tmp_path, "client")
    (where / "token").write_text(f"{TOKEN}\n")
    options = "--token-file", "token", "--ca", str(secure.ready["ca"])
    assert secure.control.startswith("https://")
    with attached(secure.control, *options, folder=where) as terminal:
        terminal.press("q")
        terminal.wait_for("status=0")
        assert terminal.modes() == "0 0 1"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--ca", "{ca}"], "requires a token: pass its --control-token to --token"),
        (["--ca", "{ca}", "--token", "wrong"], "refuses the token"),
        (["--token", TOKEN], "is not trusted .self-signed certificate in certificate chain.: pass the file"),
    ],
)
def test_what_is_refused(secure: BrokenregProcess, tmp_path: Path, options: list[str], said: str) -> None:
    given = [each.format(ca=secure.ready["ca"]) for each in options]
    with terminal_of((200, 24)) as terminal:
        attach(terminal, secure.control, *given, folder=folder(tmp_path, "client"))
        screen = terminal.wait_for("status=3")
        assert re.search(said, screen)
        assert terminal.modes() == "0 0 1"
        assert TOKEN not in screen.partition("Error:")[2]


def test_the_other_scheme_is_suggested(secure: BrokenregProcess, tmp_path: Path) -> None:
    plain = secure.control.replace("https:", "http:")
    with terminal_of((200, 24)) as terminal:
        attach(terminal, plain, folder=folder(tmp_path, "client"))
        screen = terminal.wait_for("status=3")
        assert f"the control API at {plain} uses TLS: use {secure.control} as URL" in screen


def test_with_the_read_token_nothing_can_be_changed(tmp_path: Path) -> None:
    options = "--control-token", TOKEN, "--control-read-token", "only-to-look"
    where = folder(tmp_path, "client")
    with (
        brokenreg_process(tmp_path / "data", *options) as server,
        attached(server.control, "--token", "only-to-look", folder=where) as terminal,
    ):
        terminal.press("!")
        terminal.wait_for("[Rr]ead|only look|may not")
        headers = {"authorization": f"Bearer {TOKEN}"}
        assert httpx.get(f"{server.control}/v1/rules", headers=headers).json() == []


def test_it_suspends_and_continues(server: BrokenregProcess, tmp_path: Path) -> None:
    with attached(server.control, folder=folder(tmp_path, "client")) as terminal:
        terminal.press("C-\\")
        terminal.wait_for("Stopped")
        assert terminal.modes() == "0 0 1"
        terminal.tmux("resize-window", "-x", "90", "-y", "20")
        terminal.type("fg")
        terminal.wait_for("● LIVE")
        assert terminal.modes().startswith("1 ")
        terminal.press("q")
        terminal.wait_for_rest()


def test_keys_and_filters_of_the_user_hold_there(server: BrokenregProcess, tmp_path: Path) -> None:
    where = folder(tmp_path, "client")
    (where / "panel.toml").write_text('[keys]\npanel.help = "f1"\n\n[filters]\nbroken = "status:5xx"\n')
    with attached(server.control, "--config", "panel.toml", folder=where) as terminal:
        terminal.wait_for("f1 Help")
        terminal.press("F1")
        terminal.wait_for("Search")
        terminal.press("Escape")
        terminal.wait_for("LIVE")
        terminal.press("@")
        terminal.wait_for("@broken +status:5xx")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_restores_the_terminal(server: BrokenregProcess, tmp_path: Path, number: int) -> None:
    where = folder(tmp_path, "client")
    with attached(server.control, folder=where) as terminal:
        os.kill(pid(where), number)
        terminal.wait_for("status=0")
        assert terminal.modes() == "0 0 1"


def test_the_server_stops(server: BrokenregProcess, tmp_path: Path) -> None:
    with attached(server.control, folder=folder(tmp_path, "client")) as terminal:
        assert server.stop() == 0
        terminal.wait_for("has stopped")
        terminal.wait_for("status=0")
        assert terminal.modes() == "0 0 1"


def test_a_lost_server_is_looked_for_until_q(server: BrokenregProcess, tmp_path: Path) -> None:
    with attached(server.control, folder=folder(tmp_path, "client")) as terminal:
        server.stop(signal.SIGKILL)
        terminal.wait_for("connection to .* lost; trying again in")
        terminal.press("q")
        terminal.wait_for("status=0")
        assert terminal.modes() == "0 0 1"


def test_an_export_is_saved_on_the_side_of_the_terminal(server: BrokenregProcess, tmp_path: Path) -> None:
    where = folder(tmp_path, "client")
    httpx.get(f"{server.url}/v2/")
    with attached(server.control, folder=where) as terminal:
        save(terminal, "exchange-1.sh")
        terminal.wait_for("saved to")
        saved = where / "exchange-1.sh"
        assert saved.read_text().startswith("curl ")
        assert stat.S_IMODE(saved.stat().st_mode) == 0o600
        saved.write_text("mine")
        save(terminal, "exchange-1.sh")
        terminal.wait_for("exchange-1.sh exists in that folder: use another name")
        assert saved.read_text() == "mine"
        terminal.press("C-u")
        terminal.type("../outside.sh")
        terminal.wait_for("invalid file name")
        assert not (tmp_path / "outside.sh").exists()
        assert sorted(each.name for each in where.iterdir()) == ["exchange-1.sh", "pid"]


def test_a_scenario_is_saved_on_the_side_of_the_terminal(server: BrokenregProcess, tmp_path: Path) -> None:
    where = folder(tmp_path, "client")
    httpx.post(f"{server.control}/v1/rules", json={"fault": {"type": "error", "status": 418}})
    assert httpx.get(f"{server.url}/v2/library/app/manifests/1").status_code == 418
    with attached(server.control, folder=where) as terminal:
        terminal.press("2")
        terminal.wait_for("● rule 1")
        terminal.press("W")
        terminal.wait_for("at most 1 request for manifests")
        terminal.press("Tab", "G", "Space")
        terminal.wait_for(r"\[x\] at most 1 request for manifests")
        terminal.press("Enter")
        terminal.wait_for("saved 1 rule and 1 expectation")
        (saved,) = where.glob("scenario-20*.yaml")
        assert "filter: endpoint:manifest" in saved.read_text()


def save(terminal: Terminal, name: str) -> None:
    terminal.press("x")
    terminal.wait_for("curl --globoff")
    terminal.press("s")
    terminal.wait_for("saves the export")
    terminal.press("Enter")


def test_a_scenario_is_loaded_elsewhere(server: BrokenregProcess, tmp_path: Path) -> None:
    with attached(server.control, folder=folder(tmp_path, "client")) as terminal:
        terminal.press("2")
        screen = terminal.wait_for("in Traffic: make the next request fail")
        assert "add a rule" in screen
        assert "load a scenario file" not in screen
        terminal.press("o")
        terminal.wait_for("brokenreg scenario load FILE")
