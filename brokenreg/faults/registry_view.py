"""The part of the registry that faults and rules may read: its content, address and certificates."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Collection
from typing import Literal, get_args

from brokenreg.images.images import Images
from brokenreg.oci.digests import Digest, is_digest
from brokenreg.oci.target import Endpoint, Target
from brokenreg.proxy.routes import Naming
from brokenreg.registry.auth.access import AccessCheck, PublicAddress
from brokenreg.registry.responses import as_oci_error
from brokenreg.second_origin.origin import SecondOrigin
from brokenreg.storage import Store
from brokenreg.storage.errors import StorageError
from brokenreg.storage.records import Repository
from brokenreg.traffic.exchange import Exchange, UpstreamTrace

Flaw = Literal["expired", "wrong-host", "untrusted"]
"""What is wrong with a certificate."""

FLAWS: tuple[Flaw, ...] = get_args(Flaw)


class RegistryView:
    """The part of the registry that faults and rules may read.

    `flawed` returns a TLS context with a flawed certificate; it is None if no listener uses TLS.
    """

    def __init__(
        self,
        store: Store,
        images: Images,
        origin: SecondOrigin,
        address: PublicAddress,
        access_check: AccessCheck,
        flawed: Callable[[Flaw], ssl.SSLContext] | None,
        naming: Naming,
    ) -> None:
        self.origin = origin
        self.address = address
        self.access_check = access_check
        self._flawed = flawed
        self._naming = naming
        self._store = store
        self._images = images

    def flawed(self, flaw: Flaw) -> ssl.SSLContext:
        """Return a TLS context whose certificate has that flaw. Raise `OSError` if no listener uses TLS."""
        if self._flawed is None:
            raise OSError("no listener uses TLS")
        return self._flawed(flaw)

    def must_recall(self, exchange: Exchange) -> bool:
        """Return whether the content that the exchange requests is fabricated, but not known yet."""
        target = exchange.target
        return (
            exchange.method in ("GET", "HEAD")
            and target.endpoint in (Endpoint.MANIFEST, Endpoint.CONFIG, Endpoint.LAYER)
            and self._images.provides(target.repository)
            and is_digest(target.reference)
            and not self._images.knows(target.repository, target.reference)
        )

    async def recall(self, exchange: Exchange) -> None:
        """Look up the exchange's digest in the fabricator, so that rules can match it. Raise `OCIError`."""
        target = exchange.target
        await self._images.recall(target.repository, target.reference, UpstreamTrace(exchange))
        if target.endpoint is Endpoint.LAYER:
            is_config = self._images.is_config(target.repository, target.reference)
            exchange.target = target.refine(is_config=is_config)

    def positions(self, target: Target) -> Collection[int]:
        """Return the positions of a layer in the manifests of its repository, counted from 1."""
        if self._images.provides(target.repository):
            return self._images.layer_numbers(target.repository, target.reference)
        return {
            place + 1
            for repository in self._repositories(target)
            for manifest in repository.manifests.values()
            for place in manifest.facts.layers.places(target.reference)
        }

    def has_blob(self, target: Target, digest: Digest) -> bool:
        """Return whether the repository of a request has a blob, pushed or cached."""
        return any(digest in repository.links for repository in self._repositories(target))

    def has_manifest(self, target: Target, digest: Digest) -> bool:
        """Return whether the repository of a request has a manifest, pushed or cached."""
        return any(digest in repository.manifests for repository in self._repositories(target))

    def used(self, target: Target) -> float | None:
        """Return when the requested blob was pushed, or last requested, in seconds since the epoch.

        None if it was not pushed.
        """
        repository = self._store.index.repositories.get(target.key)
        return None if repository is None else repository.links.get(target.digest)

    async def pushed_digest(self, target: Target) -> Digest | None:
        """Return the digest of a manifest that was pushed, by whichever process. Raise `OCIError`."""
        try:
            await self._store.index.catch_up()
        except StorageError as error:
            raise as_oci_error(error) from None
        repository = self._store.index.repositories.get(target.key)
        manifest = None if repository is None else repository.resolve(target.reference)
        return None if manifest is None else manifest.digest

    def another_blob(self, target: Target) -> Digest | None:
        """Return another blob of the same repository; None if it has no other, or not the target."""
        if self._images.provides(target.repository):
            return self._images.sibling(target.repository, target.reference)
        links = [digest for repository in self._repositories(target) for digest in repository.links]
        if target.reference not in links:
            return None
        others = sorted(digest for digest in set(links) if digest != target.reference)
        later = [digest for digest in others if digest > target.reference]
        return next(iter(later or others), None)

    def _repositories(self, target: Target) -> list[Repository]:
        """Return the repository with pushed content and the one with content cached from its upstream."""
        return self._store.index.present(self._naming.places(target))
