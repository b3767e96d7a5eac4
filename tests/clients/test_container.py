"""The image of deploy/Dockerfile: built on a base of this machine's Python, started, pulled from, stopped."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.clients.base_image import write_base
from tests.clients.programs import need

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
_BASE = "FROM scratch\nCOPY . /\nENV PATH=/usr/bin:/bin\n"
_PIP = "[global]\nno-index = true\nfind-links = /wheels\n"
_MOST_ADDED = 90 * 1024 * 1024
"""Bytes that brokenreg and its libraries may add to the base."""


class Builder:
    """buildah and podman with a store of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = [
            f"--root={folder / 'store'}",
            f"--runroot={folder / 'run'}",
            "--storage-driver=vfs",
        ]

    def __call__(self, program: str, *arguments: str | Path) -> str:
        command = [program, *self.store, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout.strip()

    def build(self, name: str, *arguments: str | Path) -> None:
        options = ("--isolation=chroot", "--network=host", "--format=docker", "--quiet", f"--tag={name}")
        self("buildah", "bud", *options, *arguments)

    def inspect(self, name: str) -> dict[str, object]:
        document = json.loads(self("podman", "image", "inspect", name))[0]
        assert isinstance(document, dict)
        return document


@pytest.fixture(scope="module")
def builder() -> Iterator[Builder]:
    """A store with the image `localhost/brokenreg`, whose packages pip finds where the secret says."""
    need("buildah", "podman", root=True)
    # podman refuses longer paths than 50 characters
    with tempfile.TemporaryDirectory(prefix="brk-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        wheels = folder / "wheels"
        pip = [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--wheel-dir",
            str(wheels),
            str(ROOT),
            "hatchling",
        ]
        subprocess.run(pip, check=True, capture_output=True, timeout=300)
        write_base(folder / "base")
        (folder / "Base").write_text(_BASE)
        (folder / "pip.conf").write_text(_PIP)
        builder = Builder(folder)
        builder.build("localhost/base", f"--file={folder / 'Base'}", folder / "base")
        builder.build(
            "localhost/brokenreg",
            "--build-arg=BASE=localhost/base",
            f"--secret=id=pip,src={folder / 'pip.conf'}",
            f"--volume={wheels}:/wheels:ro",
            f"--file={ROOT / 'deploy/Dockerfile'}",
            ROOT,
        )
        yield builder


def test_what_the_image_says(builder: Builder) -> None:
    image = builder.inspect("localhost/brokenreg")
    config = image["Config"]
    assert isinstance(config, dict)
    assert config["User"] == "1000:1000"
    assert list(config["ExposedPorts"]) == ["8080/tcp"]
    assert list(config["Volumes"]) == ["/data"]
    assert config["StopSignal"] in ("SIGTERM", "15")
    assert "BROKENREG_LISTEN=0.0.0.0:8080" in config["Env"]
    assert "/healthz" in json.dumps(image["Healthcheck"])
    assert "curl" not in json.dumps(image["Healthcheck"])


def test_its_size(builder: Builder) -> None:
    sizes = [builder.inspect(f"localhost/{name}")["Size"] for name in ("brokenreg", "base")]
    whole, base = sizes
    assert isinstance(whole, int)
    assert isinstance(base, int)
    print(f"the image has {whole / 1e6:.0f} MB, of which its base has {base / 1e6:.0f} MB")
    assert whole - base < _MOST_ADDED


def test_it_serves_a_pull_with_a_read_only_root_and_ends_by_sigterm(builder: Builder) -> None:
    # Without limits of its own, podman raises them, which some machines do not allow.
    limits = ("--ulimit=nofile=1024:1024", "--ulimit=nproc=1000:1000")
    options = ("--rm", "--read-only", "--cap-drop=all", "--network=host", "--no-healthcheck", *limits)
    addresses = ("--env=BROKENREG_LISTEN=127.0.0.1:0", "--env=BROKENREG_CONTROL=127.0.0.1:0")
    command = ["podman", *builder.store, "run", *options, *addresses, "localhost/brokenreg"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        assert line, process.stderr.read()[-4000:]
        url = json.loads(line)["registry"]
        assert httpx.get(f"{url}/healthz").status_code == 200
        manifest = httpx.get(f"{url}/v2/broken/random/manifests/layers-1_size-1024")
        layer = manifest.json()["layers"][0]
        blob = httpx.get(f"{url}/v2/broken/random/blobs/{layer['digest']}")
        assert len(blob.content) == layer["size"]
        pushed = httpx.post(f"{url}/v2/team/app/blobs/uploads/")
        assert pushed.status_code == 202, "the volume for data can be written"
        start = time.monotonic()
        process.send_signal(signal.SIGTERM)  # podman passes it on
        process.stdout.read()
        seconds = time.monotonic() - start
        assert process.wait(timeout=20) == 0
        assert seconds < 2
