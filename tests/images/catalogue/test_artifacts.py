"""Artifacts, and what refers to images."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import struct
import tarfile
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from tests.images.catalogue.reading import Reader, members, read
from tests.server import brokenreg

MIB = 1024**2
EMPTY = {
    "mediaType": "application/vnd.oci.empty.v1+json",
    "digest": f"sha256:{hashlib.sha256(b'{}').hexdigest()}",
    "size": 2,
}
EXAMPLE_KEY = ec.EllipticCurvePublicNumbers(
    0x60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6,
    0x7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299,
    ec.SECP256R1(),
).public_key()
"""The public key of RFC 6979, section A.2.5."""


def only_layer(image: Reader, manifest: Any) -> bytes:
    """Return the only layer of an artifact, whose size is right."""
    (layer,) = manifest["layers"]
    data = image.blob(layer)
    assert len(data) == layer["size"]
    return data


def types(manifest: Any) -> list[str]:
    return [manifest["config"]["mediaType"], *(each["mediaType"] for each in manifest["layers"])]


def test_empty_config() -> None:
    image = read("artifact-empty-config")
    assert image.root["config"] == EMPTY
    assert image.config == {}
    assert image.root["artifactType"] == "application/vnd.example.artifact"
    assert len(only_layer(image, image.root)) == 100
    assert image.root["layers"][0]["annotations"] == {"org.opencontainers.image.title": "file.bin"}
    empty = read("artifact-empty-config_layer-empty").root
    assert empty["layers"] == [empty["config"]] == [EMPTY]


@pytest.mark.parametrize("what", ["both", "config", "layers"])
def test_unknown_types(what: str) -> None:
    image = read(f"artifact-unknown-types_types-{what}")
    config, layer = types(image.root)
    assert config.startswith("application/vnd.example.") == (what != "layers")
    assert layer.startswith("application/vnd.example.") == (what != "config")
    assert image.config["os"] == "linux"
    assert only_layer(image, image.root)


@pytest.mark.parametrize(("order", "place"), [("first", 0), ("last", 1)])
def test_layer_unknown(order: str, place: int) -> None:
    image = read(f"artifact-layer-unknown_order-{order}")
    assert [each["mediaType"] for each in image.root["layers"]].index("application/vnd.example.file") == place
    file, tar = image.layers()[place], image.tars()[1 - place]
    with pytest.raises(tarfile.ReadError):
        members(file)
    assert members(tar)
    digests = [f"sha256:{hashlib.sha256(each).hexdigest()}" for each in image.tars()]
    assert image.config["rootfs"]["diff_ids"] == digests


def test_layer_unknown_with_a_tar() -> None:
    image = read("artifact-layer-unknown_content-tar")
    assert image.root["layers"][1]["mediaType"] == "application/vnd.example.layer"
    assert [len(members(tar)) for tar in image.tars()] == [1, 1]


def test_artifact_manifest() -> None:
    image = read("artifact-manifest")
    kind = "application/vnd.oci.artifact.manifest.v1+json"
    assert image.root["mediaType"] == image.media_type(image.image.root) == kind
    assert image.root.keys() == {"mediaType", "artifactType", "blobs"}
    assert len(image.blob(image.root["blobs"][0])) == 100


def test_helm() -> None:
    image = read("artifact-helm")
    assert types(image.root) == [
        "application/vnd.cncf.helm.config.v1+json",
        "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
    ]
    files = {}
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(only_layer(image, image.root)))) as archive:
        for member in archive:
            file = archive.extractfile(member)
            assert file is not None
            files[member.name] = file.read()
    assert files.keys() == {
        f"brokenreg/{name}" for name in ("Chart.yaml", "values.yaml", "templates/configmap.yaml")
    }
    chart = yaml.safe_load(files["brokenreg/Chart.yaml"])
    assert chart == image.config
    assert (chart["apiVersion"], chart["version"]) == ("v2", "1.0.0")
    assert yaml.safe_load(files["brokenreg/values.yaml"]) == {"value": "1"}


def sections(module: bytes) -> list[tuple[int, bytes]]:
    """Return the sections of a WebAssembly module of less than 128 bytes."""
    assert module[:8] == b"\0asm\1\0\0\0"
    found, at = [], 8
    while at < len(module):
        number, size = module[at], module[at + 1]
        assert size < 128
        found.append((number, module[at + 2 : at + 2 + size]))
        at += 2 + size
    assert at == len(module)
    return found


def test_wasm() -> None:
    image = read("artifact-wasm")
    assert types(image.root) == ["application/vnd.wasm.config.v0+json", "application/wasm"]
    ((number, custom),) = sections(only_layer(image, image.root))
    assert (number, custom[1 : 1 + custom[0]]) == (0, b"brokenreg")
    assert (image.config["os"], image.config["architecture"]) == ("wasip1", "wasm")
    assert image.config["layerDigests"] == [image.root["layers"][0]["digest"]]


def test_wasm_as_an_image() -> None:
    image = read("artifact-wasm_form-image")
    assert (image.config["os"], image.config["architecture"]) == ("wasip1", "wasm")
    assert image.config["config"]["Entrypoint"] == ["/module.wasm"]
    with tarfile.open(fileobj=io.BytesIO(image.tars()[0])) as archive:
        file = archive.extractfile("module.wasm")
        assert file is not None
        assert sections(file.read())


@pytest.mark.parametrize("form", ["docker", "modelpack"])
def test_model(form: str) -> None:
    image = read(f"artifact-model_form-{form}")
    model, digest = only_layer(image, image.root), image.root["layers"][0]["digest"]
    magic, version, tensors, entries = struct.unpack_from("<4sIQQ", model)
    assert (magic, version, tensors, entries) == (b"GGUF", 3, 0, 2)
    found, at = {}, 24
    for _ in range(entries):
        key, at = text(model, at)
        assert struct.unpack_from("<I", model, at) == (8,)
        found[key], at = text(model, at + 4)
    assert at == len(model)
    assert found["general.architecture"] == "llama"
    if form == "docker":
        assert types(image.root) == [
            "application/vnd.docker.ai.model.config.v0.1+json",
            "application/vnd.docker.ai.gguf.v3",
        ]
        assert image.config["files"] == [{"diffID": digest, "type": "application/vnd.docker.ai.gguf.v3"}]
        assert image.config["config"]["size"] == str(len(model))
    else:
        assert image.root["artifactType"] == "application/vnd.cncf.model.manifest.v1+json"
        assert types(image.root) == [
            "application/vnd.cncf.model.config.v1+json",
            "application/vnd.cncf.model.weight.v1.raw",
        ]
        assert image.config["modelfs"] == {"type": "layers", "diffIds": [digest]}


def text(data: bytes, at: int) -> tuple[str, int]:
    """Return a text of GGUF and the position after it."""
    (length,) = struct.unpack_from("<Q", data, at)
    return data[at + 8 : at + 8 + length].decode(), at + 8 + length


def referrers(image: Reader) -> list[tuple[dict[str, Any], Any]]:
    """Return the descriptors and manifests of the referrers of the image to which the tag leads."""
    found = []
    for descriptor in image.image.referrers[image.image.root]:
        manifest = image.manifest(descriptor["digest"])
        assert manifest["subject"]["digest"] == image.image.root
        assert manifest["artifactType"] == descriptor["artifactType"]
        assert manifest.get("annotations") == descriptor.get("annotations")
        assert len(image.manifest_bytes(descriptor["digest"])) == descriptor["size"]
        found.append((descriptor, manifest))
    return found


@pytest.mark.parametrize("state", ["valid", "wrong"])
def test_cosign(state: str) -> None:
    image = read(f"artifact-cosign_signature-{state}")
    assert image.config["os"] == "linux"
    (_, signature), (_, attestation) = referrers(image)
    assert signature["artifactType"] == "application/vnd.dev.cosign.artifact.sig.v1+json"
    (layer,) = signature["layers"]
    assert layer["mediaType"] == "application/vnd.dev.cosign.simplesigning.v1+json"
    payload = image.blob(layer)
    verify(layer["annotations"]["dev.cosignproject.cosign/signature"], payload)
    digests = [json.loads(payload)["critical"]["image"]["docker-manifest-digest"]]
    assert attestation["artifactType"] == "application/vnd.dev.cosign.artifact.att.v1+json"
    assert types(attestation)[1] == "application/vnd.dsse.envelope.v1+json"
    envelope = json.loads(only_layer(image, attestation))
    kind, statement = envelope["payloadType"], base64.b64decode(envelope["payload"])
    verify(
        envelope["signatures"][0]["sig"], f"DSSEv1 {len(kind)} {kind} {len(statement)} ".encode() + statement
    )
    digests.append(f"sha256:{json.loads(statement)['subject'][0]['digest']['sha256']}")
    assert [each == image.image.root for each in digests] == [state == "valid"] * 2


def verify(signature: str, data: bytes) -> None:
    EXAMPLE_KEY.verify(base64.b64decode(signature), data, ec.ECDSA(SHA256()))
    with pytest.raises(InvalidSignature):
        EXAMPLE_KEY.verify(base64.b64decode(signature), data + b" ", ec.ECDSA(SHA256()))


def test_referrers() -> None:
    image = read("artifact-referrers")
    found = referrers(image)
    assert len({descriptor["digest"] for descriptor, _ in found}) == 5000
    assert all(len(manifest["annotations"]["brokenreg.text"]) == 700 for _, manifest in found)
    assert {manifest["artifactType"] for _, manifest in found} == {
        f"application/vnd.example.{n}" for n in range(10)
    }


async def test_referrers_are_listed_in_pages(http: httpx.AsyncClient) -> None:
    digest = (await http.head("/v2/broken/image/manifests/artifact-referrers")).headers[
        "docker-content-digest"
    ]
    url: str | None = f"/v2/broken/image/referrers/{digest}"
    sizes, found = [], []
    while url is not None:
        response = await http.get(url)
        assert response.status_code == 200
        sizes.append(len(response.content))
        found += response.json()["manifests"]
        url = response.links.get("next", {}).get("url")
    assert len(sizes) == 2
    assert max(sizes) <= 4 * MIB
    assert len({each["digest"] for each in found}) == len(found) == 5000
    last = await http.get(f"/v2/broken/image/manifests/{found[-1]['digest']}")
    assert last.json()["subject"]["digest"] == digest
    filtered = await http.get(f"/v2/broken/image/referrers/{digest}?artifactType=application/vnd.example.3")
    assert len(filtered.json()["manifests"]) == 500


def test_subject_missing() -> None:
    image = read("artifact-subject-missing")
    subject = image.root["subject"]["digest"]
    assert subject not in image.image.manifests
    assert len(only_layer(image, image.root)) == 100
    (referrer,) = image.image.referrers.values()
    assert [each["digest"] for each in referrer] == [image.image.root]


@pytest.mark.parametrize("name", ["artifact-cosign", "artifact-subject-missing"])
def test_referrers_are_known_after_a_restart(tmp_path: Path, name: str) -> None:
    (subject,) = read(name).image.referrers
    url = "/v2/broken/image"
    with brokenreg(tmp_path) as server:
        httpx.get(f"{server.url}{url}/manifests/{name}").raise_for_status()
        before = httpx.get(f"{server.url}{url}/referrers/{subject}").json()
    with brokenreg(tmp_path) as server:
        after = httpx.get(f"{server.url}{url}/referrers/{subject}").json()
        missing = httpx.get(f"{server.url}{url}/manifests/{subject}")
    assert after == before
    assert len(after["manifests"]) == len(read(name).image.referrers[subject])
    assert missing.status_code == (404 if name == "artifact-subject-missing" else 200)
