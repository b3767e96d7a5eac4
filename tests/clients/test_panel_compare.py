"""The panel in a real terminal shows a pull that recovered from a cut layer beside a healthy one."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.clients.private import Client
from tests.clients.programs import need
from tests.panel.tmux import Terminal

IMAGE = "broken/random:layers-3_size-512kib"
SUBJECTS = ["manifest", "config", "layer 1", "layer 2", "layer 3"]


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    need("tmux")
    terminal = Terminal(80, 24)
    yield terminal
    terminal.tmux("kill-server")


def compare_pulls(terminal: Terminal, ready: dict[str, str], pull: Callable[[str], object], end: str) -> None:
    """Pull, pull again with a rule that cuts a layer once, and compare both in two sizes of the terminal."""
    image = f"{ready['registry'].partition('://')[2]}/{IMAGE}"
    pull(image)
    cut = {"fault": {"type": "truncate", "after": "64KiB", "end": end}, "match": {"layer": 2}, "times": 1}
    httpx.post(f"{ready['control']}/v1/rules", json=cut).raise_for_status()
    pull(image)
    terminal.press("f")
    terminal.wait_for("routine: [0-9]+ hidden")
    terminal.press("g", "m", "Space", "j")
    terminal.wait_for(r"▌▾ .*PULL")
    terminal.press("=")
    screen = terminal.wait_for("requests? differ")
    terminal.press("G")
    wait_for_check(terminal, above=screen)
    terminal.tmux("resize-window", "-x", "200", "-y", "50")
    terminal.wait_for(r"GET layer 2 [0-9a-f]{40,}")
    wait_for_check(terminal)
    screen = changed_by(terminal, "g")
    while "▌≠ GET layer 2" not in screen:
        screen = changed_by(terminal, "j")
    terminal.press("Enter")
    screen = terminal.wait_for("≠ bytes")
    assert re.search(r"≠ bytes +51\d.*│ 64 KiB", screen), screen
    assert re.search(r"≠ fault +none +│ truncate", screen), screen


def changed_by(terminal: Terminal, key: str) -> str:
    """Press a key, wait until the screen has changed, for at most 20 s, and return it."""
    before = terminal.screen()
    terminal.press(key)
    deadline = time.monotonic() + 20
    while (screen := terminal.screen()) == before:
        assert time.monotonic() < deadline, screen
        time.sleep(0.05)
    return screen


def wait_for_check(terminal: Terminal, above: str = "") -> None:
    """Check what is on the screen, below another part, once it is drawn, for at most 20 s."""
    deadline = time.monotonic() + 20
    while True:
        try:
            check(above + terminal.screen())
        except (AssertionError, LookupError, ValueError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def check(screen: str) -> None:
    """Check that each request is beside the same one, and that a retry is below its first attempt."""
    found: list[tuple[str, str, str]] = []
    for row in dict.fromkeys(re.findall(r"(?m)^│.([=≠◀▶] .*?)[ ▁-█]*│$", screen)):
        left, right = (
            re.search(r"manifest|config|layer \d|not requested", side) for side in row.split("│")[:2]
        )
        assert left, screen
        assert right, screen
        found.append((row[0], left[0], right[0]))
    both = [each for each in found if each[0] in "=≠"]
    assert all(left == right for _, left, right in both), screen
    assert sorted({left for _, left, _ in both}) == sorted(SUBJECTS), screen
    at = found.index(("≠", "layer 2", "layer 2"))
    assert found[at + 1] == ("▶", "not requested", "layer 2"), screen
    words = " ".join(screen.replace("│", " ").split())
    assert "outcome complete ≠ aborted" in words, screen
    assert "fault none ≠ truncate" in words, screen
    assert "attempts 1 ≠ 2" in words, screen
    assert "right only · attempt 2, " in words, screen


def test_podman_recovers_from_a_reset(podman: Client, terminal: Terminal, ready: dict[str, str]) -> None:
    def pull(image: str) -> None:
        podman("pull", "--tls-verify=false", image)
        podman("rmi", "--force", image)

    compare_pulls(terminal, ready, pull, "rst")


def test_ctr_recovers_from_a_truncated_layer(ctr: Client, terminal: Terminal, ready: dict[str, str]) -> None:
    def pull(image: str) -> None:
        ctr("images", "pull", "--plain-http", "--snapshotter=native", image)
        ctr("images", "rm", "--sync", image)

    compare_pulls(terminal, ready, pull, "fin")
