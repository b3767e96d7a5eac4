"""Artifacts and referrers with the Python client of ORAS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.clients import layouts, wire
from tests.clients.layouts import MIB, Blob
from tests.clients.programs import need
from tests.server import Brokenreg

if TYPE_CHECKING:
    from oras.client import OrasClient

_SBOM = "application/vnd.example.sbom.v1+json"
_SIGNATURE = "application/vnd.example.signature.v1"


@pytest.fixture
def oras(client_env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[OrasClient]:
    """A client without credentials."""
    need(module="oras")
    from oras.client import OrasClient

    monkeypatch.setenv("HOME", client_env["HOME"])
    monkeypatch.setenv("DOCKER_CONFIG", client_env["DOCKER_CONFIG"])
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    client = OrasClient(insecure=True)
    yield client
    client.session.close()


def _files(folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    contents = {"small.txt": b"hello\n", "large.bin": bytes(range(256)) * 8192}
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    return contents


@pytest.mark.parametrize("chunked", [False, True], ids=["whole", "chunked"])
def test_push_and_pull(oras: OrasClient, registry: Brokenreg, tmp_path: Path, chunked: bool) -> None:
    repository = f"oras/files-{chunked}".lower()
    contents = _files(tmp_path / "in")
    answer = oras.push(
        f"{registry.host}/{repository}:v1",
        files=[str(tmp_path / "in" / name) for name in contents],
        disable_path_validation=True,
        manifest_annotations={"purpose": "test"},
        do_chunked=chunked,
        chunk_size=MIB // 2,
    )
    served = wire.manifest(registry, repository, "v1")
    assert answer.headers["docker-content-digest"] == served.digest
    assert served.document["annotations"] == {"purpose": "test"}
    assert set(contents.values()) <= set(wire.everything(registry, repository, "v1").values())

    pulled = oras.pull(f"{registry.host}/{repository}:v1", outdir=str(tmp_path / "out"))
    assert {Path(name).name: Path(name).read_bytes() for name in pulled} == contents
    by_digest = oras.get_manifest(f"{registry.host}/{repository}@{served.digest}")
    assert by_digest == served.document


def test_a_folder(oras: OrasClient, registry: Brokenreg, tmp_path: Path) -> None:
    contents = _files(tmp_path / "in")
    oras.push(f"{registry.host}/oras/folder:v1", files=[str(tmp_path / "in")], disable_path_validation=True)
    oras.pull(f"{registry.host}/oras/folder:v1", outdir=str(tmp_path / "out"))
    found = {path.name: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert found == contents


@pytest.mark.parametrize("chunked", [False, True], ids=["whole", "chunked"])
@pytest.mark.parametrize(
    ("fault", "is_pushed"),
    [
        ("upload-lost", False),
        ("upload-location_form-absolute", True),
        ("upload-location_form-query", True),
        ("upload-location_form-foreign", True),
        ("upload-location_form-missing", False),
        ("too-large_limit-100", False),
    ],
)
def test_push_through_faults(
    oras: OrasClient, registry: Brokenreg, tmp_path: Path, fault: str, is_pushed: bool, chunked: bool
) -> None:
    repository = f"oras/{fault.replace('_', '-')}-{chunked}".lower()
    content = tmp_path / "content"
    content.write_bytes(bytes(range(256)) * 100)
    with nullcontext() if is_pushed else pytest.raises(ValueError, match=r".+"):
        oras.push(
            f"{registry.host}/broken/with/{fault}/{repository}:v1",
            files=[str(content)],
            disable_path_validation=True,
            do_chunked=chunked,
            chunk_size=10_000,
        )
    if is_pushed:
        assert content.read_bytes() in wire.everything(registry, repository, "v1").values()
    else:
        assert httpx.get(f"{registry.url}/v2/{repository}/manifests/v1").status_code == 404


def test_tags(oras: OrasClient, registry: Brokenreg) -> None:
    for tag in ("a", "b", "c", "d"):
        wire.put(registry, "oras/tags", tag, layouts.image(f"oras-{tag}", layers=1))
    name = f"{registry.host}/oras/tags"
    assert oras.get_tags(name) == ["a", "b", "c", "d"]
    assert oras.get_tags(name, N=2) == ["a", "b"]
    assert oras.delete_tags(name, ["b"]) == ["b"]
    assert oras.get_tags(name) == ["a", "c", "d"]


def test_pages_of_referrers(oras: OrasClient, registry: Brokenreg) -> None:
    """The client goes from page to page by Link, as it does for tags."""
    subject = layouts.image("oras-many")
    digests = set()
    for number in range(5):
        manifest = {
            "schemaVersion": 2,
            "artifactType": _SIGNATURE,
            "subject": {"mediaType": layouts.OCI_MANIFEST, "digest": subject.digest, "size": 1},
            "annotations": {"large": f"{number}" * 1_500_000},
        }
        url = f"{registry.url}/v2/oras/many/manifests/v{number}"
        put = httpx.put(url, content=json.dumps(manifest))
        digests.add(put.headers["docker-content-digest"])
    pages: list[list[str]] = []

    def read(response: Any) -> bool:
        pages.append([each["digest"] for each in response.json()["manifests"]])
        return True

    url = f"{registry.url}/v2/oras/many/referrers/{subject.digest}?artifactType={_SIGNATURE}"
    oras._do_paginated_request(url, read)
    assert [len(page) for page in pages] == [2, 2, 1]
    assert {digest for page in pages for digest in page} == digests


def test_artifact_with_subject(oras: OrasClient, registry: Brokenreg, tmp_path: Path) -> None:
    """Attached to an image by its digest, it is listed among the image's referrers."""
    from oras.oci import Subject

    subject = layouts.image("oras-subject")
    wire.put(registry, "oras/subject", "v1", subject)
    assert _referrers(registry, "oras/subject", subject.digest) == []
    contents = _files(tmp_path / "in")
    answer = oras.push(
        f"{registry.host}/oras/subject:sbom",
        files=[f"{tmp_path}/in/{name}:{_SBOM}" for name in contents],
        manifest_annotations={"kind": "sbom"},
        subject=Subject(layouts.OCI_MANIFEST, subject.digest, len(subject.manifest.data)),
        disable_path_validation=True,
    )
    served = wire.manifest(registry, "oras/subject", "sbom")
    assert answer.headers["oci-subject"] == subject.digest
    assert answer.headers["docker-content-digest"] == served.digest
    (entry,) = _referrers(registry, "oras/subject", subject.digest)
    assert entry["digest"] == served.digest
    assert entry["size"] == len(served.body)
    assert entry["mediaType"] == layouts.OCI_MANIFEST
    assert entry["artifactType"] == served.document["config"]["mediaType"]
    assert entry["annotations"] == {"kind": "sbom"}

    pulled = oras.pull(f"{registry.host}/oras/subject@{entry['digest']}", outdir=str(tmp_path / "out"))
    assert {Path(name).name: Path(name).read_bytes() for name in pulled} == contents


