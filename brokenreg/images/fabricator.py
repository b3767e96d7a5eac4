"""Fabricates images on demand, and serves them by tag and by digest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from cachetools import LRUCache

from brokenreg.images.hashing import LayerSums
from brokenreg.images.image import Document, FabricatedImage, build_image
from brokenreg.images.jobs import Jobs
from brokenreg.images.layer_hashing import LayerHashing
from brokenreg.images.ledger import (
    IMAGES,
    MAX_IN_MEMORY,
    FabricatedBlob,
    ImageRecord,
    Ledger,
    Role,
    image_key,
    layer_at,
    read_image,
    read_layer,
)
from brokenreg.images.progress import NO_OBSERVER, Observer, Progress
from brokenreg.images.recipe_store import RecipeStore
from brokenreg.images.spec import MAX_LAYERS, ImageSpec, LayerRecipe, check_limit, parse_random_tag
from brokenreg.images.unpacked import Content
from brokenreg.oci.digests import Digest, is_digest
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.storage.shared.leases import Leases

TagParser = Callable[[str], ImageSpec]
"""Returns the image that a tag specifies. Raises `OCIError` if the tag is invalid."""

KINDS: Mapping[str, TagParser] = {"broken/random": parse_random_tag}
"""The repositories of fabricated images without faults, with the parsers of their tags."""

_CACHED_IMAGES = 32

_LOADED = 64
"""Number of images that are loaded from the store at startup."""


class Fabricator:
    """Fabricates the images of the repositories in `kinds`, which has their tag parsers.

    After an image was requested by tag, it is also served by its digests, even after a restart. Memory holds
    the most recently used images (`memory` is a number of layers), and the store finds the others by digest.
    Images with more than `limit` bytes of content are refused. A fabricator belongs to one event loop;
    `close` it when done.
    """

    def __init__(
        self,
        store: RecipeStore,
        kinds: Mapping[str, TagParser],
        limit: int,
        memory: int = MAX_IN_MEMORY,
        leases: Leases | None = None,
    ) -> None:
        """With `leases`, other processes use the store too."""
        self._store = store
        self._kinds = kinds
        self._limit = limit
        self._ledger = Ledger(memory)
        self._images: LRUCache[ImageSpec, FabricatedImage] = LRUCache(_CACHED_IMAGES)
        self._jobs: Jobs[tuple[str, ImageSpec]] = Jobs()
        self._hashing = LayerHashing(store, leases)

    async def load(self) -> None:
        """Load some images from the store, for lists of blobs. Others are loaded on demand."""
        for key, value in await self._store.beginning_with(IMAGES, _LOADED):
            if self._ledger.is_full:
                return
            record = read_image(key, value)
            if record is not None and record.repository in self._kinds:
                await self._find(record.repository, record.spec)

    def provides(self, repository: str) -> bool:
        """Return whether the images of that repository are fabricated."""
        return repository in self._kinds

    def knows(self, repository: str, reference: str) -> bool:
        """Return whether memory has the image of this tag or digest, so that requests need not wait."""
        if is_digest(reference):
            return self._ledger.place(repository, reference) is not None
        try:
            return self._ledger.has_image(repository, self._kinds[repository](reference))
        except (KeyError, OCIError):
            return False

    async def image(
        self, repository: str, reference: str, observer: Observer = NO_OBSERVER
    ) -> FabricatedImage:
        """Return the image of a tag or manifest digest. The first time, it is hashed, which takes a while.

        Raise `OCIError`: 404 NAME_UNKNOWN or MANIFEST_UNKNOWN; the error of the tag parser; 400 BAD_REQUEST
        if the image is too large; 503 UNAVAILABLE if too many images are being fabricated.
        """
        if is_digest(reference):
            await self.recall(repository, reference, observer)
            return self._image_by_digest(repository, reference)
        if repository not in self._kinds:
            raise OCIError(
                404, ErrorCode.NAME_UNKNOWN, f"{repository!r} is not a repository of fabricated images"
            )
        spec = self._kinds[repository](reference)
        check_limit(spec, self._limit)
        await self._ensure(repository, spec, observer)
        return self._build(spec)

    async def blob(self, repository: str, digest: str, observer: Observer = NO_OBSERVER) -> Content | None:
        """Return the configuration or layer with that digest, or None if no image of the repository has it.

        Raise `OCIError` as `image` does.
        """
        await self.recall(repository, digest, observer)
        place = self._ledger.place(repository, digest)
        if place is None or place.role is Role.MANIFEST:
            return None
        if place.role is Role.CONFIG:
            return Document(self._build(place.spec).config)
        return layer_at(place, self._ledger.sums(place.spec))

    async def recall(self, repository: str, digest: str, observer: Observer = NO_OBSERVER) -> None:
        """Load the image of a digest from the store if it is not in memory.

        If the store lacks layers of the image, it is hashed again. Raise `OCIError` as `image` does.
        """
        if repository not in self._kinds or self._ledger.place(repository, digest) is not None:
            return
        for key, value in await self._store.naming(digest):
            spec = await self._spec_of_record(repository, key, value)
            if spec is not None:
                check_limit(spec, self._limit)
                await self._ensure(repository, spec, observer)
                return

    def made(self) -> Iterator[FabricatedBlob]:
        """Yield the blobs of the images that are in memory."""
        for repository, digest, place, sums in self._ledger.places():
            yield FabricatedBlob(repository, Digest(digest), place.role, place, sums)

    def find(self, digest: Digest) -> FabricatedBlob | None:
        """Return the blob with that digest if its image is in memory, or None."""
        for repository in self._kinds:
            place = self._ledger.place(repository, digest)
            if place is not None:
                return FabricatedBlob(repository, digest, place.role, place, self._ledger.sums(place.spec))
        return None

    @property
    def made_count(self) -> int:
        """Return the number of images that were fabricated or loaded so far."""
        return self._ledger.added

    def spec_of(self, repository: str, digest: str) -> ImageSpec | None:
        """Return the image in that repository that has this manifest, configuration or layer, or None.

        A layer of several images, which differ in their number of layers, belongs to the first one
        fabricated.
        """
        place = self._ledger.place(repository, digest)
        return place.spec if place else None

    def is_config(self, repository: str, digest: str) -> bool:
        """Return whether an image in that repository has this configuration."""
        place = self._ledger.place(repository, digest)
        return place is not None and place.role is Role.CONFIG

    def layer_numbers(self, repository: str, digest: str) -> tuple[int, ...]:
        """Return the positions of a layer in its image, from 1; none for other digests."""
        place = self._ledger.place(repository, digest)
        return (place.number,) if place is not None and place.role is Role.LAYER else ()

    def sibling(self, repository: str, digest: str) -> Digest | None:
        """Return the next layer of the image (after the last, the first), or None if there is no other."""
        place = self._ledger.place(repository, digest)
        if place is None:
            return None
        layers = [Digest(sums.digest) for sums in self._ledger.sums(place.spec)]
        other = layers[place.number % len(layers)] if layers else None
        return other if other != digest else None

    async def close(self) -> None:
        """End all jobs within milliseconds. Waiting clients get a 503."""
        await self._jobs.close()
        self._hashing.close()

    def _image_by_digest(self, repository: str, digest: str) -> FabricatedImage:
        place = self._ledger.place(repository, digest)
        if place is None or place.role is not Role.MANIFEST:
            raise OCIError(
                404,
                ErrorCode.MANIFEST_UNKNOWN,
                f"no image with the digest {digest} was fabricated in {repository}; request its tag first",
            )
        return self._build(place.spec)

    def _build(self, spec: ImageSpec) -> FabricatedImage:
        image = self._images.get(spec)
        if image is None:
            image = self._images[spec] = build_image(spec, self._ledger.sums(spec))
        return image

    async def _spec_of_record(self, repository: str, key: str, value: str) -> ImageSpec | None:
        """Return the image in that repository that a record describes, or one with the record's layer."""
        image = read_image(key, value)
        if image is not None:
            return image.spec if image.repository == repository else None
        layer = read_layer(key, value)
        if layer is None:
            return None
        specs = [
            ImageSpec(layers, layer.size, layer.seed, layer.salt)
            for layers in range(max(1, layer.number), MAX_LAYERS + 1)
        ]
        keys = {image_key(repository, spec): spec for spec in specs}
        found = await self._store.get(keys)
        return next((spec for key, spec in keys.items() if key in found), None)

    async def _ensure(self, repository: str, spec: ImageSpec, observer: Observer) -> None:
        """Put an image into memory unless it is there: from the store, or by hashing it."""
        if self._ledger.has_image(repository, spec) or await self._find(repository, spec):
            return
        work = partial(self._make, repository, spec)
        await self._jobs.run((repository, spec), Progress(spec), work, observer)

    async def _find(self, repository: str, spec: ImageSpec) -> bool:
        """Load an image into memory. Return False if the store does not have all of its layers."""
        known = await self._hashing.known(spec)
        if len(known) < spec.layers:
            return False
        await self._add(repository, spec, known)
        return True

    async def _add(self, repository: str, spec: ImageSpec, sums: Mapping[LayerRecipe, LayerSums]) -> None:
        image = build_image(spec, [sums[recipe] for recipe in spec.recipes])
        record = ImageRecord.of(repository, image)
        if not await self._store.get([record.key]):
            await self._store.put([(record.key, record.model_dump_json())])
        self._ledger.add(repository, image)

    async def _make(self, repository: str, spec: ImageSpec, progress: Progress) -> None:
        """Hash the missing layers, and add the image to memory."""
        await self._add(repository, spec, await self._hashing.complete(spec, progress))
