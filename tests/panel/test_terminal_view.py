"""`brokenreg view` in a real terminal, and what it says without one."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from exchanges import small_pull
from tmux import Terminal

from brokenreg.traffic.har import har_pieces
from brokenreg.traffic.log import TrafficLog
from tests.process import run_here


def har(path: Path) -> Path:
    log = TrafficLog()
    small_pull(log)
    path.write_text("".join(har_pieces(log, log.bodies, "http://127.0.0.1:8080")))
    return path


def view(*arguments: object) -> str:
    command = [sys.executable, "-m", "brokenreg", "view", *map(str, arguments)]
    return f"{shlex.join(command)}; echo status=$?"


def test_a_file_is_shown_and_q_goes_back_then_quits(terminal: Terminal, tmp_path: Path) -> None:
    home = tmp_path / "home"
    terminal.type(f"HOME={home} {view(har(tmp_path / 'night.har'))}")
    screen = terminal.wait_for("brokenreg view night.har")
    assert "LIVE" not in screen
    terminal.wait_for("GET .*blobs/")
    terminal.tmux("send-keys", "Enter")
    terminal.wait_for("Headers │ Body │ Timeline │ Why")
    terminal.wait_for(" esc Back ")  # the footer comes after the rest
    terminal.tmux("send-keys", "q")
    screen = terminal.wait_for(" enter Open .* q Quit$")
    assert "Headers" not in screen
    terminal.tmux("send-keys", "q")
    screen = terminal.wait_for("status=0")
    assert "could not be read" not in screen
    assert terminal.modes() == "0 0 1"
    assert not home.exists(), "no data folder was made"


def test_what_could_not_be_read_is_said_again_at_the_end(terminal: Terminal, tmp_path: Path) -> None:
    path = har(tmp_path / "night.har")
    path.write_text(path.read_text()[:-300])
    terminal.type(view(path))
    terminal.wait_for("entries could not be read")
    terminal.tmux("send-keys", "C-c")
    screen = terminal.wait_for("status=0")
    assert 'brokenreg: "night.har": 1 of ' in screen
    assert "Traceback" not in screen


def test_a_log_is_followed(terminal: Terminal, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text("")
    terminal.type(view(path, "--follow"))
    terminal.wait_for("● FOLLOWING")
    path.write_text('{"id":1,"time":1,"method":"GET","path":"/v2/","endpoint":"ping","ended":"complete"}\n')
    terminal.wait_for("GET /v2/")
    terminal.tmux("send-keys", "q")
    terminal.wait_for("status=0")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("hello")
    for arguments, status, problem in (
        ((str(tmp_path / "x"),), 3, "it is neither HAR nor a log with a line of JSON for each exchange"),
        ((str(tmp_path / "none"),), 3, "No such file or directory"),
        ((str(tmp_path),), 3, "it is not a file"),
        ((str(har(tmp_path / "a.har")), "--follow"), 3, "a HAR file does not grow"),
        ((str(tmp_path / "a.har"),), 2, "not a terminal"),
        ((str(tmp_path / "a.har"), "--log-memory", "1"), 2, "--log-memory"),
        ((), 2, "FILE"),
    ):
        done = run_here("view", *arguments)
        assert (done.returncode, problem in done.stderr) == (status, True), done.stderr
        assert "Traceback" not in done.stderr
