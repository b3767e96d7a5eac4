"""Content digests: `sha256:<64 hex>` and `sha512:<128 hex>` (image-spec, "Digests")."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from brokenreg.oci.errors import ErrorCode, OCIError

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

ALGORITHMS = {"sha256": 64, "sha512": 128}
"""The registered algorithms, with the length of their encoded part in hex digits."""

_FORM = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+")
_HEX = re.compile(r"[0-9a-f]+")


class Digest(str):
    """A valid digest, which is therefore safe in a file name.

    Only `Digest.parse` and `Digest.of` create one, so the type checker never accepts a plain `str` instead.
    """

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Return a sha256 or sha512 digest in lower case. Raise `OCIError` 400 DIGEST_INVALID."""
        algorithm, _, encoded = text.partition(":")
        length = ALGORITHMS.get(algorithm)
        if length is not None and len(encoded) == length and _HEX.fullmatch(encoded):
            return cls(text)
        if length is not None:
            problem = f"{algorithm} is followed by {length} hex digits in lower case"
        elif _FORM.fullmatch(text):
            problem = f"the algorithm {algorithm!r} is not supported; sha256 and sha512 are"
        else:
            problem = "a digest is written algorithm:hex, for example sha256:e3b0c442..."
        raise OCIError(400, ErrorCode.DIGEST_INVALID, f"invalid digest {text[:200]!r}: {problem}")

    @classmethod
    def of(cls, content: bytes, algorithm: str = "sha256") -> Digest:
        """Return the digest of `content`."""
        return cls.from_hash(hashlib.new(algorithm, content))

    @classmethod
    def from_hash(cls, hasher: Hash) -> Digest:
        """Return the digest of everything that was added to `hasher`."""
        return cls(f"{hasher.name}:{hasher.hexdigest()}")

    @property
    def algorithm(self) -> str:
        return self.partition(":")[0]

    @property
    def encoded(self) -> str:
        return self.partition(":")[2]


def is_digest(reference: str) -> bool:
    """Return whether a manifest reference is a digest (a tag has no colon)."""
    return ":" in reference


_BY_LENGTH = {length // 2: algorithm for algorithm, length in ALGORITHMS.items()}
"""The algorithms, by the length of their digests in bytes."""


class DigestList(Sequence[str]):
    """A list of digests, each packed as its length and bytes. Raise `ValueError` for an invalid digest."""

    __slots__ = ("_begin", "_end", "_packed", "_stride")

    def __init__(self, digests: Iterable[str] = ()) -> None:
        parts = [_packed(digest) for digest in digests]
        lengths = {len(part) for part in parts}
        self._packed = b"".join(parts)
        self._begin, self._end = 0, len(self._packed)
        self._stride = lengths.pop() if len(lengths) == 1 else 0
        """Distance from one digest to the next, in bytes; 0 if their lengths differ."""

    def shared(self, other: DigestList) -> DigestList:
        """Return an equal list that shares the memory of `other`, if that contains these digests in a row."""
        place = other._packed.find(self._packed[self._begin : self._end], other._begin, other._end)
        if (
            place < 0
            or not self._stride
            or self._stride != other._stride
            or (place - other._begin) % self._stride
        ):
            return self
        found = DigestList()
        found._packed, found._stride = other._packed, self._stride
        found._begin, found._end = place, place + self._end - self._begin
        return found

    def places(self, digest: str) -> list[int]:
        """Return the positions of a digest in the list, from 0."""
        if not self._stride:
            return [place for place, each in enumerate(self) if each == digest]
        try:
            wanted = _packed(digest)
        except ValueError:
            return []
        found = []
        place = self._packed.find(wanted, self._begin, self._end)
        while place >= 0:
            number, rest = divmod(place - self._begin, self._stride)
            if not rest:
                found.append(number)
            place = self._packed.find(wanted, place + 1, self._end)
        return found

    def __contains__(self, digest: object) -> bool:
        return isinstance(digest, str) and bool(self.places(digest))

    def __iter__(self) -> Iterator[str]:
        packed, place = self._packed, self._begin
        while place < self._end:
            begin = place + 1
            place = begin + packed[place]
            yield f"{_BY_LENGTH[place - begin]}:{packed[begin:place].hex()}"

    def __len__(self) -> int:
        return (self._end - self._begin) // self._stride if self._stride else sum(1 for _ in self)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...

    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        return tuple(self)[index]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"DigestList({list(self)!r})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        del source, handler
        texts = core_schema.no_info_after_validator_function(
            cls, core_schema.list_schema(core_schema.str_schema())
        )
        return core_schema.json_or_python_schema(
            texts,
            core_schema.union_schema([core_schema.is_instance_schema(cls), texts]),
            serialization=core_schema.plain_serializer_function_ser_schema(list),
        )


def _packed(digest: str) -> bytes:
    algorithm, _, encoded = digest.partition(":")
    if ALGORITHMS.get(algorithm) != len(encoded):
        raise ValueError(f"invalid digest {digest[:200]!r}")
    raw = bytes.fromhex(encoded)
    return bytes((len(raw),)) + raw
