"""A bounded mapping that forgets the least recently used entry first."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")
Default = TypeVar("Default")

LONGEST = 256
"""Maximum length, in characters, of a text that is kept in a key unchanged."""


class Memory(Generic[Key, Value]):
    """Holds at most `limit` values by key. Reading a value counts as using it, as writing does.

    Long texts in keys are shortened to their beginning and a digest, because clients choose the length of a
    User-Agent.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values: OrderedDict[Key, Value] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[Key]:
        """Iterate over the keys, the least recently used first."""
        return iter(self._values)

    def get(self, key: Key, default: Default) -> Value | Default:
        """Return the value of a key and mark it as used, or return `default`."""
        key = _short(key)
        if key not in self._values:
            return default
        self._values.move_to_end(key)
        return self._values[key]

    def setdefault(self, key: Key, value: Value) -> Value:
        """Return the value of a key and mark it as used; store `value` if the key is missing."""
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
        """Remove a key, if present."""
        self._values.pop(_short(key), None)

    def values(self) -> Iterator[Value]:
        """Return all values without marking them as used."""
        return iter(self._values.values())


def _short(key: Key) -> Key:
    """Return the key itself, or a shorter one that identifies it."""
    if isinstance(key, tuple):
        return tuple(map(_short, key))  # type: ignore[return-value]  # of the same types
    if isinstance(key, str) and len(key) > LONGEST:
        digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        return f"{key[: LONGEST // 2]} {digest}"  # type: ignore[return-value]
    return key
