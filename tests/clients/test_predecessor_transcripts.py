"""The output of a real Docker daemon for the predecessor's images, line by line."""

from __future__ import annotations

import re
import time
from pathlib import Path

import httpx
import pytest

from tests.clients import layouts, wire
from tests.clients.private import Client
from tests.server import Brokenreg

_PREFIX = "Error response from daemon: "


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (404, "manifest for {host}/broken/error:404 not found: manifest unknown: Looking for something?"),
        (403, "unknown: Fakereg: Access to this resource is forbidden"),
        (405, "unauthorized: Method not allowed"),
        (500, "received unexpected HTTP status: 500 Internal Server Error"),
    ],
)
def test_error(docker: Client, registry: Brokenreg, status: int, said: str) -> None:
    line = docker.refused("pull", f"{registry.host}/broken/error:{status}")
    assert line == _PREFIX + said.format(host=registry.host)


def test_error_400_has_its_message(docker: Client, registry: Brokenreg) -> None:
    (error,) = httpx.get(f"{registry.url}/v2/broken/error/manifests/400").json()["errors"]
    assert error["code"] == "MANIFEST_INVALID"
    assert error["message"]
    line = docker.refused("pull", f"{registry.host}/broken/error:400")
    assert line == f"{_PREFIX}manifest invalid: {error['message']}"


def test_timeout_is_requested_twice(docker: Client, own_registry: Brokenreg) -> None:
    started = time.monotonic()
    line = docker.refused("pull", f"{own_registry.host}/broken/timeout:dur-2s")
    took = time.monotonic() - started

    assert line == f"{_PREFIX}unknown: Timeout duration has elapsed!"
    assert took >= 4.0

    assert own_registry.stop() == 0
    asked = [each for each in own_registry.lines if each.get("endpoint") == "manifest"]
    assert [(each["method"], each["path"], each["status"]) for each in asked] == [
        ("HEAD", "/v2/broken/timeout/manifests/dur-2s", 408),
        ("GET", "/v2/broken/timeout/manifests/dur-2s", 408),
    ]
    for each in asked:
        assert each["faults"] == ["timeout"]
        assert each["ended"] == "complete"
        assert each["user_agent"].startswith("docker/")
        assert 2.0 <= each["duration"] < 2.75
    assert asked[0]["time"] + 2.0 <= asked[1]["time"]


_NO_DURATION = "Tag missing duration: use for instance broken/timeout:dur-2s"
"""The predecessor's words, and an example."""


@pytest.mark.parametrize(
    ("tag", "said"),
    [
        ("5s", f"manifest invalid: {_NO_DURATION}"),
        ("latest", f"manifest invalid: {_NO_DURATION}"),
    ],
)
def test_timeout_without_duration(docker: Client, registry: Brokenreg, tag: str, said: str) -> None:
    assert docker.refused("pull", f"{registry.host}/broken/timeout:{tag}") == _PREFIX + said


def test_timeout_of_a_bad_duration_names_it(docker: Client, registry: Brokenreg) -> None:
    line = docker.refused("pull", f"{registry.host}/broken/timeout:dur-2parsecs")
    assert line.startswith(f"{_PREFIX}manifest invalid: ")
    assert "2parsecs" in line


def test_random_twice(docker: Client, registry: Brokenreg) -> None:
    reference = f"{registry.host}/broken/random:layers-3_size-1024"
    first = docker("pull", reference).splitlines()
    try:
        served = wire.manifest(registry, "broken/random", "layers-3_size-1024")
        assert served.media_type == layouts.DOCKER_MANIFEST
        assert len(served.document["layers"]) == 3

        assert first[0] == "layers-3_size-1024: Pulling from broken/random"
        assert sum(line.endswith(": Pull complete") for line in first) == 3
        assert first[-3:] == [
            f"Digest: {served.digest}",
            f"Status: Downloaded newer image for {reference}",
            reference,
        ]
        assert docker("pull", reference).splitlines() == [
            "layers-3_size-1024: Pulling from broken/random",
            f"Digest: {served.digest}",
            f"Status: Image is up to date for {reference}",
            reference,
        ]
    finally:
        docker("rmi", reference)


