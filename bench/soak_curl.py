"""curl as a client of a soak: it pulls and pushes over all protocols, and is killed."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import random
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from bench.peers import Ours

OCTETS = "Content-Type: application/octet-stream"
PUSHED = "/v2/soak/app"
LARGE = 8 << 20
"""Bytes of the layer whose transfers are interrupted: more than sockets and windows take."""

_RATE = "4M"
"""Bytes per second of a transfer that is killed."""


class ContentError(Exception):
    """A client did not receive what it should have received."""


@dataclass(frozen=True)
class Target:
    """A registry, and what clients need to know of it."""

    own: Ours
    ca: Path | None
    """The certificate to trust; None without TLS."""

    content: Path
    """The layer to push, of `LARGE` bytes."""

    digest: str

    @property
    def url(self) -> str:
        return f"{'https' if self.ca else 'http'}://{self.own.host}"

    def control(self, method: str, path: str, document: object = None) -> Any:
        """Send a request to the control API; the document of its response."""
        with contextlib.closing(http.client.HTTPConnection(self.own.control, timeout=30)) as connection:
            body = None if document is None else json.dumps(document)
            connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
            content = connection.getresponse().read()
        return json.loads(content) if content else None


def make_content(folder: Path) -> tuple[Path, str]:
    """Write the layer to push; its path and its digest."""
    content = folder / "content"
    content.write_bytes(random.Random(1).randbytes(LARGE))
    return content, digest_of(content.read_bytes())


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class Curl:
    """curl, with a protocol that is drawn for each run: HTTP/2 twice as often as HTTP/1.1."""

    def __init__(self, target: Target, draw: random.Random) -> None:
        program = shutil.which("curl")
        if program is None:
            sys.exit("bench: curl is not installed; apt-get install curl")
        self._command = [program, "--silent", "--show-error", "--max-time", "60"]
        self._command += ["--cacert", str(target.ca)] if target.ca else []
        self._http2 = "--http2" if target.ca else "--http2-prior-knowledge"
        self._target = target
        self._draw = draw

    def run(self, path: str, *options: str, body: bytes = b"", status: int | None = None) -> bytes:
        """Send a request; the body of the response. Raise `ContentError` if it has another status."""
        command = [*self._start("%{http_code}"), *options, f"{self._target.url}{path}"]
        done = subprocess.run(command, input=body, capture_output=True, check=False)
        content, got = done.stdout[:-3], done.stdout[-3:]
        if status and (done.returncode or got != b"%d" % status):
            raise ContentError(f"{command[-1]}: {got!r} {content[-200:]!r} {done.stderr!r}")
        return content

    def begin_upload(self) -> str:
        """Begin an upload; its URL, to which `digest=` can be appended."""
        command = [*self._start("%header{location}"), "-X", "POST"]
        command += [f"{self._target.url}{PUSHED}/blobs/uploads/"]
        location = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        where = urljoin(self._target.url, location)
        return f"{where}{'&' if '?' in where else '?'}"

    def cancel_upload(self, where: str) -> None:
        self.run(where.removeprefix(self._target.url).rstrip("?&"), "-X", "DELETE")

    def upload(self, where: str) -> None:
        """Push the layer with a length, or without: in chunks, or only in DATA frames over HTTP/2."""
        command = [*self._start("%{http_code}"), *self._content(where)]
        with self._target.content.open("rb") as content:
            done = subprocess.run(command, stdin=content, capture_output=True, check=False)
        if done.returncode or done.stdout != b"201":
            raise ContentError(f"{command}: {done.stdout!r} {done.stderr!r}")

    def killed_upload(self, where: str) -> None:
        """Push some of the layer, and kill curl."""
        self._killed(self._content(where))

    def killed_get(self, path: str) -> None:
        """Receive some of a response, and kill curl."""
        self._killed(["--output", "/dev/null", f"{self._target.url}{path}"])

    def _content(self, where: str) -> list[str]:
        source = self._draw.choice((str(self._target.content), "-"))
        return ["-H", OCTETS, "--upload-file", source, f"{where}digest={self._target.digest}"]

    def _killed(self, arguments: list[str]) -> None:
        command = [*self._start(""), "--limit-rate", _RATE, *arguments]
        with (
            self._target.content.open("rb") as content,
            subprocess.Popen(command, stdin=content, stdout=subprocess.DEVNULL) as running,
        ):
            time.sleep(self._draw.uniform(0.2, 0.8))
            running.kill()

    def _start(self, report: str) -> list[str]:
        """The command as far as it is the same for all; it writes `report` after the body."""
        protocol = self._draw.choice((self._http2, self._http2, "--http1.1"))
        return [*self._command, protocol, "--write-out", report]
