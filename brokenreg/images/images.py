"""All images that brokenreg makes: those of recipe 1 (`Fabricator`), and odd ones (`OddImages`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Protocol

from brokenreg.images.fabricator import Fabricator
from brokenreg.images.ledger import Role
from brokenreg.images.odd_image import Descriptor
from brokenreg.images.odd_images import REPOSITORY, OddImages
from brokenreg.images.progress import NO_OBSERVER, Observer
from brokenreg.images.spec import ImageSpec
from brokenreg.images.unpacked import Content
from brokenreg.oci.digests import Digest


class MadeManifest(Protocol):
    """A manifest, with the media type that the registry sends as Content-Type."""

    @property
    def manifest(self) -> bytes: ...
    @property
    def media_type(self) -> str: ...
    @property
    def digest(self) -> Digest: ...


class MadeBlob(Protocol):
    """A manifest, configuration or layer in memory, with its repository."""

    @property
    def repository(self) -> str: ...
    @property
    def digest(self) -> Digest: ...
    @property
    def role(self) -> Role: ...
    @property
    def content(self) -> Content:
        """A new reader of the blob. Call it in a thread: it can take a while."""


class Images:
    """Makes images on demand, and serves them by tag and by digest. `close` it when done."""

    def __init__(self, fabricator: Fabricator, odd: OddImages) -> None:
        self._fabricator = fabricator
        self.odd = odd

    def provides(self, repository: str) -> bool:
        """Return whether brokenreg makes the images of that repository."""
        return repository == REPOSITORY or self._fabricator.provides(repository)

    def knows(self, repository: str, reference: str) -> bool:
        """Return whether memory has the image of this tag or digest, so that requests need not wait."""
        if repository == REPOSITORY:
            return self.odd.knows(reference)
        return self._fabricator.knows(repository, reference)

    async def image(self, repository: str, reference: str, observer: Observer = NO_OBSERVER) -> MadeManifest:
        """Return the manifest of a tag or digest. The first time, its image is made, which takes a while.

        Raise `OCIError` as `Fabricator.image` and `OddImages.image` do.
        """
        if repository == REPOSITORY:
            return await self.odd.image(reference)
        return await self._fabricator.image(repository, reference, observer)

    async def blob(self, repository: str, digest: str, observer: Observer = NO_OBSERVER) -> Content | None:
        """Return the configuration or layer with that digest, or None if no image of the repository has it.

        Raise `OCIError` as `image` does.
        """
        if repository == REPOSITORY:
            return await self.odd.blob(digest)
        return await self._fabricator.blob(repository, digest, observer)

    async def recall(self, repository: str, digest: str, observer: Observer = NO_OBSERVER) -> None:
        """Load the image of a digest if only the store knows it. Raise `OCIError` as `image` does."""
        if repository == REPOSITORY:
            await self.odd.recall(digest)
        else:
            await self._fabricator.recall(repository, digest, observer)

    def referrers(self, repository: str, digest: str) -> Sequence[Descriptor]:
        """Return the referrers of a manifest, in order of their digests."""
        return self.odd.referrers(digest) if repository == REPOSITORY else ()

    def made(self) -> Iterator[MadeBlob]:
        """Yield what is in memory."""
        yield from chain(self._fabricator.made(), self.odd.made())

    def find(self, digest: Digest) -> MadeBlob | None:
        """Return the blob or manifest with that digest if its image is in memory, or None."""
        return self._fabricator.find(digest) or self.odd.find(digest)

    @property
    def made_count(self) -> int:
        """Return the number of images that were made or loaded so far."""
        return self._fabricator.made_count + self.odd.made_count

    def spec_of(self, repository: str, digest: str) -> ImageSpec | None:
        """Return the image of recipe 1 that has this manifest, configuration or layer, or None."""
        return self._fabricator.spec_of(repository, digest)

    def is_config(self, repository: str, digest: str) -> bool:
        """Return whether an image in that repository has this configuration."""
        if repository == REPOSITORY:
            return self.odd.is_config(digest)
        return self._fabricator.is_config(repository, digest)

    def layer_numbers(self, repository: str, digest: str) -> tuple[int, ...]:
        """Return the positions of a layer in its image, from 1; none for other digests."""
        if repository == REPOSITORY:
            return self.odd.layer_numbers(digest)
        return self._fabricator.layer_numbers(repository, digest)

    def sibling(self, repository: str, digest: str) -> Digest | None:
        """Return the next blob of the image (after the last, the first), or None if there is no other."""
        if repository == REPOSITORY:
            return self.odd.sibling(digest)
        return self._fabricator.sibling(repository, digest)

    async def close(self) -> None:
        """End all work within milliseconds. Waiting clients get a 503."""
        await self._fabricator.close()
        await self.odd.close()
