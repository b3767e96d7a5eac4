"""The Tags tab: pull commands, and adding and deleting tags after a confirmation."""

from __future__ import annotations

import pytest
from pushed import Pusher, some_images
from running import registry
from screen import lines, look, rested, said
from test_panel_tags import SIZE

from brokenreg.traffic.log import TrafficLog
from brokenreg.tui.app import Panel
from brokenreg.tui.tags.opening import pull_command

APP = ("", "library/app")


def line_at_cursor(panel: Panel) -> str:
    (line,) = [line for line in lines(panel) if line.startswith("▌")]
    return line


@pytest.mark.slow
async def test_pull_commands_are_copied_for_the_client_that_is_chosen() -> None:
    async with registry(TrafficLog()) as runtime:
        await some_images(runtime.store)
        panel = Panel(runtime)
        async with panel.run_test(size=SIZE, notifications=True) as pilot:
            await rested(pilot, "4", "j")
            assert "y Copy" not in await look(pilot, "y"), "a repository alone is nothing to pull"
            assert panel.clipboard == ""
            await look(pilot, "l", "l", "y")
            assert "copied: docker pull 127.0.0.1:8080/library/app:1.1" in said(panel)
            assert panel.clipboard == "docker pull 127.0.0.1:8080/library/app:1.1"
            await look(pilot, "Y")
            assert panel.clipboard == "podman pull --tls-verify=false 127.0.0.1:8080/library/app:1.1"
            await look(pilot, "Y", "j", "y")
            assert panel.clipboard == (
                "skopeo copy --src-tls-verify=false docker://127.0.0.1:8080/library/app:1.2 dir:app"
            )
            digest = runtime.store.index.repositories[APP].tags["1.1"]
            await rested(pilot, "l", "l", "j", "Y")
            assert panel.clipboard == f"docker pull 127.0.0.1:8080/library/app@{digest}"
            await look(pilot, "g", "l", "l", "y")
            assert panel.clipboard == "docker pull 127.0.0.1:8080/broken/in/other/tools/x:edge"


def test_pull_commands_name_the_host_that_the_user_reaches() -> None:
    for address, host in (
        ("http://0.0.0.0:8080", "build.example:8080"),
        ("https://[::]:8080", "build.example:8080"),
        ("http://10.0.0.7:8080", "10.0.0.7:8080"),
    ):
        command = pull_command("docker", address, "a", "1", is_trusted=True, host="build.example")
        assert command == f"docker pull {host}/a:1"


@pytest.mark.parametrize(
    ("address", "is_trusted", "command"),
    [
        ("http://0.0.0.0:80", False, "podman pull --tls-verify=false 127.0.0.1:80/a:1"),
        ("https://[::]:443", True, "podman pull 127.0.0.1:443/a:1"),
        ("https://[::1]:443", False, "podman pull --tls-verify=false [::1]:443/a:1"),
    ],
)
def test_pull_commands_by_listener(address: str, is_trusted: bool, command: str) -> None:
    assert pull_command("podman", address, "a", "1", is_trusted=is_trusted) == command


@pytest.mark.slow
async def test_a_tag_is_deleted_after_asking_and_its_manifest_stays() -> None:
    async with registry(TrafficLog()) as runtime:
        await some_images(runtime.store)
        repository = runtime.store.index.repositories[APP]
        digest = repository.tags["1.2"]
        panel = Panel(runtime)
        async with panel.run_test(size=SIZE, notifications=True) as pilot:
            await rested(pilot, "4", "j", "l", "j", "j")
            for no in ("n", "escape"):
                screen = await look(pilot, "d")
                assert "Delete tag library/app:1.2?" in screen
                assert "Its manifest keeps the tag latest." in screen
                await rested(pilot, no)
                assert "1.2" in repository.tags
            await look(pilot, "d")
            await rested(pilot, "y")
            assert "deleted tag library/app:1.2; its manifest stays" in said(panel)
            assert "1.2" not in repository.tags
            assert "tag latest" in line_at_cursor(panel)
            assert "Its manifest stays, without a tag." in await look(pilot, "d")
            assert await runtime.store.index.delete_tag(APP, "latest")
            await rested(pilot, "enter")
            assert 'nothing was changed: no tag "latest" in library/app' in said(panel)
            assert f"untagged {digest[:19]}" in await look(pilot)


