"""`brokenreg` with an error in the panel for the theme's key, to test how it ends in a terminal."""

from __future__ import annotations

from brokenreg.cli.main import main
from brokenreg.tui.app import Panel


def _fail(panel: Panel) -> None:
    secret = "hunter2"  # Textual would show it.
    raise RuntimeError(f"an error of ours, with {len(secret)} letters")


if __name__ == "__main__":
    Panel.action_theme = _fail  # type: ignore[method-assign]
    main()
