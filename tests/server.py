"""A brokenreg that serves in a thread of the test process: 30 times faster to start than a process.

`tests.process` has the same in a process of its own, for tests of signals, output, memory and the command
line.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from brokenreg import __version__
from brokenreg.assembly.output import exchange_line, ready_line
from brokenreg.assembly.server import Server
from brokenreg.cli.serve import serve, settings_from
from brokenreg.concurrency import first_of
from brokenreg.config.settings import Settings
from brokenreg.diagnostics import Diagnostics
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.log import ExchangeEvent

_PATIENCE = 20.0
"""Seconds for what must end by itself; only against waiting for ever."""


@dataclass
class Brokenreg:
    """A running brokenreg."""

    ready: dict[str, Any]
    data: Path
    lines: list[dict[str, Any]] = field(default_factory=list)
    """What it printed after the ready line, once it has been stopped."""

    @property
    def url(self) -> str:
        return str(self.ready["registry"])

    @property
    def host(self) -> str:
        """`127.0.0.1:port`, as image references want it."""
        return self.url.partition("://")[2]

    @property
    def control(self) -> str:
        return str(self.ready["control"])

    @property
    def is_running(self) -> bool:
        raise NotImplementedError

    @property
    def warnings(self) -> str:
        """What its log has from warnings on, with tracebacks. A process writes that to standard error."""
        raise NotImplementedError

    def stop(self) -> int:
        """Stop as SIGTERM does; the exit status."""
        raise NotImplementedError


@dataclass
class _Threaded(Brokenreg):
    """One that serves in a thread of this process, in an event loop of its own."""

    thread: _Thread = field(kw_only=True)

    @property
    def is_running(self) -> bool:
        return self.thread.is_running

    @property
    def warnings(self) -> str:
        lines = self.thread.diagnostics.lines()
        return "\n".join(line.text for line in lines if line.level >= logging.WARNING)

    def stop(self) -> int:
        """Stop as SIGTERM does; 0. Raise what went wrong in its loop."""
        self.lines += map(json.loads, self.thread.stop())
        return 0


class _Thread:
    """Runs a server in its own event loop."""

    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        """Wait until it is ready. Raise what prevents that."""
        self.diagnostics = Diagnostics()
        self._settings = settings
        self._environ = environ
        self._printed: list[str] = []
        self._stop = asyncio.Event()
        self._loop: Future[asyncio.AbstractEventLoop] = Future()
        self._ready: Future[str] = Future()
        self._ended: Future[None] = Future()
        # A daemon: a test that fails because a server does not stop must not keep pytest from its end.
        self._thread = threading.Thread(target=self._run, name=f"server on {settings.data}", daemon=True)
        self._thread.start()
        self.ready_line = self._ready.result()

    @property
    def is_running(self) -> bool:
        return not self._ended.done()

    def stop(self) -> list[str]:
        """Stop if it still serves, and wait; what it printed since the last call."""
        if not self._ended.done():
            self._loop.result().call_soon_threadsafe(self._stop.set)
        self._ended.result(timeout=_PATIENCE)
        self._thread.join(timeout=_PATIENCE)
        printed, self._printed = self._printed, []
        return printed

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - it is raised in the test's thread
            (self._ended if self._ready.done() else self._ready).set_exception(error)
        else:
            self._ended.set_result(None)

    async def _serve(self) -> None:
        self._loop.set_result(asyncio.get_running_loop())
        with _logged(self.diagnostics):
            async with Server.running(self._settings, self.diagnostics, self._environ) as server:
                server.log.subscribe(self._print, ExchangeEvent.ENDED)
                control, (registry, *_) = server.control_url, server.registry_urls
                ready = ready_line(
                    registry=registry,
                    control=control,
                    data=self._settings.data,
                    authority=server.authority,
                    version=__version__,
                )
                self._ready.set_result(ready)
                await first_of(self._stop.wait(), server.wait())

    def _print(self, _: ExchangeEvent, exchange: Exchange) -> None:
        self._printed.append(exchange_line(exchange))


@contextmanager
def _logged(diagnostics: Diagnostics) -> Iterator[None]:
    root = logging.getLogger()
    root.addHandler(diagnostics)
    try:
        yield
    finally:
        root.removeHandler(diagnostics)


@contextmanager
def brokenreg(data: Path, *arguments: str, **environment: str) -> Iterator[Brokenreg]:
    """A brokenreg in this process for the length of a block."""
    environ = clean_environment(**environment)
    command = serve_command(data, *arguments)
    with mock.patch.dict(os.environ, environ, clear=True), serve.make_context("serve", command) as context:
        options = {name: value for name, value in context.params.items() if name in Settings.model_fields}
        settings = settings_from(options)
    if settings.log is not None or settings.ready_file is not None:
        raise NotImplementedError("files that only a process writes: use `tests.process`")
    thread = _Thread(settings, environ)
    try:
        yield _Threaded(json.loads(thread.ready_line), data, thread=thread)
    finally:
        thread.stop()


def serve_command(data: Path, *arguments: str) -> list[str]:
    """The arguments of `brokenreg serve`: free ports, a folder, and no other registry unless one is given."""
    command = ["--headless", "--data", str(data)]
    if "--listen" not in arguments:
        command += ["--listen", "127.0.0.1:0"]
    if "--upstream" not in arguments:  # tests ask nobody but this machine
        command.append("--offline")
    if "--control" not in arguments:
        command += ["--control", "127.0.0.1:0"]
    return [*command, *arguments]


def clean_environment(**extra: str) -> dict[str, str]:
    """The environment without what brokenreg and its predecessor would read, or warn of.

    Without the one CA of these tests too (`one_authority`).
    """
    dropped = ("BIND_HOST", "BIND_PORT", "BLOB_DIR", "CERT_FILE", "KEY_FILE", "SSL_CERT_FILE")
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("BROKENREG_", "V2_CATALOG"))
        and not key.lower().endswith("_proxy")
        and key not in dropped
    }
    return {**kept, **extra}