@pytest.mark.slow
async def test_deleting_a_manifest_first_shows_its_dependents() -> None:
    async with registry(TrafficLog()) as runtime:
        await some_images(runtime.store)
        repository = runtime.store.index.repositories[APP]
        digest = repository.tags["1.1"]
        panel = Panel(runtime)
        async with panel.run_test(size=SIZE, notifications=True) as pilot:
            await rested(pilot, "4", "j", "l", "j", "j", "l", "j", "j")
            assert "linux/arm64/v8" in line_at_cursor(panel)
            screen = await look(pilot, "d")
            assert f"Delete manifest library/app@{digest[:19]}?" in screen
            assert "This also deletes the tag 1.1." in screen
            assert "An index that lists it becomes incomplete." in screen
            await rested(pilot, "y")
            assert f"deleted manifest library/app@{digest[:19]}" in said(panel)
            assert digest not in repository.manifests
            assert "1.1" not in repository.tags
            assert "✗ platform linux/arm64/v8" in line_at_cursor(panel)
            assert len(panel.screen_stack) == 1
            assert "d Delete" not in await look(pilot, "d"), "nothing is left to delete"
            assert "Manifests that refer to it stay." in await look(pilot, "k", "d")


async def test_deleting_a_cached_tag_says_that_it_returns() -> None:
    async with registry(TrafficLog()) as runtime:
        await some_images(runtime.store)
        panel = Panel(runtime)
        async with panel.run_test(size=SIZE, notifications=True) as pilot:
            await rested(pilot, "4", "j", "j", "l", "l")
            await rested(pilot, "R")
            assert "cached tags belong to the upstream" in said(panel)
            assert "fetches it again from quay.io" in await look(pilot, "d")
            await rested(pilot, "y")
            assert not runtime.store.index.repositories["@quay.io", "busybox"].tags


@pytest.mark.slow
async def test_a_new_tag_is_validated_during_input_and_overwrites_after_confirmation() -> None:
    async with registry(TrafficLog()) as runtime:
        await some_images(runtime.store)
        repository = runtime.store.index.repositories[APP]
        before = dict(repository.tags)
        panel = Panel(runtime)
        async with panel.run_test(size=SIZE, notifications=True) as pilot:
            await rested(pilot, "4", "j", "l", "j")
            screen = await look(pilot, "R", "-")
            assert f"New tag for library/app@{before['1.1'][:19]}:" in screen
            assert 'invalid tag "-": use up to 128 of A-Z' in screen
            assert 'invalid tag "-"' in await look(pilot, "enter"), "not taken"
            assert "invalid tag" not in await look(pilot, "backspace", *"v1")
            await rested(pilot, "enter")
            assert f"tagged library/app:v1 → {before['1.1'][:19]}" in said(panel)
            assert repository.tags == {**before, "v1": before["1.1"]}
            assert "tag v1" in await look(pilot)
            await look(pilot, "R", *"v1")
            await rested(pilot, "enter")
            assert "library/app:v1 already points to" in said(panel)

            screen = await look(pilot, "R", *"1.2", "enter")
            assert "Overwrite tag library/app:1.2?" in screen
            assert f"It points to {before['1.2'][:19]}." in screen
            await rested(pilot, "n")
            assert repository.tags["1.2"] == before["1.2"]
            await look(pilot, "R", *"1.2", "enter")
            await rested(pilot, "enter")
            assert repository.tags["1.2"] == before["1.1"]
            await look(pilot, "R", *"v2")
            await rested(pilot, "escape")
            assert "v2" not in repository.tags


async def test_a_tag_for_a_deleted_manifest_is_reported() -> None:
    async with registry(TrafficLog()) as runtime:
        pusher = Pusher(runtime.store, ("", "a"))
        digest = await pusher.image("a", "1")
        panel = Panel(runtime)
        async with panel.run_test(size=SIZE, notifications=True) as pilot:
            await rested(pilot, "4", "l", "l")
            await look(pilot, "R", *"2")
            await runtime.store.index.delete_manifest(pusher.key, digest)
            await rested(pilot, "enter")
            assert f'nothing was changed: no manifest "{digest[:19]}' in said(panel)
