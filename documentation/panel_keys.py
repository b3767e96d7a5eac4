"""The commands of the panel and their keys, for docs/reference/panel.md."""

from __future__ import annotations

from brokenreg.tui.commands import grouped
from documentation.markdown import code, prose, table


def panel_keys() -> str:
    """Return the table of commands, by group."""
    rows = []
    for group, commands in grouped():
        rows.append((f"**{group}**", "", ""))
        for command in commands:
            keys = " ".join(map(code, command.keys.split(",")))
            rows.append((keys, code(command.id), prose(command.help)))
    return "\n".join(table(("keys", "command", "what it does"), rows))
