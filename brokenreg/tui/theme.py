"""The colours of the panel: blue for well and orange for ill, which most eyes can tell apart."""

from __future__ import annotations

from textual.theme import Theme

THEME = Theme(
    name="brokenreg",
    primary="#4ea1ff",
    secondary="#8fb8de",
    accent="#4ea1ff",
    success="#4ea1ff",
    warning="#ffae42",
    error="#ff8c1a",
    foreground="#d8dee6",
    background="#10151b",
    surface="#161c24",
    panel="#1f2833",
    dark=True,
    variables={
        "footer-key-foreground": "#ffae42",
        "footer-background": "#1f2833",
        "scrollbar": "#34414f",
        "scrollbar-hover": "#4a5a6b",
        "scrollbar-active": "#4ea1ff",
        "scrollbar-background": "#161c24",
        "scrollbar-background-hover": "#161c24",
        "scrollbar-background-active": "#161c24",
    },
)
