"""What each request is about, independently of the repository: the tag, the config, layer 2, its upload."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import parse_qs

from brokenreg.concurrency import paced
from brokenreg.oci.digests import is_digest
from brokenreg.oci.mediatypes import ManifestFacts, manifest_facts
from brokenreg.oci.target import Endpoint
from brokenreg.traffic.bodies import Kept
from brokenreg.traffic.exchange import Exchange, Origin

KeptBodies = Callable[[Exchange], Kept]
"""Returns the recorded bodies of an exchange."""

_PACE = 100
"""Number of exchanges between two looks at the clock."""


class About(StrEnum):
    """The kinds of what requests are about. The values are shown."""

    TAG = "manifest"
    MANIFEST = "manifest by digest"
    CONFIG = "config"
    LAYER = "layer"
    UPLOAD_CONFIG = "upload of config"
    UPLOAD_LAYER = "upload of layer"
    UPLOAD = "upload"
    REFERRERS = "referrers"
    TAGS = "tags"
    CATALOG = "catalog"
    PING = "ping"
    TOKEN = "token"  # noqa: S105 - an endpoint, not a password
    CONNECTION = "connection"
    OTHER = "path"


_BLOBS = {About.CONFIG: About.LAYER, About.UPLOAD_CONFIG: About.UPLOAD_LAYER}
"""Without its manifest, a config looks like a layer."""

_WITHOUT_REFERENCE = {
    Endpoint.TAGS: About.TAGS,
    Endpoint.CATALOG: About.CATALOG,
    Endpoint.PING: About.PING,
    Endpoint.TOKEN: About.TOKEN,
    Endpoint.CONNECT: About.CONNECTION,
}

_NUMBERED = (About.LAYER, About.UPLOAD_LAYER)


@dataclass(frozen=True, slots=True)
class Subject:
    """What a request is about. Two subjects of a pull or push differ in their kind or number.

    `number` counts from 1: layers in the order of the manifest, others in the order of their first requests.
    `reference` is a tag, a digest, a path, or empty.
    """

    about: About
    number: int
    reference: str
    origin: Origin = Origin.REGISTRY

    @property
    def label(self) -> str:
        """Return it in a few words, without the reference: `layer 2`. Of a path, return the path."""
        if self.about is About.OTHER:
            return self.reference
        number = f" {self.number}" if self.about in _NUMBERED else ""
        return f"{self.about}{number}"

    @property
    def identity(self) -> tuple[Origin, About, str]:
        """Return what is the same on both sides if they have the same content."""
        return self.origin, _BLOBS.get(self.about, self.about), self.reference


def facts_of(exchange: Exchange, kept: Kept) -> ManifestFacts:
    """Return the facts of the manifest in an exchange. There are none if its body was not kept."""
    body = kept.request if exchange.method == "PUT" else kept.response
    return manifest_facts(body.data) if body is not None and body.is_whole else ManifestFacts()


class Subjects:
    """The subjects of the exchanges of one pull or push, which are read in order of arrival."""

    def __init__(self, kept: KeptBodies) -> None:
        self._kept = kept
        self._layers: dict[str, int] = {}
        self._configs: dict[str, int] = {}
        self._room = 0
        """The highest number of a layer in a manifest."""
        self._uploads: dict[str, str] = {}
        """Digests by upload ID."""
        self._numbers: dict[tuple[Origin, About, str], int] = {}
        self._counts: dict[tuple[Origin, About], int] = {}

    async def read(self, exchanges: Sequence[Exchange]) -> AsyncIterator[tuple[Exchange, Subject]]:
        """Yield each exchange with its subject. Other tasks can run meanwhile."""
        async for exchange in paced(exchanges):
            if exchange.endpoint is Endpoint.MANIFEST:
                self._learn(facts_of(exchange, self._kept(exchange)))
            elif exchange.endpoint is Endpoint.UPLOAD and (digest := _announced(exchange)):
                self._uploads.setdefault(_upload_id(exchange), digest)
        async for exchange in paced(exchanges, _PACE):
            yield exchange, self._subject(exchange)

    def _learn(self, facts: ManifestFacts) -> None:
        layers = [*facts.layers]
        if any(layer not in self._layers for layer in layers):
            for place, layer in enumerate(layers, self._room + 1):
                self._layers.setdefault(layer, place)
            self._room += len(layers)
        if facts.config:
            self._configs.setdefault(facts.config, len(self._configs) + 1)

    def _subject(self, exchange: Exchange) -> Subject:
        about, reference = self._about(exchange)
        if about in _NUMBERED and reference in self._layers:
            number = self._layers[reference]
        elif reference in self._configs and about in _BLOBS:
            number = self._configs[reference]
        else:
            number = self._next_number(exchange.origin, about, reference)
        return Subject(about, number, reference, exchange.origin)

    def _next_number(self, origin: Origin, about: About, reference: str) -> int:
        """Return the number of what no manifest names: after those of manifests, in order of requests."""
        key = origin, about, reference
        if key not in self._numbers:
            start = self._room if about in _NUMBERED else len(self._configs) if about in _BLOBS else 0
            self._counts[origin, about] = self._counts.get((origin, about), start) + 1
            self._numbers[key] = self._counts[origin, about]
        return self._numbers[key]

    def _about(self, exchange: Exchange) -> tuple[About, str]:
        target = exchange.target
        if target.error is not None:
            return About.OTHER, exchange.path
        match target.endpoint:
            case Endpoint.MANIFEST:
                return (About.MANIFEST if is_digest(target.reference) else About.TAG), target.reference
            case Endpoint.CONFIG | Endpoint.LAYER:
                is_config = target.endpoint is Endpoint.CONFIG or target.reference in self._configs
                return (About.CONFIG if is_config else About.LAYER), target.reference
            case Endpoint.UPLOAD:
                digest = self._uploads.get(_upload_id(exchange), "") or _announced(exchange)
                if not digest:
                    return About.UPLOAD, ""
                return (About.UPLOAD_CONFIG if digest in self._configs else About.UPLOAD_LAYER), digest
            case Endpoint.REFERRERS:
                return About.REFERRERS, target.reference
        about = _WITHOUT_REFERENCE.get(target.endpoint, About.OTHER)
        return about, exchange.path if about is About.OTHER else ""


def joint_keys(left: Iterable[Subject], right: Iterable[Subject]) -> tuple[Mapping[Subject, Hashable], ...]:
    """Return for each side a key by subject. Subjects that belong together have the same key.

    These are the same content on both sides, and of the rest those of the same kind and number.
    """
    sides = [dict.fromkeys(left), dict.fromkeys(right)]
    shared = {each.identity for each in sides[0] if each.reference} & {each.identity for each in sides[1]}
    return tuple(
        {
            each: each.identity if each.identity in shared else (each.origin, each.about, each.number)
            for each in side
        }
        for side in sides
    )


def _upload_id(exchange: Exchange) -> str:
    """Return the ID of an upload: in the path, or in the Location that its first response has."""
    location = exchange.response_header("location").partition("?")[0]
    return exchange.target.reference or location.rpartition("/")[2]


def _announced(exchange: Exchange) -> str:
    """Return the digest of an upload, which the last request of it has, or a mount."""
    query = parse_qs(exchange.query[:4096])
    return next(
        (value for name in ("digest", "mount") for value in query.get(name, ()) if is_digest(value)), ""
    )
