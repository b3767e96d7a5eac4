"""The Blobs tab: the list of all blobs, and the content of one."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Input, Static
from textual.worker import Worker

from brokenreg.oci.sizes import format_size
from brokenreg.runtime.errors import OperationError
from brokenreg.tui.bindings import bindings_of
from brokenreg.tui.blobs.changes import delete, toggle_corruption
from brokenreg.tui.blobs.contents import Inside
from brokenreg.tui.blobs.survey import Blob, Order, arranged, survey
from brokenreg.tui.blobs.table import BlobTable
from brokenreg.tui.blobs.verification import Verification
from brokenreg.tui.blobs.view import BlobView
from brokenreg.tui.dialogues import Confirmation
from brokenreg.tui.disabled_reasons import keyed_for
from brokenreg.tui.split import Split
from brokenreg.tui.tabs import TabArea, TabContext
from brokenreg.tui.text import visible
from brokenreg.wording import counted

_LONGEST = 50
"""Ticks after which the blobs are listed again even if the index has not changed, for their last use."""

_RESTING = 100
"""Ticks to wait for each second that a listing took, so that it takes at most a tenth of the time."""

_BROWSED = 16 << 20
"""Bytes of the largest blob that is read as soon as the cursor rests on it."""

_RESTED = 3
"""Ticks after which the cursor rests."""

_EMPTY = "No blobs yet. Push or pull an image."


class BlobsArea(TabArea):
    """The list of blobs. The content of an opened blob is below it, on a wide screen at the right."""

    DEFAULT_CSS = """
    BlobsArea > Input { display: none; height: 1; border: none; padding: 0 1; }
    BlobsArea.-searching > Input { display: block; }
    BlobsArea > Static { display: none; height: auto; max-height: 3; padding: 0 1; text-style: bold; }
    BlobsArea.-saying > Static { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("blobs")

    def __init__(self, context: TabContext) -> None:
        super().__init__()
        self._runtime = context.runtime
        self._operations = context.operations
        self._table = BlobTable(context.clock)
        self._view = BlobView()
        self._field = Input(
            placeholder="Search digests, kinds, origins, repositories and tags",
            select_on_focus=False, compact=True,
        )  # fmt: skip
        self._line = Static(markup=False)
        self._order = Order.SIZE
        self._wanted = ""
        self._blobs: list[Blob] = []
        self._surveyed: tuple[object, ...] = ()
        self._arranged: tuple[object, ...] = ()
        self._resting = 0
        self._ticks = 0
        self._updating: Worker[None] | None = None
        self._verification = Verification(self._runtime, self._operations, self._say_of)
        self._moved_at = 0
        """The tick in which the cursor has moved last."""

    def compose(self) -> ComposeResult:
        yield Split(self._table, self._view, beside=0.44)
        yield self._field
        yield self._line

    def tick(self) -> None:
        self._ticks += 1
        self._resting = max(0, self._resting - 1)
        self._update_list()
        self._view.tick()
        self._verification.tick()
        self.set_class(self._table.count > 0, "-filled")
        if self.has_class("-wide") and self._ticks - self._moved_at >= _RESTED:
            self._browse()

    def take_focus(self) -> None:
        (self._view if self._is_reading else self._table).focus()

    @property
    def remark(self) -> str:
        location = self._runtime.settings.blobs
        found = f"{self._table.count} of " if self._wanted else ""
        wanted = f"/ {visible(self._wanted)}   " if self._wanted else ""
        where = "" if location.is_folder else f", in {location}"
        return f"{wanted}{found}{counted(len(self._blobs), 'blob')}, by {self._order}{where}"

    def disabled_reason(self, action: str) -> str:
        """Return why `action` would do nothing now."""
        blob = self._table.selected
        match action:
            case "back" if not (self._is_reading or self.has_class("-searching") or self._wanted):
                return "the list already shows all blobs"
            case "open" if self._is_reading:
                return "already open; {blobs.back} goes back to the list"
            case "verify" if self._verification.is_running:
                return ""  # It stops.
            case "open" | "verify" | "corrupt" | "delete" | "copy" if blob is None:
                return "no matching blobs; {blobs.back} shows all" if self._wanted else "no blobs yet"
            case "delete" if blob is not None and not blob.keys:
                return "fabricated blobs cannot be deleted"
            case "corrupt" if blob is not None and blob.made is None:
                return self._runtime.store.integrity.why_missing(blob.digest) or super().disabled_reason(
                    action
                )
        return super().disabled_reason(action)

    def action_open(self) -> None:
        """Show what is in the blob."""
        self.add_class("-reading")
        self._view.focus()
        self._inspect()

    def action_back(self) -> None:
        """Go back from the blob to the list, or from the search to all blobs."""
        if self._is_reading:
            self.workers.cancel_group(self, "inside")
            self.remove_class("-reading")
        else:
            self.remove_class("-searching")
            self._field.value = ""
        self._table.focus()

    def action_search(self) -> None:
        """Show the search field."""
        self.add_class("-searching")
        self._field.focus()

    def action_sort(self) -> None:
        """Sort by the next order."""
        orders = list(Order)
        self._order = orders[(orders.index(self._order) + 1) % len(orders)]
        self._update_list()

    def action_verify(self) -> None:
        """Verify the digest of a blob, or stop verifying."""
        if self._verification.is_running:
            self.workers.cancel_group(self, "verify")
        elif (blob := self._table.selected) is not None:
            self.run_worker(self._verification.run(blob), group="verify", exclusive=True)

    def action_corrupt(self) -> None:
        """Add a rule that corrupts this blob for clients, or remove it."""
        if (blob := self._table.selected) is not None:
            try:
                self._say_of(blob, toggle_corruption(self._runtime, self._operations, blob))
            except OperationError as error:
                self._say_of(blob, str(error))

    def action_copy(self) -> None:
        """Copy the digest to the clipboard."""
        if (blob := self._table.selected) is not None:
            self.app.copy_to_clipboard(blob.digest)
            self._say(f"copied: {blob.digest}")

    def action_delete(self) -> None:
        """Delete the blob from all repositories, after confirming."""
        blob = self._table.selected
        if blob is None:
            return
        places = ", ".join(blob.places[:4]) + (f" and {len(blob.places) - 4} more" if blob.places[4:] else "")
        what = "it and its tags" if blob.kind.is_manifest else "it"
        question = (
            blob.digest,
            f"{blob.kind}, {format_size(blob.size)}, {blob.origin}",
            f"This deletes {what} from {places}.",
        )
        self.app.push_screen(
            Confirmation(f"Delete {_short(blob)}?", tuple(map(visible, question))),
            partial(self._delete_if, blob),
        )

    def on_input_changed(self, event: Input.Changed) -> None:
        self._wanted = event.value
        self._update_list()

    def on_input_submitted(self) -> None:
        """Close the search field and keep its result."""
        self.remove_class("-searching")
        self._table.focus()

    def on_cursor_list_opened(self) -> None:
        """Open the row after a double click."""
        if not self.disabled_reason("open"):
            self.action_open()

    def on_blob_table_moved(self) -> None:
        """Show the blob under the cursor; on a wide screen, after the cursor has rested."""
        self._moved_at = self._ticks
        if self._is_reading and self._is_other:
            self._inspect()

    def on_blob_view_narrowed(self) -> None:
        """Read the blob again, because its lines were folded for another width."""
        inside = self._view.inside
        if inside is not None and inside.listing is None and not inside.is_unread:
            self._inspect()

    @property
    def _is_other(self) -> bool:
        """Return whether another blob is shown than the one under the cursor."""
        inside, selected = self._view.inside, self._table.selected
        return selected is not None and (inside is None or selected.digest != inside.blob.digest)

    def _browse(self) -> None:
        """Show the blob under the cursor beside the list; do not read it if that takes long."""
        blob = self._table.selected
        if blob is None or not self._is_other:
            return
        if blob.size <= _BROWSED:
            self._inspect()
            return
        self.workers.cancel_group(self, "inside")
        opens = keyed_for(self, "{blobs.open} reads it")
        self._view.show(
            Inside(self._runtime, blob, unread=f"not read: more than {format_size(_BROWSED)}; {opens}")
        )

    def _inspect(self) -> None:
        if (blob := self._table.selected) is not None:
            inside = Inside(self._runtime, blob)
            self._view.show(inside)
            read = partial(
                inside.read, self._view.room
            )  # a coroutine would never run if it is cancelled first
            self._reading: Worker[None] = self.run_worker(read, group="inside", exclusive=True)

    def _delete_if(self, blob: Blob, is_wanted: bool | None) -> None:
        if is_wanted:
            self.run_worker(self._delete(blob), group="delete")

    async def _delete(self, blob: Blob) -> None:
        try:
            self._say_of(blob, await delete(self._operations, blob))
        except OperationError as error:
            self._say_of(blob, f"not deleted: {error}")

    def _update_list(self) -> None:
        """Read the blobs if they may have changed. Sort and search them if order or search have changed."""
        there = (
            self._runtime.store.index.version,
            self._runtime.images.made_count,
            self._ticks // _LONGEST,
        )
        arranged = self._order, self._wanted
        is_due = there != self._surveyed and not self._resting
        is_busy = self._updating is not None and not self._updating.is_finished
        if (is_due or arranged != self._arranged) and not is_busy:
            self._arranged = arranged
            if is_due:
                self._surveyed = there
            self._updating = self.run_worker(partial(self._show, is_due), group="survey")

    async def _show(self, is_due: bool) -> None:
        """Show the blobs in the chosen order; with `is_due`, read them again first."""
        order, wanted = self._order, self._wanted
        if is_due:
            began = time.perf_counter()
            try:
                self._blobs = await survey(self._runtime)
            except OSError as error:
                self._say(f"cannot list the blobs: {error}")
                return
            self._resting = int((time.perf_counter() - began) * _RESTING)
        blobs = await asyncio.to_thread(arranged, self._blobs, order, wanted)
        self._table.show(blobs, "No matching blobs." if self._blobs else _EMPTY)

    def _say_of(self, blob: Blob, text: str) -> None:
        self._say(f"{_short(blob)}: {text}")

    def _say(self, text: str) -> None:
        """Show a line below the list, until another replaces it."""
        self.add_class("-saying")
        self._line.update(keyed_for(self, visible(text)))

    @property
    def _is_reading(self) -> bool:
        return self.has_class("-reading")


def _short(blob: Blob) -> str:
    return f"{blob.kind} {blob.digest.encoded[:12]}"
