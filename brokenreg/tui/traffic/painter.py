"""Paints a row of the list: its columns and their content."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.cache import LRUCache
from textual.strip import Strip
from textual.widget import Widget

from brokenreg.oci.digests import is_digest
from brokenreg.traffic.exchange import Exchange
from brokenreg.tui.text import fit
from brokenreg.tui.theme import cursor_style
from brokenreg.tui.traffic import cells, outcome
from brokenreg.tui.traffic.cells import span_bar
from brokenreg.tui.traffic.columns import CLIENT_READ, MS, SIZE, STATUS, Columns, Wishes
from brokenreg.tui.traffic.marks import MARK, Marks
from brokenreg.tui.traffic.rows import Row, Rows
from brokenreg.tui.traffic.summary import Summary, summarise
from brokenreg.tui.traffic.transfer import Kind, Transfer, is_miss, known_end
from brokenreg.wording import counted

_NAMED = len("Status")
"""Cells of the name of a column that is longer than its content; it gets some from the request."""
_NOTE_LEAVES = 21
"""Cells of the request that a note does not take."""
_NOTE = 13
"""Cells of a note, with a space, that are enough for most."""
_PROGRESS_NOTE = len(" fabricating 100%")
_ALGORITHM = len("sha256:")
_STRIPS_KEPT = 1024
_REPLICA_SHOWN = 4
_WIDE = 100
"""Number of columns from which a screen shows a waterfall by default, and a list the cache's result."""

_Part = tuple[str, str]
"""Text, and the style's name; empty for the usual one."""


Hint = tuple[tuple[str, str], ...]
"""Lines, and the name of the style of each."""


@dataclass(frozen=True, slots=True)
class _Words:
    """The text in the columns of a row."""

    glyph: str
    mark: str
    state: str
    time: str
    client: str
    request: str
    status: str
    size: str
    elapsed: str
    note: str = ""
    note_style: str = "note"
    bar: str = ""
    bar_style: str = ""


def _client(exchange: Exchange, width: int, *, is_named: bool) -> str:
    """Return the client if it is named, after the beginning of the replica's name if several are shown."""
    if exchange.place is None:
        return cells.client_name(exchange, width) if is_named else ""
    replica = exchange.place.replica[:_REPLICA_SHOWN]
    name = cells.client_name(exchange, width - len(replica) - 1) if is_named else ""
    return f"{replica} {name}".rstrip()[:width]


