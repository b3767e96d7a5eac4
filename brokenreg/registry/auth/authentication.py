"""What stands before the endpoints, and lets nobody in who is not allowed to."""

from __future__ import annotations

from collections.abc import Callable

from brokenreg.oci.errors import OCIError
from brokenreg.oci.scopes import Scope as Grant
from brokenreg.oci.scopes import is_granted
from brokenreg.oci.target import Endpoint, Target
from brokenreg.registry.auth.challenge import PublicAddress, bearer, needed
from brokenreg.registry.auth.service import refusal
from brokenreg.registry.auth.token_issuer import BadTokenError, TokenIssuer
from brokenreg.registry.auth.users import Credentials, Users
from brokenreg.registry.responses import respond, respond_error
from brokenreg.traffic.recorder import target_of
from brokenreg.wire.asgi import ASGIApp, Message, Receive, Scope, Send, header

_ADMITTED = 204


class AccessCheck:
    """For who gives away in the registry's stead; `authenticated` puts the authentication before an app."""

    def __init__(self, authenticated: Callable[[ASGIApp], ASGIApp]) -> None:
        self._guarded = authenticated(_admitted)

    async def admits(self, scope: Scope) -> bool:
        """Whether the registry would look at the request; nothing is sent, and no body is read."""
        statuses: list[int] = []

        async def keep(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        await self._guarded(scope, _nothing, keep)
        return statuses == [_ADMITTED]


async def _admitted(scope: Scope, receive: Receive, send: Send) -> None:
    del scope, receive
    await respond(send, _ADMITTED, {})


async def _nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


_OPEN = (Endpoint.TOKEN, Endpoint.OTHER)
"""The token service knows whom it serves; and what is no endpoint is told so."""


class BasicAuthentication:
    """HTTP Basic (RFC 7617): whoever has a name and a password may do everything."""

    def __init__(self, app: ASGIApp, users: Users) -> None:
        self._app = app
        self._users = users

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if _is_open(target_of(scope)) or self._is_known(scope):
            await self._app(scope, receive, send)
        else:
            await respond_error(send, refusal("name and password are required"))

    def _is_known(self, scope: Scope) -> bool:
        credentials = Credentials.of_header(_authorization(scope))
        return credentials is not None and self._users.know(credentials)


class TokenAuthentication:
    """The token protocol: a request needs a token whose scopes cover it.

    All that a token mends is a 401 with a challenge, also a scope that it lacks: clients fetch another then.
    """

    def __init__(self, app: ASGIApp, token_issuer: TokenIssuer, address: PublicAddress) -> None:
        self._app = app
        self._token_issuer = token_issuer
        self._address = address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        target = target_of(scope)
        error = None if _is_open(target) else self._objection(scope, needed(target, scope))
        if error is not None:
            await respond_error(send, error)
        else:
            await self._app(scope, receive, send)

    def _objection(self, scope: Scope, wanted: list[Grant]) -> OCIError | None:
        realm = self._address.realm(scope)
        scheme, _, token = _authorization(scope).partition(" ")
        if scheme.lower() != "bearer":
            return refusal("authentication required", bearer(realm, wanted))
        try:
            granted = self._token_issuer.scopes(token.strip())
        except BadTokenError as error:
            return refusal(str(error), bearer(realm, wanted, error="invalid_token"))
        if is_granted(wanted, granted):
            return None
        missing = " ".join(str(each) for each in wanted)
        return refusal(f"the token is not for {missing}", bearer(realm, wanted, error="insufficient_scope"))


def _is_open(target: Target) -> bool:
    return target.endpoint in _OPEN or target.error is not None


def _authorization(scope: Scope) -> str:
    return (header(scope, b"authorization") or b"").decode("latin-1")
