"""Lists all blobs: pushed, cached and fabricated ones, and manifests. Free of Textual."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from brokenreg.concurrency import paced_thread
from brokenreg.images.images import MadeBlob
from brokenreg.images.ledger import Role
from brokenreg.oci.digests import Digest
from brokenreg.oci.mediatypes import DOCKER_LIST, OCI_INDEX
from brokenreg.runtime.runtime import Runtime
from brokenreg.storage import Store
from brokenreg.storage.records import CACHE_MARK, Manifest, RepositoryKey, is_cache, spelled

_SLICE = 5000
"""Links and manifests that are copied in one turn of the loop."""

_MOST_TAGS = 8
"""Maximum number of tags that are kept for one digest in one repository."""


class Kind(StrEnum):
    """The kind of a blob, as the stored manifests describe it."""

    CONFIG = "config"
    LAYER = "layer"
    MANIFEST = "manifest"
    INDEX = "index"
    UNKNOWN = "unknown"

    @property
    def is_manifest(self) -> bool:
        return self in (Kind.MANIFEST, Kind.INDEX)


_MADE_KINDS = {Role.MANIFEST: Kind.MANIFEST, Role.CONFIG: Kind.CONFIG, Role.LAYER: Kind.LAYER}


@dataclass(frozen=True, slots=True)
class Blob:
    """One blob. `size` in bytes; `used` in seconds since the epoch, None if unknown.

    `places` are the repositories that have it, with the tags that lead to it. `keys` are those of them that
    are stored. `made` is None if the blob is not fabricated.
    """

    digest: Digest
    kind: Kind
    size: int
    used: float | None
    origins: tuple[str, ...]
    places: tuple[str, ...]
    keys: tuple[RepositoryKey, ...]
    made: MadeBlob | None

    @property
    def origin(self) -> str:
        return ", ".join(self.origins)

    @property
    def words(self) -> str:
        """Return the text that is searched."""
        return "\n".join((self.digest, self.kind, *self.origins, *self.places)).lower()


class Order(StrEnum):
    """By what a list of blobs is sorted."""

    SIZE = "size"
    USED = "last use"
    NAME = "name"


def arranged(blobs: Iterable[Blob], order: Order, wanted: str) -> list[Blob]:
    """Return the blobs that have all words of `wanted`: largest first, last used first, or by name.

    Call it in a thread: 10,000 blobs take some tenths of a second.
    """
    needles = wanted.lower().split()
    found = [blob for blob in paced_thread(blobs) if _has_all(blob, needles)] if needles else blobs
    match order:
        case Order.SIZE:
            return sorted(found, key=lambda blob: (-blob.size, blob.digest))
        case Order.USED:
            return sorted(found, key=lambda blob: (-(blob.used or 0.0), blob.digest))
        case Order.NAME:
            return sorted(found, key=lambda blob: (blob.places, blob.kind, blob.digest))


def _has_all(blob: Blob, needles: list[str]) -> bool:
    words = blob.words
    return all(needle in words for needle in needles)


async def survey(runtime: Runtime) -> list[Blob]:
    """Return all blobs, in no order. The index is copied in slices on the loop; a thread does the rest.

    Raise `OSError` if the data folder cannot be read.
    """
    copies = []
    copied = 0
    for key, repository in list(runtime.store.index.repositories.items()):
        copies.append(
            _Copy(
                key,
                tuple(repository.links),
                tuple(repository.manifests.values()),
                dict(repository.tags),
                dict(repository.requested),
            )
        )
        copied += len(repository.links) + len(repository.manifests)
        if copied >= _SLICE:
            copied = 0
            await asyncio.sleep(0)
    made = list(runtime.images.made())
    return await asyncio.to_thread(_blobs, copies, made, runtime.store)


@dataclass(frozen=True, slots=True)
class _Copy:
    key: RepositoryKey
    links: tuple[Digest, ...]
    manifests: tuple[Manifest, ...]
    tags: dict[str, Digest]
    requested: dict[Digest, float]

    def tags_leading_to(self) -> dict[str, list[str]]:
        """Return, by digest, the tags that lead to it: at most `_MOST_TAGS` of each."""
        names = {manifest.digest: manifest.facts.names for manifest in self.manifests}
        found: dict[str, list[str]] = {}
        for tag in sorted(self.tags):
            waiting: list[str] = [self.tags[tag]]
            while waiting:
                digest = waiting.pop()
                tags = found.setdefault(digest, [])
                if tag not in tags and len(tags) < _MOST_TAGS:
                    tags.append(tag)
                    waiting += names.get(Digest(digest), ())
        return found


@dataclass(slots=True)
class _Found:
    """What is known of a blob so far. Dictionaries without values keep the order of their keys."""

    kind: Kind
    size: int | None = None
    used: float | None = None
    origins: dict[str, None] = field(default_factory=dict)
    places: dict[str, None] = field(default_factory=dict)
    keys: list[RepositoryKey] = field(default_factory=list)
    made: MadeBlob | None = None


def _blobs(copies: Collection[_Copy], made: Iterable[MadeBlob], store: Store) -> list[Blob]:
    """Return the blobs. Blocks, because it reads size and time of each file."""
    kinds = _kinds(copies)
    found: dict[Digest, _Found] = {}
    for copy in paced_thread(copies):
        _note(copy, kinds, found)
    for blob in made:
        entry = found.setdefault(blob.digest, _Found(_MADE_KINDS[blob.role]))
        entry.made = entry.made or blob
        entry.origins["fabricated"] = None
        entry.places[blob.repository] = None
    blobs = (_blob(digest, entry, store) for digest, entry in paced_thread(found.items()))
    return [blob for blob in blobs if blob is not None]


def _kinds(copies: Collection[_Copy]) -> dict[str, Kind]:
    kinds: dict[str, Kind] = {}
    for copy in copies:
        for manifest in copy.manifests:
            kinds.update(dict.fromkeys(manifest.facts.layers, Kind.LAYER))
            if manifest.facts.config:
                kinds[manifest.facts.config] = Kind.CONFIG
    return kinds


def _note(copy: _Copy, kinds: Mapping[str, Kind], found: dict[Digest, _Found]) -> None:
    name = spelled(copy.key)
    origin = f"cached from {copy.key[0].removeprefix(CACHE_MARK)}" if is_cache(copy.key) else "pushed"
    tags = copy.tags_leading_to()

    def note(digest: Digest, kind: Kind) -> _Found:
        entry = found.setdefault(digest, _Found(kind))
        entry.keys.append(copy.key)
        entry.origins[origin] = None
        for tag in tags.get(digest, ()):
            entry.places[f"{name}:{tag}"] = None
        if digest not in tags:
            entry.places[name] = None
        return entry

    for manifest in copy.manifests:
        is_index = manifest.media_type in (OCI_INDEX, DOCKER_LIST)
        entry = note(manifest.digest, Kind.INDEX if is_index else Kind.MANIFEST)
        entry.size = manifest.size
        entry.used = max(entry.used or 0.0, copy.requested.get(manifest.digest, 0.0))
    for digest in copy.links:
        note(digest, kinds.get(digest, Kind.UNKNOWN))


def _size_and_use(store: Store, digest: Digest) -> tuple[int | None, float | None]:
    """Return the size of an intact blob, and when it was last used."""
    stored = store.index.intact_object(digest)
    if stored is None:
        return store.blobs.size(digest), store.blobs.modified(digest)
    return stored.size, store.blobs.modified(digest) or stored.stored


def _blob(digest: Digest, entry: _Found, store: Store) -> Blob | None:
    """Return the blob, or None if its file was removed. A blob in the quarantine is marked as corrupt."""
    size, used = entry.size, entry.used
    if size is None and entry.keys:
        size, used = _size_and_use(store, digest)
        if size is None and (size := store.corrupt_size(digest)) is not None:
            entry.origins = {"corrupt": None, **entry.origins}
    if size is None and entry.made is not None:
        size = entry.made.content.size
    if size is None:
        return None
    return Blob(
        digest=digest,
        kind=entry.kind,
        size=size,
        used=used,
        origins=tuple(entry.origins),
        places=tuple(entry.places),
        keys=tuple(entry.keys),
        made=entry.made,
    )
