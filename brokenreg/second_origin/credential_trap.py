"""Records credentials that arrive at the second origin, to which no client should send any.

It records the kind, the path and the client, but never the secret or a part of it.
"""

from __future__ import annotations

import hmac
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from urllib.parse import parse_qsl

from cachetools import LRUCache
from pydantic import BaseModel, ConfigDict, Field

from brokenreg.http.asgi import Handled, Handler, Message, Receive, Scope, Send, complete, header
from brokenreg.redaction import SCHEMES, announces_secret, is_flag
from brokenreg.second_origin.signed_urls import SIGNATURE
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.recorder import exchange_of
from brokenreg.traffic.timeline_events import CredentialReceived

MAX_FORM = 64 * 1024
"""Maximum number of bytes of a form that are searched."""

_LAST = 20
_NAMESPACES = 1000
_LONGEST_PATH = 300

_FORM = b"application/x-www-form-urlencoded"
_LONGEST_NAME = 100


class Leak(BaseModel):
    """A credential that arrived at the second origin."""

    model_config = ConfigDict(frozen=True)

    exchange: int = Field(description="id of the exchange in which it arrived")
    time: float = Field(description="when it arrived, in seconds since the epoch")
    namespace: str
    path: str
    kind: str = Field(description="kind of credential, for example `Authorization Basic` or `form password`")
    client: str = Field(description="address and port of the client")
    user_agent: str


class Leaks(BaseModel):
    """The credentials that arrived at the second origin since the start or the last reset."""

    model_config = ConfigDict(frozen=True)

    count: int
    last: list[Leak] = Field(description=f"the last {_LAST} credentials, newest last")


class CredentialTrap:
    """Counts the credentials in each of up to `_NAMESPACES` namespaces, and keeps the last ones.

    `notify` is called with the exchange and the kind of each credential.
    """

    def __init__(self, notify: Callable[[Exchange, str], None] = lambda exchange, kind: None) -> None:
        self._notify = notify
        self._counts: LRUCache[str, int] = LRUCache(_NAMESPACES)
        self._last: deque[Leak] = deque(maxlen=_LAST)

    @property
    def leaks(self) -> Leaks:
        """Return the number of credentials and the last ones."""
        return Leaks(count=sum(self._counts.values()), last=list(self._last))

    def record(self, exchange: Exchange, kind: str) -> None:
        """Record a credential, also in the timeline of the exchange."""
        namespace = exchange.target.namespace
        self._counts[namespace] = self._counts.get(namespace, 0) + 1
        self._last.append(
            Leak(
                exchange=exchange.id,
                time=time.time(),
                namespace=namespace,
                path=exchange.path[:_LONGEST_PATH],
                kind=kind,
                client=exchange.client,
                user_agent=exchange.user_agent[:_LONGEST_PATH],
            )
        )
        exchange.add(CredentialReceived(kind))
        self._notify(exchange, kind)

    def namespaces(self) -> list[str]:
        """Return the namespaces in which credentials arrived."""
        return list(self._counts)

    def reset(self, namespace: str) -> None:
        """Forget the credentials that arrived in a namespace."""
        self._counts.pop(namespace, None)
        kept = [leak for leak in self._last if leak.namespace != namespace]
        self._last = deque(kept, _LAST)


def leaked_kinds(exchange: Exchange) -> Iterator[str]:
    """Yield the kind of each credential that an exchange brought to the second origin."""
    for event, _ in exchange.timeline:
        if isinstance(event, CredentialReceived):
            yield event.credential


class CredentialSearch:
    """Searches each request for credentials. `own_token` was issued by the second origin and is no secret."""

    def __init__(self, handler: Handler, trap: CredentialTrap, own_token: str) -> None:
        self._handler = handler
        self._trap = trap
        self._own_bearer = f"Bearer {own_token}".encode()

    def __call__(self, scope: Scope, receive: Receive) -> Handled:
        return partial(self._respond, scope, receive)

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = exchange_of(scope)
        for kind in (*self._in_headers(scope), *_in_fields("query", scope["query_string"])):
            self._trap.record(exchange, kind)
        if (header(scope, b"content-type") or b"").partition(b";")[0].strip().lower() == _FORM:
            form, receive = await _first_of_body(receive)
            for kind in _in_fields("form", form):
                self._trap.record(exchange, kind)
        await complete(self._handler(scope, receive), send)

    def _in_headers(self, scope: Scope) -> Iterator[str]:
        for name, value in scope["headers"]:
            kind, text = name.decode("latin-1").title()[:_LONGEST_NAME], value.decode("latin-1").strip()
            is_ours = hmac.compare_digest(value, self._own_bearer)
            if is_ours or is_flag(text) or not announces_secret(kind):
                continue
            scheme, space, _ = text.partition(" ")
            if kind.endswith("Authorization"):
                # What looks like an unknown scheme may be the secret itself, so it is not recorded.
                kind += f" {SCHEMES.get(scheme.lower(), 'of another scheme') if space else 'bare'}"
            yield kind


def _in_fields(where: str, encoded: bytes) -> Iterator[str]:
    for name, value in parse_qsl(encoded.decode("latin-1")):
        is_ours = name == SIGNATURE  # a parameter of our own signed URLs
        if announces_secret(name) and not is_ours and not is_flag(value):
            yield f"{where} {name.lower()[:_LONGEST_NAME]}"


async def _first_of_body(receive: Receive) -> tuple[bytes, Receive]:
    """Return the first `MAX_FORM` bytes of a body, and a `receive` that returns them again."""
    messages: deque[Message] = deque()
    body = b""
    while len(body) < MAX_FORM:
        message = await receive()
        messages.append(message)
        body += message.get("body", b"")
        if message["type"] != "http.request" or not message["more_body"]:
            break

    async def replayed() -> Message:
        return messages.popleft() if messages else await receive()

    return body[:MAX_FORM], replayed
