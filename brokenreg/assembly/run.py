"""A run from start to exit status: `serve`, with lines on standard output, and the panel."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from brokenreg import __version__
from brokenreg.assembly.ephemeral import in_temporary_folder, stop_when_input_ends
from brokenreg.assembly.output import (
    ErrorOutput,
    LineWriter,
    exchange_line,
    private,
    ready_line,
    write_ready_file,
)
from brokenreg.assembly.process_tuning import tuned_process
from brokenreg.assembly.server import Server
from brokenreg.assembly.stopping import StopRequest
from brokenreg.concurrency import background, first_of
from brokenreg.config.settings import Settings
from brokenreg.diagnostics import Diagnostics, RedactingFormatter, RepetitionFilter
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.log import ExchangeEvent

if TYPE_CHECKING:
    from brokenreg.tui.preferences import Preferences

logger = logging.getLogger(__name__)

_TIME_TO_CLOSE = 1.1
"""Seconds after `--stop-timeout` at which a run ends, even if a thread waits for a disk that never responds.

Acknowledged data is not lost. The next start removes half-written files.
"""


async def serve(settings: Settings, *, headless: bool) -> int:
    """Serve until SIGINT or SIGTERM, and return the exit status.

    Raise `StorageError`, `ListenError`, `ScenarioError` or `OSError`.
    """
    with _stop_signals(settings) as stop, _standard_output() as output:

        def announce(server: Server, ready: str) -> None:
            if headless:
                output.write(ready)
                _print(server, output, exchange_line)
            else:
                from brokenreg.assembly.readable_log import ReadableLog

                _print(server, output, ReadableLog(sys.stdout).line)
                _greet(settings, server)
            if server.authority is not None:
                print(f"brokenreg: clients must trust the CA in {server.authority}", file=sys.stderr)

        await _serve(settings, stop, announce)
    return 0


async def serve_ephemeral(settings: Settings) -> int:
    """Serve in a temporary folder until a signal or the end of standard input; print only the ready line.

    Return the exit status. Raise what `serve` raises.
    """
    with _stop_signals(settings) as stop, in_temporary_folder(settings) as changed:
        is_ready = threading.Event()

        def announce(_: Server, ready: str) -> None:
            is_ready.set()
            print(ready, flush=True)

        stop_when_input_ends(is_ready)
        await _serve(changed, stop, announce)
    return 0


async def _serve(settings: Settings, stop: StopRequest, announce: Callable[[Server, str], None]) -> None:
    """Serve until a signal requests to stop. Call `announce` with the ready server and its ready line."""
    diagnostics = _log_to(_error_output(), "brokenreg: %(message)s")
    with _exchange_file(settings) as exchange_file:
        running = Server.running(settings, diagnostics, hurried=stop.hurried)
        async with tuned_process(), running as server:
            if exchange_file is not None:
                _print(server, exchange_file, exchange_line)
            announce(server, _ready(settings, server))
            async with background(server.load_late()):
                await first_of(stop.requested.wait(), server.wait())


async def panel(settings: Settings, preferences: Preferences) -> int:
    """Serve with the panel until it is quit, SIGTERM, or the terminal closes; return the exit status."""
    import httpx  # noqa: F401 - a replay imports it on the event loop

    from brokenreg.tui.app import Panel

    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = settings.data / "diagnostics.log"
    os.close(private(str(path), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC))
    path.chmod(0o600)  # earlier versions created it readable for everyone
    file = logging.FileHandler(path, encoding="utf-8")
    diagnostics = _log_to(file, "%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.captureWarnings(True)  # only the panel may write to the terminal
    with _exchange_file(settings) as exchange_file:
        async with tuned_process(), Server.running(settings, diagnostics) as server:
            if exchange_file is not None:
                _print(server, exchange_file, exchange_line)
            app = Panel(server.runtime, preferences)
            with on_stop_signals(app.quit, signal.SIGHUP):
                logger.info("%s", _greeting(settings, server))
                _ready(settings, server)
                async with background(server.load_late()):
                    await app.run_async()
            _end_in_time(settings.stop_timeout, app.return_code or 0)
    return app.return_code or 0


def _error_output() -> logging.Handler:
    return logging.NullHandler() if sys.stderr is None else ErrorOutput(sys.stderr.fileno())


def _log_to(handler: logging.Handler, form: str) -> Diagnostics:
    """Send warnings and errors to `handler`, and those and our own information to the returned diagnostics.

    Repetitions are omitted. This lasts as long as the process; `logging` closes the handler at its end.
    """
    diagnostics = Diagnostics()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(RedactingFormatter(form))
    repetitions = RepetitionFilter()
    for each in (handler, diagnostics):
        each.addFilter(repetitions)
    logging.basicConfig(handlers=[handler, diagnostics], level=logging.WARNING)
    logging.getLogger("brokenreg").setLevel(logging.INFO)
    return diagnostics


def _print(server: Server, writer: LineWriter, line: Callable[[Exchange], str]) -> None:
    """Write a line for each exchange that ends from now on."""
    server.log.subscribe(lambda _, exchange: writer.write(line(exchange)), ExchangeEvent.ENDED)


def _ready(settings: Settings, server: Server) -> str:
    """Return the ready line; write it also to the ready file, if there is one."""
    line = ready_line(
        registry=server.registry_urls[0],
        control=server.control_url,
        data=settings.data,
        authority=server.authority,
        version=__version__,
    )
    if settings.ready_file is not None:
        write_ready_file(settings.ready_file, line)
    return line


def _greet(settings: Settings, server: Server) -> None:
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    url = server.registry_urls[0]
    name = url.partition("://")[2]
    console.print(_greeting(settings, server))
    console.print(f"Try: docker pull {name}/broken/random:layers-3_size-1024   (Ctrl+C stops)")


def _greeting(settings: Settings, server: Server) -> str:
    return (
        f"brokenreg {__version__} serves {', '.join(server.registry_urls)}, "
        f"control API {server.control_url or 'off'}, data in {settings.data}"
    )


@contextlib.contextmanager
def _standard_output() -> Iterator[LineWriter]:
    writer = LineWriter(sys.stdout.fileno(), "standard output")
    try:
        yield writer
    finally:
        writer.close()


@contextlib.contextmanager
def _exchange_file(settings: Settings) -> Iterator[LineWriter | None]:
    if settings.log is None:
        yield None
        return
    with open(settings.log, "ab", opener=private) as file:
        writer = LineWriter(file.fileno(), str(settings.log))
        try:
            yield writer
        finally:
            writer.close()


def _end_in_time(stop_timeout: float, status: int = 0) -> None:
    """End the process `_TIME_TO_CLOSE` seconds after `stop_timeout`, unless it ends by itself before."""
    timer = threading.Timer(stop_timeout + _TIME_TO_CLOSE, os._exit, (status,))
    timer.daemon = True
    timer.start()


@contextlib.contextmanager
def _stop_signals(settings: Settings) -> Iterator[StopRequest]:
    """Yield what SIGINT and SIGTERM request. Some time after it is requested, the process ends."""
    stop = StopRequest()

    def stop_soon() -> None:
        stop.note_signal()
        _end_in_time(0.0 if stop.hurried.is_set() else settings.stop_timeout)

    with on_stop_signals(stop_soon):
        yield stop


@contextlib.contextmanager
def on_stop_signals(stop: Callable[[], object], *more: signal.Signals) -> Iterator[None]:
    """Call `stop` on SIGINT, SIGTERM and `more` during the block."""
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM, *more)
    for number in numbers:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
