"""Gives an attached panel the colours of its terminal, whatever those of other panels are.

Rich keeps the escape sequence of a style in the style, and panels share styles. Without this, a terminal with
256 colours would get the sequences that were made for one with all colours.
"""

from __future__ import annotations

from functools import lru_cache

from rich.color import ColorSystem
from rich.console import COLOR_SYSTEMS, Console
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter


class NearestColours(LineFilter):
    """Replaces each colour by the nearest that the terminal has, so that no other system can be used."""

    def __init__(self, system: ColorSystem) -> None:
        super().__init__()
        self._system = system

    @classmethod
    def of(cls, console: Console) -> list[LineFilter]:
        """Return the filter for a console; none for one with all colours, or without."""
        system = COLOR_SYSTEMS.get(console.color_system or "")
        return [] if system in (None, ColorSystem.TRUECOLOR) else [cls(system)]

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            Segment(text, None if style is None else _nearest(style, self._system), control)
            for text, style, control in segments
        ]


@lru_cache(4096)
def _nearest(style: Style, system: ColorSystem) -> Style:
    text, back = (None if each is None else each.downgrade(system) for each in (style.color, style.bgcolor))
    return style + Style.from_color(text, back)
