"""Authentication faults: unusual challenges, and broken responses of the token service."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from brokenreg.faults.catalogue.addresses import another_address
from brokenreg.faults.catalogue.base import Fault, RespondingFault
from brokenreg.faults.catalogue.headers import HeaderValue
from brokenreg.faults.catalogue.parameters import Duration, SignedDuration, Size
from brokenreg.faults.context import FaultContext
from brokenreg.faults.response_head import Head
from brokenreg.http.asgi import Message
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.oci.target import TOKEN_PATH, Endpoint
from brokenreg.registry.auth.access import bearer, needed
from brokenreg.registry.auth.token_service import Terms, with_terms
from brokenreg.registry.auth.users import REALM
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.matching import NOT, Match

_HTML = b"<html><title>Sign in</title><p>Please sign in to continue</p></html>"
_SOMEWHERE_ELSE = "another/repository"
_GARBAGE = "garbage"
_LONG_AGO = -60.0
_MOST_TOKEN = 1024 * 1024


class Challenge(RespondingFault):
    """Responds with 401 and an unusual WWW-Authenticate header to requests without Authorization.

    Unless `always` is set, the fault has no effect on requests with Authorization. It never applies to
    requests for a token. `value` sets the value of the header; without it, `form` selects the challenge:

    - `bearer`, `basic`: a correct challenge
    - `upper`: `BASIC realm=...`
    - `relative-realm`: `realm="/token"`
    - `no-service`, `no-scope`: Bearer without that parameter
    - `basic-and-bearer`: both schemes in one header
    - `two-headers`: one header for each scheme
    - `foreign-realm`: a token service at the second origin, which records credentials that arrive there
    - `other-scheme`, `other-host`, `no-port`: a realm with the scheme, the host or the port that a registry
      behind a proxy sends if it does not know its own address
    - `unquoted`: values without quotes
    - `unknown-scheme`: a scheme that does not exist
    - `empty`: a header without a value
    - `absent`: no header

    Clients that request `/v2/` first (Docker, containers/image) use the challenge from there. An image path
    cannot name that request, but a rule can match it.
    """

    name = "challenge"
    default_endpoint = "any"
    endpoints = frozenset(Endpoint) - {Endpoint.TOKEN, Endpoint.CONNECT}
    clients = (
        "Some clients accept only one form of a challenge (regclient#265, go-containerregistry#1747). "
        "Some send credentials to any realm (oras-go#1197, distribution-spec#607). containers/image uses "
        "Basic if both schemes are offered."
    )
    example = "form-relative-realm"

    form: Literal[
        "bearer",
        "basic",
        "upper",
        "relative-realm",
        "no-service",
        "no-scope",
        "basic-and-bearer",
        "two-headers",
        "foreign-realm",
        "other-scheme",
        "other-host",
        "no-port",
        "unquoted",
        "unknown-scheme",
        "empty",
        "absent",
    ] = Field("bearer", description="form of the challenge")
    value: HeaderValue | None = Field(None, description="value of the header, instead of `form`")
    always: bool = Field(False, description="whether requests with Authorization get it, too")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.value is not None and "form" in self.model_fields_set:
            raise ValueError("value and form exclude each other; leave out one")
        return self

    def conflict_reason(self, match: Match, endpoints: Collection[Endpoint]) -> str | None:
        headers = {name.lower(): glob for name, glob in (match.header or {}).items()}
        needs_login = match.user is not None or not headers.get("authorization", NOT).startswith(NOT)
        if needs_login and not self.always:
            return (
                "challenge applies to requests without Authorization, and this rule matches only requests "
                "with it; add always: true"
            )
        return super().conflict_reason(match, endpoints)

    def inapplicable_reason(self, exchange: Exchange) -> str | None:
        if exchange.endpoint is Endpoint.TOKEN:
            return "requests for a token are never challenged; use the fault error"
        if not self.always and exchange.request_header("authorization"):
            return "the request has an Authorization header"
        return super().inapplicable_reason(exchange)

    async def respond(self, context: FaultContext) -> None:
        error = OCIError(401, ErrorCode.UNAUTHORIZED, "Authentication required, on purpose")
        values = self._values(context) if self.value is None else [self.value]
        headers = [("content-type", "application/json")]
        await context.respond(401, headers + [("www-authenticate", value) for value in values], error.body())

    def _values(self, context: FaultContext) -> list[str]:
        """Return the values of the WWW-Authenticate headers to send."""
        basic = f'Basic realm="{REALM}"'
        realm = context.registry_view.address.realm(context.scope)
        scopes = needed(context.exchange.target, context.scope)
        usual = bearer(realm, scopes)
        match self.form:
            case "basic":
                return [basic]
            case "upper":
                return [basic.replace("Basic", "BASIC")]
            case "relative-realm":
                return [bearer(TOKEN_PATH, scopes)]
            case "no-service":
                return [bearer(realm, scopes, service="")]
            case "no-scope":
                return [bearer(realm, [])]
            case "basic-and-bearer":
                return [f"{basic}, {usual}"]
            case "two-headers":
                return [basic, usual]
            case "foreign-realm":
                return [bearer(context.registry_view.origin.token_realm(context.scope), scopes)]
            case "other-scheme" | "other-host" | "no-port":
                return [bearer(another_address(realm, self.form), scopes)]
            case "unquoted":
                return [usual.replace('"', "")]
            case "unknown-scheme":
                return [f'Mystery realm="{REALM}"']
            case "empty":
                return [""]
            case "absent":
                return []
        return [usual]


class Token(Fault):
    """Breaks the response of the token service; its status remains 200.

    `form` selects what is broken. Without any parameter it is `absent`; with other parameters it is `usual`:

    - `usual`: only what the other parameters change
    - `absent`: no token
    - `empty`: an empty token
    - `garbage`: a token that the registry refuses
    - `expired`: a token that expired a minute ago, while the response says that it was just issued
    - `wrong-scope`: a token for another repository
    - `access-token-only`, `token-only`: only one of the members `access_token` and `token`
    - `html`: an HTML page
    - `string`: `expires_in` is a string, which some clients cannot read
    - `number`: `issued_at` is a number
    - `null`: both tokens are null

    `length` pads the token to that many bytes; the registry still accepts it. `lifetime` is how long the
    registry accepts the token; a short one expires during the pull. `claimed` is the lifetime in the
    response. `skew` is how far ahead the clock of the token service is. It shifts `issued_at` and all times
    in the token, so that the token is not valid yet or, if `skew` is negative (`-10m`), no longer valid. The
    registry checks tokens only with `--auth token`.
    """

    name = "token"
    default_endpoint = "token"
    endpoints = frozenset({Endpoint.TOKEN})
    methods = frozenset({"GET", "POST"})
    clients = (
        "Pulls and pushes that take longer than the token is valid fail (moby#33558, buildx#324, "
        "jib#691). Docker and containers/image use a token for at least 60 s."
    )
    example = "lifetime-2s_claimed-5m"

    form: Literal[
        "usual",
        "absent",
        "empty",
        "garbage",
        "expired",
        "wrong-scope",
        "access-token-only",
        "token-only",
        "html",
        "string",
        "number",
        "null",
    ] | None = Field(None, description="what is broken in the response")  # fmt: skip
    lifetime: Duration | None = Field(None, description="how long the registry accepts the token")
    claimed: Duration | None = Field(None, description="lifetime in the response (`expires_in`)")
    skew: SignedDuration = Field(0.0, description="how far ahead the clock of the token service is")
    length: Size = Field(0, le=_MOST_TOKEN, description="minimum length of the token in bytes, at most 1MiB")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.form == "expired" and self.lifetime is not None:
            raise ValueError("lifetime and form=expired exclude each other; leave out one")
        return self

    def inapplicable_reason(self, exchange: Exchange) -> str | None:
        if exchange.endpoint is not Endpoint.TOKEN:
            return "it only applies to the token service"
        if self.form == "wrong-scope" and not exchange.target.repository:
            return "the token is not for a repository"
        return super().inapplicable_reason(exchange)

    def no_effect_reason(self, exchange: Exchange, head: Head) -> str | None:
        del exchange
        return None if head.status == 200 else f"the token service responds with {head.status}"

    async def apply(self, context: FaultContext) -> None:
        terms = Terms(
            lifetime=_LONG_AGO if self.form == "expired" else self.lifetime,
            claimed=self.claimed,
            skew=self.skew,
            repository=_SOMEWHERE_ELSE if self.form == "wrong-scope" else None,
            size=self.length,
        )
        response = _TokenResponse(context, self._break)
        await context.forward(response.send, scope=with_terms(context.scope, terms))

    def _break(self, head: Head, document: dict[str, Any]) -> bytes:
        """Return the body to send in place of that document; `html` also changes the Content-Type."""
        form = self.form
        if form is None and not self.model_fields_set - {"form"}:
            form = "absent"
        if form == "html":
            head.set("content-type", "text/html")
            return _HTML
        if form == "string":
            document["expires_in"] = str(document["expires_in"])
        elif form == "number":
            document["issued_at"] = round(time.time() + self.skew)
        names = {"access-token-only": ("token",), "token-only": ("access_token",)}
        replaced = {"empty": "", "garbage": _GARBAGE, "null": None}
        for name in names.get(form or "", ("token", "access_token")):
            if form in replaced:
                document[name] = replaced[form]
            elif form in ("absent", *names):
                del document[name]
        return json.dumps(document, separators=(",", ":")).encode()


class _TokenResponse:
    """Collects the response of the token service, and sends it changed once it is complete."""

    def __init__(self, context: FaultContext, change: Callable[[Head, dict[str, Any]], bytes]) -> None:
        self._context = context
        self._change = change
        self._head: Head | None = None
        self._body = b""

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.start" and message["status"] == 200:
            self._head = Head(message)
        elif self._head is None:
            if kind == "http.response.start":
                self._context.no_effect(f"the token service responds with {message['status']}")
            await self._context.send(message)
        elif kind == "http.response.body":
            self._body += message["body"]
            if not message["more_body"]:
                await self._finish(self._head)
        else:  # another fault ends the response in the middle
            await self._release(self._head, more=True)
            await self._context.send(message)

    async def _finish(self, head: Head) -> None:
        try:
            document = json.loads(self._body)
        except ValueError:
            self._context.no_effect("another fault has already changed the response")
        else:
            self._body = self._change(head, document)
            head.set("content-length", str(len(self._body)))
        await self._release(head, more=False)

    async def _release(self, head: Head, *, more: bool) -> None:
        self._head = None
        await self._context.send(head.message())
        await self._context.send({"type": "http.response.body", "body": self._body, "more_body": more})