class Painter:
    """Paints the rows of `Rows` in the styles `traffic--...` of a widget, in columns that fit its width."""

    def __init__(self, widget: Widget, clock: Callable[[], float]) -> None:
        self.wants_waterfall: bool | None = None
        """Whether the user wants it; None if they have not chosen."""
        self._widget = widget
        self._clock = clock
        self._strips: LRUCache[tuple[object, ...], Strip] = LRUCache(_STRIPS_KEPT)
        self._wishes = Wishes(0)
        self._summaries: LRUCache[Transfer, tuple[tuple[int, int, int], Summary]] = LRUCache(_STRIPS_KEPT)

    def forget(self) -> None:
        """Drop painted rows, because the styles have changed."""
        self._strips.clear()

    @property
    def has_waterfall(self) -> bool:
        """Return whether to show a waterfall: as the user chose, or else from 100 columns on."""
        is_wide = self._widget.screen.size.width >= _WIDE
        return is_wide if self.wants_waterfall is None else self.wants_waterfall

    def measure_again(self) -> None:
        """Let the columns fit the rows that are painted from now on."""
        self._wishes = Wishes(self._wishes.width)

    def heading(self, width: int) -> Strip:
        """Paint the names of the columns."""
        columns = self._columns(width)
        text = (
            f"   {_column('Time', columns.time)}{_column('Client', columns.client)}"
            f"{fit('Request', columns.request + STATUS - _NAMED)} "
            f"Status {'Size':>{SIZE}} {'ms':>{MS}} {fit('Waterfall', columns.bar)}"
        )
        style = self._style("heading")
        return Strip([Segment(text, style)], len(text)).adjust_cell_length(width, style)

    def hint(self, hint: Hint, line: int, width: int) -> Strip:
        """Paint line `line` of the hint for an empty list."""
        text, style = hint[line] if 0 <= line < len(hint) else ("", "quiet")
        return Strip([Segment(fit(f"   {text}", width), self._style(style))], width)

    def row(self, row: Row, rows: Rows, marks: Marks, cursor: str | None, width: int) -> Strip:
        """Paint a row; `cursor` is the name of the cursor's style, if the cursor is there."""
        if isinstance(row, Transfer):
            return self._strip(self._transfer_words(row, rows, marks.sign(row), width), cursor, width)
        mark = MARK if row.id in marks else " "
        transfer = rows.transfer_of(row)
        now = self._clock()
        elapsed = "" if row.ended else cells.milliseconds(row, now)
        retry = 0 if transfer is None else transfer.retry(row)
        kind = None if transfer is None else transfer.kind
        bar = self._bar(row, transfer, now, width)
        is_held, columns = row.held_since is not None, self._columns(width)
        key = (
            row.id,
            row.revision,
            elapsed,
            is_held,
            transfer is None,
            kind,
            retry,
            bar,
            mark,
            cursor,
            width,
            columns,
        )
        strip = self._strips.get(key)
        if strip is None:
            words = self._words(row, transfer, retry, bar, mark, width)
            strip = self._strips[key] = self._strip(words, cursor, width)
        return strip

    def _words(
        self, exchange: Exchange, transfer: Transfer | None, retry: int, bar: str, mark: str, width: int
    ) -> _Words:
        columns, is_member = self._columns(width), transfer is not None
        room = columns.request
        kind = None if transfer is None else transfer.kind
        needs = cells.request_length(exchange, is_member=is_member)
        beside = room - needs - 1 if room - needs > _NOTE else room - _NOTE_LEAVES
        shorter = _ALGORITHM if is_digest(exchange.target.reference) and exchange.faults else 0
        note = outcome.note(exchange, max(beside, room - needs - 1 + shorter), retry)
        note_style = "held" if exchange.held_since is not None else "note"
        if exchange.progress is not None and exchange.held_since is None:
            note, note_style = outcome.progress(exchange.progress, beside), "quiet"
        elif not note:
            note, note_style = self._quiet_note(exchange, kind, width), "quiet"
            if needs - _ALGORITHM + 1 + cell_len(note) > room and exchange.ended:
                note = ""  # the glyph and the status say it, too
        bar_style = state = cells.state(exchange, kind)
        is_named = not is_member or exchange.replay_of is not None
        wished = min(_NOTE, cell_len(note) + 1) if note else 0
        if exchange.progress is not None:
            wished = _PROGRESS_NOTE  # however far it is, so that the columns stay
        self._wish(_client(exchange, CLIENT_READ, is_named=is_named), needs, wished)
        if not bar and note and cell_len(note) <= columns.bar and needs + 1 + cell_len(note) > room:
            note, bar, bar_style = "", note, note_style
        beside = cell_len(note) + 1 if note else 0
        line = cells.member_line if is_member else cells.request_line
        return _Words(
            glyph="↻" if retry and state == "good" else cells.glyph(exchange, kind),
            mark=mark,
            state=state,
            time=cells.local_time(exchange),
            client=_client(exchange, columns.client, is_named=is_named),
            request=line(exchange, room - beside),
            status=cells.status_word(exchange),
            size=cells.size_word(exchange),
            elapsed=cells.milliseconds(exchange, self._clock()),
            note=note,
            note_style=note_style,
            bar=bar,
            bar_style=bar_style,
        )

    def _quiet_note(self, exchange: Exchange, kind: Kind | None, width: int) -> str:
        """Return its progress, or that its content was not found; on a wide screen, the cache's result."""
        if is_miss(exchange, kind):
            return "not found"
        return cells.progress(exchange) or (str(exchange.cache or "") if width >= _WIDE else "")

    def _transfer_words(self, transfer: Transfer, rows: Rows, mark: str, width: int) -> _Words:
        summary = self._summary(transfer)
        now = self._clock()
        first = transfer.members[0]
        blobs = f"{summary.blobs_done}/{counted(summary.blobs, 'blob')}" if summary.blobs else ""
        failed = "⏸" if summary.held else "…" if summary.in_flight else "✗" if summary.failed else "✓"
        is_moving = summary.in_flight and summary.announced > summary.sent
        columns = self._columns(width)
        needs, bar = cells.transfer_length(transfer), ""
        self._wish(cells.client_name(first, CLIENT_READ), needs, len(blobs) + 1 if blobs else 0)
        if len(blobs) <= columns.bar and needs + 1 + len(blobs) > columns.request:
            blobs, bar = "", blobs
        elif needs + 1 + len(blobs) > columns.request:
            blobs = blobs.partition(" ")[0]
            blobs = "" if needs <= columns.request < needs + 1 + len(blobs) else blobs
        beside = len(blobs) + 1 if blobs else 0
        return _Words(
            glyph="▸" if rows.is_collapsed(transfer) else "▾",
            mark=mark,
            state="held" if summary.held else "bad" if summary.failed else "good",
            time=cells.local_time(first),
            client=cells.client_name(first, columns.client),
            request=cells.transfer_line(transfer, columns.request - beside),
            status=failed,
            size=cells.share_word(summary.sent, summary.announced)
            if is_moving
            else cells.bytes_word(summary.sent),
            elapsed=cells.elapsed(transfer, summary.seconds, now),
            note=blobs,
            note_style="quiet",
            bar=bar,
            bar_style="quiet",
        )

    def _strip(self, words: _Words, cursor: str | None, width: int) -> Strip:
        columns = self._columns(width)
        room = columns.request - (cell_len(words.note) + 1 if words.note else 0)
        parts: list[_Part] = [
            ("▌" if cursor else " ", words.state),
            (words.glyph, words.state),
            (words.mark, "mark"),
            (f"{_column(words.time, columns.time)}{_column(words.client, columns.client)}", "quiet"),
            (fit(words.request, room), ""),
            (f" {words.note}" if words.note else "", words.note_style),
            (f" {words.status:>{STATUS}}", words.state),
            (f" {words.size:>{SIZE}} {words.elapsed:>{MS}} ", "quiet"),
            (words.bar, words.bar_style),
        ]
        usual = self._widget.rich_style
        segments = [Segment(text, self._style(name) if name else usual) for text, name in parts]
        strip = Strip(segments).adjust_cell_length(width, usual)
        if cursor is None:
            return strip
        style = cursor_style(self._widget, f"traffic--{cursor}")
        return Strip(Segment.apply_style(strip, post_style=style), width)

    def _bar(self, exchange: Exchange, transfer: Transfer | None, now: float, width: int) -> str:
        """Return the bar that shows when the exchange took place within its transfer."""
        room = self._columns(width).bar
        if not room or transfer is None:
            return ""
        start = transfer.members[0].started
        seconds = self._summary(transfer).seconds
        last = max(known_end(each, now) for each in transfer.members) if seconds is None else start + seconds
        return span_bar(exchange.started, known_end(exchange, now), (start, last), room)

    def _summary(self, transfer: Transfer) -> Summary:
        """Return the summary, from the cache once the transfer has ended."""
        key = (transfer.size, len(transfer.members), len(transfer.blobs))
        known = self._summaries.get(transfer)
        if known is None or known[0] != key or known[1].in_flight:
            known = self._summaries[transfer] = key, summarise(transfer)
        return known[1]

    def _columns(self, width: int) -> Columns:
        if width != self._wishes.width:
            self._wishes = Wishes(width)
        return self._wishes.columns(has_waterfall=self.has_waterfall)

    def _wish(self, client: str, request: int, beside: int) -> None:
        """Note the lengths of a row; paint all rows again if it is the longest."""
        if self._wishes.note(cell_len(client), request, beside):
            self._widget.refresh()

    def _style(self, name: str) -> Style:
        return self._widget.get_component_rich_style(f"traffic--{name}")


def _column(text: str, width: int) -> str:
    """Return a text and a space, or nothing for a column that is not shown."""
    return f"{fit(text, width)} " if width else ""
