"""Lines that nobody reads are dropped, counted and reported on standard error; nothing waits for them."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from brokenreg.assembly import output
from brokenreg.assembly.output import ErrorOutput, LineWriter
from tests.hang_guard import hang_guard
from tests.server import clean_environment

LINE = "x" * 99


async def test_lines_that_nobody_reads_are_counted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """They are reported during the run and at its end. The pipe has the other lines."""
    monkeypatch.setattr(output, "_QUEUE", 1000)
    monkeypatch.setattr(output, "_FIRST_REPORT", 0.05)
    monkeypatch.setattr(output, "_LAST_WORDS", 0.05)
    reader, writer = os.pipe()
    lines = LineWriter(writer, "standard output")
    for _ in range(5):
        for _ in range(600):
            lines.write(LINE)
        await asyncio.sleep(0.03)
    await asyncio.sleep(0.05)
    (while_it_ran,) = caplog.messages
    assert while_it_ran.endswith(" lines dropped so far: nobody reads it")
    lines.close()
    in_the_pipe = os.read(reader, 1_000_000).count(b"\n")
    assert caplog.messages[-1] == (
        f"standard output: {3000 - in_the_pipe} lines dropped so far: nobody reads it"
    )
    os.close(reader)
    os.close(writer)


async def test_long_lines_that_nobody_reads_are_limited_in_bytes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A request path can have 64 KiB, and a line contains it several times."""
    monkeypatch.setattr(output, "_QUEUE_SIZE", 1_000_000)
    monkeypatch.setattr(output, "_LAST_WORDS", 0.05)
    reader, writer = os.pipe()
    lines = LineWriter(writer, "standard output")
    for _ in range(50):
        lines.write("y" * 99_999)
    await asyncio.sleep(0.05)
    read = b""
    while read.count(b"y") < 999_990:  # the thread of another test may still write to a pipe of that number
        read += await asyncio.to_thread(os.read, reader, 100_000)
    lines.close()
    assert caplog.messages == ["standard output: 40 lines dropped so far: nobody reads it"]
    os.close(reader)
    os.close(writer)


async def test_lines_that_were_written_make_room_for_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(output, "_QUEUE_SIZE", 1000)
    with (tmp_path / "log").open("wb") as file:
        lines = LineWriter(file.fileno(), "log")
        for number in range(5):
            lines.write(f"{number}" * 900)
            await asyncio.sleep(0.1)
        lines.close()
    assert (tmp_path / "log").read_text().split() == [f"{number}" * 900 for number in range(5)]


async def test_a_reader_that_has_gone_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    lines = LineWriter(writer, "standard output")
    lines.write("a")
    lines.close()
    assert caplog.messages == ["standard output: 1 line dropped so far: Broken pipe"]
    lines.write("b")
    lines.close()
    assert caplog.messages[-1] == "standard output: 2 lines dropped so far: Broken pipe"
    os.close(writer)


async def test_a_log_file_on_a_full_disk_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    with open("/dev/full", "wb") as full:
        lines = LineWriter(full.fileno(), "log.jsonl")
        lines.write("a")
        lines.close()
    assert caplog.messages == ["log.jsonl: 1 line dropped so far: No space left on device"]


async def test_nothing_is_reported_where_all_lines_are_read(caplog: pytest.LogCaptureFixture) -> None:
    reader, writer = os.pipe()
    lines = LineWriter(writer, "standard output")
    for _ in range(100):
        lines.write(LINE)
    lines.close()
    assert os.read(reader, 20_000) == f"{LINE}\n".encode() * 100
    assert not caplog.messages
    os.close(reader)
    os.close(writer)


def test_unread_standard_error_does_not_block() -> None:
    """A record is dropped instead of waiting, and a long one is truncated."""
    reader, writer = os.pipe()
    handler = ErrorOutput(writer)
    record = logging.makeLogRecord({"msg": "y" * 50_000})
    with hang_guard():
        for _ in range(10):
            handler.emit(record)
    assert 50_000 < len(os.read(reader, 1_000_000)) <= 65_536
    handler.emit(logging.makeLogRecord({"msg": "again"}))
    assert os.read(reader, 1_000_000) == b"again\n"
    os.close(reader)
    handler.emit(record)
    os.close(writer)


@pytest.mark.slow
def test_a_run_whose_output_nobody_reads(tmp_path: Path) -> None:
    """It ends on SIGTERM, and says how many lines were lost."""
    command = [sys.executable, "-m", "brokenreg", "serve", "--headless", "--offline", "--control", "off",
               "--listen", "127.0.0.1:0", "--data", str(tmp_path / "data")]  # fmt: skip
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_environment()
    )
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    with httpx.Client() as http:
        for _ in range(200):
            http.get(f"{ready['registry']}/v2/", headers={"user-agent": "u" * 2000})
    process.send_signal(signal.SIGTERM)
    told = process.stderr.read() if process.stderr is not None else b""
    assert process.wait(timeout=5) == 0
    read = process.stdout.read().count(b"\n")
    process.stdout.close()
    assert (
        told.decode() == f"brokenreg: standard output: {200 - read} lines dropped so far: nobody reads it\n"
    )
