"""What the tree's rows show when they are opened, and the commands that pull them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from brokenreg.oci.digests import Digest
from brokenreg.oci.sizes import format_size
from brokenreg.storage import Store
from brokenreg.storage.records import is_cache, spelled
from brokenreg.tui.dialogues import SHOWN, Fact, Read
from brokenreg.tui.tags.rows import DIGEST, MANIFESTS, Kind, Row
from brokenreg.wording import counted


def document_of(row: Row, digest: Digest, store: Store) -> tuple[str, list[Fact], Read | None]:
    """Return title, facts and text for `DocumentScreen`. `digest` is the row's; a layer has no text."""
    size = "unknown" if row.size is None else counted(row.size, "byte")
    if row.size is not None and row.size >= 1024:
        size = f"{format_size(row.size)} ({size})"
    facts = [
        ("Repository", f"{spelled(row.key)}{' (cached)' if is_cache(row.key) else ''}"),
        ("Media type", row.media_type or "unknown"),
        ("Digest", digest),
        ("Size", size),
    ]
    title = f"{str(row.kind).capitalize()} {digest[:DIGEST] if row.text == digest else row.text}"
    if row.kind in MANIFESTS:
        if not row.is_here:
            return title, [*facts, ("Stored", "no: the manifest was never pushed, or was deleted")], None
        kinship = _kinship(row, digest, store)
        return title, [*facts, *kinship], lambda: _manifest(store, digest)
    facts.append(("Stored", _whereabouts(row, store, digest)))
    is_read = row.kind is Kind.CONFIG and row.is_here
    return title, facts, (lambda: _blob(store, digest)) if is_read else None


def _kinship(row: Row, digest: Digest, store: Store) -> list[Fact]:
    repository = store.index.repository(row.key)
    manifest = repository.manifests.get(digest) if repository else None
    facts = []
    if manifest and manifest.facts.artifact_type:
        facts.append(("Artifact type", manifest.facts.artifact_type[:200]))
    if manifest and manifest.facts.subject:
        facts.append(("Refers to", manifest.facts.subject))
    return facts


def _whereabouts(row: Row, store: Store, digest: Digest) -> str:
    size = store.size(digest)
    if size is None:
        return "no: the blob is not in the data folder"
    if not row.is_here:
        return "yes, but not in this repository: the blob was not pushed or mounted here"
    if row.size is not None and row.size != size:
        return f"yes, but its size ({counted(size, 'byte')}) differs from that in the manifest"
    return "yes"


async def _manifest(store: Store, digest: Digest) -> tuple[bytes, int] | None:
    body = await store.index.manifest_body(digest)
    return None if body is None else (body[:SHOWN], len(body))


async def _blob(store: Store, digest: Digest) -> tuple[bytes, int] | None:
    blob = await store.open_whole(digest)
    if blob is None:
        return None
    with blob:
        return await asyncio.to_thread(blob.read_blocking, 0, SHOWN), blob.size


_INSECURE = {"podman": "--tls-verify=false ", "skopeo": "--src-tls-verify=false "}

CLIENTS: Mapping[str, str] = {
    "docker": "docker pull {image}",
    "podman": "podman pull {insecure}{image}",
    "skopeo": "skopeo copy {insecure}docker://{image} dir:{folder}",
}
"""By client. `dir:` keeps the layers as they come."""


def pull_command(
    client: str, address: str, name: str, reference: str, *, is_trusted: bool, host: str = ""
) -> str:
    """Return the command that pulls a tag or a digest of `name` from the listener at `address` (a URL).

    `host` is the host by which the user reaches this machine.

    `is_trusted` says whether clients trust its certificate. If they do not, the command turns TLS
    verification off.
    """
    between = "@" if ":" in reference else ":"
    return CLIENTS[client].format(
        image=f"{reachable(address, host)}/{name}{between}{reference}",
        insecure="" if is_trusted else _INSECURE.get(client, ""),
        folder=name.rpartition("/")[2],
    )


_EVERYWHERE = ("0.0.0.0", "[::]")  # noqa: S104 - compared, not bound


def reachable(address: str, reached: str = "") -> str:
    """Return HOST:PORT of a listener's URL.

    If it listens on all addresses, the host is the one by which the user reached this machine (`reached`), or
    the loopback address.
    """
    authority = address.rpartition("://")[2]
    host, _, port = authority.rpartition(":")
    return f"{reached or '127.0.0.1'}:{port}" if host in _EVERYWHERE else authority
