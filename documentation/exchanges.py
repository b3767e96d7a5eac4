"""What selects and describes exchanges: the keys of filters, and the events of timelines."""

from __future__ import annotations

import inspect
from dataclasses import fields

from brokenreg.traffic.filter_keys import KEYS, SHORT
from brokenreg.traffic.timeline_events import KINDS
from documentation.markdown import code, codes, prose, table


def filter_keys() -> str:
    """Return the table of docs/reference/filters.md."""
    rows = [
        (codes([name, *(short for short, key in SHORT.items() if key == name)]), prose(key.usage))
        for name, key in KEYS.items()
    ]
    return "\n".join(table(("key", "values"), rows))


def timeline_events() -> str:
    """Return the table of timelines in docs/reference/control-api.md."""
    rows = [
        (
            code(name),
            codes(field.name for field in fields(event)),
            prose(_summary(event)),
        )
        for name, event in KINDS.items()
    ]
    return "\n".join(table(("kind", "data", "meaning"), rows))


def _summary(event: type[object]) -> str:
    return (inspect.getdoc(event) or "").splitlines()[0]
