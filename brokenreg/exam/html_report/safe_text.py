"""Text from clients and registries, without what a browser or a reader would take for something else."""

from __future__ import annotations

import re
import unicodedata

LONGEST = 2000
"""Maximum number of characters of a value, such as a path or a header."""

_TERMINAL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # colours and other control sequences (ECMA-48, section 5.4)
    r"|\x1b\][^\x07\x1b]{0,2000}(?:\x07|\x1b\\)"  # titles and links
    r"|\x1b[ -/]*[0-Z\\^-~]"
)
_ESCAPED = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
"""Categories of characters that are invisible, reorder text, or are not valid in UTF-8."""


def visible(text: str) -> str:
    """Return text whose control, invisible and reordering characters are escaped; lines and tabs stay."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(each if _is_shown(each) else _escaped(each) for each in text)


def cut(text: str, length: int = LONGEST) -> str:
    """Return text of at most `length` characters, which ends with the number of missing ones."""
    return text if len(text) <= length else f"{text[:length]}… ({len(text) - length} more characters)"


def terminal_output(text: str) -> str:
    """Return what a program printed, without colours. A line that was overwritten has its last text."""
    plain = _TERMINAL.sub("", text).replace("\r\n", "\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in plain.split("\n")).strip("\n")


def _is_shown(character: str) -> bool:
    return character in "\n\t" or unicodedata.category(character) not in _ESCAPED


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
