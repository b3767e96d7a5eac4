"""Headless Chromium, driven over a pipe (https://chromedevtools.github.io/devtools-protocol/)."""

from __future__ import annotations

import base64
import itertools
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

_OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
    "--disable-dev-shm-usage",
)  # fmt: skip


class Chromium:
    """One page of a browser. `events` has what happened since a file was loaded."""

    def __init__(self, orders: BinaryIO, answers: BinaryIO) -> None:
        self.events: list[dict[str, Any]] = []
        self._orders = orders
        self._answers = answers
        self._numbers = itertools.count(1)
        self._session = ""
        target = self.order("Target.createTarget", url="about:blank")["targetId"]
        attached = self.order("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Audits"):
            self.order(f"{domain}.enable")

    def order(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Carry out an order, and return its result."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._orders.write(json.dumps(message).encode() + b"\0")
        self._orders.flush()
        while (answer := self._next()).get("id") != number:
            self.events.append(answer)
        assert "error" not in answer, answer
        return dict(answer["result"])

    def show(self, file: Path, width: int, *, dark: bool = False, media: str = "screen") -> None:
        """Load a file in a window of that width, and wait until it is drawn."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.order("Emulation.setEmulatedMedia", media=media, features=scheme)
        self.order(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False
        )
        self.events.clear()
        self.order("Page.navigate", url=file.as_uri())
        while not any(each["method"] == "Page.loadEventFired" for each in self.events):
            self.events.append(self._next())
        drawn = "new Promise(done => requestAnimationFrame(() => setTimeout(() => done(1), 50)))"
        self.order("Runtime.evaluate", expression=drawn, awaitPromise=True)

    def value(self, expression: str) -> Any:
        """Return the value of an expression in the page."""
        answer = self.order("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer["result"].get("value")

    def picture(self, clip: dict[str, int]) -> bytes:
        """Return a part of the page as PNG."""
        answer = self.order("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        return base64.b64decode(answer["data"])

    def of(self, *methods: str) -> list[dict[str, Any]]:
        """Return the parameters of the events with these names."""
        return [each["params"] for each in self.events if each["method"] in methods]

    def _next(self) -> dict[str, Any]:
        message = bytearray()
        while (byte := self._answers.read(1)) not in (b"\0", b""):
            message += byte
        return dict(json.loads(message))


@contextmanager
def chromium(folder: Path) -> Iterator[Chromium]:
    """Start a browser whose files are in a folder."""
    to_read, orders = os.pipe()
    answers, to_write = os.pipe()
    command = ["chromium", *_OPTIONS, f"--user-data-dir={folder}"]
    script = f'exec {{a}}<&{to_read} {{b}}>&{to_write}; exec "$@" 3<&$a 4>&$b'
    process = subprocess.Popen(
        ["bash", "-c", script, "bash", *command],
        pass_fds=(to_read, to_write),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "HOME": str(folder)},
    )
    os.close(to_read)
    os.close(to_write)
    try:
        with os.fdopen(orders, "wb") as written, os.fdopen(answers, "rb") as read:
            browser = Chromium(written, read)
            yield browser
            browser.order("Browser.close")
    finally:
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
