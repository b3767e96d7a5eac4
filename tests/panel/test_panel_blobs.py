"""The Blobs tab, driven by its keys on a real store."""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from exchanges import NOW
from running import registry
from screen import look, said, settled, showing, text
from stored import HUB, TEAM, store_blob, store_image, tar
from textual.pilot import Pilot

from brokenreg.config.blob_location import BlobLocation
from brokenreg.oci.digests import Digest
from brokenreg.runtime.runtime import Runtime
from brokenreg.traffic.log import TrafficLog
from brokenreg.tui.app import Panel
from brokenreg.tui.blobs.survey import survey

ZSTD = b"\x28\xb5\x2f\xfdpacked\x1b[2J"


@asynccontextmanager
async def panel_on(
    prepare: Callable, size: tuple[int, int] = (100, 30)
) -> AsyncIterator[tuple[Pilot[int], Runtime, object]]:
    async with registry(TrafficLog()) as runtime:
        prepared = await prepare(runtime)
        panel = Panel(runtime, clock=lambda: NOW)
        async with panel.run_test(size=size, notifications=True) as pilot:
            await look(pilot, "3")
            await settled(pilot)
            yield pilot, runtime, prepared


async def one_image(runtime: Runtime) -> tuple[Digest, Digest, Digest]:
    layer = tar(("etc/passwd", b"root"), ("etc/.wh.shadow", b""), ("opt/.wh..wh..opq", b""))
    return await store_image(runtime, TEAM, "1.0", layer)


async def test_the_place_of_blobs_in_an_object_store() -> None:
    async with registry(TrafficLog()) as runtime:
        settings = runtime.settings.model_copy(update={"blobs": BlobLocation("s3", "bucket", "prefix")})
        for each, place in ((runtime, ""), (replace(runtime, settings=settings), ", in s3://bucket/prefix")):
            panel = Panel(each, clock=lambda: NOW)
            async with panel.run_test(size=(100, 30)) as pilot:
                assert f"0 blobs, by size{place}\n" in await look(pilot, "3")


async def test_all_kinds_of_blobs_are_listed() -> None:
    async def prepare(runtime: Runtime) -> None:
        await one_image(runtime)
        await store_image(runtime, HUB, "latest", tar(("hub", b"x" * 9999)), b'{"os":"hub"}')
        await runtime.images.image("broken/random", "layers-1_size-1024")

    async with panel_on(prepare, (200, 30)) as (pilot, _, _):
        seen = text(pilot.app)
        for words in (
            "pushed",
            "cached from docker.io",
            "fabricated",
            "team/web:1.0",
            "library/nginx:latest",
        ):
            assert words in seen
        for kind in ("config", "layer", "manifest"):
            assert seen.count(f" {kind} ") == 3, seen
        assert "9 blobs, by size" in seen


@pytest.mark.slow
async def test_a_layer_is_listed_with_whiteouts() -> None:
    async with panel_on(one_image) as (pilot, _, digests):
        await settled(pilot, "/", *"layer", "enter")
        seen = await settled(pilot, "enter")
        assert digests[2] in seen
        assert "etc/passwd" in seen
        assert "whiteout etc/.wh.shadow hides etc/shadow" in seen
        assert "hides everything below opt/" in seen
        assert "3 entries, complete, " in seen
        await look(pilot, "escape")
        assert "etc/passwd" not in text(pilot.app)


@pytest.mark.slow
async def test_a_configuration_is_shown_as_json_and_other_blobs_as_bytes() -> None:
    async def prepare(runtime: Runtime) -> None:
        await store_image(runtime, TEAM, "1.0", b"\x28\xb5\x2f\xfdpacked\x1b[2J", b'{"os":"li\x1b[31mnux"}')

    async with panel_on(prepare) as (pilot, _, _):
        seen = await settled(pilot, "/", *"config", "enter", "enter")
        assert '  "os": "li\\x1b[31mnux"' in seen
        seen = await settled(pilot, "escape", "/", *[*["backspace"] * 6, *"layer"], "enter", "enter")
        assert "zstd is not supported" in seen
        assert "000000  28 b5 2f fd 70 61 63 6b  65 64 1b 5b 32 4a" in seen


@pytest.mark.slow
async def test_the_beginning_of_a_hundred_megabytes_of_json_is_shown() -> None:
    async def prepare(runtime: Runtime) -> None:
        await store_blob(runtime, TEAM, b'[{"a":"[bold]b[/bold]"},' * 4_200_000)

    async with panel_on(prepare) as (pilot, _, _):
        seen = await settled(pilot, "enter")
        assert "only the first 97.7 KiB are shown" in seen
        assert '"a": "[bold]b[/bold]"' in seen


