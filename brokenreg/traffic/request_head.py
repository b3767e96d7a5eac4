"""Facts about the headers of a request. They are cached, because clients repeat the same headers."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

from brokenreg.http.asgi import EncodedHeaders, Scope
from brokenreg.traffic.redaction import redact_headers, user_of

REPLAY = b"x-brokenreg-replay"
"""The header with the id of the exchange whose request is repeated. It only marks the new exchange."""

_LONGEST_ID = 18
_CACHED = 256
"""Maximum number of lists of headers whose facts are cached."""

_LONGEST_CACHED = 2048
"""Maximum length of such a list, in bytes."""

_HEAD = "brokenreg.head"

_heads: dict[EncodedHeaders, RequestHead] = {}


@dataclass(frozen=True, slots=True)
class RequestHead:
    """Facts about the headers of a request.

    `headers` are those that the log shows, with secrets replaced. `user` is the name in the credentials.
    `replay_of` is the id in the `REPLAY` header. `hosts` and `origins` are all values of Host and Origin.
    `is_cross_site` is true if a page of another site sent the request. `is_short` is true if the headers are
    short enough to be cached.
    """

    headers: tuple[tuple[str, str], ...]
    user: str
    replay_of: int | None
    hosts: tuple[str, ...]
    origins: tuple[str, ...]
    is_cross_site: bool
    is_short: bool


def read_head(scope: Scope) -> RequestHead:
    """Return the facts about the headers of a request, and keep them in the scope for `head_of`."""
    headers = tuple(scope["headers"])
    head = _heads.get(headers)
    if head is None:
        head = _read(headers)
        if head.is_short:
            if len(_heads) >= _CACHED:
                _heads.clear()
            _heads[headers] = head
    scope[_HEAD] = head
    return head


def forget_heads() -> None:
    """Empty the cache. Its keys are headers, which contain credentials."""
    _heads.clear()


def head_of(scope: Scope) -> RequestHead:
    """Return the facts about the headers of a recorded request."""
    head: RequestHead = scope[_HEAD]
    return head


def _read(headers: EncodedHeaders) -> RequestHead:
    def values(name: bytes) -> tuple[str, ...]:
        return tuple(value.decode("latin-1") for key, value in headers if key == name)

    authorization = values(b"authorization")
    replayed = next(iter(values(REPLAY)), "")
    is_id = replayed.isascii() and replayed.isdigit() and len(replayed) <= _LONGEST_ID
    return RequestHead(
        headers=redact_headers(headers),
        user=user_of(authorization[0]) if authorization else "",
        replay_of=int(replayed) if is_id else None,
        hosts=values(b"host"),
        origins=values(b"origin"),
        is_cross_site=values(b"sec-fetch-site")[:1] == ("cross-site",),
        is_short=sum(map(len, chain.from_iterable(headers))) <= _LONGEST_CACHED,
    )
