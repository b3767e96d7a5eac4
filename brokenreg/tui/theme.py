"""The colours of the panel: blue for success and orange for failure, which most people can tell apart.

Each of these has one meaning everywhere, in the header, the rows, notices and the footer:

- `$accent`: keys
- `$error`: failures, faults that are armed, and what is wrong
- `$warning`: what is held
"""

from __future__ import annotations

from dataclasses import replace

from rich.style import Style
from textual.theme import Theme
from textual.widget import Widget

_SCROLLBAR_BACKGROUND = (
    "scrollbar-background",
    "scrollbar-background-hover",
    "scrollbar-background-active",
    "scrollbar-corner-color",
)


def _theme(theme: Theme, scrollbar: str) -> Theme:
    """Return a theme with a scrollbar of that colour on the surface, and the footer on the panel's colour."""
    return replace(
        theme,
        success=theme.primary,
        variables={
            "footer-key-foreground": theme.accent or "",
            "footer-background": theme.panel or "",
            "scrollbar": scrollbar,
            "scrollbar-hover": scrollbar,
            "scrollbar-active": theme.primary,
            **dict.fromkeys(_SCROLLBAR_BACKGROUND, theme.surface or ""),
        },
    )


DARK = _theme(
    Theme(
        "dark",
        primary="#4ea1ff",
        secondary="#8fb8de",
        accent="#4fd6be",
        warning="#ffe066",
        error="#ff8c1a",
        foreground="#d8dee6",
        background="#10151b",
        surface="#161c24",
        panel="#1f2833",
        dark=True,
    ),
    scrollbar="#34414f",
)
LIGHT = _theme(
    Theme(
        "light",
        primary="#0b5cad",
        secondary="#49627d",
        accent="#00695c",
        warning="#725b00",
        error="#b03a00",
        foreground="#1b232c",
        background="#fbfcfd",
        surface="#f1f4f8",
        panel="#dfe6ee",
        dark=False,
    ),
    scrollbar="#b8c4d2",
)
ANSI = Theme(
    name="ansi",
    ansi=True,
    primary="ansi_blue",
    secondary="ansi_cyan",
    accent="ansi_green",
    success="ansi_blue",
    warning="ansi_yellow",
    error="ansi_red",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    boost="ansi_default",
    dark=True,
    variables={
        "footer-key-foreground": "ansi_green",
        "ansi-background": "ansi_black",
        "ansi-foreground": "ansi_white",
        "border-blurred": "ansi_black",
        "block-cursor-foreground": "ansi_black",
        "block-cursor-background": "ansi_white",
        "input-cursor-background": "ansi_black",
        "input-cursor-foreground": "ansi_bright_white",
        "input-cursor-text-style": "none",
        "input-selection-background": "ansi_bright_blue",
        "input-selection-foreground": "ansi_black",
        "screen-selection-background": "ansi_bright_blue",
        "screen-selection-foreground": "ansi_black",
    },
)

THEMES = (DARK, LIGHT, ANSI)
"""In the order of `preferences.THEMES`."""


def cursor_style(widget: Widget, component: str) -> Style:
    """Return the style of the line under the cursor: the background of a component class, or reverse video.

    With the terminal's 16 colours, which of them are readable together is unknown.
    """
    if widget.app.native_ansi_color:
        return Style(color="default", bgcolor="default", bold=True, reverse=True)
    return Style(bgcolor=widget.get_component_rich_style(component).bgcolor, bold=True)
