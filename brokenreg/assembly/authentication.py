"""The login that `--auth` selects."""

from __future__ import annotations

import json

from brokenreg.config.settings import Settings
from brokenreg.fleet.derived_keys import DerivedKeys
from brokenreg.http.asgi import Handler
from brokenreg.registry.auth.access import BasicAuthentication, PublicAddress, TokenAuthentication
from brokenreg.registry.auth.token_issuer import TokenIssuer
from brokenreg.registry.auth.token_service import TokenService
from brokenreg.registry.auth.users import Users

_TOKEN_LIFETIME = 300.0
"""Default lifetime of a token, in seconds."""


def token_service(settings: Settings, keys: DerivedKeys) -> TokenService:
    """Return the token service. Its key depends on the users: a removed user's refresh token is invalid."""
    passwords = {user.name: user.password.get_secret_value() for user in settings.auth_user}
    token_issuer = TokenIssuer(keys.key("tokens", json.dumps(passwords, sort_keys=True)))
    if settings.auth == "token":  # so that the first token is checked without waiting
        token_issuer.library.begin().result()
    return TokenService(Users(passwords), token_issuer, settings.token_lifetime or _TOKEN_LIFETIME)


def authenticated(
    handler: Handler, settings: Settings, tokens: TokenService, address: PublicAddress
) -> Handler:
    """Return `handler` wrapped in the authentication that `--auth` selects."""
    if settings.auth == "basic":
        return BasicAuthentication(handler, tokens.users)
    if settings.auth == "token":
        return TokenAuthentication(handler, tokens.token_issuer, address)
    return handler
