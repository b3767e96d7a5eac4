"""The Tags tab: the tree, live, with names and annotations from anybody; what is opened; the search."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from pushed import OCI_CONFIG, OCI_LAYER, Pusher, descriptor, some_images
from running import registry
from screen import line_at_cursor, line_with, lines, look, rested

from brokenreg.assembly.process_tuning import tidied_when_quiet
from brokenreg.oci.mediatypes import OCI_MANIFEST
from brokenreg.traffic.log import TrafficLog
from brokenreg.tui.app import Panel
from brokenreg.tui.tags.rows import Tree
from brokenreg.tui.terminal import Terminal

SIZE = (100, 24)


@pytest.mark.slow
async def test_an_empty_registry_has_a_hint() -> None:
    async with registry(TrafficLog()) as runtime:
        panel = Panel(runtime)
        async with panel.run_test(size=SIZE) as pilot:
            assert "No repositories yet." in await look(pilot, "4")
            for key in ("space", "l", "h", "j", "enter", "y", "Y", "d", "R", "G", "g"):
                await look(pilot, key)
            assert len(panel.screen_stack) == 1


@pytest.mark.slow
async def test_repositories_expand_to_tags_platforms_manifests_and_blobs() -> None:
    async with registry(TrafficLog()) as runtime:
        await some_images(runtime.store)
        panel = Panel(runtime)
        async with panel.run_test(size=SIZE) as pilot:
            screen = await rested(pilot, "4")
            assert "▸ broken/in/other/tools/x" in screen
            assert line_with(panel, "quay.io/busybox").endswith("cached, 1 tag, 1 manifest")
            assert line_with(panel, "library/app").endswith("3 tags, 5 manifests")
            await rested(pilot, "j", "space")
            assert "untagged sha256:" in line_with(panel, "untagged")
            assert "index" in line_with(panel, "▸ tag 1.2")
            assert "manifest" in line_with(panel, "▸ tag 1.1")
            await rested(pilot, "j", "j", "right")
            assert line_at_cursor(panel).startswith("▌  ▾ tag 1.2")
            assert "▸ platform linux/arm64/v8" in line_with(panel, "arm64")
            missing = line_with(panel, "windows/amd64")
            assert "✗ platform" in missing
            assert "missing" in missing
            screen = await rested(pilot, "l", "l")
            assert screen.count("layer sha256:") == 2
            assert "application/vnd.oci.image.layer.v1.tar+gzip" in screen
            assert line_with(panel, "config sha256:").endswith(f"{OCI_CONFIG}       59 B")
            assert "▸ referrer application/vnd.example.signature" in screen
            assert "platform linux/amd64" in line_at_cursor(panel)
            assert "config sha256:" not in await rested(pilot, "left"), "closed"
            await rested(pilot, "h")
            assert "tag 1.2" in line_at_cursor(panel), "closed already: to what it is below"
            assert "platform" not in await rested(pilot, "space")
            await rested(pilot, "h", "h")
            assert line_at_cursor(panel).startswith("▌▸ library/app")
            assert "tag 1.2" not in await look(pilot)


@pytest.mark.slow
async def test_pushes_appear_live_and_the_cursor_stays_on_its_row() -> None:
    async with registry(TrafficLog()) as runtime:
        store = runtime.store
        await some_images(store)
        for number in range(40):
            await Pusher(store, ("", f"more/{number:02}")).image("more", "1")
        panel = Panel(runtime)
        async with panel.run_test(size=SIZE) as pilot:
            await rested(pilot, "4", "G")
            place = lines(panel).index(line_at_cursor(panel))
            assert "tools/x" in line_at_cursor(panel)
            await Pusher(store, ("", "a/first")).image("first", "1")
            await look(pilot)
            assert "tools/x" in line_at_cursor(panel)
            assert lines(panel).index(line_at_cursor(panel)) == place
            assert "a/first" in await look(pilot, "g")
            await rested(pilot, "space")
            await Pusher(store, ("", "a/first")).image("first", "0")
            assert "▸ tag 0" in await look(pilot)
            await look(pilot, "j", "j")
            assert "tag 1" in line_at_cursor(panel)
            await store.index.delete_tag(("", "a/first"), "1")
            assert "tag 1" not in await look(pilot)
            assert line_at_cursor(panel).startswith("▌▸ broken/in"), "the row that has come in its place"


@pytest.mark.slow
async def test_documents_are_shown_highlighted_with_details() -> None:
    async with registry(TrafficLog()) as runtime:
        await some_images(runtime.store)
        panel = Panel(runtime)
        async with panel.run_test(size=SIZE) as pilot:
            screen = await rested(pilot, "4", "j", "l", "l", "enter")
            assert "Tag 1.1" in screen
            assert f"Media type     {OCI_MANIFEST}" in screen
            assert "Size           579 bytes" in screen
            assert '"schemaVersion": 2,' in screen
            colors = {
                str(segment.style.color)
                for strip in panel.screen._compositor.render_strips()
                for segment in strip
                if "schemaVersion" in segment.text or segment.text.strip() == "2"
                if segment.style
            }
            assert len(colors) > 1, "highlighted"
            below = await rested(pilot, "G")
            assert '"schemaVersion"' not in below
            await rested(pilot, "q")
            assert '"author": "arm64"' in await rested(pilot, "l", "l", "enter")
            screen = await rested(pilot, "escape", "j", "enter")
            assert "Stored         yes" in screen
            assert OCI_LAYER in screen


async def test_a_missing_layer_is_reported() -> None:
    async with registry(TrafficLog()) as runtime:
        pusher = Pusher(runtime.store, ("", "gone"))
        await pusher.image("gone", "1", layers=1)
        layer = b"layer 0 of gone" * 100
        digest = descriptor(layer, OCI_LAYER)["digest"]
        panel = Panel(runtime)
        async with panel.run_test(size=SIZE) as pilot:
            screen = await rested(pilot, "4", "l", "l", "l", "j", "j")
            assert "missing" not in screen
            await runtime.store.index.unlink_blobs(pusher.key, [digest])
            await look(pilot)
            assert "✗ layer sha256:" in line_at_cursor(panel)
            assert "missing" in line_at_cursor(panel)
            assert "Stored         yes, but not in this repository" in await rested(pilot, "enter")
            runtime.store.folder.blob(digest).unlink()
            assert "Stored         no: the blob is not in the data folder" in await rested(
                pilot, "escape", "enter"
            )


@pytest.mark.slow
async def test_a_search_shows_names_and_tags_that_have_it() -> None:
    async with registry(TrafficLog()) as runtime:
        await some_images(runtime.store)
        panel = Panel(runtime)
        async with panel.run_test(size=SIZE) as pilot:
            screen = await look(pilot, "4", "/", *"EDGE")
            assert "▾ tools/x" in screen
            assert "▾ broken/in/other/tools/x" in screen
            assert screen.count("tag edge") == 2
            assert "library/app" not in screen
            screen = await look(pilot, "enter")
            assert "/ edge" in screen
            await look(pilot, "G")
            assert "tag edge" in line_at_cursor(panel)
            assert "library/app" in await look(pilot, "escape")
            assert "busybox" in await look(pilot, "/", *"quay")
            assert "library/app" not in await look(pilot)
            assert "No matching names or tags." in await look(pilot, "q")
            assert panel.is_running, "letters go into the search"
            assert "library/app" in await look(pilot, "escape")


@pytest.mark.slow
async def test_input_of_clients_is_shown_escaped() -> None:
    async with registry(TrafficLog()) as runtime:
        pusher = Pusher(runtime.store, ("", "host\x1b[31m[bold]x"))
        evil = "[red]evil[/red] \x1b]52;c;AAAA\x07 \u202e"
        document = {
            "mediaType": evil,
            "artifactType": evil,
            "config": descriptor(b"{}", evil),
            "layers": [descriptor(b"x", evil), 7, {"digest": "../../etc"}],
            "annotations": {evil: evil, "[/]": "\x9b2J"},
        }
        digest = await pusher.document(document, "[@click=app.quit]t\x1b[2J", media_type="a/b\x1b[2J")
        await pusher.document(
            {"subject": {"digest": digest}, "artifactType": evil}, "zz", media_type=OCI_MANIFEST
        )
        await pusher.document(b"\xff\x00no JSON \x1b[2J", "zzz")
        panel = Panel(runtime)
        async with panel.run_test(size=(160, 45)) as pilot:
            shown = await rested(pilot, "4", "l", "l", "l")
            assert r"host\x1b[31m[bold]x" in shown
            assert r"tag [@click=app.quit]t\x1b[2J" in shown
            assert r"[red]evil[/red] \x1b]52;c;AAAA\x07 \u202e" in shown
            shown += await rested(pilot, "enter")
            shown += await rested(pilot, "escape", "h", "enter")
            assert '"annotations"' in shown
            shown += await look(pilot, "escape", "d")
            shown += await look(pilot, "n", "y")
            shown += await rested(pilot, "G", "enter")
            assert r"\xff" in shown
            shown += await look(pilot, "escape", "/", *"[bold]")
            assert r"[bold]x" in shown
            assert not set(shown) & {"\x1b", "\x07", "\u202e", "\x9b", "\xff"}
            assert panel.is_running


@pytest.mark.slow
async def test_a_manifest_of_megabytes_is_shown_in_part() -> None:
    async with registry(TrafficLog()) as runtime:
        pusher = Pusher(runtime.store, ("", "huge"))
        layers = [descriptor(str(number).encode(), OCI_LAYER) for number in range(20_000)]
        await pusher.document({"layers": layers}, "1")
        await pusher.document(b"[" * 60_000, "deep")
        panel = Panel(runtime)
        async with panel.run_test(size=SIZE) as pilot:
            await rested(pilot, "4", "l", "l", "l", "G", "k")
            assert "and 19000 more, not shown" in line_at_cursor(panel)
            assert "only the beginning is shown" in await rested(pilot, "h", "enter")
            assert '"layers": [' in await look(pilot)
            screen = await rested(pilot, "escape", "G", "enter")
            assert "Tag deep" in screen
            assert "only the beginning is shown" in screen
            assert " [ " in await rested(pilot, "G")


async def test_twenty_thousand_tags_do_not_block_the_loop() -> None:
    async with tidied_when_quiet(), registry(TrafficLog()) as runtime:
        index = runtime.store.index
        digest = await Pusher(runtime.store, ("", "first")).document({}, "1")
        manifest = index.repositories["", "first"].manifests[digest]
        tags = [f"1.{number}" for number in range(10)]
        await asyncio.gather(
            *(index.put_manifest(("", f"of/{n:04}"), manifest, b"{}", tags) for n in range(2_000))
        )
        await index.put_manifest(("", "many"), manifest, b"{}", [f"2.{n}" for n in range(20_000)])
        tree = Tree(index)
        assert len(tree.rows) == 0
        took = [_timed(tree.update)]
        tree.set_open(("", "many"), True)
        took.append(_timed(tree.update))
        assert len(tree.rows) == 5_003
        tree.set_open(("", "of/1000"), True)
        took.append(_timed(tree.update))
        assert len(tree.rows) == 5_013
        tree.search = "1."
        took.append(_timed(tree.update))
        assert tree.rows[-1].text == "and more; type more of the name to see them"
        assert len(tree.rows) < 3_000
        assert max(took) < 0.1, took


def _timed(work: Callable[[], object]) -> float:
    """Seconds of processor time."""
    before = time.thread_time()
    work()
    return time.thread_time() - before


@pytest.mark.slow
async def test_an_odd_image_is_found_and_its_command_copied() -> None:
    async with registry(TrafficLog()) as runtime:
        panel = Panel(runtime)
        async with panel.run_test(size=SIZE) as pilot:
            screen = await rested(pilot, "4", "i")
            assert "Odd images: copy a pull command" in screen
            screen = await look(pilot, *"missing child")
            assert "index-missing-child" in screen
            assert "layer-none" not in screen
            await rested(pilot, "enter")
            assert panel.clipboard == "docker pull 127.0.0.1:8080/broken/image:index-missing-child"
            assert len(panel.screen_stack) == 1
            screen = await rested(pilot, "i", *"ghcr hangs", "ctrl+t")
            image = "127.0.0.1:8080/broken/as/ghcr-hangs/broken/random:layers-3_size-64kib"
            assert "podman pull --tls-verify=false" in screen
            assert image in screen
            await rested(pilot, "enter")
            assert panel.clipboard == f"podman pull --tls-verify=false {image}"
            await rested(pilot, "i", "escape")
            assert len(panel.screen_stack) == 1


async def test_an_attached_panel_names_the_host_by_which_it_was_reached() -> None:
    async with registry(TrafficLog()) as runtime:
        everywhere = runtime.status().model_copy(update={"registry": ["http://0.0.0.0:8080"]})
        panel = Panel(replace(runtime, status=lambda: everywhere), terminal=Terminal(host="build.example"))
        async with panel.run_test(size=SIZE) as pilot:
            await rested(pilot, "4", "i", *"layer-none", "enter")
            assert panel.clipboard == "docker pull build.example:8080/broken/image:layer-none"
