"""The panel in a browser: a pull, held and resumed by keys. `make screenshots` takes a picture."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from test_walk import SLOW, copying  # noqa: E402

from tests.docs.chromium import Tab, chromium  # noqa: E402
from tests.process import BrokenregProcess, brokenreg_process  # noqa: E402

TOKEN = "of-the-control-API"
PICTURE = ROOT / "screenshots" / "browser-1000x600.png"
_PATIENCE = 30.0


def press(tab: Tab, *keys: str) -> None:
    """Press keys that are characters."""
    for key in keys:
        code = ord(key.upper())
        for kind in ("keyDown", "keyUp"):
            text = {"text": key} if kind == "keyDown" else {}
            tab.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **text)


def open_panel(tab: Tab, server: BrokenregProcess) -> None:
    """Open the page, and submit the token."""
    tab.look(f"{server.control}/panel", width=1000, height=600)
    tab.evaluate(f"document.querySelector('#token').value = '{TOKEN}'; 1")
    tab.evaluate("setTimeout(() => document.querySelector('button').click()); 1")  # it navigates
    tab.until("document.body?.classList.contains('-first-byte')")
    tab.evaluate("document.querySelector('textarea').focus(); 1")


def status(server: BrokenregProcess, name: str) -> int:
    headers = {"authorization": f"Bearer {TOKEN}"}
    return int(httpx.get(f"{server.control}/v1/status", headers=headers).json()[name])


def until(server: BrokenregProcess, name: str, value: int) -> None:
    """Wait until the status has that value."""
    deadline = time.monotonic() + _PATIENCE
    while status(server, name) != value:
        assert time.monotonic() < deadline, f"{name} is not {value}"
        time.sleep(0.05)


def walk(folder: Path, picture: Path | None = None) -> list[str]:
    """Pull, hold and resume by keys. Return the URLs that the browser requested."""
    with (
        brokenreg_process(folder / "data", "--control-token", TOKEN) as server,
        chromium(folder / "chromium") as tab,
    ):
        open_panel(tab, server)
        with copying(server.ready, SLOW, folder / "image") as client:
            until(server, "in_flight", 1)
            while status(server, "held") == 0:  # the row of the layer appears after the one of the manifest
                press(tab, "G", "p")
                time.sleep(0.3)
            assert client.poll() is None
            if picture is not None:
                time.sleep(2)
                tab.picture(picture)
            press(tab, "G", "a")
            until(server, "held", 0)
            assert client.wait(_PATIENCE) == 0
        press(tab, "q")
        tab.until("document.body?.classList.contains('-closed')")
        assert server.is_running
        return tab.requests


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        walk(Path(name), PICTURE)
    print(PICTURE.relative_to(ROOT))
