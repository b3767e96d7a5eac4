"""One case: one client, one fault, a brokenreg of its own, and what was seen."""

from __future__ import annotations

import re
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.clients import layouts, wire
from tests.clients.behaviour.drivers import Driver, Words
from tests.clients.behaviour.faults import Fault
from tests.clients.behaviour.original import REPOSITORY, TAG, Original
from tests.clients.private import short_folder
from tests.server import Brokenreg, brokenreg

BOUND = 180.0
"""Seconds after which a client that is still at it hangs."""

_PUSHED = "team/app"
_LONG = 140

_GENERAL = (
    (re.compile(r'^time="[^"]*" level=\w+ msg="(.*)"$'), r"\1"),
    (re.compile(r"https?://127\.0\.0\.1:\d+/\S*"), "ELSEWHERE"),
    (re.compile(r"127\.0\.0\.1:\d+"), "CLIENT"),
    (re.compile(r"sha256:([0-9a-f]{12})[0-9a-f]{52}"), r"sha256:\1…"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f-]{27}\b"), "SESSION"),
    (re.compile(r"storage\d+/\d+"), "storage"),
)
"""What stands in the last words of a client and differs from run to run, and what stands for it."""


class CancelledError(Exception):
    """Somebody wants the run to end."""


@dataclass(frozen=True)
class Asked:
    """One exchange. `at` is seconds since the first of its case; `range` the header of that name.

    `is_elsewhere`: at the second origin, to which redirects lead.
    """

    at: float
    method: str
    endpoint: str
    reference: str
    status: int | None
    range: str
    sent: int
    faults: tuple[str, ...]
    ended: str | None
    is_elsewhere: bool


@dataclass(frozen=True)
class Seen:
    """What came of a case. `status` is None if the client did not end; `said` its last words."""

    fault: Fault
    client: str
    version: str
    status: int | None
    seconds: float
    said: str
    is_whole: bool
    exchanges: tuple[Asked, ...]
    original: Original

    @property
    def asked(self) -> list[Asked]:
        """The requests that the fault is about."""
        subject = self.fault.subject
        if subject == "any":
            return list(self.exchanges)
        found = [each for each in self.exchanges if each.endpoint == subject]
        if subject == "layer":
            found = [each for each in found if each.reference == self.original.layers[1]]
        return found

    @property
    def verdict(self) -> str:
        """`recovers`, `fails` or `hangs`. Raise `AssertionError` if it claims what it does not have."""
        if self.status is None:
            return "hangs"
        if self.status != 0:
            return "fails"
        assert self.is_whole, f"{self.client} says all is well, and has no whole image"
        return "recovers"


def run_case(
    fault: Fault,
    driver: type[Driver],
    original: Original,
    *,
    bound: float = BOUND,
    cancelled: threading.Event | None = None,
) -> Seen:
    """Run it, `bound` seconds at most. Raise `CancelledError`."""
    with short_folder() as folder:
        scenario = folder / "rules.yaml"
        scenario.write_text(fault.scenario)
        with (
            driver.ready(folder) as client,
            brokenreg(folder / "data", "--scenario", str(scenario)) as registry,
        ):
            name = f"{_PUSHED}:v1" if fault.is_push else f"{REPOSITORY}:{TAG}"
            reference = f"{registry.host}/{name}"
            top = layouts.image("behaviour", layers=2, size=layouts.MIB)
            if fault.is_push:
                client.load(top, reference)
            words = client.push(reference) if fault.is_push else client.pull(reference)
            began = time.monotonic()
            with _Running(words, client.client.env) as running:
                status, output = running.finish(bound, cancelled or threading.Event())
                seconds = time.monotonic() - began
                exchanges = _exchanges(registry)
                if status is None:
                    running.end()
            whole = status == 0 and (
                _holds(registry, top) if fault.is_push else client.has(reference, original)
            )
            said = last_words(output, registry.host, folder)
            version = client.version()
    return Seen(fault, driver.name, version, status, seconds, said, whole, exchanges, original)


class _Running:
    """A command that runs, and does not outlive the block."""

    def __init__(self, words: Words, env: dict[str, str]) -> None:
        self._words = words
        self._env = env

    def __enter__(self) -> _Running:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            self._words, env=self._env, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True
        )
        return self

    def finish(self, bound: float, cancelled: threading.Event) -> tuple[int | None, str]:
        """Exit status and output, None if it goes on. Raise `CancelledError`."""
        until = time.monotonic() + bound
        while time.monotonic() < until:
            if cancelled.is_set():
                raise CancelledError
            try:
                output, errors = self._process.communicate(timeout=0.2)
            except subprocess.TimeoutExpired:
                continue
            return self._process.returncode, errors.strip() or output.strip()
        return None, ""

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.end()


def _exchanges(registry: Brokenreg) -> tuple[Asked, ...]:
    """All that was asked so far, from the control API; probes of the protocol (TLS, then plain) left out."""
    with httpx.Client(base_url=registry.control, timeout=30) as control:
        found = control.get("/v1/exchanges", params={"limit": 1000}).raise_for_status().json()
        listed = [each for each in found if each["endpoint"] != "connect"]
        details = [control.get(f"/v1/exchanges/{each['id']}").raise_for_status().json() for each in listed]
    details.sort(key=lambda each: float(each["time"]))
    return tuple(_asked(each, details[0]["time"], registry.host) for each in details)


def _asked(detail: dict[str, Any], first: float, host: str) -> Asked:
    headers = dict(detail["request_headers"])
    return Asked(
        at=detail["time"] - first,
        method=detail["method"],
        endpoint=detail["endpoint"],
        reference=detail["reference"],
        status=detail["status"],
        range=headers.get("range", ""),
        sent=detail["response_bytes"],
        faults=tuple(detail["faults"]),
        ended=detail["ended"],
        is_elsewhere=headers["host"] != host,
    )


def _holds(registry: Brokenreg, top: layouts.Image) -> bool:
    """Whether the registry serves what was pushed, with as many layers."""
    found = wire.everything(registry, _PUSHED, "v1")
    return len(found) == len(top.blobs) + 1


def last_words(output: str, host: str, folder: Path) -> str:
    """The last line of what a client said, without what differs from run to run, its end if it is long."""
    lines = [line for line in output.splitlines() if line.strip()]
    line = lines[-1].strip() if lines else ""
    return _general(line.replace(host, "REGISTRY").replace(str(folder), "DIR"))


def _general(line: str) -> str:
    for pattern, replacement in _GENERAL:
        line = pattern.sub(replacement, line)
    parts = line.split(": ")
    while len(parts) > 1 and len(": ".join(parts)) > _LONG:
        parts = parts[1:]
    return ": ".join(parts)[:_LONG]
