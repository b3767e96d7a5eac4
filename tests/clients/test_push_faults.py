"""How clients react to faults of uploads and lists: a push succeeds, or fails without a tag."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clients import layouts, wire
from tests.clients.private import Client
from tests.server import Brokenreg


def exchanges(registry: Brokenreg, wanted: str) -> list[dict[str, Any]]:
    """Return the exchanges that match this filter."""
    answer = httpx.get(f"{registry.control}/v1/exchanges", params={"filter": wanted, "limit": 1000})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


@pytest.mark.parametrize(
    ("fault", "is_pushed"),
    [
        ("upload-lost", False),
        ("upload-location_form-absolute", True),
        ("upload-location_form-relative", True),
        ("upload-location_form-query", True),
        ("upload-location_form-foreign", True),
        ("upload-location_form-missing", False),
        ("upload-location_form-garbage", False),
        ("upload-range", False),
        ("mount-refused", True),
        ("too-large_limit-100", False),
        ("too-large", True),
    ],
)
def test_skopeo_pushes(
    skopeo: Client, registry: Brokenreg, tmp_path: Path, fault: str, is_pushed: bool
) -> None:
    repository = f"pushes/{fault.replace('_', '-')}"
    top = layouts.image(repository.replace("/", "-"), layers=2, size=10_000)
    source = layouts.write_layout(tmp_path / "source", top)
    target = f"docker://{registry.host}/broken/with/{fault}/{repository}:v1"
    assert skopeo.works("copy", "--dest-tls-verify=false", f"oci:{source}:v1", target) == is_pushed
    found = httpx.get(f"{registry.url}/v2/{repository}/manifests/v1")
    assert (found.status_code == 200) == is_pushed


@pytest.mark.parametrize("status", [202, 401, 403, 404, 405])
def test_skopeo_uploads_blobs_that_it_cannot_mount(
    skopeo: Client, registry: Brokenreg, tmp_path: Path, status: int
) -> None:
    """It copies from one repository to another, asks for a mount, and uploads instead."""
    top = layouts.image(f"mounts-{status}", layers=2, size=10_000)
    source = layouts.write_layout(tmp_path / "source", top)
    tls = ("--src-tls-verify=false", "--dest-tls-verify=false")
    first = f"docker://{registry.host}/mounts/first-{status}:v1"
    skopeo("copy", *tls, f"oci:{source}:v1", first)
    repository = f"mounts/second-{status}"
    skopeo(
        "copy",
        *tls,
        first,
        f"docker://{registry.host}/broken/with/mount-refused_status-{status}/{repository}:v1",
    )
    applied = exchanges(registry, f"repository:{repository} fault:mount-refused")
    assert len(applied) >= 2
    assert {exchange["status"] for exchange in applied} == {status}
    assert set(wire.everything(registry, repository, "v1")) >= {layer.digest for layer in top.layers}


@pytest.mark.parametrize(
    ("fault", "is_pushed"),
    [
        ("upload-lost", False),
        pytest.param("upload-lost_step-3_once-true", False, marks=pytest.mark.one_replica),
        ("upload-location_form-absolute", True),
        ("upload-location_form-relative", True),
        ("upload-location_form-query", True),
        ("upload-location_form-missing", False),
        ("mount-refused", True),
        ("too-large_limit-100", False),
    ],
)
def test_podman_pushes(
    podman: Client, registry: Brokenreg, tmp_path: Path, fault: str, is_pushed: bool
) -> None:
    repository = f"podman/{fault.replace('_', '-')}"
    top = layouts.image(repository.replace("/", "-"), layers=1, size=10_000)
    archive = layouts.pack_layout(layouts.write_layout(tmp_path / "layout", top), tmp_path / "image.tar")
    identity = podman("pull", "--quiet", f"oci-archive:{archive}")
    target = f"{registry.host}/broken/with/{fault}/{repository}:v1"
    assert podman.works("push", "--tls-verify=false", identity, target) == is_pushed
    assert bool(exchanges(registry, f"repository:{repository} endpoint:manifest status:201")) == is_pushed


def test_skopeo_follows_a_link_that_never_ends(skopeo: Client, registry: Brokenreg) -> None:
    """For ever: only who stops it ends it, and then the registry is idle."""
    for number in range(4):
        httpx.put(f"{registry.url}/v2/cyclic/app/manifests/v{number}", content=b"{}").raise_for_status()
    name = f"{registry.host}/broken/with/tag-pages_page-2_link-cyclic/cyclic/app"
    command = [*skopeo.words, "list-tags", "--tls-verify=false", f"docker://{name}"]
    with subprocess.Popen(command, env=skopeo.env, stdout=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 20
            while len(exchanges(registry, "repository:cyclic/app endpoint:tags status:200")) < 50:
                assert process.poll() is None, "it ended by itself"
                assert time.monotonic() < deadline, "it does not follow"
                time.sleep(0.05)
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("fault", "tags"),
    [
        ("tag-pages_page-2", 5),
        ("tag-pages_page-2_link-absolute", 5),
        ("tag-pages_page-2_link-absent", 2),
        ("tag-pages_invented-3000_page-500", 3005),
    ],
)
def test_skopeo_lists_tags(skopeo: Client, registry: Brokenreg, fault: str, tags: int) -> None:
    for number in range(5):
        answer = httpx.put(f"{registry.url}/v2/listed/app/manifests/v{number}", content=b"{}")
        assert answer.status_code == 201
    listed = skopeo(
        "list-tags", "--tls-verify=false", f"docker://{registry.host}/broken/with/{fault}/listed/app"
    )
    assert listed.count('"v') + listed.count('"invented-') == tags
