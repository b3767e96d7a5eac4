"""The image of `deploy/Dockerfile`, unchanged: a brokenreg serves its base under the base's own name."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from tests.clients import layouts
from tests.clients.layouts import Blob
from tests.clients.private import client_environment, short_folder
from tests.clients.programs import attempt, need, run
from tests.server import Brokenreg, brokenreg

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy/Dockerfile"
IMAGE = "localhost/brokenreg"
_PLAIN_LAYER = "application/vnd.oci.image.layer.v1.tar"
_DEADLINE = 180.0


@dataclass(frozen=True)
class Engine:
    """buildah and podman with a store of their own, which has the image."""

    folder: Path
    env: dict[str, str]
    driver: str = "overlay"

    @property
    def _store(self) -> tuple[str, ...]:
        folders = (f"--root={self.folder / 'store'}", f"--runroot={self.folder / 'run'}")
        return (*folders, f"--storage-driver={self.driver}")

    def command(self, program: str, *arguments: str | Path) -> list[str]:
        return [program, *self._store, *map(str, arguments)]

    def __call__(self, program: str, *arguments: str | Path) -> str:
        """Run a command successfully, and return what it prints."""
        command = self.command(program, *arguments)
        return run(*command, env=self.env, deadline=_DEADLINE).decode().strip()

    def inspect(self, name: str) -> dict[str, Any]:
        (document,) = json.loads(self("podman", "image", "inspect", name))
        assert isinstance(document, dict)
        return document


def base_name() -> tuple[str, str]:
    """Return the repository and the tag of the Dockerfile's base."""
    found = re.search(r"^ARG BASE=(\S+):(\S+)$", DOCKERFILE.read_text(), re.MULTILINE)
    assert found is not None
    return found[1], found[2]


@contextmanager
def built_image() -> Iterator[Engine]:
    """Build the image in a store of its own."""
    need("buildah", "podman", root=True)
    with _base_folder() as base, short_folder() as folder:
        engine = Engine(folder, client_environment(folder))
        if attempt(*engine.command("podman", "info"), env=engine.env).returncode != 0:
            engine = replace(engine, driver="vfs")  # slow, but it works on every file system
        with brokenreg(folder / "data") as registry:
            _push_base(registry, base / "base.tar")
            repository = base_name()[0]
            Path(engine.env["CONTAINERS_REGISTRIES_CONF"]).write_text(
                f'[[registry]]\nprefix = "{repository}"\n'
                f'location = "{registry.host}/{repository}"\ninsecure = true\n'
            )
            (folder / "pip.conf").write_text("[global]\nno-index = true\nfind-links = /wheels\n")
            options = ("--isolation=chroot", "--network=host", "--format=docker", "--quiet")
            secret = f"--secret=id=pip,src={folder / 'pip.conf'}"
            wheels = f"--volume={base / 'wheels'}:/wheels:ro"
            tag = f"--tag={IMAGE}"
            engine("buildah", "bud", *options, secret, wheels, tag, f"--file={DOCKERFILE}", ROOT)
        yield engine


@contextmanager
def _base_folder() -> Iterator[Path]:
    """What `.ci/container-base` makes: before the tests, if CI says where it is."""
    if made := os.environ.get("BROKENREG_CONTAINER_BASE"):
        yield Path(made)
        return
    need("mmdebstrap")
    with tempfile.TemporaryDirectory() as folder:
        made_now = [ROOT / ".ci/container-base", folder]
        subprocess.run(made_now, check=True, capture_output=True, timeout=_DEADLINE)
        yield Path(folder)


def _push_base(registry: Brokenreg, base: Path) -> None:
    repository, tag = base_name()
    layer = Blob(_PLAIN_LAYER, base.read_bytes())
    machine = {"x86_64": "amd64", "aarch64": "arm64"}
    config = Blob(
        layouts.OCI_CONFIG,
        layouts.compact(
            {
                "architecture": machine[os.uname().machine],
                "os": "linux",
                "config": {"Env": ["PATH=/usr/local/bin:/usr/bin:/bin"]},
                "rootfs": {"type": "layers", "diff_ids": [layer.digest]},
            }
        ),
    )
    manifest = layouts.compact(
        {
            "schemaVersion": 2,
            "mediaType": layouts.OCI_MANIFEST,
            "config": config.descriptor(),
            "layers": [layer.descriptor()],
        }
    )
    with httpx.Client(base_url=f"{registry.url}/v2/{repository}", timeout=60) as http:
        for blob in (layer, config):
            pushed = http.post("/blobs/uploads/", params={"digest": blob.digest}, content=blob.data)
            assert pushed.status_code == 201, pushed.text
        headers = {"content-type": layouts.OCI_MANIFEST}
        put = http.put(f"/manifests/{tag}", content=manifest, headers=headers)
        assert put.status_code == 201, put.text
