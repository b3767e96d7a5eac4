"""Pulling with every client in the same way: what it received, and how it deletes that."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.clients.layouts import Image, Index, read_layout
from tests.clients.private import Client

_PLAIN = "--tls-verify=false"


class Puller(Protocol):
    """A client that pulls."""

    def pull(self, reference: str, top: Image | Index) -> None:
        """Pull all platforms. Raise `AssertionError` unless the client has `top`, with all digests."""

    def forget(self) -> None:
        """Delete all images, because a client does not pull existing ones again."""


@dataclass(frozen=True)
class Docker:
    client: Client

    def pull(self, reference: str, top: Image | Index) -> None:
        for image in _images(top):
            self.forget()  # what it has by a digest it does not replace by another platform's
            said = self.client("pull", "--platform", f"linux/{image.architecture}", reference)
            assert f"Digest: {top.digest}" in said.splitlines()
            assert self.client("image", "inspect", "--format={{.Id}}", reference) == image.config.digest

    def forget(self) -> None:
        if images := self.client("image", "ls", "--all", "--quiet", "--no-trunc").split():
            self.client("image", "rm", "--force", *sorted(set(images)))


@dataclass(frozen=True)
class Podman:
    client: Client
    options: tuple[str, ...] = (_PLAIN,)

    def pull(self, reference: str, top: Image | Index) -> None:
        for image in _images(top):
            said = self.client("pull", "--quiet", *self.options, f"--arch={image.architecture}", reference)
            assert said == image.config.hex
            (inspected,) = json.loads(self.client("image", "inspect", said))
            assert top.digest in {each.partition("@")[2] for each in inspected["RepoDigests"]}

    def forget(self) -> None:
        self.client("rmi", "--all", "--force")


@dataclass(frozen=True)
class Buildah:
    client: Client

    def pull(self, reference: str, top: Image | Index) -> None:
        for image in _images(top):
            said = self.client("pull", "--quiet", _PLAIN, f"--arch={image.architecture}", reference)
            assert said == image.config.hex
            inspected = json.loads(self.client("inspect", "--type=image", said))
            assert inspected["FromImageDigest"] in (top.digest, image.digest)

    def forget(self) -> None:
        self.client("rmi", "--all", "--force")


@dataclass(frozen=True)
class Skopeo:
    client: Client
    folder: Path
    options: tuple[str, ...] = ("--src-tls-verify=false",)

    def pull(self, reference: str, top: Image | Index) -> None:
        self.forget()
        said = self.folder / "digest"
        copy = ("copy", "--all", *self.options, f"--digestfile={said}")
        self.client(*copy, f"docker://{reference}", f"oci:{self.folder}/layout:v1")
        assert said.read_text().strip() == top.digest
        assert read_layout(self.folder / "layout") == {
            blob.digest: blob.data for blob in (*top.blobs, *top.manifests)
        }

    def forget(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()


@dataclass(frozen=True)
class Ctr:
    client: Client
    options: tuple[str, ...] = ("--plain-http",)

    def pull(self, reference: str, top: Image | Index) -> None:
        pull = ("images", "pull", *self.options, "--snapshotter=native", "--all-platforms")
        self.client(*pull, reference)
        images = [line.split() for line in self.client("images", "ls").splitlines()[1:]]
        assert [image[2] for image in images if image[0] == reference] == [top.digest]
        stored = self.client("content", "ls", "--quiet").split()
        assert {blob.digest for blob in (*top.blobs, *top.manifests)} <= set(stored)

    def forget(self) -> None:
        if names := self.client("images", "ls", "--quiet").split():
            self.client("images", "rm", "--sync", *names)


PULLERS: dict[str, Callable[[Client, Path], Puller]] = {
    "docker": lambda client, _: Docker(client),
    "podman": lambda client, _: Podman(client),
    "buildah": lambda client, _: Buildah(client),
    "skopeo": Skopeo,
    "ctr": lambda client, _: Ctr(client),
}
"""By the fixture that gives the client; the folder is for what it brings."""


def _images(top: Image | Index) -> tuple[Image, ...]:
    return top.images if isinstance(top, Index) else (top,)
