"""The Tags tab: the tree, a search, and what can be done to tags and manifests."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Input

from brokenreg.config.databases import SQLITE
from brokenreg.oci.descriptors import parts_of
from brokenreg.oci.digests import Digest
from brokenreg.storage.errors import StorageError
from brokenreg.storage.records import is_cache, spelled
from brokenreg.tui.bindings import bindings_of
from brokenreg.tui.dialogues import DocumentScreen, say
from brokenreg.tui.document import DocumentPane
from brokenreg.tui.split import Split
from brokenreg.tui.tabs import TabArea, TabContext
from brokenreg.tui.tags.changes import Change, delete, retag
from brokenreg.tui.tags.image_choice import ImageChoice, image_entries
from brokenreg.tui.tags.opening import CLIENTS, document_of, pull_command
from brokenreg.tui.tags.rows import DIGEST, MANIFESTS, Kind, Tree
from brokenreg.tui.tags.view import TagTree
from brokenreg.tui.text import visible

_MOST_PARTS = 1_000
"""Layers, and manifests, that are shown of one document."""

_RESTED = 3
"""Ticks after which the cursor rests."""

_HINT = "No repositories yet. Push an image, or pull one through the proxy."


class TagsArea(TabArea):
    """The tree of all repositories, and a search field while it is used."""

    DEFAULT_CSS = """
    TagsArea > Input { display: none; padding: 0 1; background: $panel; }
    TagsArea.-searching > Input { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("tags")

    def __init__(self, context: TabContext) -> None:
        super().__init__()
        self._given = context
        self._runtime = context.runtime
        self._tree = Tree(self._runtime.store.index)
        self._view = TagTree(self._tree, _HINT)
        self._pane = DocumentPane()
        self._moved: tuple[Hashable, int] = (None, 0)
        """What the cursor is on, and for how many ticks."""
        self._field = Input(
            placeholder="Part of a repository name or tag",
            max_length=255,
            select_on_focus=False,
            compact=True,
        )
        self._reading: set[Digest] = set()
        self._client = 0
        self._host = context.host
        database = self._runtime.status().database
        self._index = "" if database.startswith(SQLITE) else f"index in {visible(database)}"

    def compose(self) -> ComposeResult:
        yield Split(self._view, self._pane)
        yield self._field

    def tick(self) -> None:
        self._view.tick()
        self.set_class(self._view.selected is not None, "-filled")
        if self.has_class("-wide"):
            self._browse()
        for digest in self._tree.missing - self._reading:
            self._reading.add(digest)
            self.run_worker(self._learn(digest))

    def _browse(self) -> None:
        """Show the document under the cursor beside the tree, after the cursor has rested."""
        row = self._view.selected
        ticks = self._moved[1] + 1 if row == self._moved[0] else 0
        self._moved = row, ticks
        if row is None or ticks < _RESTED or row == self._pane.key:
            return
        if row.digest is not None:
            self._pane.show_document(row, *document_of(row, row.digest, self._runtime.store))
        else:
            facts = [("Content", row.media_type)] if row.media_type else []
            self._pane.show_document(row, row.text, facts, None)

    def take_focus(self) -> None:
        self._view.focus()

    @property
    def remark(self) -> str:
        search = f"/ {visible(self._tree.search)}" if self._tree.search else ""
        return "   ".join(filter(None, (search, self._index)))

    def disabled_reason(self, action: str) -> str:
        """Return why `action` would do nothing now."""
        row = self._view.selected
        match action:
            case "back" if not (self._tree.search or self.has_class("-searching")):
                return "the list already shows all names"
            case "open" | "copy" | "copy_next" | "delete" | "retag" if row is None:
                return (
                    "no matching names or tags; {tags.back} shows all names"
                    if self._tree.search
                    else "no repositories yet"
                )
            case "open" if row and row.digest is None:
                return "this row has no details; {tree.expand} expands a repository"
            case "copy" | "copy_next" | "delete" | "retag" if row and row.kind not in MANIFESTS:
                return "select a tag, manifest or index; {tree.expand} expands a repository"
            case "delete" | "retag" if row and not row.is_here and row.kind is not Kind.TAG:
                return "the manifest is missing: it was never pushed, or was deleted"
            case "retag" if row and is_cache(row.key):
                return "cached tags belong to the upstream; push the image to this registry to tag it"
        return super().disabled_reason(action)

    def action_open(self) -> None:
        """Show the document of the row."""
        row = self._view.selected
        if row is not None and row.digest is not None:
            self.app.push_screen(DocumentScreen(*document_of(row, row.digest, self._runtime.store)))

    def action_search(self) -> None:
        """Show the search field."""
        self.add_class("-searching")
        self._field.focus()

    def action_back(self) -> None:
        """Show all names again."""
        self.remove_class("-searching")
        self._field.value = ""
        self._view.focus()

    def action_copy(self) -> None:
        """Copy the command that pulls the row's image."""
        row = self._view.selected
        if row is not None and row.digest is not None:
            self._copy_pull(spelled(row.key), row.text if row.kind is Kind.TAG else row.digest)

    def action_copy_next(self) -> None:
        """Choose the next client, and copy its command."""
        self._use_next_client()
        self.action_copy()

    async def action_images(self) -> None:
        """Let the user choose an odd image or a profile, and copy the command that pulls it."""
        entries = await image_entries(self._runtime)
        self.app.push_screen(ImageChoice(entries, self._command_for, self._use_next_client), self._copy_image)

    def _copy_image(self, image: str | None) -> None:
        if image is not None:
            repository, _, tag = image.rpartition(":")
            self._copy_pull(repository, tag)

    def _command_for(self, image: str) -> str:
        repository, _, tag = image.rpartition(":")
        return self._command(repository, tag)

    def _command(self, repository: str, reference: str) -> str:
        """Return the command that pulls an image from the address that the user reaches."""
        return pull_command(
            list(CLIENTS)[self._client],
            self._address(),
            repository,
            reference,
            is_trusted=self._runtime.settings.cert is not None,
            host=self._host,
        )

    def _use_next_client(self) -> None:
        self._client = (self._client + 1) % len(CLIENTS)

    def _copy_pull(self, repository: str, reference: str) -> None:
        command = self._command(repository, reference)
        self.app.copy_to_clipboard(command)
        self.notify(f"copied: {visible(command)}", markup=False)

    def action_delete(self) -> None:
        """Delete the tag or the manifest, after confirming."""
        self._change(delete)

    def action_retag(self) -> None:
        """Ask for a tag, and add it to the row's manifest."""
        self._change(retag)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show the names that contain the typed text."""
        self._tree.search = event.value
        self._view.tick()

    def on_input_submitted(self) -> None:
        """Close the search field and keep its result."""
        self.remove_class("-searching")
        self._view.focus()

    def on_cursor_list_opened(self) -> None:
        """Open the row after a double click."""
        if not self.disabled_reason("open"):
            self.action_open()
        else:
            self._view.action_expand()

    def _change(self, change: Change) -> None:
        row = self._view.selected
        if row is not None:
            self.run_worker(change(self.app, self._given, row), group="asking")

    def _address(self) -> str:
        """Return the address of a listener without an upstream of its own: there, names are as shown here."""
        addresses = self._runtime.status().registry
        for listen, address in zip(self._runtime.settings.listen, addresses, strict=False):
            if listen.upstream is None:
                return address
        return addresses[0]

    async def _learn(self, digest: Digest) -> None:
        """Read a manifest that is open in the tree."""
        try:
            body = await self._runtime.store.index.manifest_body(digest)
        except StorageError as error:
            say(self, visible(f"cannot read {digest[:DIGEST]}: {error}"))
            body = None
        parts = await asyncio.to_thread(parts_of, body or b"", _MOST_PARTS)
        self._reading.discard(digest)
        self._tree.learn(digest, parts)
        self._view.tick()
