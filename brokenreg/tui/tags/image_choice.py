"""The dialogue in which the user chooses an odd image or a profile, to copy the command that pulls it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.widgets import Static

from brokenreg.images.odd_images import REPOSITORY
from brokenreg.rules.profiles import Profile, profile_names, profile_of
from brokenreg.runtime.runtime import Runtime
from brokenreg.tui.bindings import bindings_of
from brokenreg.tui.choosing import Choice, Entry
from brokenreg.tui.text import visible


class ImageChoice(Choice, inherit_bindings=False):
    """Lets the user choose an image. The result is its name with a tag, or None if they cancel.

    `command` returns the command that pulls an image, and `next_client` lets it use another client.
    """

    DEFAULT_CSS = "ImageChoice #command { height: auto; max-height: 3; color: $success; text-style: bold; }"
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("choose", "image")

    def __init__(
        self,
        entries: Sequence[Entry],
        command: Callable[[str], str],
        next_client: Callable[[], object],
    ) -> None:
        super().__init__("Odd images: copy a pull command", "images", entries)
        self._command = command
        self._next_client = next_client
        self._shown = Static(id="command", markup=False)

    def content(self) -> ComposeResult:
        yield from super().content()
        yield self._shown

    @property
    def footer_titles(self) -> Mapping[str, str]:
        """Return what `enter` does with the command."""
        return {"choose.choose": "Copy"}

    def moved(self) -> None:
        """Show the command for the image under the cursor."""
        image = self._listing.selected
        shown = visible(self._command(image)) if isinstance(image, str) else ""
        self._shown.update(Content(shown))

    def action_client(self) -> None:
        """Show the command for the next client."""
        self._next_client()
        self.moved()


async def image_entries(runtime: Runtime) -> list[Entry]:
    """Return the kinds of odd images and the profiles. The first time, this takes a moment."""
    await runtime.images.odd.catalogue.get()
    profiles = await asyncio.to_thread(lambda: [profile_of(name) for name in profile_names()])
    return [*_odd_images(), *_profiled(profiles)]


def _odd_images() -> Iterator[Entry]:
    from brokenreg.images.catalogue import CATALOGUE  # slow to import: `image_entries` waits for it

    for kind in CATALOGUE.values():
        yield Entry(kind.name, kind.family(), kind.summary(), f"{REPOSITORY}:{kind.name}")


def _profiled(profiles: Sequence[Profile]) -> Iterator[Entry]:
    for each in profiles:
        yield Entry(f"as/{each.name}", "profile", each.summary, each.image_path())