def test_referrers_of_every_form(registry: Brokenreg) -> None:
    """Manifests, an index and an image may refer; to an image, an index, or what is not there yet."""
    subject = layouts.index("referrers")
    absent = layouts.image("referrers-absent")
    repository = "referrers/forms"
    empty = Blob("application/vnd.oci.empty.v1+json", b"{}")
    wire.put(registry, repository, "v1", subject)
    for target in (subject.manifest, subject.images[0].manifest, absent.manifest):
        artifacts = {
            _SBOM: _artifact(_SBOM, target, empty),
            _SIGNATURE: _artifact(_SIGNATURE, target, empty),
            layouts.OCI_CONFIG: layouts.image(f"referring-{target.hex}", subject=target).manifest,
            "application/vnd.example.set": _index_about(target),
        }
        for artifact in artifacts.values():
            answer = wire.put_manifest(registry, "broken/prepared", artifact.digest, artifact)
            assert answer.headers["oci-subject"] == target.digest

        listed = {entry["digest"]: entry for entry in _referrers(registry, "broken/prepared", target.digest)}
        assert set(listed) == {artifact.digest for artifact in artifacts.values()}
        for artifact_type, artifact in artifacts.items():
            entry = listed[artifact.digest]
            assert entry["artifactType"] == artifact_type
            assert (entry["mediaType"], entry["size"]) == (artifact.media_type, len(artifact.data))

        (only,) = _referrers(registry, "broken/prepared", target.digest, artifact_type=_SBOM)
        assert only["digest"] == artifacts[_SBOM].digest
        assert _referrers(registry, repository, target.digest) == []


def test_a_deleted_referrer(registry: Brokenreg) -> None:
    subject = layouts.image("referrers-gone", layers=1)
    artifact = _artifact(_SBOM, subject.manifest, Blob("application/vnd.oci.empty.v1+json", b"{}"))
    wire.put(registry, "broken/prepared", "subject", subject)
    wire.put_manifest(registry, "broken/prepared", artifact.digest, artifact)
    assert len(_referrers(registry, "broken/prepared", subject.digest)) == 1
    gone = httpx.delete(f"{registry.url}/v2/broken/prepared/manifests/{artifact.digest}")
    assert gone.status_code == 202
    assert _referrers(registry, "broken/prepared", subject.digest) == []


def _artifact(artifact_type: str, subject: Blob, empty: Blob) -> Blob:
    document = {
        "schemaVersion": 2,
        "mediaType": layouts.OCI_MANIFEST,
        "artifactType": artifact_type,
        "config": empty.descriptor(),
        "layers": [empty.descriptor()],
        "subject": subject.descriptor(),
    }
    return Blob(layouts.OCI_MANIFEST, layouts.compact(document))


def _index_about(subject: Blob) -> Blob:
    document = {
        "schemaVersion": 2,
        "mediaType": layouts.OCI_INDEX,
        "artifactType": "application/vnd.example.set",
        "manifests": [],
        "subject": subject.descriptor(),
    }
    return Blob(layouts.OCI_INDEX, layouts.compact(document))


def _referrers(
    registry: Brokenreg, repository: str, digest: str, *, artifact_type: str = ""
) -> list[dict[str, Any]]:
    query = {"artifactType": artifact_type} if artifact_type else {}
    answer = httpx.get(f"{registry.url}/v2/{repository}/referrers/{digest}", params=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == layouts.OCI_INDEX
    if artifact_type:
        assert answer.headers["oci-filters-applied"] == "artifactType"
    document = json.loads(answer.content)
    assert document["mediaType"] == layouts.OCI_INDEX
    return list(document["manifests"])
