"""Manifests that are odd."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.images.catalogue.reading import Reader, diff_id, image_of, members, read, unpacked
from tests.proxy.upstreams import with_schema_1

MIB = 1024**2
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1"


def raw(tag: str) -> bytes:
    """Return the bytes of the manifest to which a tag leads, which have its digest."""
    image = image_of(tag)
    data = Reader(image).manifest_bytes(image.root)
    assert f"sha256:{hashlib.sha256(data).hexdigest()}" == image.root
    return data


def assert_valid(image: Reader, manifest: Any) -> None:
    """Check that the blobs of a manifest are there and fit each other."""
    layers = [image.blob(each) for each in manifest["layers"]]
    assert [len(each) for each in layers] == [
        int(each.get("size") or len(data)) for each, data in zip(manifest["layers"], layers, strict=True)
    ]
    config = json.loads(image.blob(manifest["config"]))
    assert config["rootfs"]["diff_ids"] == [diff_id(unpacked(each)) for each in layers]


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("absent", {}),
        ("null", {"mediaType": None}),
        ("empty", {"mediaType": ""}),
        ("unknown", {"mediaType": "application/vnd.example.unknown.v1+json"}),
        ("docker", {"mediaType": DOCKER_MANIFEST}),
        ("index", {"mediaType": OCI_INDEX}),
    ],
)
def test_media_type(form: str, expected: dict[str, Any]) -> None:
    image = read(f"manifest-media-type_form-{form}")
    assert {key: value for key, value in image.root.items() if key == "mediaType"} == expected
    assert image.media_type(image.image.root) == OCI_MANIFEST
    assert_valid(image, image.root)


@pytest.mark.parametrize(
    ("form", "sent"),
    [
        ("docker", DOCKER_MANIFEST),
        ("index", OCI_INDEX),
        ("json", "application/json"),
        ("text", "text/plain"),
        ("octets", "application/octet-stream"),
        ("charset", f"{OCI_MANIFEST}; charset=utf-8"),
    ],
)
def test_content_type(form: str, sent: str) -> None:
    image = read(f"manifest-content-type_form-{form}")
    assert image.media_type(image.image.root) == sent
    assert image.root["mediaType"] == OCI_MANIFEST
    assert_valid(image, image.root)


@pytest.mark.parametrize(
    ("form", "value"),
    [("3", 3), ("1", 1), ("absent", "absent"), ("null", None), ("text", "2"), ("fraction", 2.5)],
)
def test_schema_version(form: str, value: Any) -> None:
    image = read(f"manifest-schema-version_form-{form}")
    assert image.root.get("schemaVersion", "absent") == value
    assert_valid(image, image.root)


def verified_payload(data: bytes) -> bytes:
    """Verify a signature as libtrust does, and return what is signed. Raise `InvalidSignature`."""
    (block,) = json.loads(data)["signatures"]
    jwk = block["header"]["jwk"]
    x, y = (int.from_bytes(from_base64(jwk[name])) for name in ("x", "y"))
    key = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    letters = base64.b32encode(hashlib.sha256(der).digest()[:30]).decode()
    assert jwk["kid"].replace(":", "") == letters
    assert [len(group) for group in jwk["kid"].split(":")] == [4] * 12
    protected = json.loads(from_base64(block["protected"]))
    payload = data[: protected["formatLength"]] + from_base64(protected["formatTail"])
    signed = f"{block['protected']}.{base64.urlsafe_b64encode(payload).decode().rstrip('=')}".encode()
    numbers = from_base64(block["signature"])
    signature = utils.encode_dss_signature(int.from_bytes(numbers[:32]), int.from_bytes(numbers[32:]))
    key.verify(signature, signed, ec.ECDSA(SHA256()))
    return payload


def from_base64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def assert_schema_1(image: Reader, document: Any) -> None:
    assert (document["schemaVersion"], document["name"]) == (1, "broken/image")
    history = [json.loads(each["v1Compatibility"]) for each in document["history"]]
    assert [each.get("parent") for each in history] == [history[1]["id"], None]
    layers = [image.blob({"digest": each["blobSum"]}) for each in document["fsLayers"]]
    assert len(layers) == len(history)
    assert all(members(unpacked(each)) for each in layers)


def test_schema_1_signed() -> None:
    image = read("manifest-schema1")
    data = image.manifest_bytes(image.image.root)
    payload = verified_payload(data)
    assert f"sha256:{hashlib.sha256(payload).hexdigest()}" == image.image.root
    document = json.loads(data)
    del document["signatures"]
    assert json.loads(payload) == document
    assert document["tag"] == "manifest-schema1"
    assert_schema_1(image, document)
    assert image.media_type(image.image.root) == f"{SCHEMA_1}+prettyjws"


def test_schema_1_tampered() -> None:
    image = read("manifest-schema1_form-tampered")
    with pytest.raises(InvalidSignature):
        verified_payload(image.manifest_bytes(image.image.root))
    assert image.root["tag"] != "manifest-schema1_form-tampered"
    assert_schema_1(image, image.root)


def test_schema_1_unsigned() -> None:
    raw("manifest-schema1_form-unsigned")
    image = read("manifest-schema1_form-unsigned")
    assert "signatures" not in image.root
    assert_schema_1(image, image.root)
    assert image.media_type(image.image.root) == f"{SCHEMA_1}+json"


@pytest.mark.parametrize(
    ("form", "status", "words"),
    [
        ("signed", 201, ""),
        ("tampered", 400, "manifest failed signature verification"),
        ("unsigned", 400, "manifest invalid"),
    ],
)
def test_docker_registry_verifies_schema_1(tmp_path: Path, form: str, status: int, words: str) -> None:
    image = read(f"manifest-schema1_form-{form}")
    root = image.image.root
    with with_schema_1(tmp_path) as registry, httpx.Client(base_url=registry.url, trust_env=False) as http:
        for layer in image.root["fsLayers"]:
            digest = layer["blobSum"]
            upload = http.post("/v2/broken/image/blobs/uploads/").headers["location"]
            http.put(
                httpx.URL(upload).copy_add_param("digest", digest), content=image.blob({"digest": digest})
            )
        response = http.put(
            f"/v2/broken/image/manifests/{image.root['tag']}",
            content=image.manifest_bytes(root),
            headers={"content-type": image.media_type(root)},
        )
    assert response.status_code == status
    assert words in response.text
    if status == 201:
        assert response.headers["docker-content-digest"] == root


@pytest.mark.parametrize("size", [4096, 4 * MIB, 5 * MIB, 8 * MIB])
def test_large(size: int) -> None:
    assert len(raw(f"manifest-large_size-{size}")) == size
    image = read(f"manifest-large_size-{size}")
    assert_valid(image, image.root)


@pytest.mark.parametrize("depth", [1, 10_001, 1_000_000])
def test_deep(depth: int) -> None:
    tag = f"manifest-deep_depth-{depth}"
    before, found, after = raw(tag).partition(b"[" * depth + b"]" * depth)
    assert found
    document = json.loads(before + b"0" + after)
    assert document["nested"] == 0
    assert_valid(read(tag), document)
    assert image_of(tag).configs == {document["config"]["digest"]}


@pytest.mark.parametrize("form", ["text", "html", "truncated", "trailing"])
def test_not_json(form: str) -> None:
    data = raw(f"manifest-not-json_form-{form}")
    with pytest.raises(json.JSONDecodeError):
        json.loads(data)
    if form == "html":
        assert data.startswith(b"<!DOCTYPE html>")
    if form == "trailing":
        assert_valid(read("manifest-not-json_form-trailing"), json.loads(data[:-2]))


def test_a_list_instead_of_an_object() -> None:
    (document,) = json.loads(raw("manifest-not-json_form-list"))
    assert_valid(read("manifest-not-json_form-list"), document)


def test_encoding() -> None:
    bom, utf16, latin1, surrogate = (
        raw(f"manifest-encoding_form-{form}") for form in ("bom", "utf-16", "latin-1", "surrogate")
    )
    assert bom[:3] == b"\xef\xbb\xbf"
    assert utf16[:2] == b"\xff\xfe"
    with pytest.raises(UnicodeDecodeError):
        latin1.decode("utf-8")
    texts = {
        "bom": bom.decode("utf-8-sig"),
        "utf-16": utf16.decode("utf-16"),
        "latin-1": latin1.decode("latin-1"),
        "surrogate": surrogate.decode("ascii"),
    }
    for form, text in texts.items():
        assert_valid(read(f"manifest-encoding_form-{form}"), json.loads(text))
    assert json.loads(texts["latin-1"])["annotations"] == {"brokenreg.cafe": "caf\xe9"}
    assert json.loads(texts["surrogate"])["annotations"] == {"brokenreg.cafe": "caf\ud83d"}


@pytest.mark.parametrize(("form", "keys"), [("same", ["config", "layers"]), ("case", ["Config", "Layers"])])
def test_duplicate_keys(form: str, keys: list[str]) -> None:
    tag = f"manifest-duplicate-keys_form-{form}"
    found: list[tuple[str, Any]] = json.loads(raw(tag), object_pairs_hook=lambda pairs: pairs)
    assert [key for key, _ in found] == ["schemaVersion", "mediaType", "config", "layers", *keys]
    values = [value for _, value in found]
    images = [
        {"config": dict(config), "layers": [dict(each) for each in layers]}
        for config, layers in (values[2:4], values[4:6])
    ]
    assert images[0]["config"] != images[1]["config"]
    assert images[0]["layers"] != images[1]["layers"]
    for image in images:
        assert_valid(read(tag), image)


@pytest.mark.parametrize(
    ("form", "value"), [("number", 1), ("boolean", True), ("null", None), ("object", {"key": "value"})]
)
def test_annotations(form: str, value: Any) -> None:
    image = read(f"manifest-annotations_form-{form}")
    (found,) = image.root["annotations"].values()
    assert found == value
    assert type(found) is type(value)
    assert_valid(image, image.root)


def test_annotations_as_a_list() -> None:
    assert read("manifest-annotations_form-list").root["annotations"] == ["annotation"]


@pytest.mark.parametrize(
    ("form", "written"),
    [("fraction", "%d.0"), ("exponent", "%de0"), ("text", '"%d"'), ("null", "null"), ("absent", None)],
)
def test_size_format(form: str, written: str | None) -> None:
    tag = f"manifest-size-format_form-{form}"
    image = read(tag)
    (layer,) = image.root["layers"]
    end = (
        ""
        if written is None
        else f',"size":{written % len(image.blob(layer)) if "%" in written else written}'
    )
    assert raw(tag).endswith(f'"digest":"{layer["digest"]}"{end}}}]}}'.encode())
    assert not isinstance(layer.get("size"), int)
    assert_valid(image, image.root)


@pytest.mark.parametrize("form", ["upper", "short", "algorithm", "bare", "traversal"])
def test_digest(form: str) -> None:
    image = read(f"manifest-digest_form-{form}")
    lower, upper = image.root["layers"]
    image.blob(lower)
    (stored,) = image.image.blobs.keys() - {lower["digest"], image.root["config"]["digest"]}
    encoded = str(stored).removeprefix("sha256:")
    found = upper["digest"]
    expected = {
        "upper": f"sha256:{encoded.upper()}",
        "short": f"sha256:{encoded[:32]}",
        "algorithm": f"example:{encoded}",
        "bare": encoded,
    }
    if form == "traversal":
        assert found.startswith("sha256:../../../../../../../../tmp/brokenreg-escaped-")
    else:
        assert found == expected[form]


@pytest.mark.parametrize("blob", ["layer", "config"])
def test_missing_blob(blob: str) -> None:
    image = read(f"manifest-missing-blob_blob-{blob}")
    *others, missing = [image.root["config"], *image.root["layers"]][:: -1 if blob == "config" else 1]
    assert missing["digest"] not in image.image.blobs
    assert len(others) == len(image.root["layers"])
    assert [len(image.blob(each)) for each in others] == [each["size"] for each in others]
