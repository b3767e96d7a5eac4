"""The token service: who gets a token, and on which terms."""

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
    """How a token is issued. The defaults are the usual terms.

    `lifetime` is how long the token is valid, in seconds; negative if it has expired. `claimed` is the
    lifetime that the response gives (by default the real one, and the usual one for an expired token). `skew`
    is how far ahead the clock of the token service is, in seconds. `repository` is what the token is for
    instead of the requested repository.
    """

    lifetime: float | None = None
    claimed: float | None = None
    skew: float = 0.0
    repository: str | None = None


_USUAL = Terms()


def terms_of(scope: ASGIScope) -> Terms:
    """Return the terms on which a request gets its token."""
    terms: Terms = scope.get(_TERMS, _USUAL)
    return terms


def with_terms(scope: ASGIScope, terms: Terms) -> ASGIScope:
    """Return a scope in which the request gets its token on these terms."""
    return {**scope, _TERMS: terms}


class TokenService:
    """Issues the tokens that the registry accepts."""

    def __init__(self, users: Users, token_issuer: TokenIssuer, lifetime: float) -> None:
        self.users = users
        self.token_issuer = token_issuer
        self._lifetime = lifetime

    def login(self, credentials: Credentials | None) -> str:
        """Return the subject of tokens for these credentials; it is empty for an anonymous client.

        Raise `OCIError` 401 UNAUTHORIZED for wrong credentials, and for anonymous clients if there are users.
        """
        if credentials is None:
            if not self.users.is_open:
                raise unauthorized("name and password are required")
            return ""
        if not self.users.accepts(credentials):
            raise unauthorized("wrong name or password")
        return credentials.name

    def redeem(self, refresh_token: str) -> str:
        """Return the subject of a refresh token. Raise `OCIError` 401 UNAUTHORIZED."""
        try:
            return self.token_issuer.subject(refresh_token)
        except BadTokenError:
            raise unauthorized("the refresh token is not of this run; log in again") from None

    def answer(
        self, subject: str, scopes: Sequence[Scope], *, is_offline: bool, terms: Terms
    ) -> dict[str, Any]:
        """Return a token for these scopes as a JSON object; with `is_offline` also a refresh token."""
        now = time.time() + terms.skew
        if terms.repository is not None:
            scopes = [replace(scope, name=terms.repository) for scope in scopes]
        lifetime = self._lifetime if terms.lifetime is None else terms.lifetime
        token = self.token_issuer.access_token(subject, scopes, now, lifetime)
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
