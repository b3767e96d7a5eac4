"""Fabricated images by tag and by digest, made on demand."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from brokenreg.images.hashing import HashingCancelled, hash_layers
from brokenreg.images.image import Document, FabricatedImage, build_image
from brokenreg.images.jobs import RUNNING, Jobs
from brokenreg.images.layer import Layer
from brokenreg.images.ledger import ImageRecord, LayerRecord, Ledger, Place, Role
from brokenreg.images.spec import ImageSpec, LayerRecipe, check_limit, parse_random_tag
from brokenreg.oci.digests import Digest, is_digest
from brokenreg.oci.errors import ErrorCode, OCIError, shutting_down

TagParser = Callable[[str], ImageSpec]
"""The image that a tag asks for. Raises `OCIError` if it asks for none."""

KINDS: Mapping[str, TagParser] = {"broken/random": parse_random_tag}
"""The repositories of fabricated images that need no fault."""

_BATCH = 1024 * 1024 * 1024
"""Bytes of content to hash before the sums are stored: about a second's work, lost if we are killed."""

_CACHED_IMAGES = 32


class RecipeStore(Protocol):
    """Where the sums are kept, so that no layer is ever hashed twice."""

    def recipes(self) -> Iterable[tuple[str, str]]:
        """Everything stored: (key, JSON)."""

    async def put_recipe(self, key: str, value: str) -> None:
        """Store one, durably, in place of what was there."""


class FabricatedBlob(Protocol):
    """A configuration or a layer, readable at any offset."""

    @property
    def size(self) -> int:
        """In bytes."""

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes at `offset`, fewer only at the end. Raise `ValueError` if one is negative."""


@dataclass(frozen=True, slots=True)
class MadeBlob:
    """A manifest, configuration or layer of an image that was made in a repository."""

    repository: str
    digest: Digest
    role: Role
    _place: Place
    _ledger: Ledger

    @property
    def content(self) -> FabricatedBlob:
        """A reader, made anew; of a document that takes as long as to make all of the image's documents."""
        if self.role is Role.LAYER:
            recipe = self._place.spec.recipe(self._place.number)
            return Layer(recipe, self._ledger.layer_sums(recipe).crc32)
        image = build_image(self._place.spec, self._ledger.sums(self._place.spec))
        return Document(image.config if self.role is Role.CONFIG else image.manifest)


