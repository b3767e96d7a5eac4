"""The dialogue in which the user chooses an odd image."""

from __future__ import annotations

from brokenreg.tui.choosing import Choice, Entry


def image_choice() -> Choice:
    """Return the dialogue; its result is the tag of a kind, or None. It needs the catalogue."""
    from brokenreg.images.catalogue import CATALOGUE

    entries = (Entry(kind.name, kind.family(), kind.summary()) for kind in CATALOGUE.values())
    return Choice("Choose an odd image, to copy the command that pulls it", "images", entries)
