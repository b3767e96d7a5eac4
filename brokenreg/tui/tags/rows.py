"""The rows of the tree: those that are open, updated for repositories that have changed. Free of Textual."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple

from brokenreg.oci.descriptors import Descriptor, Parts
from brokenreg.oci.digests import Digest
from brokenreg.oci.mediatypes import DOCKER_LIST, OCI_INDEX
from brokenreg.storage.index_memory import IndexMemory
from brokenreg.storage.records import Manifest, Repository, RepositoryKey, is_cache, spelled
from brokenreg.wording import counted

Place = tuple[str, ...]
"""The place of a row: namespace, repository, then a step for each level below."""

DIGEST = 19
"""Characters of a digest that are shown where there is no room for all: sha256: and twelve."""

_MOST_FOUND = 2_000
"""Tags that a search shows."""

_MOST_TAGS = 3_000
"""Tags of one repository that are shown without a search, and manifests without a tag."""

INDEXES = frozenset({OCI_INDEX, DOCKER_LIST})


class Kind(StrEnum):
    """What a row shows; the value is the word in the row."""

    REPOSITORY = ""
    TAG = "tag"
    UNTAGGED = "untagged"
    PLATFORM = "platform"
    CONFIG = "config"
    LAYER = "layer"
    REFERRER = "referrer"
    REMARK = "remark"


MANIFESTS = frozenset({Kind.TAG, Kind.UNTAGGED, Kind.PLATFORM, Kind.REFERRER})
"""Rows of a manifest or an index."""


class Row(NamedTuple):
    """One line of the tree. `is_open` is None if it cannot be opened; `text` is as clients sent it.

    `media_type` and `size` (bytes) are those of the stored manifest, or else those in its descriptor.
    """

    place: Place
    kind: Kind
    text: str
    digest: Digest | None = None
    is_open: bool | None = None
    is_here: bool = True
    media_type: str = ""
    size: int | None = None

    @property
    def key(self) -> RepositoryKey:
        return self.place[0], self.place[1]

    @property
    def depth(self) -> int:
        return len(self.place) - 2


class Tree:
    """The open parts of the repositories, as rows. `parts` has the manifests that were read.

    `missing` are the digests that an open row needs and `parts` does not have.
    """

    def __init__(self, index: IndexMemory) -> None:
        self.rows: list[Row] = []
        self.missing: set[Digest] = set()
        self.parts: dict[Digest, Parts] = {}
        self._index = index
        self._version = -1
        self._open: set[Place] = set()
        self._made: dict[RepositoryKey, tuple[int, list[Row]]] = {}
        self._search = ""

    @property
    def search(self) -> str:
        """Return the text that names must contain to be shown, in lower case; empty shows all."""
        return self._search

    @search.setter
    def search(self, text: str) -> None:
        self._search = text.lower()
        self._made.clear()
        self._version = -1

    def update(self) -> bool:
        """Update the rows of repositories that have changed; False if none has."""
        if self._version == self._index.version:
            return False
        self._version = self._index.version
        self._made = {key: made for key, made in self._made.items() if key in self._index.repositories}
        left = _MOST_FOUND
        rows: list[Row] = []
        for key, repository in sorted(self._index.repositories.items(), key=lambda item: spelled(item[0])):
            made = self._made.get(key)
            if made is None or made[0] != repository.revision:
                made = repository.revision, list(self._make(key, repository, left))
                self._made[key] = made
            rows += made[1]
            if self._search:
                left -= max(0, len(made[1]) - 1)
                if left <= 0:
                    rest = "and more; type more of the name to see them"
                    rows.append(Row((*key, "more"), Kind.REMARK, rest))
                    break
        self.rows = rows
        return True

    def set_open(self, place: Place, is_open: bool) -> None:
        """Open or close a row. The rows below it stay open or closed."""
        if is_open:
            self._open.add(place)
        else:
            self._open.discard(place)
        self._again(place[0], place[1])

    def learn(self, digest: Digest, parts: Parts) -> None:
        """Add the parts of a manifest that was `missing`."""
        self.parts[digest] = parts
        self.missing.discard(digest)
        for key, repository in self._index.repositories.items():
            if digest in repository.manifests:
                self._again(*key)

    def _again(self, namespace: str, name: str) -> None:
        self._made.pop((namespace, name), None)
        self._version = -1

    def _make(self, key: RepositoryKey, repository: Repository, most: int) -> Iterator[Row]:
        """Yield the rows of one repository. If a search does not match its name, yield matching tags."""
        name = spelled(key)
        found: Iterable[str] = repository.tags
        is_open = key in self._open
        if self._search and self._search not in name.lower():
            found = [tag for tag in repository.tags if self._search in tag.lower()][:most]
            if not found:
                return
            is_open = True
        tags, manifests = len(repository.tags), len(repository.manifests)
        about = f"{counted(tags, 'tag')}, {counted(manifests, 'manifest')}"
        if is_cache(key):
            about = f"cached, {about}"
        yield Row(key, Kind.REPOSITORY, name, is_open=is_open, media_type=about)
        if is_open:
            yield from self._tags(key, repository, found)

    def _tags(self, key: RepositoryKey, repository: Repository, found: Iterable[str]) -> Iterator[Row]:
        """Yield tags, and untagged manifests unless the user searches for tags."""
        branch = _Branch(repository, self._open, self.parts, self.missing)
        untagged = _untagged(repository) if found is repository.tags else []
        tags = sorted(found)
        for tag in tags[:_MOST_TAGS]:
            yield from branch.manifest((*key, f"tag {tag}"), Kind.TAG, tag, repository.tags[tag])
        for digest in untagged[:_MOST_TAGS]:
            yield from branch.manifest((*key, digest), Kind.UNTAGGED, digest, digest)
        more = len(tags[_MOST_TAGS:]) + len(untagged[_MOST_TAGS:])
        if more:
            yield Row((*key, "more"), Kind.REMARK, f"and {more} more, not shown; search to find a tag")


class _Branch:
    """Makes the rows below one repository."""

    def __init__(
        self,
        repository: Repository,
        opened: set[Place],
        parts: Mapping[Digest, Parts],
        missing: set[Digest],
    ) -> None:
        self._repository = repository
        self._open = opened
        self._parts = parts
        self._missing = missing
        self._referrers: dict[str, list[Manifest]] = {}
        for manifest in repository.manifests.values():
            if manifest.facts.subject:
                self._referrers.setdefault(manifest.facts.subject, []).append(manifest)

    def manifest(
        self, place: Place, kind: Kind, text: str, digest: Digest, descriptor: Descriptor | None = None
    ) -> Iterator[Row]:
        """Yield the row of a manifest or an index, and its parts if it is open."""
        manifest = self._repository.manifests.get(digest)
        if manifest is None:
            media_type, size = (descriptor.media_type, descriptor.size) if descriptor else ("", None)
            yield Row(place, kind, text, digest, None, False, media_type, size)
            return
        is_open = place in self._open
        yield Row(place, kind, text, digest, is_open, True, manifest.media_type, manifest.size)
        if is_open:
            yield from self._below(place, manifest)

    def _below(self, place: Place, manifest: Manifest) -> Iterator[Row]:
        parts = self._parts.get(manifest.digest)
        if parts is None:
            self._missing.add(manifest.digest)
            yield Row((*place, "reading"), Kind.REMARK, "reading…")
            return
        for number, each in enumerate(parts.manifests):
            text = each.platform or each.digest
            yield from self.manifest((*place, f"manifest {number}"), Kind.PLATFORM, text, each.digest, each)
        if parts.config:
            yield self._blob((*place, "config"), Kind.CONFIG, parts.config)
        for number, each in enumerate(parts.layers):
            yield self._blob((*place, f"layer {number}"), Kind.LAYER, each)
        if parts.left_out:
            yield Row((*place, "more"), Kind.REMARK, f"and {parts.left_out} more, not shown")
        for referrer in sorted(
            self._referrers.get(manifest.digest, ()), key=lambda manifest: manifest.digest
        ):
            text = referrer.facts.artifact_type or referrer.digest
            yield from self.manifest(
                (*place, f"referrer {referrer.digest}"), Kind.REFERRER, text, referrer.digest
            )

    def _blob(self, place: Place, kind: Kind, descriptor: Descriptor) -> Row:
        digest = descriptor.digest
        is_here = digest in self._repository.links
        return Row(place, kind, digest, digest, None, is_here, descriptor.media_type, descriptor.size)


def _untagged(repository: Repository) -> list[Digest]:
    """Return the manifests without a tag, an index that lists them, or a subject in the repository."""
    named = set(repository.tags.values())
    for manifest in repository.manifests.values():
        if manifest.media_type in INDEXES:
            named.update(Digest(name) for name in manifest.facts.names if name != manifest.facts.subject)
    return sorted(
        digest
        for digest, manifest in repository.manifests.items()
        if digest not in named and manifest.facts.subject not in repository.manifests
    )
