"""Makes odd images on demand, and serves them by tag and by digest."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from brokenreg.concurrency import SingleFlight, ThreadPool
from brokenreg.images.image import Document
from brokenreg.images.ledger import Role
from brokenreg.images.odd_image import Descriptor, OddImage, OddManifest
from brokenreg.images.recipe_store import RecipeStore
from brokenreg.images.unpacked import Content
from brokenreg.late_imports import Late
from brokenreg.oci.digests import Digest, is_digest
from brokenreg.oci.errors import ErrorCode, OCIError, shutting_down

if TYPE_CHECKING:
    from brokenreg.images.catalogue import ImageKind

REPOSITORY = "broken/image"
"""The repository of all odd images. The tag names the kind and its parameters."""

MAX_MEMORY = 32 * 1024 * 1024
"""Maximum number of bytes of documents in memory."""

_OVERHEAD = 64 * 1024
"""Memory of an image besides its documents, about: descriptors and digests."""

_WAITING = 16
"""Maximum number of images that are made at the same time or wait for it. Further ones are refused."""

_STORED = 256
"""Maximum number of digests of an image that are found after a restart."""

_PREFIX = "odd:"


def _tag_parser() -> Callable[[str], ImageKind]:
    from brokenreg.images.catalogue.tags import kind_of

    return kind_of


class _Record(BaseModel):
    """The image that has a digest, as stored."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    digest: str
    tag: str


@dataclass(frozen=True, slots=True)
class OddBlob:
    """A manifest, configuration or layer of an odd image."""

    digest: Digest
    role: Role
    content: Content
    repository: str = REPOSITORY


