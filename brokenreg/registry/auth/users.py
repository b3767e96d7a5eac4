"""Checks user names and passwords (HTTP Basic, RFC 7617)."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

from brokenreg.oci.errors import ErrorCode, OCIError

REALM = "brokenreg"
"""The realm in challenges of HTTP Basic."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user name and a password from a client."""

    name: str
    password: str = field(repr=False)

    @classmethod
    def of_header(cls, value: str) -> Credentials | None:
        """Return the credentials in an Authorization header, or None for another or a malformed scheme."""
        scheme, _, encoded = value.partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            name, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError, ValueError):
            return None
        return cls(name, password) if colon else None


class Users:
    """The users with their passwords. Without users, every user name with a password is valid."""

    def __init__(self, passwords: Mapping[str, str]) -> None:
        self._passwords = {name: password.encode() for name, password in passwords.items()}

    @property
    def is_open(self) -> bool:
        """True if there are no users, so that anonymous clients get tokens too."""
        return not self._passwords

    def accepts(self, credentials: Credentials) -> bool:
        """Return whether credentials are valid. A wrong name takes as long as a wrong password."""
        if self.is_open:
            return bool(credentials.name and credentials.password)
        password = self._passwords.get(credentials.name)
        is_same = hmac.compare_digest(password or b"\0", credentials.password.encode())
        return is_same and password is not None


def unauthorized(message: str, challenge: str = f'Basic realm="{REALM}"') -> OCIError:
    """Return a 401 UNAUTHORIZED with its challenge (RFC 9110, section 11.6.1)."""
    return OCIError(401, ErrorCode.UNAUTHORIZED, message, headers={"www-authenticate": challenge})
