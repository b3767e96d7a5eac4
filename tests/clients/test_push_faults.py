"""What skopeo makes of faults of uploads: the push ends well, or with an error and nothing tagged."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.clients import layouts
from tests.clients.conftest import Client
from tests.process import Brokenreg


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


def test_skopeo_mounts_nothing_where_mounts_are_refused(
    skopeo: Client, registry: Brokenreg, tmp_path: Path
) -> None:
    """It copies from one repository to another, asks for a mount, and uploads instead."""
    top = layouts.image("mounts", layers=2, size=10_000)
    source = layouts.write_layout(tmp_path / "source", top)
    tls = ("--src-tls-verify=false", "--dest-tls-verify=false")
    first = f"docker://{registry.host}/mounts/first:v1"
    skopeo("copy", *tls, f"oci:{source}:v1", first)
    second = f"docker://{registry.host}/broken/with/mount-refused/mounts/second:v1"
    skopeo("copy", *tls, first, second)
    layer = top.layers[0].digest
    assert httpx.get(f"{registry.url}/v2/mounts/second/blobs/{layer}").status_code == 200


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
