"""Seekable content: the AES-256-CTR keystream (NIST SP 800-38A, 6.5) under the hash of a recipe."""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR

_BLOCK = 16
_ZEROS = memoryview(bytes(1024 * 1024))


class Keystream:
    """An endless stream of bytes, the same for the same `recipe` and for ever; any offset costs the same."""

    __slots__ = ("_key",)

    def __init__(self, recipe: str) -> None:
        self._key = hashlib.sha256(recipe.encode()).digest()

    def read_into(self, offset: int, view: memoryview) -> None:
        """Fill `view` with the bytes at `offset`, which is not negative."""
        counter, skip = divmod(offset, _BLOCK)
        stream = Cipher(AES256(self._key), CTR(counter.to_bytes(_BLOCK, "big"))).encryptor()
        if skip:
            stream.update(_ZEROS[:skip])
        for start in range(0, len(view), len(_ZEROS)):
            part = view[start : start + len(_ZEROS)]
            stream.update_into(_ZEROS[: len(part)], part)
