"""What the Tags tab changes, after confirming: it deletes tags and manifests, and adds tags."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from textual.app import App

from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import OCIError
from brokenreg.oci.names import check_tag
from brokenreg.runtime.errors import OperationError
from brokenreg.storage.records import CACHE_MARK, Repository, is_cache, spelled
from brokenreg.tui.dialogues import Confirmation, Question
from brokenreg.tui.tabs import TabContext
from brokenreg.tui.tags.rows import DIGEST, INDEXES, Kind, Row
from brokenreg.tui.text import visible

Change = Callable[["App[int]", TabContext, Row], Awaitable[None]]


async def delete(app: App[int], context: TabContext, row: Row) -> None:
    """Delete the tag of a row, or its manifest with all tags that point to it."""
    digest = row.digest
    repository = context.runtime.store.index.repository(row.key)
    if digest is None or repository is None:
        return
    if row.kind is Kind.TAG:
        what, lines = f"tag {_name(row, row.text)}", _about_tag(repository, row.text)
        done = f"deleted {what}; its manifest stays"
        change = partial(context.operations.delete_tag, row.key, row.text)
    else:
        what, lines = f"manifest {_name(row, digest[:DIGEST])}", _about_manifest(repository, digest)
        done = f"deleted {what}"
        change = partial(context.operations.delete_manifest, row.key, digest)
    if is_cache(row.key):
        upstream = row.key[0].removeprefix(CACHE_MARK)
        lines = (*lines, f"It is cached: the next request fetches it again from {visible(upstream)}.")
    if await app.push_screen_wait(Confirmation(f"Delete {what}?", lines)):
        await _report(app, change(), done)


async def retag(app: App[int], context: TabContext, row: Row) -> None:
    """Ask for a tag and point it to the manifest of a row."""
    digest = row.digest
    if digest is None:
        return
    tag = await app.push_screen_wait(
        Question("Add tag", f"New tag for {_name(row, digest[:DIGEST])}:", _problem)
    )
    repository = context.runtime.store.index.repository(row.key)
    if tag is None or repository is None:
        return
    before = repository.tags.get(tag)
    if before == digest:
        app.notify(f"{_name(row, tag)} already points to {digest[:DIGEST]}", markup=False)
        return
    if before is not None:
        lines = (f"It points to {before[:DIGEST]}.", f"The new target is {digest[:DIGEST]}.")
        if not await app.push_screen_wait(Confirmation(f"Overwrite tag {_name(row, tag)}?", lines)):
            return
    change = context.operations.tag_manifest(row.key, digest, tag)
    await _report(app, change, f"tagged {_name(row, tag)} → {digest[:DIGEST]}")


async def _report(app: App[int], change: Awaitable[None], done: str) -> None:
    """Wait for a change and show its outcome: `done`, or why nothing was changed."""
    try:
        await change
    except OperationError as error:
        app.notify(f"nothing was changed: {visible(str(error))}", severity="warning", markup=False)
    else:
        app.notify(done, markup=False)


def _about_tag(repository: Repository, tag: str) -> tuple[str, ...]:
    digest = repository.tags.get(tag)
    others = sorted(name for name, target in repository.tags.items() if target == digest and name != tag)
    if others:
        return (f"Its manifest keeps {_some(others)}.",)
    return ("Its manifest stays, without a tag.",)


def _about_manifest(repository: Repository, digest: Digest) -> tuple[str, ...]:
    tags = sorted(name for name, target in repository.tags.items() if target == digest)
    lines = [f"This also deletes {_some(tags)}."] if tags else []
    if any(
        digest in manifest.facts.names and manifest.media_type in INDEXES
        for manifest in repository.manifests.values()
    ):
        lines.append("An index that lists it becomes incomplete.")
    if repository.referrers(digest):
        lines.append("Manifests that refer to it stay.")
    return (*lines, "Its blobs stay.")


def _some(tags: list[str]) -> str:
    shown = ", ".join(map(visible, tags[:5]))
    word = "the tag" if len(tags) == 1 else "the tags"
    return f"{word} {shown}{f' and {len(tags) - 5} more' if len(tags) > 5 else ''}"


def _name(row: Row, reference: str) -> str:
    """Return the row's repository with a tag or digest, as clients write it."""
    return f"{visible(spelled(row.key))}{'@' if ':' in reference else ':'}{visible(reference)}"


def _problem(tag: str) -> str:
    """Return what is wrong with a tag, or an empty string."""
    try:
        check_tag(tag)
    except OCIError as error:
        return visible(error.message)
    return ""