class OddImages:
    """The images of `broken/image`.

    After an image was requested by tag, it is also served by its digests, even after a restart: the store
    keeps the tag of each digest. Memory holds the most recently used images. An instance belongs to one event
    loop; `close` it when done.
    """

    def __init__(self, store: RecipeStore, memory: int = MAX_MEMORY) -> None:
        self._store = store
        self._most = memory
        self._images: OrderedDict[str, OddImage] = OrderedDict()
        self._tags: dict[str, str] = {}
        """The tag of an image in memory that has a digest, by digest."""
        self._memory = 0
        self._flights: SingleFlight[str, OddImage] = SingleFlight(shutting_down)
        self._threads = ThreadPool("odd-images", 1)
        self.catalogue = Late(_tag_parser)
        """The parser of tags. Its import takes too long for the event loop."""
        self.made_count = 0
        """The number of images that were made so far."""

    def knows(self, reference: str) -> bool:
        """Return whether memory has the image of this tag or digest, so that requests need not wait."""
        if is_digest(reference):
            return reference in self._tags
        if not self.catalogue.is_ready:
            return False
        try:
            return self.catalogue.begin().result()(reference).tag in self._images
        except OCIError:
            return False

    async def image(self, reference: str) -> OddManifest:
        """Return the manifest of a tag or digest. The first time, its image is made, which takes a while.

        Raise `OCIError`: 404 MANIFEST_UNKNOWN; 400 MANIFEST_INVALID for wrong parameters; 503 UNAVAILABLE if
        too many images are being made.
        """
        if not is_digest(reference):
            image = await self._made(reference)
            return image.manifests[image.root]
        await self.recall(reference)
        found = self._find(reference)
        manifest = None if found is None else found.manifests.get(Digest(reference))
        if manifest is None:
            message = f"no image of {REPOSITORY} with the digest {reference} was requested by tag"
            raise OCIError(404, ErrorCode.MANIFEST_UNKNOWN, message)
        return manifest

    async def blob(self, digest: str) -> Content | None:
        """Return the configuration or layer with that digest, or None. Raise `OCIError` as `image` does."""
        await self.recall(digest)
        found = self._find(digest)
        return None if found is None else found.blobs.get(Digest(digest))

    async def recall(self, digest: str) -> None:
        """Make the image of a digest again if it is not in memory, but known to the store."""
        if digest in self._tags:
            return
        for key, value in await self._store.naming(digest):
            if key != _PREFIX + digest:
                continue
            try:
                await self._made(_Record.model_validate_json(value).tag)
            except ValidationError:  # of another version
                continue

    def referrers(self, digest: str) -> list[Descriptor]:
        """Return the referrers of a manifest in memory, in order of their digests."""
        found = self._find(digest)
        listed = () if found is None else found.referrers.get(Digest(digest), ())
        return sorted(listed, key=lambda each: str(each["digest"]))

    def made(self) -> Iterator[OddBlob]:
        """Yield the manifests and blobs of the images that are in memory."""
        for image in self._images.values():
            yield from map(partial(_blob_of, image), (*image.manifests, *image.blobs))

    def find(self, digest: Digest) -> OddBlob | None:
        """Return the manifest or blob with that digest if its image is in memory, or None."""
        image = self._find(digest)
        is_here = image is not None and (digest in image.manifests or digest in image.blobs)
        return _blob_of(image, digest) if image is not None and is_here else None

    def is_config(self, digest: str) -> bool:
        """Return whether an image in memory has this configuration."""
        found = self._find(digest)
        return found is not None and digest in found.configs

    def layer_numbers(self, digest: str) -> tuple[int, ...]:
        """Return the positions of a layer in the manifests of its image, from 1; none for other digests."""
        found = self._find(digest)
        return () if found is None else found.positions.get(digest, ())

    def sibling(self, digest: str) -> Digest | None:
        """Return the next blob of the image (after the last, the first), or None if there is no other."""
        found = self._find(digest)
        others = [] if found is None else list(found.blobs)
        if digest not in others or len(others) == 1:
            return None
        return others[(others.index(Digest(digest)) + 1) % len(others)]

    async def close(self) -> None:
        """End all work. Waiting clients get a 503."""
        await self._flights.close()
        self._threads.shutdown(wait=False)

    def _find(self, digest: str) -> OddImage | None:
        tag = self._tags.get(digest)
        return None if tag is None else self._used(tag)

    def _used(self, tag: str) -> OddImage | None:
        image = self._images.get(tag)
        if image is not None:
            self._images.move_to_end(tag)
        return image

    async def _made(self, tag: str) -> OddImage:
        kind = (await self.catalogue.get())(tag)
        found = self._used(kind.tag)
        return found or await self._flights.join(kind.tag, partial(self._start, kind))

    async def _start(self, kind: ImageKind) -> OddImage:
        if len(self._flights) > _WAITING:
            message = f"{_WAITING} odd images are being made: try again in a moment"
            raise OCIError(503, ErrorCode.UNAVAILABLE, message, headers={"retry-after": "1"})
        image = await self._threads.run(kind.image)
        digests = [*dict.fromkeys((image.root, *image.manifests, *image.blobs, *image.referrers))]
        await self._store.put(
            [
                (_PREFIX + digest, _Record(digest=digest, tag=kind.tag).model_dump_json())
                for digest in digests[:_STORED]
            ]
        )
        self._add(kind.tag, image)
        return image

    def _add(self, tag: str, image: OddImage) -> None:
        self._images[tag] = image
        self._tags |= dict.fromkeys((*image.manifests, *image.blobs, *image.referrers), tag)
        self._memory += image.memory + _OVERHEAD
        self.made_count += 1
        while self._memory > self._most and len(self._images) > 1:
            oldest, dropped = self._images.popitem(last=False)
            self._memory -= dropped.memory + _OVERHEAD
            for digest in (*dropped.manifests, *dropped.blobs, *dropped.referrers):
                if self._tags.get(digest) == oldest:
                    del self._tags[digest]


def _blob_of(image: OddImage, digest: Digest) -> OddBlob:
    manifest = image.manifests.get(digest)
    if manifest is not None:
        return OddBlob(digest, Role.MANIFEST, Document(manifest.manifest))
    return OddBlob(digest, Role.CONFIG if digest in image.configs else Role.LAYER, image.blobs[digest])
