"""Tokens: JWT (RFC 7519), signed with a key that lives as long as the run."""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Sequence
from typing import Any

import jwt

from brokenreg.oci.scopes import Scope

SERVICE = "brokenreg"
"""What the registry calls itself in challenges; audience of its tokens."""

_ISSUER = "brokenreg"
_REFRESH = "brokenreg/token"
"""Audience of refresh tokens: the token service itself."""

_ALGORITHM = "HS256"


class BadTokenError(Exception):
    """A token that is not ours, not yet or no longer valid; the message says which, and never the token."""


class TokenIssuer:
    """Makes tokens and reads them again."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def access_token(self, subject: str, scopes: Sequence[Scope], issued: float, lifetime: float) -> str:
        """A token for these scopes, valid from `issued` (seconds since the epoch) for `lifetime` seconds."""
        return self._sign(
            {
                "sub": subject,
                "aud": SERVICE,
                # Clients that look into tokens expect whole numbers; only the end must be exact.
                "iat": math.floor(issued),
                "nbf": math.floor(issued),
                "exp": issued + lifetime,
                "access": [
                    {"type": scope.kind, "name": scope.name, "actions": list(scope.actions)}
                    for scope in scopes
                ],
            }
        )

    def scopes(self, token: str) -> list[Scope]:
        """What an access token is good for. Raise `BadTokenError`."""
        claims = self._read(token, SERVICE)
        if claims["exp"] <= time.time():
            raise BadTokenError("the token has expired")
        return [Scope(each["type"], each["name"], tuple(each["actions"])) for each in claims["access"]]

    def refresh_token(self, subject: str) -> str:
        """A token for which the token service gives others, as long as the run lasts."""
        return self._sign({"sub": subject, "aud": _REFRESH, "iat": math.floor(time.time())})

    def subject(self, refresh_token: str) -> str:
        """Whose refresh token it is. Raise `BadTokenError`."""
        return str(self._read(refresh_token, _REFRESH)["sub"])

    def _sign(self, claims: dict[str, Any]) -> str:
        return jwt.encode(
            {"iss": _ISSUER, "jti": secrets.token_hex(8), **claims}, self._key, algorithm=_ALGORITHM
        )

    def _read(self, token: str, audience: str) -> dict[str, Any]:
        try:
            return jwt.decode(
                token,
                self._key,
                algorithms=[_ALGORITHM],
                audience=audience,
                issuer=_ISSUER,
                # The library cuts the fraction off: a token of 1.5 s would end up to a second early.
                options={"verify_exp": False},
            )
        except jwt.ImmatureSignatureError:
            raise BadTokenError("the token is not valid yet") from None
        except jwt.InvalidTokenError:
            raise BadTokenError("the token is none of this registry's") from None
