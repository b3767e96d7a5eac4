"""The index in memory, which follows the changes of the database."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Collection, Iterable, KeysView
from typing import Any

from brokenreg.oci.digests import Digest
from brokenreg.oci.mediatypes import ManifestFacts
from brokenreg.storage.changes import (
    BlobLinked,
    BlobsUnlinked,
    Change,
    LeaseEnded,
    LinkTouched,
    ManifestDeleted,
    ManifestPut,
    ObjectsForgotten,
    ObjectStored,
    StateChanged,
    TagConfirmed,
    TagDeleted,
    TimesCorrected,
    UploadOpened,
    UploadsClosed,
)
from brokenreg.storage.database import Connection
from brokenreg.storage.imports.import_table import unfinished
from brokenreg.storage.records import (
    MOST_NAMES,
    Manifest,
    Repository,
    RepositoryKey,
    StoredObject,
    UploadRow,
    is_cache,
)
from brokenreg.storage.shared.shared_states import SharedStates
from brokenreg.storage.tags import SortedNames
from brokenreg.storage.uses import Uses


class IndexMemory:
    """All repositories, and counts of digests across them.

    Only `add_all`, `take_over` and `apply` change them. In addition, the index notes times of use.
    """

    def __init__(self) -> None:
        self.version = 0
        """Increases with every change of manifests, tags or links."""
        self.repositories: dict[RepositoryKey, Repository] = {}
        self.catalog = SortedNames()
        """The names of the repositories of the default namespace, in order."""
        self._ever_pushed: dict[RepositoryKey, None] = {}
        self._configs: Uses[str] = Uses()
        self._linked: Uses[Digest] = Uses()
        self._pushed: Uses[Digest] = Uses()
        self._sizes: dict[Digest, int] = {}
        self.uploads: dict[str, UploadRow] = {}
        """The upload sessions of this process by id, the least recently used first since the start."""
        self.objects: dict[Digest, StoredObject] = {}
        """The objects of blobs in the object store, if there is one."""
        self.object_places: set[str] = set()
        """The places that the objects were in when the index was loaded: one, or none without objects."""
        self.states = SharedStates()
        self.lease_ended: Callable[[str], None] = lambda _: None
        """Called with the name of a lease that has ended, in whichever process."""
        self.tag_confirmed: Callable[[TagConfirmed], None] = lambda _: None
        """Called when an upstream has confirmed a tag of the cache, to whichever process."""
        self.unfinished_imports: list[str] = []
        """The data folders whose content was not copied entirely when the index was loaded."""
        # Faster than a `match`, which compares one class after the other.
        self._followers: dict[type[Change], Callable[[Any], None]] = {
            ManifestPut: self._follow_put,
            ManifestDeleted: self._follow_deletion,
            TagDeleted: self._follow_tag_deletion,
            BlobLinked: self._follow_link,
            LinkTouched: self._follow_touch,
            BlobsUnlinked: self._follow_unlinking,
            TimesCorrected: self._follow_correction,
            UploadOpened: lambda opened: self.uploads.update({opened.row.id: opened.row}),
            UploadsClosed: self._follow_end_of_uploads,
            ObjectStored: lambda stored: self.objects.update({stored.digest: stored.stored}),
            ObjectsForgotten: self._follow_forgetting,
            StateChanged: self.states.apply,
            LeaseEnded: lambda ended: self.lease_ended(ended.name),
            TagConfirmed: lambda confirmed: self.tag_confirmed(confirmed),
        }

    def repository(self, key: RepositoryKey) -> Repository | None:
        return self.repositories.get(key)

    def present(self, keys: Iterable[RepositoryKey]) -> list[Repository]:
        """Return the repositories with these keys that exist."""
        return [self.repositories[key] for key in keys if key in self.repositories]

    @property
    def names(self) -> KeysView[RepositoryKey]:
        """The repositories that were ever pushed to, the oldest first."""
        return self._ever_pushed.keys()

    def was_pushed_to(self, key: RepositoryKey) -> bool:
        """Return whether anything was ever pushed to a repository, even if it was deleted later."""
        return key in self.repositories or key in self._ever_pushed

    def is_config(self, digest: str) -> bool:
        """Return whether a stored manifest has that digest as its configuration."""
        return digest in self._configs

    def is_linked(self, digest: Digest) -> bool:
        """Return whether any repository has a link to that blob."""
        return digest in self._linked

    def is_pushed(self, digest: Digest) -> bool:
        """Return whether a repository outside the cache has a link to that blob."""
        return digest in self._pushed

    def remedy(self, digest: Digest) -> str:
        """Return how a blob that is lost or corrupt can be served again, for a message."""
        return "push it again" if self.is_pushed(digest) else "it is fetched again when it is requested"

    def intact_object(self, digest: Digest) -> StoredObject | None:
        """Return the object of a blob, or None if it has none or its object is lost or corrupt."""
        stored = self.objects.get(digest)
        return None if stored is None or stored.problem else stored

    def blob_size(self, digest: Digest) -> int | None:
        """Return the size that a linked blob had when it was stored, in bytes.

        Return None if an older version of brokenreg stored it, which did not record sizes.
        """
        return self._sizes.get(digest)

    @property
    def blob_count(self) -> int:
        """Return the number of blobs that repositories have links to."""
        return len(self._linked)

    def add_all(self, connection: Connection, upload_prefix: str) -> None:
        """Add everything that the database has, but only upload sessions whose ids have that prefix."""
        for namespace, repository, digest, media_type, size, facts, stored in connection.execute(
            "SELECT namespace, repository, digest, media_type, size, facts, stored FROM manifests"
        ):
            manifest = Manifest(Digest(digest), media_type, size, ManifestFacts.stored(facts))
            self._add_manifest((namespace, repository), manifest, stored)
        for namespace, repository, tag, digest in connection.execute(
            "SELECT namespace, repository, tag, digest FROM tags"
        ):
            self._repository((namespace, repository)).tags.point((tag,), Digest(digest))
        for namespace, repository, digest, linked in connection.execute(
            "SELECT namespace, repository, digest, linked FROM links"
        ):
            self._add_link((namespace, repository), Digest(digest), linked)
        for digest, size in connection.execute("SELECT digest, size FROM blob_sizes"):
            if digest in self._linked:
                self._sizes[Digest(digest)] = size
        for key in connection.execute("SELECT namespace, repository FROM pushed ORDER BY number"):
            self._note_push(key)
        for upload_id, namespace, repository, algorithm in connection.execute(
            "SELECT id, namespace, repository, algorithm FROM uploads WHERE id LIKE ?", (f"{upload_prefix}%",)
        ):
            self.uploads[upload_id] = UploadRow(upload_id, (namespace, repository), algorithm)
        for digest, place, key, size, stored, problem in connection.execute(
            "SELECT digest, place, key, size, stored, problem FROM objects"
        ):
            self.objects[Digest(digest)] = StoredObject(key, size, stored, problem)
            self.object_places.add(place)
        self.unfinished_imports += unfinished(connection)
        self.states.read(connection)

    def take_over(self, other: IndexMemory) -> None:
        """Take over everything from `other`."""
        self.version += 1
        for repository in other.repositories.values():
            repository.revision = self.version
        self.repositories, self.catalog, self.uploads = other.repositories, other.catalog, other.uploads
        self._ever_pushed, self._configs, self._sizes = other._ever_pushed, other._configs, other._sizes
        self._linked, self._pushed = other._linked, other._pushed
        self.objects, self.object_places = other.objects, other.object_places
        self.unfinished_imports = other.unfinished_imports
        self.states.replace(other.states)

    def apply(self, change: Change) -> None:
        """Follow a committed change. Changes are applied in the order of their commits."""
        self._followers[type(change)](change)

    def _follow_put(self, put: ManifestPut) -> None:
        self._note_push(put.key)
        self._add_manifest(put.key, put.manifest, put.stored)
        self.repositories[put.key].tags.point(put.tags, put.manifest.digest)

    def _follow_deletion(self, deleted: ManifestDeleted) -> None:
        links = self.repositories[deleted.key].links
        links.update({name: max(links[name], deleted.deleted) for name in deleted.mentioned})
        self._remove_manifest(deleted.key, deleted.digest, deleted.tags)

    def _follow_tag_deletion(self, deleted: TagDeleted) -> None:
        self.repositories[deleted.key].tags.drop((deleted.tag,))
        self._note_change(deleted.key)

    def _follow_link(self, link: BlobLinked) -> None:
        self._note_push(link.key)
        self._add_link(link.key, link.digest, link.linked)
        if link.size is not None:
            self._sizes[link.digest] = link.size
        if link.upload_id is not None:
            self.uploads.pop(link.upload_id, None)

    def _follow_touch(self, touched: LinkTouched) -> None:
        links, digest = self.repositories[touched.key].links, touched.digest
        links[digest] = max(links[digest], touched.when)

    def _follow_unlinking(self, unlinked: BlobsUnlinked) -> None:
        for key, digest in unlinked.links:
            self._remove_link(key, digest)

    def _follow_correction(self, corrected: TimesCorrected) -> None:
        repository, now = self.repositories.get(corrected.key), corrected.now
        for times in (repository.links, repository.requested) if repository else ():
            times.update({digest: now for digest, when in times.items() if when > now})

    def _follow_end_of_uploads(self, closed: UploadsClosed) -> None:
        for upload_id in closed.upload_ids:
            self.uploads.pop(upload_id, None)

    def _follow_forgetting(self, forgotten: ObjectsForgotten) -> None:
        for digest, _ in forgotten.forgotten:
            self.objects.pop(digest, None)

    def _repository(self, key: RepositoryKey) -> Repository:
        repository = self.repositories.get(key)
        if repository is None:
            repository = self.repositories[key] = Repository()
            if not key[0]:
                self.catalog.put(key[1])
        return repository

    def _note_push(self, key: RepositoryKey) -> None:
        """Remember a name even if its content is deleted, up to a number of names."""
        if not is_cache(key):
            self._ever_pushed[key] = None
            if len(self._ever_pushed) > MOST_NAMES:
                del self._ever_pushed[next(iter(self._ever_pushed))]

    def _note_change(self, key: RepositoryKey) -> None:
        """Note a change of a repository's manifests, tags or links. Remove the repository if it is empty."""
        self.version += 1
        repository = self._repository(key)
        repository.revision = self.version
        if repository.is_empty:
            del self.repositories[key]
            if not key[0]:
                self.catalog.drop(key[1])

    def _add_manifest(self, key: RepositoryKey, manifest: Manifest, stored: float) -> None:
        repository = self._repository(key)
        if manifest.digest not in repository.manifests:
            if manifest.facts.config:
                self._configs.add(manifest.facts.config)
            if manifest.facts.subject:
                insort(repository.referring.setdefault(manifest.facts.subject, []), manifest.digest)
        repository.manifests[manifest.digest] = manifest
        repository.requested[manifest.digest] = stored
        self._note_change(key)

    def _remove_manifest(self, key: RepositoryKey, digest: Digest, tags: Collection[str]) -> None:
        """Remove a manifest and the tags that point to it."""
        repository = self.repositories[key]
        manifest = repository.manifests.pop(digest)
        repository.requested.pop(digest)
        repository.tags.drop(tags)
        if manifest.facts.subject:
            referring = repository.referring[manifest.facts.subject]
            referring.remove(digest)
            if not referring:
                del repository.referring[manifest.facts.subject]
        if manifest.facts.config:
            self._configs.remove(manifest.facts.config)
        self._note_change(key)

    def _add_link(self, key: RepositoryKey, digest: Digest, when: float) -> None:
        links = self._repository(key).links
        if digest not in links:
            self._linked.add(digest)
            if not is_cache(key):
                self._pushed.add(digest)
        links[digest] = when
        self._note_change(key)

    def _remove_link(self, key: RepositoryKey, digest: Digest) -> None:
        del self.repositories[key].links[digest]
        self._linked.remove(digest)
        if not is_cache(key):
            self._pushed.remove(digest)
        if digest not in self._linked:
            self._sizes.pop(digest, None)
        self._note_change(key)
