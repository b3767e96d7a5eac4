"""Names and passwords."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Credentials:
    """What somebody says to be."""

    name: str
    password: str = field(repr=False)

    @classmethod
    def of_header(cls, value: str) -> Credentials | None:
        """Those of an Authorization header (RFC 7617); None if it is of another scheme, or malformed."""
        scheme, _, encoded = value.partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            name, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError, ValueError):
            return None
        return cls(name, password) if colon else None


class Users:
    """Who is let in: those given; if none are, whoever has a name and a password."""

    def __init__(self, passwords: Mapping[str, str]) -> None:
        self._passwords = {name: password.encode() for name, password in passwords.items()}

    @property
    def is_open(self) -> bool:
        """Whether nobody in particular is let in, but everybody."""
        return not self._passwords

    def know(self, credentials: Credentials) -> bool:
        """Whether they are good. Takes as long for a wrong name as for a wrong password."""
        if self.is_open:
            return bool(credentials.name and credentials.password)
        password = self._passwords.get(credentials.name)
        is_same = hmac.compare_digest(password or b"\0", credentials.password.encode())
        return is_same and password is not None
