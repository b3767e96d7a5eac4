"""Real clients push to names without a host, in every state of the default upstream."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.clients import layouts, wire
from tests.clients.layouts import Image
from tests.clients.private import Client
from tests.clients.storages import brokenreg
from tests.proxy.scripted import Answer, Received, Scripted, scripted
from tests.server import Brokenreg

_LONG = {"retry-after": "900"}
_PLAIN = "--tls-verify=false"

Push = Callable[[str], object]
"""Push the image by that reference."""


class Stub:
    """A stand-in for quay.io that responds to all requests with `status`, or not at all if that is 0."""

    def __init__(self, upstream: Scripted) -> None:
        self.url = upstream.url
        self.status = 404
        self.ended = threading.Event()
        upstream.answer = self._answer  # type: ignore[method-assign]

    def _answer(self, received: Received) -> Answer:
        if not self.status:
            self.ended.wait(60)
            raise ConnectionError
        return Answer(self.status, _LONG)


@pytest.fixture(scope="module")
def stub() -> Iterator[Stub]:
    with scripted() as upstream:
        stub = Stub(upstream)
        yield stub
        stub.ended.set()


@pytest.fixture(scope="module")
def registry(stub: Stub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokenreg]:
    """A registry with default settings, except for the address of its default upstream."""
    with brokenreg(tmp_path_factory.mktemp("own") / "data", "--upstream", f"quay.io={stub.url}") as running:
        yield running


def _docker(client: Client, _: Brokenreg, folder: Path, image: Image) -> Push:
    client("load", "--input", layouts.docker_archive(folder / "image.tar", image, "own/image:v1"))

    def push(reference: str) -> None:
        client("tag", "own/image:v1", reference)
        client("push", reference)

    return push


def _ctr(client: Client, registry: Brokenreg, _: Path, image: Image) -> Push:
    source = f"{registry.host}/ctr/source:v1"
    wire.put(registry, "ctr/source", "v1", image)
    client("images", "pull", "--plain-http", "--snapshotter=native", source)
    return lambda reference: client("images", "push", "--plain-http", reference, source)


def _store(client: Client, _: Brokenreg, folder: Path, image: Image) -> Push:
    archive = layouts.pack_layout(layouts.write_layout(folder / "layout", image), folder / "image.tar")
    identity = client("pull", "--quiet", f"oci-archive:{archive}")
    return lambda reference: client("push", _PLAIN, identity, f"docker://{reference}")


def _skopeo(client: Client, _: Brokenreg, folder: Path, image: Image) -> Push:
    layout = layouts.write_layout(folder / "layout", image)
    target = "--dest-tls-verify=false"
    return lambda reference: client("copy", target, f"oci:{layout}:v1", f"docker://{reference}")


_CLIENTS = {"docker": _docker, "ctr": _ctr, "podman": _store, "buildah": _store, "skopeo": _skopeo}


@pytest.mark.parametrize("name", _CLIENTS)
def test_first_pushes(
    request: pytest.FixtureRequest, registry: Brokenreg, stub: Stub, tmp_path: Path, name: str
) -> None:
    image = layouts.image(f"own-{name}", layers=1, size=100)
    push = _CLIENTS[name](request.getfixturevalue(name), registry, tmp_path, image)
    for stub.status in (401, 403, 404, 429, 500, 0):
        repository = f"{name}/own-{stub.status}"
        if stub.status:  # a GET is answered, so that the upstream is not taken to be down
            told = httpx.get(f"{registry.url}/v2/{repository}/manifests/v1").status_code
            assert told == {429: 429, 500: 502}.get(stub.status, 404)
        push(f"{registry.host}/{repository}:v1")
        assert wire.manifest(registry, repository, "v1").document["layers"]


@pytest.mark.parametrize("name", _CLIENTS)
def test_first_pushes_without_a_network(
    request: pytest.FixtureRequest, no_network: Brokenreg, tmp_path: Path, name: str
) -> None:
    image = layouts.image(f"alone-{name}", layers=1, size=100)
    _CLIENTS[name](request.getfixturevalue(name), no_network, tmp_path, image)(
        f"{no_network.host}/{name}/alone:v1"
    )
    assert wire.manifest(no_network, f"{name}/alone", "v1").document["layers"]


@pytest.fixture(scope="module")
def no_network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokenreg]:
    """A registry whose default upstream cannot be reached."""
    options = ("--upstream", "quay.io=http://127.0.0.1:1")
    with brokenreg(tmp_path_factory.mktemp("alone") / "data", *options) as running:
        yield running
