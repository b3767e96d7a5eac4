"""What the Tags tab changes, each after asking: tags and manifests deleted, tags given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from textual.app import App

from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import OCIError
from brokenreg.oci.names import check_tag
from brokenreg.storage.errors import StorageError
from brokenreg.storage.index import Index
from brokenreg.storage.records import CACHE_MARK, Repository, is_cache, spelled
from brokenreg.tui.dialogues import Confirmation, Question
from brokenreg.tui.tags.rows import DIGEST, INDEXES, Kind, Row
from brokenreg.tui.text import visible

Change = Callable[["App[int]", Index, Row], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Said:
    """What became of a change, in one line."""

    text: str
    is_well: bool = True


async def delete(app: App[int], index: Index, row: Row) -> None:
    """Delete the tag of a row, or its manifest with all tags that lead to it."""
    digest = row.digest
    repository = index.repository(row.key)
    if digest is None or repository is None:
        return
    if row.kind is Kind.TAG:
        title = f"Delete the tag {_of(row, row.text)}?"
        lines = _about_tag(repository, row.text)
    else:
        title = f"Delete the manifest {_of(row, digest[:DIGEST])}?"
        lines = _about_manifest(repository, digest)
    if is_cache(row.key):
        upstream = row.key[0].removeprefix(CACHE_MARK)
        lines = (*lines, f"It is cached: whoever asks for it has it fetched from {visible(upstream)} anew.")
    if await app.push_screen_wait(Confirmation(title, lines)):
        await _tell(app, _delete(index, row, digest))


async def retag(app: App[int], index: Index, row: Row) -> None:
    """Ask for a tag and point it to what the row stands for."""
    digest = row.digest
    if digest is None:
        return
    tag = await app.push_screen_wait(
        Question("New tag", f"Another tag for {_of(row, digest[:DIGEST])}:", _problem)
    )
    repository = index.repository(row.key)
    if tag is None or repository is None:
        return
    before = repository.tags.get(tag)
    if before == digest:
        app.notify(f"{_of(row, tag)} leads there already", markup=False)
        return
    if before is not None:
        lines = (
            f"It leads to {before[:DIGEST]} now,",
            f"and would lead to {digest[:DIGEST]}.",
        )
        if not await app.push_screen_wait(Confirmation(f"Overwrite the tag {_of(row, tag)}?", lines)):
            return
    await _tell(app, _retag(index, row, digest, tag))


async def _delete(index: Index, row: Row, digest: Digest) -> Said:
    if row.kind is Kind.TAG:
        if not await index.delete_tag(row.key, row.text):
            return Said(f"{_of(row, row.text)} was gone already", is_well=False)
        return Said(f"deleted the tag {_of(row, row.text)}; its manifest stays")
    if not await index.delete_manifest(row.key, digest):
        return Said(f"{_of(row, digest[:DIGEST])} was gone already", is_well=False)
    return Said(f"deleted the manifest {_of(row, digest[:DIGEST])}")


async def _retag(index: Index, row: Row, digest: Digest, tag: str) -> Said:
    repository = index.repository(row.key)
    manifest = repository.manifests.get(digest) if repository else None
    body = await index.manifest_body(digest) if manifest else None
    if manifest is None or body is None:
        return Said(f"{_of(row, digest[:DIGEST])} is gone: nothing to tag", is_well=False)
    await index.put_manifest(row.key, manifest, body, [tag])
    return Said(f"{_of(row, tag)} leads to {digest[:DIGEST]} now")


async def _tell(app: App[int], change: Awaitable[Said]) -> None:
    """Wait for a change and say what became of it."""
    try:
        said = await change
    except StorageError as error:
        said = Said(f"nothing was changed: {visible(str(error))}", is_well=False)
    app.notify(said.text, severity="information" if said.is_well else "warning", markup=False)


def _about_tag(repository: Repository, tag: str) -> tuple[str, ...]:
    digest = repository.tags.get(tag)
    others = sorted(name for name, target in repository.tags.items() if target == digest and name != tag)
    if others:
        return (f"Its manifest stays, under {_some(others)}.",)
    return ("Its manifest stays, untagged.",)


def _about_manifest(repository: Repository, digest: Digest) -> tuple[str, ...]:
    tags = sorted(name for name, target in repository.tags.items() if target == digest)
    lines = [f"Deleted with it: {_some(tags)}."] if tags else []
    if any(
        digest in manifest.facts.names and manifest.media_type in INDEXES
        for manifest in repository.manifests.values()
    ):
        lines.append("An index here names it, and will lead nowhere.")
    if repository.referrers(digest):
        lines.append("What refers to it stays.")
    return (*lines, "Its blobs stay.")


def _some(tags: list[str]) -> str:
    shown = ", ".join(map(visible, tags[:5]))
    word = "the tag" if len(tags) == 1 else "the tags"
    return f"{word} {shown}{f' and {len(tags) - 5} more' if len(tags) > 5 else ''}"


def _of(row: Row, reference: str) -> str:
    return f"{visible(reference)} of {visible(spelled(row.key))}"


def _problem(tag: str) -> str:
    """What is wrong with a tag; empty if nothing is."""
    try:
        check_tag(tag)
    except OCIError as error:
        return visible(error.message)
    return ""
