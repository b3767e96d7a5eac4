"""Real clients pull as from real registries that fail: by an image path, and with a scenario."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.clients import layouts, wire
from tests.clients.private import Client
from tests.clients.storages import brokenreg
from tests.server import Brokenreg

LIMIT = "You have reached your unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit"
PULLED = ("azure-sas-rejects-auth", "corporate-proxy", "no-multi-range", "nexus-hyphen-digest")
REFUSED = {
    "artifactory-html-login": "invalid character '<'",
    "docker-hub-blobs-500": "500",
    "ecr-token-expired": "invalid status code from registry 403",
    "signed-url-expired": "403",
    "waf-html": "403",
}


@pytest.mark.parametrize("name", PULLED)
def test_skopeo_pulls(skopeo: Client, registry: Brokenreg, tmp_path: Path, name: str) -> None:
    top = layouts.image(f"profiles-{name}")
    wire.put(registry, f"profiles/{name}", "v1", top)
    source = f"docker://{registry.host}/broken/as/{name}/profiles/{name}:v1"
    skopeo("copy", "--src-tls-verify=false", source, f"oci:{tmp_path}/back:v1")
    assert layouts.layout_digest(tmp_path / "back") == top.digest
    assert (
        layouts.read_layout(tmp_path / "back").keys()
        == wire.everything(registry, f"profiles/{name}", "v1").keys()
    )


@pytest.mark.parametrize("name", REFUSED)
def test_skopeo_fails(skopeo: Client, tmp_path: Path, name: str) -> None:
    with brokenreg(tmp_path / "data", "--scenario", f"profile:{name}") as running:
        source = f"docker://{running.host}/broken/random:layers-2_size-1000"
        said = skopeo.refused("copy", "--src-tls-verify=false", source, f"dir:{tmp_path}/out")
    assert REFUSED[name] in said


def test_skopeo_reads_schema1(skopeo: Client, registry: Brokenreg, tmp_path: Path) -> None:
    source = f"docker://{registry.host}/broken/as/schema1-only/broken/random:layers-2_size-1000"
    raw = skopeo.output("inspect", "--raw", "--tls-verify=false", source)
    assert b'"schemaVersion": 1' in raw
    skopeo("copy", "--src-tls-verify=false", source, f"dir:{tmp_path}/out")


@pytest.fixture
def images(docker: Client) -> Client:
    """Docker without images, because existing ones are not pulled again."""
    if found := docker("image", "ls", "--all", "--quiet", "--no-trunc").split():
        docker("image", "rm", "--force", *sorted(set(found)))
    return docker


@pytest.mark.parametrize("name", PULLED)
def test_docker_pulls(images: Client, registry: Brokenreg, name: str) -> None:
    top = layouts.image(f"docker-profiles-{name}", docker=True)
    wire.put(registry, f"profiles/docker-{name}", "v1", top)
    reference = f"{registry.host}/broken/as/{name}/profiles/docker-{name}:v1"
    assert f"Digest: {top.digest}" in images("pull", reference)


def test_docker_prints_the_message_of_docker_hub(images: Client, registry: Brokenreg) -> None:
    reference = f"{registry.host}/broken/as/docker-hub-rate-limited/broken/random:layers-1_size-1000"
    assert f"toomanyrequests: {LIMIT}" in images.refused("pull", reference)


def test_docker_pulls_schema1(images: Client, registry: Brokenreg) -> None:
    reference = f"{registry.host}/broken/as/schema1-only/broken/random:layers-2_size-1000"
    served = httpx.head(
        f"{registry.url}/v2/broken/as/schema1-only/broken/random/manifests/layers-2_size-1000"
    )
    assert f"Digest: {served.headers['docker-content-digest']}" in images("pull", reference)
