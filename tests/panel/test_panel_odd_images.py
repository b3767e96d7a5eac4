"""The panel shows every odd image, and interprets nothing in it."""

from __future__ import annotations

import pytest
from exchanges import NOW
from hostile import cells, rows
from running import registry
from screen import look, settled

from brokenreg.images.catalogue import CATALOGUE
from brokenreg.traffic.log import TrafficLog
from brokenreg.tui.app import Panel
from brokenreg.tui.blobs.contents import Inside, entry_line
from brokenreg.tui.blobs.survey import Kind, survey

SMALLER = {"content-gzip-bomb": "content-gzip-bomb_size-20mib"}
"""A kind whose listing takes its time; the limits of a listing have tests of their own."""

MOST_BLOBS = 8


FORMS = [
    *("config-env_form-nul", "config-env_form-surrogate", "config-user_form-newline"),
    *("config-not-json_form-utf-16", "config-not-json_form-truncated", "config-large_size-256mib"),
    *("manifest-deep_depth-1000000", "manifest-large_size-8mib", "manifest-not-json_form-html"),
    *("manifest-encoding_form-utf-16", "manifest-encoding_form-latin-1", "manifest-encoding_form-surrogate"),
    *("manifest-digest_form-traversal", "manifest-annotations_form-list", "index-empty_form-null"),
]
"""Other forms of kinds whose documents are odd."""


@pytest.mark.parametrize("name", [*CATALOGUE, *FORMS])
async def test_all_texts_are_harmless(name: str) -> None:
    async with registry(TrafficLog()) as runtime:
        await runtime.images.image("broken/image", SMALLER.get(name, name))
        blobs = await survey(runtime)
        assert blobs
        for blob in blobs[:MOST_BLOBS]:
            inside = Inside(runtime, blob)
            await inside.read(100)
            shown = [part for line in inside.lines for part, _ in line]
            if inside.listing is not None:
                shown += [part for entry in inside.listing.entries[:100] for part in entry_line(entry)]
            for character in "".join(shown) + inside.remark:
                cells(character)


async def test_names_that_are_not_utf8_on_the_screen() -> None:
    async with registry(TrafficLog()) as runtime:
        await runtime.images.image("broken/image", "content-name-not-utf8")
        panel = Panel(runtime, clock=lambda: NOW)
        async with panel.run_test(size=(100, 30), notifications=True) as pilot:
            await look(pilot, "3")
            await settled(pilot, "/", *"layer", "enter")
            seen = await settled(pilot, "enter")
            rows(pilot.app)
            for name in (r"caf\xe9.txt", r"surrogate-\xed\xa0\x80.txt", r"byte-\xff.txt"):
                assert name in seen


async def test_files_that_leave_their_layer_are_marked() -> None:
    async with registry(TrafficLog()) as runtime:
        await runtime.images.image("broken/image", "content-traversal")
        (layer,) = [blob for blob in await survey(runtime) if blob.kind is Kind.LAYER]
        inside = Inside(runtime, layer)
        await inside.read(100)
        assert inside.listing is not None
        styles = [entry_line(entry)[1] for entry in inside.listing.entries]
        assert styles == ["", "outside"]
