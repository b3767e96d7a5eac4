"""Runs a panel with simulated exchanges until its terminal is closed: `python -m bench.flood FOLDER`.

With `headless` after the folder, it serves for terminals that attach, with a log of the usual size.

The log holds 100,000 exchanges, and 5,000 more arrive each second.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

from brokenreg.assembly.process_tuning import loop_with_fair_selector, tuned_process
from brokenreg.assembly.server import Server
from brokenreg.config.settings import Settings
from brokenreg.diagnostics import Diagnostics
from brokenreg.oci.target import parse_target
from brokenreg.traffic.exchange import Ended, Exchange
from brokenreg.traffic.log import TrafficLog
from brokenreg.traffic.timeline_events import ExchangeEnded
from brokenreg.tui.app import Panel

KEPT = 100_000
RATE = 5_000
_BATCH = 50


def pour(log: TrafficLog, count: int) -> None:
    """Add that many exchanges for manifests and layers, from a hundred clients."""
    for _ in range(count):
        number = log.next_id()
        kind = "manifests/v1" if number % 5 == 0 else f"blobs/sha256:{number:064x}"
        path = f"/v2/library/app{number % 100}/{kind}"
        exchange = Exchange(
            id=number,
            method="GET",
            path=path,
            query="",
            http_version="1.1",
            scheme="http",
            client=f"10.0.0.{number % 100}:4000",
            target=parse_target(path),
            request_headers=(("user-agent", "docker/27.3.1"),),
            started=time.time(),
        )
        log.opened(exchange)
        exchange.status, exchange.response_bytes, exchange.ended = 200, 4096, Ended.COMPLETE
        exchange.timeline.add(ExchangeEnded(), 0.002)
        exchange.revision += 1
        log.closed(exchange)


async def _pour_on(log: TrafficLog) -> None:
    due = time.perf_counter()
    while True:
        due += _BATCH / RATE
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        pour(log, _BATCH)


async def main(folder: Path) -> None:
    settings = Settings(
        listen=["127.0.0.1:0"], control=None, data=folder, fabricate_limit="1GiB", offline=True
    )
    async with tuned_process(), Server.running(settings, Diagnostics()) as server:
        log = TrafficLog(KEPT)
        pour(log, KEPT)
        pouring = asyncio.create_task(_pour_on(log))
        try:
            await Panel(replace(server.runtime, log=log)).run_async()
        finally:
            pouring.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await pouring


async def headless(folder: Path) -> None:
    """Serve without a panel, for terminals that attach, and print where."""
    settings = Settings(
        listen=["127.0.0.1:0"], control="127.0.0.1:0", data=folder, fabricate_limit="1GiB", offline=True
    )
    async with tuned_process(), Server.running(settings, Diagnostics()) as server:
        await server.load_late()
        print(json.dumps({"registry": server.registry_urls[0], "control": server.control_url}), flush=True)
        await _pour_on(server.log)


if __name__ == "__main__":
    if sys.argv[2:] == ["headless"]:
        asyncio.run(headless(Path(sys.argv[1])))
        sys.exit()
    with asyncio.Runner(loop_factory=loop_with_fair_selector) as runner:
        runner.run(main(Path(sys.argv[1])))
