"""Fixtures for the panel, without a terminal and in a real one."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections.abc import Hashable, Iterator
from pathlib import Path

import pytest
from quiet import waits_for_quiet
from take_screenshots import frozen
from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet
from tmux import Terminal

from brokenreg.tui.app import Panel


@pytest.fixture(autouse=True)
def still() -> Iterator[None]:
    """Use UTC, colours and no animations, independently of the terminal that runs the tests."""
    with frozen():
        yield


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Let tests continue as soon as the panel has nothing to do any more, and not earlier."""
    with waits_for_quiet():
        yield


@pytest.fixture(autouse=True)
def no_pulse(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let panels tick only when a test says so, except for tests with `pulses`.

    The panels of clients, which have a driver of their own, still pulse.
    """
    if "pulses" in request.fixturenames:
        return
    pulse = Panel._pulse

    def pulse_if_driven(panel: Panel) -> None:
        if not panel.is_headless:
            pulse(panel)

    monkeypatch.setattr(Panel, "_pulse", pulse_if_driven)


@pytest.fixture
def pulses() -> None:
    """Let panels tick by themselves."""


@pytest.fixture(scope="session", autouse=True)
def parsed_once() -> Iterator[None]:
    """Parse the style sheets only once for all panels, which saves a tenth of a test's time."""
    kept: dict[tuple[object, ...], list[RuleSet]] = {}
    parse = Stylesheet._parse_rules

    def parse_once(sheet: Stylesheet, *arguments: Hashable, **more: Hashable) -> list[RuleSet]:
        key = (frozenset(sheet._variables.items()), arguments, frozenset(more.items()))
        if key not in kept:
            kept[key] = parse(sheet, *arguments, **more)
        return kept[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stylesheet, "_parse_rules", parse_once)
        yield


@pytest.fixture(autouse=True)
def notices_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep notices, which could disappear on a busy machine before a test reads them."""
    monkeypatch.setattr(Panel, "NOTIFICATION_TIMEOUT", 60.0)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    if shutil.which("tmux") is None or shutil.which("skopeo") is None:
        if os.environ.get("BROKENREG_REQUIRE_CLIENTS"):
            pytest.fail("tmux or skopeo is not installed")
        pytest.skip("tmux or skopeo is not installed")
    terminal = Terminal()
    yield terminal
    terminal.tmux("kill-server")


@pytest.fixture
def ready(terminal: Terminal, tmp_path: Path) -> dict[str, object]:
    """A panel in the terminal whose registry is ready. Its shell prints `status=N` at the end."""
    ready_file = tmp_path / "ready.json"
    command = [
        sys.executable, "-m", "brokenreg", "tui", "--listen", "127.0.0.1:0", "--control", "off",
        "--data", str(tmp_path / "data"), "--ready-file", str(ready_file),
    ]  # fmt: skip
    terminal.type(f"{shlex.join(command)}; echo status=$?")
    terminal.wait_for("● LIVE")
    ready: dict[str, object] = json.loads(ready_file.read_text())
    return ready
