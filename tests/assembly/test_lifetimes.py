"""A run closes what it opened in reverse order, even if the start fails. Closed parts start nothing."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from brokenreg.assembly.listeners import Listener
from brokenreg.assembly.occupied import ListenError
from brokenreg.assembly.server import Server
from brokenreg.config.settings import Settings
from brokenreg.diagnostics import Diagnostics
from brokenreg.images.fabricator import Fabricator
from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import OCIError
from brokenreg.oci.target import parse_target
from brokenreg.proxy.auth.tokens import TokenCache
from brokenreg.proxy.proxy import Proxy
from brokenreg.proxy.routes import Route
from brokenreg.rules.scenario import ScenarioError
from brokenreg.storage.errors import StorageClosedError, StorageError
from brokenreg.storage.folder import DataFolder
from brokenreg.traffic.exchange import Exchange, UpstreamTrace


def settings(folder: Path, **more: Any) -> Settings:
    return Settings.model_validate(
        {
            "listen": ["127.0.0.1:0"],
            "control": "127.0.0.1:0",
            "data": folder / "data",
            "fabricate_limit": "1GiB",
            **more,
        }
    )


@pytest.fixture
def taken() -> Iterator[str]:
    """An address that is already in use."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield f"127.0.0.1:{other.getsockname()[1]}"


def descriptors() -> list[str]:
    """Return the sockets of this process, and its open files in the data folder."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:
            continue  # that of the listing itself
    return sorted(each for each in found if "socket" in each or "data" in each)


async def ends_of(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list to which each part that ends is added."""
    ends: list[str] = []

    def note(owner: type, method: str, name: str) -> None:
        original = getattr(owner, method)

        def noted(self: Any, *args: Any) -> Any:
            ends.append(name)
            return original(self, *args)

        monkeypatch.setattr(owner, method, noted)

    note(Listener, "drain", "accepting")
    note(Fabricator, "close", "images")
    note(TokenCache, "close", "tokens")
    note(Proxy, "close", "proxy")
    note(Listener, "close", "connections")
    note(DataFolder, "release", "storage")
    return ends


async def test_everything_ends_in_reverse_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = await ends_of(monkeypatch)
    tasks, before = asyncio.all_tasks(), descriptors()
    async with Server.running(settings(tmp_path), Diagnostics()) as server:
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"{server.registry_urls[0]}/v2/")).status_code == 200
        assert ends == []
    assert ends == [*["accepting"] * 3, "images", "tokens", "proxy", *["connections"] * 3, "storage"]
    assert asyncio.all_tasks() == tasks
    assert descriptors() == before


FAILURES: dict[str, tuple[dict[str, Any], type[Exception], list[str]]] = {
    "data folder": ({"data": "FILE"}, StorageError, ["storage"]),
    "first listener": ({"listen": ["TAKEN"]}, ListenError, ["storage"]),
    "second listener": ({"listen": ["127.0.0.1:0", "TAKEN"]}, ListenError, ["connections", "storage"]),
    "second origin": ({"second_origin": "TAKEN"}, ListenError, ["connections", "storage"]),
    "control API": ({"control": "TAKEN"}, ListenError, ["connections"] * 2 + ["storage"]),
    "upstream CA": ({"upstream_ca": ["FILE"]}, ListenError, ["connections"] * 3 + ["storage"]),
    "scenario": (
        {"scenario": ["FILE"]},
        ScenarioError,
        ["images", "tokens", "proxy", *["connections"] * 3, "storage"],
    ),
}


@pytest.mark.parametrize("what", FAILURES)
async def test_a_failed_start_closes_what_was_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: str, what: str
) -> None:
    changes, error, expected = FAILURES[what]
    file = tmp_path / "file"
    file.write_text("neither PEM nor a folder nor a scenario")

    def real(value: Any) -> Any:
        if isinstance(value, list):
            return [real(each) for each in value]
        return {"FILE": str(file), "TAKEN": taken}.get(value, value)

    broken = settings(tmp_path, **{name: real(value) for name, value in changes.items()})
    ends = await ends_of(monkeypatch)
    tasks, before, thresholds = asyncio.all_tasks(), descriptors(), gc.get_threshold()
    with pytest.raises(error):
        async with Server.running(broken, Diagnostics()):
            raise AssertionError("it must not run")
    assert ends == expected
    assert asyncio.all_tasks() == tasks
    assert (descriptors(), gc.get_threshold()) == (before, thresholds)
    if what != "data folder":
        async with Server.running(settings(tmp_path), Diagnostics()) as server:  # the folder is free again
            assert server.registry_urls


async def test_an_error_in_the_block_ends_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = await ends_of(monkeypatch)
    with pytest.raises(ZeroDivisionError):
        async with Server.running(settings(tmp_path), Diagnostics()):
            raise ZeroDivisionError
    assert ends[0] == "accepting"
    assert ends[-1] == "storage"


async def test_what_is_closed_starts_nothing(tmp_path: Path) -> None:
    async with Server.running(settings(tmp_path), Diagnostics()) as server:
        runtime = server.runtime
    digest = Digest.of(b"nobody has it")
    target = parse_target(f"/v2/org/app/blobs/{digest}", "")
    trace = UpstreamTrace(Exchange(1, "GET", "/", "", "1.1", "http", "127.0.0.1:1", target))

    async def download() -> None:
        async with runtime.proxy.blobs.open(Route("quay.io", "org/app"), digest, trace):
            pass

    with pytest.raises(StorageClosedError):
        await runtime.images.image("broken/random", "layers-1_size-1")
    for look in (download, lambda: runtime.proxy.blobs.size(Route("quay.io", "org/app"), digest, trace)):
        with pytest.raises(OCIError, match="shutting down"):
            await look()
    with pytest.raises(StorageClosedError):
        await runtime.store.index.link_blob(target.key, digest, 0)


_MODULES_OF_A_REQUEST = """
import asyncio, pathlib, sys
from brokenreg.assembly.server import Server
from brokenreg.config.settings import Settings
from brokenreg.diagnostics import Diagnostics

async def run(folder):
    settings = Settings(listen=["127.0.0.1:0"], control=None, data=pathlib.Path(folder))
    async with Server.running(settings, Diagnostics()) as server:
        await server.load_late()
        before = set(sys.modules)
        from httpcore._backends.auto import AutoBackend
        await AutoBackend().sleep(0)
        print(sorted(name for name in set(sys.modules) - before if name.startswith("anyio")))

asyncio.run(run(sys.argv[1]))
"""


@pytest.mark.slow
def test_the_first_request_upstream_loads_no_library(tmp_path: Path) -> None:
    """That would block the event loop."""
    command = [sys.executable, "-c", _MODULES_OF_A_REQUEST, str(tmp_path / "data")]
    assert subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout == "[]\n"
