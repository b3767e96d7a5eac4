"""A bounded memory: what was neither read nor written for longest is forgotten first."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")
Default = TypeVar("Default")

LONGEST = 256
"""Characters of a text in a key that is kept as it is."""


class Memory(Generic[Key, Value]):
    """At most `limit` values by key. Reading a value keeps it as writing does.

    Of texts in keys the beginning and a digest are kept: clients choose how long a User-Agent is.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values: OrderedDict[Key, Value] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[Key]:
        """The keys, the one touched longest ago first."""
        return iter(self._values)

    def get(self, key: Key, default: Default) -> Value | Default:
        """The value of a key, which is touched; `default` if there is none."""
        key = _short(key)
        if key not in self._values:
            return default
        self._values.move_to_end(key)
        return self._values[key]

    def setdefault(self, key: Key, value: Value) -> Value:
        """The value of a key, which is touched; `value` from now on if there was none."""
        found: Value = self.get(key, value)
        self[key] = found
        return found

    def __setitem__(self, key: Key, value: Value) -> None:
        key = _short(key)
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > self._limit:
            self._values.popitem(last=False)

    def __delitem__(self, key: Key) -> None:
        """Forget a key, if it is there."""
        self._values.pop(_short(key), None)

    def values(self) -> Iterator[Value]:
        """All values; this touches none of them."""
        return iter(self._values.values())


def _short(key: Key) -> Key:
    """The key itself, or one that stands for it and takes little memory."""
    if isinstance(key, tuple):
        return tuple(map(_short, key))  # type: ignore[return-value]  # of the same types
    if isinstance(key, str) and len(key) > LONGEST:
        digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        return f"{key[: LONGEST // 2]} {digest}"  # type: ignore[return-value]
    return key
