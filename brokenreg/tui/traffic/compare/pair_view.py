"""Two exchanges in full, in two columns: what differs first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest

from rich.cells import cell_len
from textual.content import Content

from brokenreg.concurrency import paced
from brokenreg.traffic.comparing.pair import PairLine, Section, Sign
from brokenreg.tui.lines import Lines
from brokenreg.tui.scrolling import MOVES
from brokenreg.tui.text import beginning, fit, fold

_LABEL = 18
_WIDE_LABEL = 32
_WIDE = 120
"""Number of columns from which there is more room for labels."""

_INDENT = 2
_LONGEST = 2_000
"""Characters of one value that are shown."""

_STYLES = {
    Sign.DIFFERS: "bold $error",
    Sign.LEFT: "bold $warning",
    Sign.RIGHT: "bold $warning",
    Sign.NOISE: "$secondary",
    Sign.EQUAL: "",
}


class PairView(Lines, inherit_bindings=False):
    """Shows the lines of two exchanges. If `hides_equal`, only those that differ."""

    DEFAULT_CSS = "PairView { padding: 0; }"
    BINDINGS = MOVES

    def __init__(self) -> None:
        super().__init__()
        self.hides_equal = False
        self._pair: Sequence[PairLine] = ()
        self._room = 0

    def show(self, lines: Sequence[PairLine]) -> None:
        """Show these lines."""
        self._pair = lines
        self._lay_out()

    def toggle_equal(self) -> None:
        """Hide or show the lines that do not differ."""
        self.hides_equal = not self.hides_equal
        self._lay_out()

    def on_resize(self) -> None:
        """Arrange the columns again if the width has changed."""
        if self._room != self._current_room:
            self._lay_out()
        else:
            super().on_resize()

    @property
    def _current_room(self) -> int:
        return max(1, self.scrollable_content_region.width)

    def _lay_out(self) -> None:
        self._room = self._current_room
        self.run_worker(self._arrange, exclusive=True)  # type: ignore[arg-type]  # too narrow

    async def _arrange(self) -> None:
        lines = _arranged(self._pair, self._room, hides_equal=self.hides_equal)
        self.show_lines([line async for line in paced(lines)])


def _arranged(lines: Sequence[PairLine], width: int, *, hides_equal: bool) -> Iterator[Content]:
    """Yield the sections with what differs, and then the rest. The timeline stays together."""
    differing = [line for line in lines if line.sign.is_difference]
    if lines and not differing:
        yield Content.styled("No differences.", "bold")
    timeline = [line for line in lines if line.section is Section.TIMELINE]
    if any(line.sign.is_difference for line in timeline) and not hides_equal:
        differing = [line for line in differing if line.section is not Section.TIMELINE] + timeline
    shown = {id(line) for line in differing}
    sections = {line.section for line in differing}
    yield from _sections(differing, dict.fromkeys(sections, "what differs"), width)
    if not hides_equal:
        rest = {each: "the rest" if each in sections else "no differences" for each in Section}
        yield from _sections([line for line in lines if id(line) not in shown], rest, width)


def _sections(lines: Sequence[PairLine], what: Mapping[Section, str], width: int) -> Iterator[Content]:
    """Yield lines under the headings of their sections; `what` says which part of a section they are."""
    section = None
    for line in lines:
        if line.section is not section:
            section = line.section
            yield Content("")
            yield Content.assemble((f"{section}", "bold"), (f": {what[section]}", "$secondary"))
        yield from _columns(line, width)


def _columns(line: PairLine, width: int) -> Iterator[Content]:
    """Yield a line in two columns, or in one if both sides have the same value."""
    label_width = _WIDE_LABEL if width >= _WIDE else _LABEL
    label = beginning(line.label, _LONGEST)
    style = _STYLES[line.sign]
    if cell_len(label) >= label_width:
        for row in fold(label, max(1, width - _INDENT)):
            yield Content.styled(f"{line.sign} {row}", style)
        label = ""
    before = _INDENT + label_width
    start = f"{line.sign} {fit(label, label_width)}"
    if line.left == line.right:
        for number, row in enumerate(fold(_shown(line.left), max(1, width - before))):
            yield Content.assemble((start if not number else " " * before, "$secondary"), row)
        return
    side = max(1, (width - before - 2) // 2)
    rows = zip_longest(fold(_shown(line.left), side), fold(_shown(line.right), side), fillvalue="")
    for number, (ours, theirs) in enumerate(rows):
        yield Content.assemble(
            (start if not number else " " * before, style), fit(ours, side), ("│ ", "$secondary"), theirs
        )


def _shown(value: str | None) -> str:
    return "—" if value is None else beginning(value, _LONGEST)
