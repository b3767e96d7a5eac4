"""Logs with a line of JSON for each exchange: those of ours, and those that grow."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from brokenreg.concurrency import background
from brokenreg.traffic.exchange import Ended
from brokenreg.traffic.exchange_json import summary_json
from brokenreg.traffic.log import ExchangeEvent, TrafficLog
from brokenreg.traffic.saved.formats import UnreadableFileError
from brokenreg.traffic.saved.traffic_file import TrafficFile
from tests.process import brokenreg_process
from tests.traffic import making

READY = '{"event":"ready","registry":"http://127.0.0.1:8080"}\n'


def line(number: int, **more: object) -> str:
    made = making.exchange(f"/v2/app/manifests/v{number}", id=number, started=1000.0 + number, **more)
    made.status, made.ended = 200, Ended.COMPLETE
    return summary_json(made) + "\n"


def tags(log: TrafficLog) -> list[str]:
    return [each.target.reference for each in log]


def read(path: Path, text: str) -> TrafficFile:
    path.write_text(text)
    file = TrafficFile(path, TrafficLog())
    asyncio.run(file.read())
    return file


def test_lines_that_are_no_exchanges_are_named(tmp_path: Path) -> None:
    long = json.dumps({"id": 1, "method": "GET", "path": "/", "endpoint": "x" * 300_000})
    lines = [READY, line(1), "oops\n", "\n", '{"path": 7}\n', f"{long}\n", line(2), '{"id": 3, "met']
    file = read(tmp_path / "log", "".join(lines))
    assert tags(file.log) == ["v1", "v2"]
    assert file.unread.line == (
        "4 of 8 lines could not be read: line 3 is not JSON, line 5 has no path, and 2 more"
    )


def test_numbers_of_two_runs_in_one_log_are_unique(tmp_path: Path) -> None:
    file = read(tmp_path / "log", READY + line(1) + line(2) + READY + line(1) + line(2))
    assert [each.id for each in file.log] == [1, 2, 3, 4]


@asynccontextmanager
async def followed(path: Path) -> AsyncIterator[Callable[[int], Awaitable[list[str]]]]:
    """Follow a file, and yield what waits until the log has a number of exchanges."""
    log, happened = TrafficLog(), asyncio.Event()
    log.subscribe(lambda *_: happened.set(), ExchangeEvent.OPENED)
    file = TrafficFile(path, log, follows=True)

    async def until(count: int) -> list[str]:
        async with asyncio.timeout(10):
            while log.end < count:
                happened.clear()
                await happened.wait()
        return tags(log)

    async with background(file.read()):
        yield until


async def test_a_log_that_grows_is_truncated_and_is_rotated_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("")
    async with followed(path) as until:
        with path.open("a") as log:
            log.write(READY + line(1) + line(2)[:20])
            log.flush()
            assert await until(1) == ["v1"]
            log.write(line(2)[20:])
        assert await until(2) == ["v1", "v2"]
        path.write_text(line(3))
        assert (await until(3))[-1] == "v3"
        path.rename(tmp_path / "log.1")
        with (tmp_path / "log.1").open("a") as old:
            old.write(line(4))
        assert (await until(4))[-1] == "v4"
        path.write_text(line(5))
        assert (await until(5))[-1] == "v5"


@pytest.mark.slow
def test_what_our_commands_write(tmp_path: Path) -> None:
    """The log file, the standard output of `serve --headless`, and the output of `log --json`."""
    import httpx

    log = tmp_path / "log.jsonl"
    with brokenreg_process(tmp_path / "data", "--log", str(log)) as process:
        for tag in ("a", "b"):
            httpx.get(f"{process.url}/v2/app/manifests/{tag}")
        printed = httpx.get(f"{process.control}/v1/exchanges").json()
        (tmp_path / "printed.jsonl").write_text("".join(json.dumps(each) + "\n" for each in printed))
        process.stop()
        output = [json.dumps(each) + "\n" for each in process.lines]
        (tmp_path / "output.jsonl").write_text("".join(output))
    for name in ("log.jsonl", "printed.jsonl", "output.jsonl"):
        file = TrafficFile(tmp_path / name, TrafficLog())
        asyncio.run(file.read())
        assert tags(file.log) == ["a", "b"]
        assert [each.summary() for each in file.log] == [
            {**each, "faults": tuple(each["faults"])} for each in printed
        ]


def test_a_log_without_exchanges_is_no_log(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match="neither HAR nor a log"):
        read(tmp_path / "log", "hello\nworld\n")
