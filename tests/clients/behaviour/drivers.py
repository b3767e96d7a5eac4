"""The four clients, each with storage of its own: how it pulls, how it pushes, and what it has then."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from tests.clients import layouts
from tests.clients.behaviour.original import Original
from tests.clients.private import (
    Client,
    client_environment,
    ctr_client,
    docker_client,
    podman_client,
)

Words = tuple[str, ...]


class Driver(ABC):
    """A client that is ready to pull or push. `folder` is its own."""

    name: ClassVar[str]
    pulls: ClassVar[str]
    """How a person would type it; REF is `127.0.0.1:8080/...`."""

    pushes: ClassVar[str]

    def __init__(self, client: Client, folder: Path) -> None:
        self.client = client
        self.folder = folder

    @classmethod
    @abstractmethod
    @contextmanager
    def ready(cls, folder: Path) -> Iterator[Driver]:
        """It, with storage and perhaps a daemon in that folder, for the length of a block."""

    @abstractmethod
    def version(self) -> str:
        """As it reports itself."""

    @abstractmethod
    def has(self, reference: str, original: Original) -> bool:
        """Whether it has the image, whole."""

    @abstractmethod
    def load(self, top: layouts.Image, reference: str) -> None:
        """Give it an image to push; a reference is `host/repository:v1`."""

    def pull(self, reference: str) -> Words:
        """The command that pulls."""
        return self._words(self.pulls, reference)

    def push(self, reference: str) -> Words:
        """The command that pushes what was loaded."""
        return self._words(self.pushes, reference)

    def _words(self, typed: str, reference: str) -> Words:
        _, *words = typed.replace("REF", reference).replace("DIR", str(self.folder)).split()
        return (*self.client.words, *words)


class Skopeo(Driver):
    """Copies from and to folders: no storage of its own."""

    name: ClassVar[str] = "skopeo"
    pulls: ClassVar[str] = "skopeo copy --src-tls-verify=false docker://REF dir:DIR/copy"
    pushes: ClassVar[str] = "skopeo copy --dest-tls-verify=false oci:DIR/layout:v1 docker://REF"

    @classmethod
    @contextmanager
    def ready(cls, folder: Path) -> Iterator[Driver]:
        yield cls(Client(("skopeo",), client_environment(folder)), folder)

    def version(self) -> str:
        return self.client("--version").removeprefix("skopeo version ")

    def has(self, reference: str, original: Original) -> bool:
        found = {layouts.sha256(each.read_bytes()) for each in (self.folder / "copy").iterdir()}
        return {original.manifest, original.config, *original.layers} <= found

    def load(self, top: layouts.Image, reference: str) -> None:
        layouts.write_layout(self.folder / "layout", top)


class Podman(Driver):
    """Has a store in a folder, and no daemon."""

    name: ClassVar[str] = "podman"
    pulls: ClassVar[str] = "podman pull --tls-verify=false REF"
    pushes: ClassVar[str] = "podman push --tls-verify=false REF"

    @classmethod
    @contextmanager
    def ready(cls, folder: Path) -> Iterator[Driver]:
        with podman_client(folder, client_environment(folder)) as client:
            yield cls(client, folder)

    def version(self) -> str:
        return self.client("version", "--format={{.Client.Version}}")

    def has(self, reference: str, original: Original) -> bool:
        seen = json.loads(self.client("image", "inspect", reference))[0]
        return f"sha256:{seen['Id']}" == original.config and seen["RootFS"]["Layers"] == original.diff_ids

    def load(self, top: layouts.Image, reference: str) -> None:
        layout = layouts.write_layout(self.folder / "layout", top)
        archive = layouts.pack_layout(layout, self.folder / "image.tar")
        self.client("tag", self.client("pull", "--quiet", f"oci-archive:{archive}"), reference)


class Docker(Driver):
    """A daemon that pulls and pushes for a command; the daemon's version is what counts."""

    name: ClassVar[str] = "docker"
    pulls: ClassVar[str] = "docker pull REF"
    pushes: ClassVar[str] = "docker push REF"

    @classmethod
    @contextmanager
    def ready(cls, folder: Path) -> Iterator[Driver]:
        with docker_client(folder, client_environment(folder)) as client:
            yield cls(client, folder)

    def version(self) -> str:
        return self.client("version", "--format", "{{.Server.Version}} (the daemon)")

    def has(self, reference: str, original: Original) -> bool:
        seen = json.loads(self.client("image", "inspect", reference))[0]
        return bool(seen["Id"] == original.config and seen["RootFS"]["Layers"] == original.diff_ids)

    def load(self, top: layouts.Image, reference: str) -> None:
        archive = layouts.docker_archive(self.folder / "image.tar", top, reference)
        self.client("load", "--input", archive)


class Ctr(Driver):
    """containerd keeps and unpacks; the command fetches and pushes."""

    name: ClassVar[str] = "ctr"
    pulls: ClassVar[str] = "ctr images pull --plain-http --snapshotter=native REF"
    pushes: ClassVar[str] = "ctr images push --plain-http REF"

    @classmethod
    @contextmanager
    def ready(cls, folder: Path) -> Iterator[Driver]:
        with ctr_client(folder, client_environment(folder)) as client:
            yield cls(client, folder)

    def version(self) -> str:
        return self.client("--version").split()[-1]

    def has(self, reference: str, original: Original) -> bool:
        stored = set(self.client("content", "ls", "--quiet").split())
        named = self.client("images", "ls", "--quiet").split()
        return reference in named and {original.manifest, original.config, *original.layers} <= stored

    def load(self, top: layouts.Image, reference: str) -> None:
        layout = layouts.write_layout(self.folder / "layout", top)
        archive = layouts.pack_layout(layout, self.folder / "image.tar")
        name = f"--base-name={reference.removesuffix(':v1')}"
        self.client("images", "import", "--no-unpack", "--snapshotter=native", name, archive)


DRIVERS: dict[str, type[Driver]] = {each.name: each for each in (Skopeo, Podman, Docker, Ctr)}
"""By name, in the order of the table's columns."""
