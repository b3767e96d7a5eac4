"""Content digests: `sha256:<64 hex>` and `sha512:<128 hex>` (image-spec, "Digests")."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from brokenreg.oci.errors import ErrorCode, OCIError

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

ALGORITHMS = {"sha256": 64, "sha512": 128}
"""The registered algorithms and the length of their encoded part in hex digits."""

_FORM = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+")
_HEX = re.compile(r"[0-9a-f]+")


class Digest(str):
    """A digest that was checked against the grammar: safe as part of a file name.

    Made by `Digest.parse` or `Digest.of`; a plain `str` never passes for one under the type checker.
    """

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Raise `OCIError` 400 DIGEST_INVALID unless `text` is a sha256 or sha512 digest in lower case."""
        algorithm, _, encoded = text.partition(":")
        length = ALGORITHMS.get(algorithm)
        if length is not None and len(encoded) == length and _HEX.fullmatch(encoded):
            return cls(text)
        if length is not None:
            problem = f"{algorithm} is followed by {length} hex digits in lower case"
        elif _FORM.fullmatch(text):
            problem = f"the algorithm {algorithm!r} is not supported; sha256 and sha512 are"
        else:
            problem = "a digest is written algorithm:hex, for instance sha256:e3b0c442..."
        raise OCIError(400, ErrorCode.DIGEST_INVALID, f"invalid digest {text[:200]!r}: {problem}")

    @classmethod
    def of(cls, content: bytes, algorithm: str = "sha256") -> Digest:
        """The digest of `content`."""
        return cls.from_hash(hashlib.new(algorithm, content))

    @classmethod
    def from_hash(cls, hasher: Hash) -> Digest:
        """The digest of all that was fed to `hasher`."""
        return cls(f"{hasher.name}:{hasher.hexdigest()}")

    @property
    def algorithm(self) -> str:
        return self.partition(":")[0]

    @property
    def encoded(self) -> str:
        return self.partition(":")[2]


def is_digest(reference: str) -> bool:
    """Whether a manifest reference claims to be a digest (a tag has no colon)."""
    return ":" in reference
