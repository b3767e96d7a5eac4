"""Text from the network or a user, as a terminal may be shown it."""

from __future__ import annotations


def printable(text: str) -> str:
    """Without anything that a terminal would obey."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
