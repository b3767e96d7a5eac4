"""The dialogue in which the user chooses a fault."""

from __future__ import annotations

from brokenreg.faults.catalogue import CATALOGUE
from brokenreg.tui.choosing import Choice, Entry


def fault_choice() -> Choice:
    """Return the dialogue; its result is the name of a fault, or None."""
    entries = (Entry(kind.name, kind.family(), kind.summary()) for kind in CATALOGUE.values())
    return Choice("Choose fault", "faults", entries)
