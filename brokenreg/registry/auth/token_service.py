"""The token service: checks who gets a token, and issues it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from brokenreg.http.asgi import Scope as ASGIScope
from brokenreg.http.dates import rfc3339
from brokenreg.oci.scopes import Scope
from brokenreg.registry.auth.token_issuer import BadTokenError, TokenIssuer
from brokenreg.registry.auth.users import Credentials, Users, unauthorized

_TERMS = "brokenreg.token-terms"


@dataclass(frozen=True, slots=True)
class Terms:
    """Lifetime and scope of a token. The defaults are the usual terms.

    `lifetime` is how long the token is valid, in seconds; a negative one has expired. `claimed` is the
    lifetime in the response (by default the real one, and the usual one for an expired token). `skew` is how
    far the clock of the token service is ahead, in seconds. `repository` replaces the requested repository.
    `size` is the minimum length of the token, in bytes.
    """

    lifetime: float | None = None
    claimed: float | None = None
    skew: float = 0.0
    repository: str | None = None
    size: int = 0


_USUAL = Terms()


def terms_of(scope: ASGIScope) -> Terms:
    """Return the terms of the token for a request."""
    terms: Terms = scope.get(_TERMS, _USUAL)
    return terms


def with_terms(scope: ASGIScope, terms: Terms) -> ASGIScope:
    """Return a copy of `scope` with other terms for the token."""
    return {**scope, _TERMS: terms}


class TokenService:
    """Issues the tokens that the registry accepts."""

    def __init__(self, users: Users, token_issuer: TokenIssuer, lifetime: float) -> None:
        self.users = users
        self.token_issuer = token_issuer
        self._lifetime = lifetime

    def login(self, credentials: Credentials | None) -> str:
        """Return the subject of tokens for these credentials. It is empty for an anonymous client.

        Raise `OCIError` 401 UNAUTHORIZED for wrong credentials, and for anonymous clients if there are users.
        """
        if credentials is None:
            if not self.users.is_open:
                raise unauthorized("user name and password are required")
            return ""
        if not self.users.accepts(credentials):
            raise unauthorized("wrong user name or password")
        return credentials.name

    def redeem(self, refresh_token: str) -> str:
        """Return the subject of a refresh token. Raise `OCIError` 401 UNAUTHORIZED."""
        try:
            return self.token_issuer.subject(refresh_token)
        except BadTokenError:
            raise unauthorized(
                "invalid refresh token, perhaps from before a restart of the registry; log in again"
            ) from None

    def answer(
        self, subject: str, scopes: Sequence[Scope], *, is_offline: bool, terms: Terms
    ) -> dict[str, Any]:
        """Return a token for these scopes as a JSON object, with `is_offline` also a refresh token."""
        now = time.time() + terms.skew
        if terms.repository is not None:
            scopes = [replace(scope, name=terms.repository) for scope in scopes]
        lifetime = self._lifetime if terms.lifetime is None else terms.lifetime
        token = self.token_issuer.access_token(subject, scopes, now, lifetime, terms.size)
        usual = max(1.0, lifetime if lifetime > 0 else self._lifetime)
        document = {
            "token": token,
            "access_token": token,
            "expires_in": round(usual if terms.claimed is None else terms.claimed),
            "issued_at": rfc3339(now),
        }
        if is_offline and subject:
            document["refresh_token"] = self.token_issuer.refresh_token(subject)
        return document
