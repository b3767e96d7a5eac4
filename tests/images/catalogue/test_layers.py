"""Layers that are odd, apart from the files in them."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile
import zlib
from typing import Any

import pytest
import zstandard

from brokenreg.images.catalogue.layers.lazy import crc64
from tests.images.catalogue.reading import Reader, diff_id, members, read, unpacked, without_fresh

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
OCI = "application/vnd.oci.image.layer.v1.tar"


def diff_ids(image: Reader) -> list[str]:
    found: list[str] = image.config["rootfs"]["diff_ids"]
    return found


def assert_consistent(image: Reader) -> None:
    """Check that sizes and diff_ids are right."""
    assert [len(data) for data in image.layers()] == [each["size"] for each in image.root["layers"]]
    assert [diff_id(tar) for tar in image.tars()] == diff_ids(image)


@pytest.mark.parametrize(
    ("form", "member"), [("empty", {"layers": []}), ("null", {"layers": None}), ("absent", {})]
)
def test_none(form: str, member: dict[str, Any]) -> None:
    image = read(f"layer-none_form-{form}")
    assert {key: value for key, value in image.root.items() if key == "layers"} == member
    assert diff_ids(image) == []


@pytest.mark.parametrize("times", [2, 50])
def test_twice(times: int) -> None:
    image = read(f"layer-twice_times-{times}")
    digests = [each["digest"] for each in image.root["layers"]]
    assert len(digests) == times
    assert len(set(digests)) == 1
    assert_consistent(image)


@pytest.mark.parametrize("count", [128, 200])
def test_many(count: int) -> None:
    image = read(f"layers-many_count-{count}")
    assert len({each["digest"] for each in image.root["layers"]}) == count
    assert_consistent(image)


def test_zero_bytes() -> None:
    image = read("layer-zero-bytes")
    last = image.root["layers"][-1]
    assert (last["size"], last["mediaType"], image.blob(last)) == (0, f"{OCI}+gzip", b"")
    assert diff_ids(image)[-1] == diff_id(b"")


def test_tar_empty() -> None:
    image = read("layer-tar-empty")
    assert gzip.decompress(image.layers()[-1]) == bytes(1024)
    assert members(image.tars()[-1]) == []
    assert_consistent(image)


@pytest.mark.parametrize(
    ("name", "magic", "label"),
    [
        ("layer-tar", b"fresh-", OCI),
        ("layer-zstd", ZSTD, f"{OCI}+zstd"),
        ("layer-zstd-in-docker", ZSTD, "application/vnd.docker.image.rootfs.diff.tar.zstd"),
        ("layer-zstd-as-gzip", ZSTD, f"{OCI}+gzip"),
        ("layer-gzip-as-tar", GZIP, OCI),
        ("layer-tar-as-gzip", b"fresh-", f"{OCI}+gzip"),
    ],
)
def test_labels(name: str, magic: bytes, label: str) -> None:
    image = read(name)
    (layer,) = image.root["layers"]
    assert image.blob(layer).startswith(magic)
    assert layer["mediaType"] == label
    assert_consistent(image)
    (entry,) = members(image.tars()[0])
    assert entry.size == 64


def test_zstd_in_docker_has_the_media_types_of_docker() -> None:
    image = read("layer-zstd-in-docker")
    docker = "application/vnd.docker"
    assert image.root["mediaType"] == f"{docker}.distribution.manifest.v2+json"
    assert image.media_type(image.image.root) == image.root["mediaType"]
    assert image.root["config"]["mediaType"] == f"{docker}.container.image.v1+json"


def test_zstd_in_docker_with_a_manifest_of_oci() -> None:
    image = read("layer-zstd-in-docker_manifest-oci")
    assert image.root["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    assert image.media_type(image.image.root) == image.root["mediaType"]
    (layer,) = image.root["layers"]
    assert layer["mediaType"] == "application/vnd.docker.image.rootfs.diff.tar.zstd"
    assert image.blob(layer).startswith(ZSTD)
    assert_consistent(image)


def inflated(data: bytes) -> tuple[bytes, bytes, bool]:
    """Return what the first member of a gzip stream has, what follows it, and whether it is whole."""
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
    return inflater.decompress(data), inflater.unused_data, inflater.eof


@pytest.mark.parametrize("size", [1, 512, 65_536])
def test_gzip_trailing_zeros(size: int) -> None:
    image = read(f"layer-gzip-trailing_size-{size}")
    tar, rest, is_whole = inflated(image.layers()[0])
    assert (rest, is_whole) == (bytes(size), True)
    assert diff_ids(image) == [diff_id(tar)]


@pytest.mark.parametrize("size", [1, 512])
def test_gzip_trailing_junk(size: int) -> None:
    image = read(f"layer-gzip-trailing_after-junk_size-{size}")
    tar, rest, is_whole = inflated(image.layers()[0])
    assert (len(rest), is_whole) == (size, True)
    assert diff_ids(image) == [diff_id(tar)]
    with pytest.raises(gzip.BadGzipFile):
        gzip.decompress(image.layers()[0])


@pytest.mark.parametrize("count", [2, 3, 200])
def test_gzip_members(count: int) -> None:
    image = read(f"layer-gzip-members_members-{count}")
    rest, found = image.layers()[0], 0
    while rest:
        _, rest, is_whole = inflated(rest)
        assert is_whole
        found += 1
    assert found == count
    assert_consistent(image)
    assert [each.size for each in without_fresh(image.tars()[0])] == [10_000]


@pytest.mark.parametrize("missing", [1, 8, 500, 6000, 10_000])
def test_gzip_truncated(missing: int) -> None:
    image = read(f"layer-gzip-truncated_missing-{missing}")
    data = image.layers()[0]
    assert image.root["layers"][0]["size"] == len(data)
    with pytest.raises(EOFError):
        gzip.decompress(data)
    tar, _, is_whole = inflated(data)
    assert not is_whole
    assert (diff_ids(image) == [diff_id(tar)]) == (missing <= 8)
    if missing >= 6000:
        with pytest.raises(tarfile.ReadError):
            members(tar)
    else:
        assert without_fresh(tar)[0].size == 10_000


def test_gzip_wrong_crc() -> None:
    image = read("layer-gzip-wrong-crc")
    data = image.layers()[0]
    with pytest.raises(gzip.BadGzipFile, match="CRC"):
        gzip.decompress(data)
    tar = zlib.decompress(data[10:-8], wbits=-zlib.MAX_WBITS)
    assert diff_ids(image) == [diff_id(tar)]
    assert int.from_bytes(data[-4:], "little") == len(tar)


@pytest.mark.parametrize("blob", ["present", "absent"])
@pytest.mark.parametrize(
    ("manifest", "media_types"),
    [
        ("oci", [f"{OCI}+gzip", "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"]),
        (
            "docker",
            [
                "application/vnd.docker.image.rootfs.diff.tar.gzip",
                "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
            ],
        ),
    ],
)
def test_foreign(blob: str, manifest: str, media_types: list[str]) -> None:
    image = read(f"layer-foreign_blob-{blob}_manifest-{manifest}")
    _, foreign = image.root["layers"]
    assert [each["mediaType"] for each in image.root["layers"]] == media_types
    assert manifest in image.media_type(image.image.root)
    assert [url.startswith("http://127.0.0.1:1/") for url in foreign["urls"]] == [True]
    assert (foreign["digest"] in image.image.blobs) == (blob == "present")
    if blob == "present":
        assert_consistent(image)


@pytest.mark.parametrize(
    ("claim", "more"), [("larger", 1), ("smaller", -1), ("zero", None), ("negative", None), ("huge", None)]
)
def test_size(claim: str, more: int | None) -> None:
    image = read(f"layer-size_claim-{claim}")
    (layer,) = image.root["layers"]
    actual = len(image.blob(layer))
    expected = {"zero": 0, "negative": -1, "huge": 9_223_372_036_854_775_807}
    assert layer["size"] == (actual + more if more is not None else expected[claim])
    assert diff_ids(image) == [diff_id(image.tars()[0])]


def test_sha512() -> None:
    image = read("layer-sha512")
    for descriptor in (image.root["config"], *image.root["layers"]):
        assert descriptor["digest"] == f"sha512:{hashlib.sha512(image.blob(descriptor)).hexdigest()}"
    assert_consistent(image)


def content_of(tar: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        file = archive.extractfile(name)
        assert file is not None
        return file.read()


def assert_is_in_toc(tar: bytes, entry: dict[str, Any], data: bytes) -> None:
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert data == content_of(tar, entry["name"])
    assert (entry["type"], entry["size"], entry["digest"]) == ("reg", len(data), digest)


def test_estargz() -> None:
    image = read("layer-estargz")
    assert_consistent(image)
    (layer,) = image.root["layers"]
    data, tar = image.layers()[0], image.tars()[0]
    footer = data[-51:]
    assert inflated(footer) == (b"", b"", True)
    assert footer[:4] == b"\x1f\x8b\x08\x04"  # with an extra field
    assert (footer[10:12], footer[12:14], footer[14:16]) == (b"\x1a\0", b"SG", b"\x16\0")
    assert footer[32:38] == b"STARGZ"
    offset = int(footer[16:32], 16)
    toc_tar, rest, _ = inflated(data[offset:])
    assert rest == footer
    toc = content_of(toc_tar, "stargz.index.json")
    assert layer["annotations"]["containerd.io/snapshot/stargz/toc.digest"] == diff_id(toc)
    assert layer["annotations"]["io.containers.estargz.uncompressed-size"] == str(len(tar))
    entries = json.loads(toc)["entries"]
    names = [each.name for each in members(tar)]
    assert names == [*(each["name"] for each in entries), "stargz.index.json"]
    assert ".no.prefetch.landmark" in names
    for entry in entries:
        assert entry["chunkDigest"] == entry["digest"]
        assert_is_in_toc(tar, entry, inflated(data[entry["offset"] :])[0])


@pytest.mark.parametrize(("keys", "namespace"), [("new", "io.github.containers"), ("old", "io.containers")])
def test_zstd_chunked(keys: str, namespace: str) -> None:
    image = read(f"layer-zstd-chunked_keys-{keys}")
    assert_consistent(image)
    (layer,) = image.root["layers"]
    data, tar = image.layers()[0], image.tars()[0]
    notes = {
        key.removeprefix(f"{namespace}.zstd-chunked."): value for key, value in layer["annotations"].items()
    }
    numbers = [int.from_bytes(data[-64:][place : place + 8], "little") for place in range(0, 56, 8)]
    assert data[-72:-64] == b"\x50\x2a\x4d\x18\x40\0\0\0"  # a frame of 64 bytes that decoders skip
    assert data[-8:] == b"GNUlInUx"
    assert notes["manifest-position"] == ":".join(map(str, numbers[:4]))
    assert notes["tarsplit-position"] == ":".join(map(str, numbers[4:]))
    toc_offset, toc_packed, toc_size, kind, split_offset, split_packed, split_size = numbers
    packed = data[toc_offset : toc_offset + toc_packed]
    assert notes["manifest-checksum"] == diff_id(packed)
    toc = json.loads(unpacked(packed))
    assert (kind, toc["version"], len(unpacked(packed))) == (1, 1, toc_size)
    for entry in toc["entries"]:
        frame = data[entry["offset"] : entry["endOffset"]]
        assert_is_in_toc(tar, entry, zstandard.ZstdDecompressor().decompress(frame))
    packed = data[split_offset : split_offset + split_packed]
    assert toc["tarSplitDigest"] == diff_id(packed)
    assert len(unpacked(packed)) == split_size
    lines = [json.loads(line) for line in unpacked(packed).splitlines()]
    assert [each["position"] for each in lines] == list(range(len(lines)))
    parts = [
        content_of(tar, each["name"]) if each["type"] == 1 else base64.b64decode(each["payload"])
        for each in lines
    ]
    assert b"".join(parts) == tar


def test_crc64_is_that_of_iso_3309() -> None:
    assert crc64(b"123456789") == 0xB909_56C7_75A4_1001  # in the catalogue of CRCs: CRC-64/GO-ISO
