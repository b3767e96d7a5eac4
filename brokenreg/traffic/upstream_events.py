"""The events of requests to upstreams and of the proxy's cache, for the timeline of an exchange."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar


class Cache(StrEnum):
    """How the proxy's cache was used for a response."""

    HIT = "hit"
    """The content was cached, and the upstream was not contacted."""

    MISS = "miss"
    """The content was fetched for this exchange."""

    JOINED = "joined"
    """The content was already being fetched for another exchange."""

    REVALIDATED = "revalidated"
    """The content was cached, and the upstream confirmed it."""

    STALE = "stale"
    """The content was cached, and the upstream failed to confirm it."""


class ListLimit(StrEnum):
    """The limit that truncated a list from an upstream."""

    PAGES = "pages"
    ENTRIES = "entries"
    VALUES = "values"
    """The number of JSON values in all pages. `count` is the number of pages before the limit."""


@dataclass(frozen=True, slots=True)
class CacheUsed:
    """The cache was used for the response, as `result` says."""

    kind: ClassVar = "cache"
    result: Cache


@dataclass(frozen=True, slots=True)
class UpstreamResponded:
    """A request to an upstream got a response. `location` is its URL without scheme and query."""

    kind: ClassVar = "upstream-response"
    method: str
    location: str
    status: int
    web_proxy: str | None = None


@dataclass(frozen=True, slots=True)
class UpstreamFailed:
    """A request to an upstream got no usable response."""

    kind: ClassVar = "upstream-failure"
    reason: str


@dataclass(frozen=True, slots=True)
class RateLimited:
    """The server responded with 429. The request is repeated after `seconds`."""

    kind: ClassVar = "rate-limited"
    server: str
    seconds: float


@dataclass(frozen=True, slots=True)
class CredentialHelperFailed:
    """A credential helper failed to provide credentials."""

    kind: ClassVar = "credential-helper-failed"
    reason: str


@dataclass(frozen=True, slots=True)
class CredentialsWithheld:
    """A token service gets no credentials, because it is not known to belong to the upstream."""

    kind: ClassVar = "credentials-withheld"
    reason: str


@dataclass(frozen=True, slots=True)
class HeadInconclusive:
    """The response to HEAD is inconclusive, so a GET follows."""

    kind: ClassVar = "head-inconclusive"


@dataclass(frozen=True, slots=True)
class ServedStale:
    """The upstream failed, so cached content is served without revalidation."""

    kind: ClassVar = "stale"
    reason: str


@dataclass(frozen=True, slots=True)
class NotCached:
    """The content is sent to the client, but not cached."""

    kind: ClassVar = "not-cached"
    reason: str


@dataclass(frozen=True, slots=True)
class ListTruncated:
    """The list from the upstream exceeds a limit, so its end is missing."""

    kind: ClassVar = "list-truncated"
    limit: ListLimit
    count: int


@dataclass(frozen=True, slots=True)
class DownloadResumed:
    """The download of a blob failed, and is resumed at byte `offset`."""

    kind: ClassVar = "download-resumed"
    offset: int
    reason: str


@dataclass(frozen=True, slots=True)
class SharedDownload:
    """Another replica downloads the blob, or has just done so.

    It is read from `source`, that replica or the object store, from byte `offset` on.
    """

    kind: ClassVar = "shared-download"
    source: str
    offset: int


UpstreamEvent = (
    CacheUsed
    | UpstreamResponded
    | UpstreamFailed
    | RateLimited
    | CredentialHelperFailed
    | CredentialsWithheld
    | HeadInconclusive
    | ServedStale
    | NotCached
    | ListTruncated
    | DownloadResumed
    | SharedDownload
)
