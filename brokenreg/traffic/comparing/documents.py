"""Compares two recorded bodies: by the members of their JSON, or else by their lines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice

from brokenreg.oci.mediatypes import count_values
from brokenreg.traffic.comparing.alignment import align, numbered

MOST = 1_000
"""Maximum number of members or lines of one body that are compared. Those after them are left out."""

LONGEST = 1_000
"""Maximum number of characters of a value or line that are shown."""

_MOST_VALUES = 20_000
"""Maximum number of values in a body that is read as JSON: what takes a few milliseconds."""

_DEEPEST = 16
"""Levels of a document whose members are compared one by one."""

Part = tuple[str, str | None, str | None]
"""A path, or "" for a line, and its text on both sides. None means that a side does not have it."""


def parts_of(left: str | None, right: str | None) -> Iterator[Part]:
    """Yield the members or lines of two bodies, aligned, in the order of the left body."""
    members = _members(left), _members(right)
    if members[0] is not None and members[1] is not None:
        yield from _aligned_members(members[0], members[1])
    else:
        yield from _aligned_lines(_lines(left), _lines(right))


def omitted_parts(text: str) -> bool:
    """Return whether a body has more members or lines than are compared."""
    members = _members(text, MOST + 1)
    return len(_lines(text, MOST + 1) if members is None else members) > MOST


def _aligned_members(left: dict[str, str], right: dict[str, str]) -> Iterator[Part]:
    paths = [*left], [*right]
    for each in align(*paths):
        path = paths[0][each.left] if each.left is not None else paths[1][each.right or 0]
        yield path, left.get(path), right.get(path)


def _aligned_lines(left: Sequence[str], right: Sequence[str]) -> Iterator[Part]:
    """Yield lines. One that has moved is on the right at its old place, and on the left at its new one."""
    for each in align([*numbered(left)], [*numbered(right)]):
        ours = None if each.left is None else left[each.left]
        theirs = None if each.right is None else right[each.right]
        yield "", ours, theirs


def _lines(text: str | None, most: int = MOST) -> list[str]:
    return [line[:LONGEST] for line in (text or "").split("\n")[:most]] if text else []


def _members(text: str | None, most: int = MOST) -> dict[str, str] | None:
    """Return the values of a JSON object or array by path, or None if the text is something else."""
    if text is None:
        return {}
    if text.lstrip()[:1] not in ("{", "[") or count_values(text.encode("utf-8", "replace")) > _MOST_VALUES:
        return None
    try:
        document = json.loads(text)
        return {path: value[:LONGEST] for path, value in islice(_flat("", document), most)}
    except (ValueError, RecursionError):
        return None


def _flat(path: str, value: object, depth: int = 0) -> Iterator[tuple[str, str]]:
    """Yield the path and text of each value that has no members, or is too deep."""
    if isinstance(value, dict) and value and depth < _DEEPEST:
        for name, member in value.items():
            yield from _flat(f"{path}.{name}" if path else name, member, depth + 1)
    elif isinstance(value, list) and value and depth < _DEEPEST:
        for place, member in enumerate(value):
            yield from _flat(f"{path}[{place}]", member, depth + 1)
    else:
        yield path, json.dumps(value, ensure_ascii=False)