def test_random_in_full(docker: Client, registry: Brokenreg) -> None:
    """With a seed, the image differs; each layer becomes one of the daemon's."""
    reference = f"{registry.host}/broken/random:layers-5_size-100000_seed-7"
    docker("pull", "--quiet", reference)
    try:
        diff_ids = docker(
            "image", "inspect", "--format", "{{range .RootFS.Layers}}{{println .}}{{end}}", reference
        ).split()
        assert len(set(diff_ids)) == 5
        other = wire.manifest(registry, "broken/random", "layers-5_size-100000_seed-8")
        assert other.digest != wire.manifest(registry, "broken/random", "layers-5_size-100000_seed-7").digest
    finally:
        docker("rmi", reference)


def test_random_without_layers(docker: Client, registry: Brokenreg) -> None:
    reference = f"{registry.host}/broken/random:layers-0_size-10"
    try:
        assert f"Status: Downloaded newer image for {reference}" in docker("pull", reference)
        layers = docker("image", "inspect", "--format", "{{len .RootFS.Layers}}", reference)
        assert layers.strip() == "0"
    finally:
        docker("rmi", reference)


def test_pushed_on_by_a_mount(docker: Client, registry: Brokenreg) -> None:
    """What the daemon has pulled from a fabricated repository it pushes to another without sending it."""
    reference, other = f"{registry.host}/broken/random:layers-1_size-77", f"{registry.host}/mounted/app:v1"
    docker("pull", "--quiet", reference)
    try:
        docker("tag", reference, other)
        assert "Mounted from broken/random" in docker("push", other)
        served = wire.manifest(registry, "broken/random", "layers-1_size-77")
        (layer,) = served.document["layers"]
        pushed = httpx.get(f"{registry.url}/v2/mounted/app/blobs/{layer['digest']}")
        assert (pushed.status_code, len(pushed.content)) == (200, layer["size"])
    finally:
        docker("rmi", reference, other)


@pytest.mark.parametrize(
    ("tag", "named"), [("layers-3", "size"), ("size-1024", "layers"), ("layers-three_size-1024", "layers")]
)
def test_random_refuses_a_bad_tag(docker: Client, registry: Brokenreg, tag: str, named: str) -> None:
    line = docker.refused("pull", f"{registry.host}/broken/random:{tag}")
    assert line.startswith(_PREFIX)
    assert named in line.removeprefix(_PREFIX).replace(tag, "")


def test_prepared_pushed_and_pulled_back(docker: Client, registry: Brokenreg, tmp_path: Path) -> None:
    reference = f"{registry.host}/broken/prepared:mine"
    top = layouts.image("prepared", layers=3)
    docker("load", "--input", layouts.docker_archive(tmp_path / "image.tar", top, reference))
    pushed = docker("push", reference).splitlines()
    served = wire.manifest(registry, "broken/prepared", "mine")
    assert pushed[0] == f"The push refers to repository [{registry.host}/broken/prepared]"
    assert sum(line.endswith(": Pushed") for line in pushed) == 3
    assert pushed[-1] == f"mine: digest: {served.digest} size: {len(served.body)}"

    docker("rmi", reference)
    pulled = docker("pull", reference).splitlines()
    try:
        assert pulled[-3:] == [
            f"Digest: {served.digest}",
            f"Status: Downloaded newer image for {reference}",
            reference,
        ]
        assert docker("image", "inspect", "--format", "{{.Id}}", reference) == top.config.digest
    finally:
        docker("rmi", reference)


def test_prepared_never_pushed(docker: Client, registry: Brokenreg) -> None:
    line = docker.refused("pull", f"{registry.host}/broken/prepared:never")
    head = f"{_PREFIX}manifest for {registry.host}/broken/prepared:never not found: manifest unknown: "
    assert re.fullmatch(f"{re.escape(head)}.+", line)
