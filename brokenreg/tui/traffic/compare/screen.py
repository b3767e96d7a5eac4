"""The dialogue that shows two pulls, two pushes or two exchanges side by side."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Hashable
from functools import partial
from typing import ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.widgets import Static

from brokenreg.concurrency import paced
from brokenreg.traffic.bodies import Bodies
from brokenreg.traffic.comparing.comparison import Comparison, Request, Row, Totals, compare, compare_pair
from brokenreg.traffic.comparing.comparison_text import attempt_words, comparison_text, count_line, pair_text
from brokenreg.traffic.comparing.pair import PairLine, pair_lines
from brokenreg.traffic.exchange import Exchange
from brokenreg.tui.bindings import bindings_of
from brokenreg.tui.dialogues import Dialogue, say
from brokenreg.tui.saving import Files
from brokenreg.tui.text import beginning, fit, fold
from brokenreg.tui.traffic import cells
from brokenreg.tui.traffic.compare.pair_view import PairView
from brokenreg.tui.traffic.compare.sides import PLURALS, Side
from brokenreg.tui.traffic.compare.table import ComparisonTable, columns
from brokenreg.tui.traffic.compare.words import notes
from brokenreg.tui.traffic.detail.headers import duration_text
from brokenreg.tui.traffic.export import ExportScreen, Form
from brokenreg.wording import counted

_EVERY = 0.5
"""Seconds between two looks at whether the exchanges have changed."""

_GUTTER = 3
_SCROLLBAR = 1
_LABEL = 100
_SUMMARY = 2
"""Lines that say what differs."""

_CLIENT = 12
_ROOMY = 60
"""Cells of a side from which its facts are not abbreviated."""


class CompareScreen(Dialogue[None], inherit_bindings=False):
    """Shows the rows of a comparison, or the two exchanges of one row in full.

    It is made anew when one of the exchanges has changed.
    """

    DEFAULT_CSS = """
    CompareScreen > Vertical { width: 100%; height: 1fr; max-height: 100%; padding: 0; }
    CompareScreen ComparisonTable { background: $surface; height: 1fr; }
    CompareScreen PairView { display: none; height: 1fr; }
    CompareScreen.-pair PairView { display: block; }
    CompareScreen.-pair ComparisonTable { display: none; }
    CompareScreen #sides { height: auto; text-wrap: nowrap; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("compare")

    def __init__(
        self, sides: tuple[Side, Side], bodies: Bodies, files: Files, clock: Callable[[], float]
    ) -> None:
        super().__init__(f"Compare two {PLURALS[sides[0].noun]}")
        self._sides = sides
        self._bodies = bodies
        self._files = files
        self._table = ComparisonTable(clock)
        self._pair = PairView()
        self._comparison = Comparison(())
        self._is_swapped = False
        self._state: Hashable = None

    def content(self) -> ComposeResult:
        yield Static("Comparing…", id="sides", markup=False)
        yield self._table
        yield self._pair

    def on_mount(self) -> None:
        self._table.focus()
        if self._is_of_exchanges:
            self._show_pair()
        self._update()
        self.set_interval(_EVERY, self._update)

    def on_resize(self) -> None:
        """Arrange the lines above the rows again, once they have their width."""
        self.call_after_refresh(self._say_sides)

    def disabled_reason(self, action: str) -> str:
        """Return why `action` would do nothing now."""
        match action:
            case "open" if self._is_pair:
                return "already open; {compare.close} goes back"
            case "open" | "export" if self._table.selected is None:
                return "no row is selected"
            case "difference" if self._is_of_exchanges:
                return "there are no rows: what differs is at the top"
        return super().disabled_reason(action)

    def action_open(self) -> None:
        """Show the two exchanges of the row in full."""
        self._show_pair()
        self._make_pair()

    def action_close(self) -> None:
        """Go back to the rows, or close the dialogue."""
        if not self._is_pair or self._is_of_exchanges:
            self.dismiss()
            return
        self.remove_class("-pair")
        self._table.focus()
        self._say_sides()

    def action_difference(self, by: int) -> None:
        """Go to the next row that differs, or to the previous one."""
        if not self._table.go_to_difference(by):
            say(self, f"no {'later' if by > 0 else 'earlier'} row differs")
        elif self._is_pair:
            self._pair.action_first()
            self._make_pair()

    def action_hide_equal(self) -> None:
        """Hide what does not differ, or show it again."""
        self._table.toggle_equal()
        self._pair.toggle_equal()
        self._say_sides()

    def action_swap(self) -> None:
        """Exchange the sides."""
        self._is_swapped = not self._is_swapped
        self._start()

    def action_export(self) -> None:
        """Show the dialogue that exports the comparison."""
        row = self._table.selected
        forms = {"rows": Form(self._rows_text, "comparison.txt")}
        if row is not None:
            forms["selected row"] = Form(partial(self._row_text, row), "comparison.txt")
        if self._is_pair:
            forms = dict(reversed(forms.items()))
        if self._is_of_exchanges:
            del forms["rows"]
        self.app.push_screen(ExportScreen("Export comparison", forms, self._files), partial(say, self))

    async def on_cursor_list_opened(self) -> None:
        """Open the row after a double click."""
        await self.run_action("open")

    def _update(self) -> None:
        """Compare again if one of the exchanges has changed."""
        state = self._sides[0].state, self._sides[1].state
        if state != self._state:
            self._state = state
            self._start()

    def _start(self) -> None:
        self.run_worker(self._compare, exclusive=True)  # type: ignore[arg-type]  # too narrow

    async def _compare(self) -> None:
        left, right = self._both
        one, other = left.row, right.row
        if isinstance(one, Exchange) and isinstance(other, Exchange):
            self._comparison = await compare_pair(one, other, self._bodies.of)
        else:
            self._comparison = await compare(left.exchanges, right.exchanges, self._bodies.of)
        noted = [(row, notes(row)) async for row in paced(self._comparison.rows)]
        self._table.show(noted)
        self._say_sides()
        self.refresh_bindings()
        await self._load_pair()

    def _show_pair(self) -> None:
        self.add_class("-pair")
        self._pair.focus()

    def _make_pair(self) -> None:
        self.run_worker(self._load_pair, group="pair", exclusive=True)  # type: ignore[arg-type]  # too narrow

    async def _load_pair(self) -> None:
        """Show the exchanges of the row under the cursor, while they are shown in full."""
        row = self._table.selected
        if self._is_pair and row is not None:
            self._pair.show(await self._pair_lines(row))
            self._say_sides()
            self.refresh_bindings()

    async def _pair_lines(self, row: Row) -> list[PairLine]:
        left, right = (None if each is None else each.exchange for each in (row.left, row.right))
        lines = pair_lines(left, right, self._bodies.of, row.overall)
        return [line async for line in paced(lines)]

    def _say_sides(self) -> None:
        """Show what is compared, in two columns, and what differs."""
        width = self.query_one("#sides").size.width
        side = columns(width - _SCROLLBAR)
        totals = self._comparison.left, self._comparison.right
        titles = [fit(each.title(side), side) for each in self._both]
        if titles[0] == titles[1]:  # what differs was cut: show the beginning instead
            titles = [fit(title, side) for title in self._titles]
        facts = [_facts(*each, side) for each in zip(self._both, totals, strict=True)]
        row = self._table.selected
        summary = count_line(self._comparison) if self._comparison.rows else "comparing…"
        if self._is_pair and row is not None:
            summary = self._row_title(row)
        hidden = "equal hidden · " if self._table.hides_equal else ""
        lines = [
            Content.styled(f"{'':{_GUTTER}}{'│'.join(titles)}", "bold"),
            Content.styled(f"{'':{_GUTTER}}{'│'.join(facts)}", "$secondary"),
            *(
                Content.styled(f"{'':{_GUTTER}}{line}", "$warning")
                for line in fold(f"{hidden}{summary}", max(1, width - _GUTTER))[:_SUMMARY]
            ),
        ]
        self.query_one("#sides", Static).update(Content("\n").join(lines))

    def _row_title(self, row: Row) -> str:
        """Return the request of a row, its attempt, and its place."""
        attempt = attempt_words(row)
        place = "" if self._is_of_exchanges else f", row {self._comparison.rows.index(row) + 1}"
        of = f"{place} of {len(self._comparison.rows)}" if place else ""
        return f"{beginning(row.one.label, _LABEL)}{f', {attempt}' if attempt else ''}{of}"

    async def _rows_text(self) -> AsyncIterator[str]:
        async for piece in paced(comparison_text(self._comparison, self._titles)):
            yield piece

    async def _row_text(self, row: Row) -> AsyncIterator[str]:
        names = [_title_of(each) for each in (row.left, row.right)]
        titles = [f"{title}: {name}" for title, name in zip(self._titles, names, strict=True)]
        async for piece in paced(pair_text(await self._pair_lines(row), (titles[0], titles[1]))):
            yield piece

    @property
    def _both(self) -> tuple[Side, Side]:
        """Return the left and the right side."""
        return (self._sides[1], self._sides[0]) if self._is_swapped else self._sides

    @property
    def _titles(self) -> tuple[str, str]:
        left, right = self._both
        return left.title(), right.title()

    @property
    def _is_of_exchanges(self) -> bool:
        return all(isinstance(each.row, Exchange) for each in self._sides)

    @property
    def _is_pair(self) -> bool:
        return self.has_class("-pair")


def _facts(side: Side, totals: Totals, width: int) -> str:
    """Return when it began, the client, and its requests in numbers, in `width` cells.

    It has a duration only if all of its requests have ended.
    What does not fit is left out: first the client, then the time.
    """
    exchanges = side.exchanges
    if not exchanges:
        return fit("no longer in the log", width)
    has_ended = all(each.ended is not None for each in exchanges)
    missing = side.gone + totals.omitted
    is_roomy = width >= _ROOMY
    all_of_them = totals.requests + missing
    requests = counted(all_of_them, "request") if is_roomy else f"{all_of_them} req"
    time, client = cells.local_time(exchanges[0]), cells.client_name(exchanges[0], _CLIENT)
    numbers = (
        f"{totals.requests} of {requests}" if missing else requests,
        duration_text(totals.seconds) if has_ended else "",
        cells.bytes_word(max(totals.response_bytes, totals.request_bytes)),
    )
    separator = ", " if is_roomy else " "
    texts = [separator.join(filter(None, (before, *numbers))) for before in (f"{time} {client}", time, "")]
    return fit(next((text for text in texts if cell_len(text) <= width), texts[-1]), width)


def _title_of(request: Request | None) -> str:
    return "not requested" if request is None else f"exchange {request.exchange.id}"