class Fabricator:
    """The images of some repositories. `kinds` says which, and what their tags mean.

    An image is served by its digests once it was asked for by tag, also after a restart. Images of more than
    `limit` bytes of content are refused. Belongs to one event loop; `close` when done.
    """

    def __init__(self, store: RecipeStore, kinds: Mapping[str, TagParser], limit: int) -> None:
        self._store = store
        self._kinds = kinds
        self._limit = limit
        self._ledger = Ledger(store.recipes())
        self._images: OrderedDict[ImageSpec, FabricatedImage] = OrderedDict()
        self._jobs: Jobs[tuple[str, ImageSpec]] = Jobs()
        self._cancelled = threading.Event()
        # A job's own thread and its helper's.
        self._threads = ThreadPoolExecutor(2 * RUNNING, thread_name_prefix="fabricator")

    def provides(self, repository: str) -> bool:
        """Whether the images of that repository are fabricated."""
        return repository in self._kinds

    async def image(self, repository: str, reference: str) -> FabricatedImage:
        """The image of that tag or manifest digest; the first time it must be hashed, which takes a while.

        Raise `OCIError`: 404 NAME_UNKNOWN or MANIFEST_UNKNOWN; whatever the tag's parser says; 400
        BAD_REQUEST beyond the limit; 503 UNAVAILABLE if too many images are being made.
        """
        if is_digest(reference):
            return self._image_by_digest(repository, reference)
        if repository not in self._kinds:
            raise OCIError(
                404, ErrorCode.NAME_UNKNOWN, f"{repository!r} is not a repository of made-up images"
            )
        spec = self._kinds[repository](reference)
        check_limit(spec, self._limit)
        if not self._ledger.has_image(repository, spec):
            await self._jobs.run((repository, spec), lambda: self._make(repository, spec))
        return self._build(spec)

    def blob(self, repository: str, digest: str) -> FabricatedBlob | None:
        """The configuration or layer of that digest; None if no image made in that repository has it."""
        place = self._ledger.place(repository, digest)
        if place is None or place.role is Role.MANIFEST:
            return None
        if place.role is Role.CONFIG:
            return Document(self._build(place.spec).config)
        recipe = place.spec.recipe(place.number)
        return Layer(recipe, self._ledger.layer_sums(recipe).crc32)

    def made(self) -> Iterator[MadeBlob]:
        """Everything that was made so far, by repository."""
        for repository, digest, place in self._ledger.places():
            yield MadeBlob(repository, Digest(digest), place.role, place, self._ledger)

    @property
    def made_count(self) -> int:
        """How many images were made; it only grows."""
        return self._ledger.image_count

    def spec_of(self, repository: str, digest: str) -> ImageSpec | None:
        """The image in that repository which has this manifest, configuration or layer.

        Of images that differ only in how many layers they have, a layer's is the one made first.
        """
        place = self._ledger.place(repository, digest)
        return place.spec if place else None

    def is_config(self, repository: str, digest: str) -> bool:
        """Whether an image in that repository has this configuration."""
        place = self._ledger.place(repository, digest)
        return place is not None and place.role is Role.CONFIG

    def layer_numbers(self, repository: str, digest: str) -> tuple[int, ...]:
        """The place of that layer in its image, from 1; none if it is no layer made in that repository."""
        place = self._ledger.place(repository, digest)
        return (place.number,) if place is not None and place.role is Role.LAYER else ()

    def sibling(self, repository: str, digest: str) -> Digest | None:
        """The layer after that one in its image, the first after the last; None if there is no other."""
        place = self._ledger.place(repository, digest)
        if place is None:
            return None
        layers = [Digest(sums.digest) for sums in self._ledger.sums(place.spec)]
        other = layers[place.number % len(layers)] if layers else None
        return other if other != digest else None

    async def close(self) -> None:
        """End all jobs, within some milliseconds; those who wait for them get a 503."""
        self._cancelled.set()
        await self._jobs.close()
        self._threads.shutdown(wait=False)

    def _image_by_digest(self, repository: str, digest: str) -> FabricatedImage:
        place = self._ledger.place(repository, digest)
        if place is None or place.role is not Role.MANIFEST:
            raise OCIError(
                404,
                ErrorCode.MANIFEST_UNKNOWN,
                f"no image with the digest {digest} was made in {repository}; ask for its tag first",
            )
        return self._build(place.spec)

    def _build(self, spec: ImageSpec) -> FabricatedImage:
        if spec not in self._images:
            self._images[spec] = build_image(spec, self._ledger.sums(spec))
            if len(self._images) > _CACHED_IMAGES:
                self._images.popitem(last=False)
        self._images.move_to_end(spec)
        return self._images[spec]

    async def _make(self, repository: str, spec: ImageSpec) -> None:
        """Hash what is missing, store it, and know it from then on."""
        for batch in _batches(self._ledger.missing(spec)):
            records = await self._hash(batch)
            await asyncio.gather(
                *(self._store.put_recipe(record.key, record.model_dump_json()) for record in records)
            )
            for record in records:
                self._ledger.add_layer(record)
        image = ImageRecord.of(repository, self._build(spec))
        await self._store.put_recipe(image.key, image.model_dump_json())
        self._ledger.add_image(image)

    async def _hash(self, recipes: list[LayerRecipe]) -> list[LayerRecord]:
        loop = asyncio.get_running_loop()
        try:
            sums = await loop.run_in_executor(
                self._threads, hash_layers, recipes, self._threads, self._cancelled
            )
        except HashingCancelled:
            raise shutting_down() from None
        return [LayerRecord.of(recipe, one) for recipe, one in zip(recipes, sums, strict=True)]


def _batches(recipes: Iterable[LayerRecipe]) -> Iterator[list[LayerRecipe]]:
    batch: list[LayerRecipe] = []
    for recipe in recipes:
        batch.append(recipe)
        if sum(one.size for one in batch) >= _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
