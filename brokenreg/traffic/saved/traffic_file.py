"""Reads a file with exchanges into a log, in a thread, so that the event loop is never blocked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

from brokenreg.concurrency import paced, paced_thread, shielded
from brokenreg.oci.sizes import format_size
from brokenreg.traffic.bodies import Kept
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.log import TrafficLog
from brokenreg.traffic.saved.formats import Format, format_of, opened, texts
from brokenreg.traffic.saved.har_entries import HAREntries
from brokenreg.traffic.saved.har_stream import HARStream
from brokenreg.traffic.saved.json_window import JSONWindow
from brokenreg.traffic.saved.log_lines import LogLines
from brokenreg.traffic.saved.members import MissingMemberError, object_in, text_in
from brokenreg.traffic.saved.summaries import LONGEST_LINE, read_summary
from brokenreg.traffic.saved.unread import Unread

CAPACITY = 100_000
"""Maximum number of exchanges of a file that are kept, the newest ones."""

_BATCH = 0.05
"""Seconds for which the thread reads before the event loop adds what it has read."""

_MOST_IN_BATCH = 500

_INTERVAL = 0.25
"""Seconds between two looks at a file that is followed."""

_MOST_IN_FLIGHT = 1000
"""Number of exchanges that are shown as in flight. The log keeps these without a limit."""

_Read = tuple[Exchange, Kept]


class TrafficFile:
    """A HAR file, or a log with a line of JSON for each exchange, whose exchanges go into `log`.

    `unread` says what could not be read. `progress` is the part that was read, from 0 to 1. `is_complete` is
    true once everything was read, except what is appended later. `end` is the time of the newest event.
    """

    def __init__(self, path: Path, log: TrafficLog, *, follows: bool = False) -> None:
        """Open the file. Raise `UnreadableFileError`, also if it has another format."""
        self.path = path
        self.log = log
        self.follows = follows
        self.progress = 0.0
        self.is_complete = False
        self.end = 0.0
        self._file = opened(path)
        try:
            self.format = format_of(path, self._file, follows=follows)
        except BaseException:
            self._file.close()
            raise
        self.unread = Unread(*self.format.value)
        self._size = max(1, path.stat().st_size)
        self._highest = 0

    async def read(self) -> None:
        """Read the whole file. Then, if it is to be followed, read what is appended, until cancelled."""
        if self.format is Format.HAR:
            await self._read_all(self._har())
            self.is_complete = True
            return
        lines = LogLines(self.path, self._file)
        if lines.skipped:
            self.unread.other.append(f"the first {format_size(lines.skipped)} of the file are skipped")
        try:
            await self._read_all(self._exchanges(lines.complete()))
            if not self.follows and (rest := lines.incomplete()):
                await self._read_all(self._exchanges(iter([rest])))
            self.is_complete = True
            while self.follows:
                await asyncio.sleep(_INTERVAL)
                await self._read_all(self._exchanges(lines.appended()))
        finally:
            lines.close()

    async def _read_all(self, reads: Iterator[_Read]) -> None:
        """Add exchanges to the log that a thread reads."""
        paced_reads = paced_thread(reads)
        while (batch := await shielded(asyncio.to_thread(_next_batch, paced_reads))) is not None:
            async for exchange, kept in paced(batch):
                self._add(exchange, kept)

    def _har(self) -> Iterator[_Read]:
        """Yield the exchanges of a HAR file."""
        with self._file as file:
            stream = HARStream(JSONWindow(texts(file)))
            entries = None
            try:
                for entry in stream.entries():
                    self.progress = file.tell() / self._size
                    self.unread.parts = entry.number
                    entries = entries or _entries_of(stream)
                    if entry.problem:
                        self.unread.part(entry.number, entry.problem)
                        continue
                    yield from self._entry(entries, entry.number, entry.document)
                for each, kept, _ in (entries or _entries_of(stream)).connections(stream.members):
                    yield each, kept
            except OSError as error:
                self.unread.other.append(f"reading failed: {error.strerror}")
        if stream.problem:
            self.unread.other.append(stream.problem)

    def _entry(self, entries: HAREntries, number: int, document: object) -> Iterator[_Read]:
        for each, kept, _ in entries.connections(document):
            yield each, kept
        try:
            exchange, kept, problem = entries.read(document)
        except MissingMemberError as error:
            self.unread.part(number, str(error))
            return
        if problem:
            self.unread.detail(number, problem)
        yield exchange, kept

    def _exchanges(self, lines: Iterator[bytes]) -> Iterator[_Read]:
        """Yield the exchanges of lines."""
        try:
            for line in lines:
                self.progress = min(1.0, self._file.tell() / self._size) if not self.is_complete else 1.0
                self.unread.parts += 1
                if len(line) > LONGEST_LINE:
                    self.unread.part(self.unread.parts, f"is longer than {format_size(LONGEST_LINE)}")
                elif line.strip():
                    yield from self._line(line)
        except OSError as error:
            self.unread.other.append(f"reading failed: {error.strerror}")

    def _line(self, line: bytes) -> Iterator[_Read]:
        try:
            read = read_summary(line)
        except MissingMemberError as error:
            self.unread.part(self.unread.parts, str(error))
            return
        if read is not None:
            yield read[0], read[1]

    def _add(self, exchange: Exchange, kept: Kept) -> None:
        """Add an exchange to the log. If its id is not unique, it gets a new one."""
        log = self.log
        if exchange.id == 0 or log.find(exchange.id) is not None:
            exchange.id = self._highest + 1
        self._highest = max(self._highest, exchange.id)
        self.end = max(self.end, exchange.started + (exchange.timeline.last_at or 0.0))
        log.opened(exchange)
        log.bodies.keep(exchange, kept)
        if exchange.ended is not None or log.in_flight > _MOST_IN_FLIGHT:
            log.closed(exchange)


def _entries_of(stream: HARStream) -> HAREntries:
    creator = text_in(object_in(stream.members, "creator"), "name", 100)
    return HAREntries(creator or "unknown")


def _next_batch(reads: Iterator[_Read]) -> list[_Read] | None:
    """Return the exchanges that can be read in a short time, or None at the end."""
    batch: list[_Read] = []
    until = time.perf_counter() + _BATCH
    for read in reads:
        batch.append(read)
        if len(batch) >= _MOST_IN_BATCH or time.perf_counter() > until:
            return batch
    return batch or None
