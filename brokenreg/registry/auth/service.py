"""The token service: who gets which token, and on which terms."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from brokenreg.http.dates import rfc3339
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.oci.scopes import Scope
from brokenreg.registry.auth.token_issuer import BadTokenError, TokenIssuer
from brokenreg.registry.auth.users import Credentials, Users
from brokenreg.wire.asgi import Scope as ASGIScope

REALM = "brokenreg"
"""Realm of HTTP Basic (RFC 7617)."""

_TERMS = "brokenreg.token-terms"


@dataclass(frozen=True, slots=True)
class Terms:
    """How a token is issued.

    `lifetime` is how long it is good for, in seconds, if not as long as usual; negative, if it has expired.
    `claimed` is what the answer says of that, if not the truth or, of an expired one, what is usual; `skew`
    how far ahead the clock of the token service is; `repository` what the token is for, if it is not what
    was asked for.
    """

    lifetime: float | None = None
    claimed: float | None = None
    skew: float = 0.0
    repository: str | None = None


def terms_of(scope: ASGIScope) -> Terms:
    """Return the terms on which a request gets its token."""
    terms: Terms = scope.get(_TERMS, Terms())
    return terms


def with_terms(scope: ASGIScope, terms: Terms) -> ASGIScope:
    """Return a scope in which the request gets its token on these terms."""
    return {**scope, _TERMS: terms}


class TokenService:
    """Issues tokens for the registry that shares its mint."""

    def __init__(self, users: Users, token_issuer: TokenIssuer, lifetime: float) -> None:
        self.users = users
        self.token_issuer = token_issuer
        self._lifetime = lifetime

    def login(self, credentials: Credentials | None) -> str:
        """The subject of tokens for these credentials; empty for nobody in particular.

        Raise `OCIError` 401 UNAUTHORIZED. Where there are users, nobody in particular gets nothing.
        """
        if credentials is None:
            if not self.users.is_open:
                raise refusal("name and password are required")
            return ""
        if not self.users.know(credentials):
            raise refusal("wrong name or password")
        return credentials.name

    def redeem(self, refresh_token: str) -> str:
        """The subject of a refresh token. Raise `OCIError` 401 UNAUTHORIZED."""
        try:
            return self.token_issuer.subject(refresh_token)
        except BadTokenError:
            raise refusal("the refresh token is not of this run; log in again") from None

    def answer(
        self, subject: str, scopes: Sequence[Scope], *, is_offline: bool, terms: Terms
    ) -> dict[str, Any]:
        """A token for all that was asked for, as JSON has it; with a refresh token for the offline."""
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


def refusal(message: str, challenge: str = f'Basic realm="{REALM}"') -> OCIError:
    """401 UNAUTHORIZED with its challenge (RFC 9110, section 11.6.1)."""
    return OCIError(401, ErrorCode.UNAUTHORIZED, message, headers={"www-authenticate": challenge})
