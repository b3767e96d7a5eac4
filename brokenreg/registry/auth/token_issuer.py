"""Issues and reads tokens: JWTs (RFC 7519)."""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Sequence
from typing import Any

from brokenreg.late_imports import Late
from brokenreg.oci.scopes import Scope

SERVICE = "brokenreg"
"""The name of the registry in challenges, and the audience of its tokens."""

_ISSUER = "brokenreg"
_REFRESH = "brokenreg/token"
"""The audience of refresh tokens: the token service itself."""

_ALGORITHM = "HS256"
_PADDING_NAME = len('"padding":"",')


class BadTokenError(Exception):
    """A token is from another issuer, is not valid yet, or has expired. The message does not quote it."""


class TokenIssuer:
    """Issues tokens, and reads the tokens that were issued with the same key."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.library = Late(_import_library)
        """The JWT library. On the event loop, await `get` before the first call: importing it takes long."""

    def access_token(
        self, subject: str, scopes: Sequence[Scope], issued: float, lifetime: float, size: int = 0
    ) -> str:
        """Return a token for these scopes, valid from `issued` (seconds since the epoch) for `lifetime` s.

        It is padded to about `size` bytes.
        """
        token = self._access_token(subject, scopes, issued, lifetime, "")
        missing = size - len(token)
        if missing <= 0:
            return token
        padding = "x" * max(1, missing * 3 // 4 - _PADDING_NAME)  # base64 makes 4 bytes of 3
        return self._access_token(subject, scopes, issued, lifetime, padding)

    def _access_token(
        self, subject: str, scopes: Sequence[Scope], issued: float, lifetime: float, padding: str
    ) -> str:
        return self._sign(
            {
                **({"padding": padding} if padding else {}),
                "sub": subject,
                "aud": SERVICE,
                # Clients that read tokens expect whole numbers. Only the end must be exact.
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
        """Return the scopes of an access token. Raise `BadTokenError`."""
        claims = self._read(token, SERVICE)
        if claims["exp"] <= time.time():
            raise BadTokenError("the token has expired")
        return [Scope(each["type"], each["name"], tuple(each["actions"])) for each in claims["access"]]

    def refresh_token(self, subject: str) -> str:
        """Return a refresh token, which is valid for as long as the key is used."""
        return self._sign({"sub": subject, "aud": _REFRESH, "iat": math.floor(time.time())})

    def subject(self, refresh_token: str) -> str:
        """Return the subject of a refresh token. Raise `BadTokenError`."""
        return str(self._read(refresh_token, _REFRESH)["sub"])

    def _sign(self, claims: dict[str, Any]) -> str:
        import jwt

        return jwt.encode(
            {"iss": _ISSUER, "jti": secrets.token_hex(8), **claims}, self._key, algorithm=_ALGORITHM
        )

    def _read(self, token: str, audience: str) -> dict[str, Any]:
        import jwt

        try:
            return jwt.decode(
                token,
                self._key,
                algorithms=[_ALGORITHM],
                audience=audience,
                issuer=_ISSUER,
                # The library drops the fraction: a token of 1.5 s could end a second too early.
                options={"verify_exp": False},
            )
        except jwt.ImmatureSignatureError:
            raise BadTokenError("the token is not valid yet") from None
        except jwt.InvalidTokenError:
            raise BadTokenError("the token was not issued by this registry") from None


def _import_library() -> None:
    import jwt  # noqa: F401 - importing is the purpose
