"""The comparison of pictures reports exactly the visible differences."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.text import Text
from svg_screen import difference, screen_of

COLUMNS = 12
LINES = ("[bold red]red[/] [white on blue]on blue[/]", "界 wide", "[underline]  [/]  [reverse]x[/]", "plain")


def drawn(*lines: str) -> str:
    console = Console(
        width=COLUMNS, record=True, force_terminal=True, color_system="truecolor", file=io.StringIO()
    )
    for line in lines:
        text = Text.from_markup(line)
        text.pad_right(COLUMNS - text.cell_len)
        console.print(text)
    return console.export_svg()


def test_characters_styles_and_backgrounds_are_read() -> None:
    first, wide, *_ = screen_of(drawn(*LINES))
    assert "".join(cell.text for cell in first) == "red on blue "
    assert {cell.style for cell in first[:3]} == {"fill: #cc555a; font-weight: bold"}
    assert len({cell.background for cell in first[4:11]}) == 1
    assert first[4].background != first[0].background
    assert [cell.text for cell in wide[:4]] == ["界", "", " ", "w"]


def test_a_screen_equals_itself_in_any_svg() -> None:
    svg = drawn(*LINES)
    other = svg.replace("Fira Code", "Other").replace("-r1", "-r99").replace('rx="8"', 'rx="9"')
    assert other != svg
    assert difference(svg, other) == ""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("plain", "Plain"),
        ("[bold red]red[/]", "[red]red[/]"),
        ("[bold red]red[/]", "[bold green]red[/]"),
        ("[white on blue]on blue[/]", "[white on red]on blue[/]"),
        ("[underline]  [/]", "    "),
        ("[reverse]x[/]", "x"),
    ],
)
def test_visible_differences_are_found(before: str, after: str) -> None:
    changed = [line.replace(before, after, 1) for line in LINES]
    assert changed != list(LINES)
    told = difference(drawn(*LINES), drawn(*changed))
    assert told.startswith("--- kept\n+++ drawn\n")
    number = next(at for at, line in enumerate(LINES, 1) if before in line)
    assert f"-{number:3}│" in told