async def test_a_decompression_bomb_is_reported() -> None:
    async def prepare(runtime: Runtime) -> None:
        head = tarfile.TarInfo("bomb")
        head.size = 10 * 1024**3
        packer = zlib.compressobj(1, zlib.DEFLATED, 31)
        zeros = packer.compress(head.tobuf()) + packer.compress(bytes(64 * 1024**2)) + packer.flush()
        await store_blob(runtime, TEAM, zeros)

    async with panel_on(prepare) as (pilot, _, _):
        seen = await settled(pilot, "enter")
        assert "1 entry, stopped at byte 67,110,400 of the archive:" in seen, seen
        assert "the last entry is cut off: 9.9 GiB of 10 GiB are missing" in " ".join(seen.split())


@pytest.mark.slow
async def test_digests_are_verified_and_wrong_ones_reported() -> None:
    async with panel_on(one_image) as (pilot, runtime, digests):
        seen = await settled(pilot, "/", *"layer", "enter", "v")
        assert "digest OK (" in seen
        runtime.store.folder.blob(digests[2]).write_bytes(b"other")
        seen = await settled(pilot, "v")
        assert "WRONG DIGEST:" in seen
        assert Digest.of(b"other")[-20:] in seen
        assert runtime.store.integrity.is_quarantined(digests[2])
        (row,) = [blob for blob in await survey(runtime) if blob.digest == digests[2]]
        assert row.origins == ("corrupt", "pushed")
        for key in ("v", "enter", "C"):
            seen = " ".join((await settled(pilot, key)).split())
            assert "it was corrupt on disk and is no longer served; push it again" in seen, key
        assert not list(runtime.rules.book(""))


@pytest.mark.slow
async def test_corrupt_adds_and_removes_a_rule_for_this_blob() -> None:
    async with panel_on(one_image) as (pilot, runtime, digests):
        seen = await settled(pilot, "/", *"layer", "enter", "C")
        assert "the stored blob stays intact" in seen
        (active,) = runtime.rules.book("")
        assert active.rule.match.reference == digests[2]
        assert active.rule.fault[0].name == "corrupt"
        assert "rule removed; clients get intact bytes" in await settled(pilot, "C")
        assert not len(runtime.rules.book(""))
        await settled(pilot, "escape", "/", *"manifest", "enter", "C")
        (active,) = runtime.rules.book("")
        match = active.rule.match
        assert (match.repository, match.reference) == ("team/web", f"{digests[0]}|1.0"), "by tag as well"
        assert "rule removed; clients get intact bytes" in await settled(pilot, "C")


@pytest.mark.slow
async def test_a_pushed_blob_is_deleted_from_all_repositories_after_confirmation() -> None:
    async with panel_on(one_image) as (pilot, runtime, digests):
        assert "Search digests, kinds, origins" in await settled(pilot, "/")
        seen = await settled(pilot, *"layer", "enter", "d")
        assert "Delete layer " in seen
        assert digests[2] in seen
        assert "This deletes it from team/web:1.0." in seen
        await settled(pilot, "n")
        assert runtime.store.index.is_linked(digests[2])
        seen = await settled(pilot, "d", "y")
        assert "deleted from 1 repository" in seen
        assert not runtime.store.index.is_linked(digests[2])
        assert "0 of 2" in seen


async def test_a_cached_blob_is_evicted_unless_it_is_being_read() -> None:
    async def prepare(runtime: Runtime) -> Digest:
        return await store_blob(runtime, HUB, b"cached")

    async with panel_on(prepare) as (pilot, runtime, digest):
        with runtime.store.blobs.pin(digest):
            assert "not deleted: the blob is in use: a client is reading it" in await settled(pilot, "d", "y")
        assert "evicted from the cache" in await settled(pilot, "d", "y")
        assert runtime.store.blobs.size(digest) is None
        assert not runtime.store.index.is_linked(digest)


async def test_a_fabricated_blob_can_be_inspected_but_not_deleted() -> None:
    async def prepare(runtime: Runtime) -> None:
        await runtime.images.image("broken/random", "layers-1_size-4096")

    async with panel_on(prepare) as (pilot, _, _):
        assert "d Delete" not in await settled(pilot, "d")
        assert "fabricated blobs cannot be deleted" in said(pilot.app)
        assert "layer-1.bin" in await settled(pilot, "enter")
        assert "digest OK (" in await settled(pilot, "v")


@pytest.mark.slow
async def test_order_search_and_copy() -> None:
    async with panel_on(one_image) as (pilot, _, digests):
        assert "3 blobs, by size" in text(pilot.app)
        assert "3 blobs, by last use" in await settled(pilot, "o")
        assert "3 blobs, by name" in await settled(pilot, "o")
        assert "/ web mani   1 of 3" in await settled(pilot, "/", *"web", "space", *"mani", "enter")
        assert f"copied: {digests[0]}" in await settled(pilot, "y")
        assert pilot.app.clipboard == digests[0]
        assert "3 blobs, by name" in await settled(pilot, "escape")


async def test_new_blobs_appear_and_names_are_escaped() -> None:
    async with panel_on(one_image) as (pilot, runtime, _):
        await store_image(runtime, ("", "[red]x[/red]"), "t\x1b[31m", tar(("[b]\x07", b"")), b"{ }")
        await showing(pilot, "[red]x[/red]:t\\x1b[31m")
