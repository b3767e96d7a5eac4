"""Parameters in tags and repository names: `key-value`, joined by `_` (`layers-3_size-64kib`)."""

from __future__ import annotations

from collections.abc import Collection

from brokenreg.wording import nearest, quoted


def split_params(text: str, names: Collection[str]) -> dict[str, str]:
    """Return the parameters in a text, by name. A key is the longest matching name, with `-` for `_`.

    A piece without a `-` belongs to the value before it (`code-TOO_MANY`). An empty text has no parameters.
    Raise `ValueError` with the name of a parameter that is unknown, empty or given twice.
    """
    values: dict[str, str] = {}
    if not text:
        return values
    by_spelling = sorted(((spell(name), name) for name in names), key=lambda pair: -len(pair[0]))
    last: str | None = None
    pieces = text.split("_")
    for place, piece in enumerate(pieces):
        name = next((name for spelling, name in by_spelling if piece.startswith(f"{spelling}-")), None)
        if name is None:
            if last is not None and "-" not in piece:
                values[last] += f"_{piece}"
                continue
            spellings = [spelling for spelling, _ in by_spelling]
            if piece in spellings:
                value = next(iter(pieces[place + 1 :]), "") or "<value>"
                raise ValueError(f"parameter {quoted(piece)} has no value: use {piece}-{value}")
            raise ValueError(_unknown(piece, spellings))
        if name in values:
            raise ValueError(f"parameter {quoted(spell(name))} is given twice: remove one of them")
        values[name] = piece[len(spell(name)) + 1 :]
        if not values[name]:
            raise ValueError(f"parameter {quoted(spell(name))} has no value: use {spell(name)}-<value>")
        last = name
    return values


def join_params(values: dict[str, str]) -> str:
    """Return parameters as text in the given order (the inverse of `split_params`)."""
    return "_".join(f"{spell(name)}-{value}" for name, value in values.items())


def spell(name: str) -> str:
    """Return the name of a parameter as image paths spell it."""
    return name.replace("_", "-")


def _unknown(piece: str, spellings: list[str]) -> str:
    key = piece.partition("-")[0]
    return f"unknown parameter {quoted(key)}: {nearest(key, spellings)}"
