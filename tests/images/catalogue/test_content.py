"""Files in layers that are odd."""

from __future__ import annotations

import io
import stat
import tarfile
import zlib
from collections.abc import Iterator

import pytest
import zstandard

from brokenreg.images.catalogue import CATALOGUE
from brokenreg.images.kind_descriptions import describe_image
from brokenreg.images.unpacked import Content
from brokenreg.oci.errors import OCIError
from tests.images.catalogue.reading import Reader, diff_id, image_of, members, read, without_fresh

KIB, MIB, GIB = 1024, 1024**2, 1024**3
_PIECE = 256 * KIB


def entries(image: Reader, layer: int = -1) -> list[tarfile.TarInfo]:
    """Return the entries of a layer of a valid image."""
    assert [diff_id(tar) for tar in image.tars()] == image.config["rootfs"]["diff_ids"]
    return without_fresh(image.tars()[layer])


@pytest.mark.parametrize("through", ["parent", "absolute", "symlink"])
def test_traversal(through: str) -> None:
    *before, file = entries(read(f"content-traversal_through-{through}"))
    folder, _, name = file.name.rpartition("/")
    assert folder == {"parent": "../" * 20 + "tmp", "absolute": "/tmp", "symlink": "link"}[through]
    assert name.startswith("brokenreg-escaped-")
    assert [(each.name, each.linkname) for each in before] == [("link", "/tmp")] * (through == "symlink")
    assert all(each.issym() for each in before)


@pytest.mark.parametrize(
    ("to", "target"), [("lower", "target.txt"), ("missing", "missing.txt"), ("itself", "link.txt")]
)
def test_hardlink(to: str, target: str) -> None:
    image = read(f"content-hardlink_to-{to}")
    (link,) = entries(image)
    assert (link.name, link.linkname, link.islnk()) == ("link.txt", target, True)
    assert [each.name for each in entries(image, 0)] == ["target.txt"]


@pytest.mark.parametrize("name", ["content-whiteout-and-file", "content-whiteout-opaque"])
@pytest.mark.parametrize("order", ["whiteout-first", "file-first"])
def test_whiteouts(name: str, order: str) -> None:
    image = read(f"{name}_order-{order}")
    assert [each.name for each in entries(image, 0)] == ["folder", "folder/file.txt", "folder/other.txt"]
    both = [each.name for each in entries(image)[1:]]
    expected = {
        "content-whiteout-and-file": ["folder/.wh.file.txt", "folder/file.txt"],
        "content-whiteout-opaque": ["folder/.wh..wh..opq", "folder/new.txt"],
    }[name]
    assert both == (expected if order == "whiteout-first" else expected[::-1])
    assert all(each.size == 0 for each in entries(image) if "/.wh." in each.name)


def test_whiteout_bare() -> None:
    image = read("content-whiteout-bare")
    assert [(each.name, each.size) for each in entries(image)[1:]] == [("folder/.wh.", 0)]


@pytest.mark.parametrize(("params", "device"), [("", (1, 3)), ("_major-0_minor-0", (0, 0))])
def test_device(params: str, device: tuple[int, int]) -> None:
    (entry,) = entries(read(f"content-device{params}"))
    assert entry.ischr()
    assert (entry.devmajor, entry.devminor) == device


def test_fifo() -> None:
    (entry,) = entries(read("content-fifo"))
    assert entry.isfifo()


def test_setuid() -> None:
    (entry,) = entries(read("content-setuid"))
    assert entry.mode & (stat.S_ISUID | stat.S_ISGID) == stat.S_ISUID | stat.S_ISGID
    assert (entry.isreg(), entry.uid) == (True, 0)


@pytest.mark.parametrize("size", [300, 402, 403, 404, 4096, 50_000])
def test_name_long(size: int) -> None:
    (entry,) = entries(read(f"content-name-long_size-{size}"))
    assert len(entry.name) == size
    assert all(0 < len(part) <= 255 for part in entry.name.split("/"))


def test_name_not_utf8() -> None:
    names = [each.name for each in entries(read("content-name-not-utf8"))]
    assert len(names) == 3
    for name in names:
        with pytest.raises(UnicodeEncodeError):
            name.encode()  # tarfile has a surrogate for each byte that is not UTF-8


def test_name_twice() -> None:
    first, second = entries(read("content-name-twice"))
    assert first.name == second.name == "file.txt"
    assert first.size != second.size


def test_name_control() -> None:
    names = "".join(each.name for each in entries(read("content-name-control")))
    assert {character for character in names if not character.isprintable()} == set("\x1b\n\u202e")


def test_name_case() -> None:
    names = [each.name for each in entries(read("content-name-case"))]
    assert len(set(names)) == 3
    assert {name.lower() for name in names} == {"readme"}


def blob_of(image: Reader) -> Content:
    """Return the content of the only layer."""
    (layer,) = image.root["layers"]
    (blob,) = (each for digest, each in image.image.blobs.items() if digest == layer["digest"])
    assert layer["size"] == blob.size
    return blob


def pieces(content: Content) -> Iterator[bytes]:
    for offset in range(0, content.size, _PIECE):
        yield content.read(offset, _PIECE)


def zeros_entry(tar: bytes) -> tarfile.TarInfo:
    """Return the second entry of a tar of which only the beginning is there."""
    with tarfile.open(fileobj=io.BytesIO(tar), mode="r|") as archive:
        assert archive.next() is not None
        entry = archive.next()
        assert entry is not None
        return entry


def test_bomb() -> None:
    blob = blob_of(read("content-bomb"))
    assert blob.size < 100 * MIB
    head = blob.read(0, 64 * KIB)
    assert zstandard.frame_content_size(head) > 1024 * GIB
    with zstandard.ZstdDecompressor(max_window_size=128 * KIB).stream_reader(head) as reader:
        entry = zeros_entry(reader.read(16 * KIB))
    assert (entry.name, entry.size) == ("zeros.bin", 1024 * GIB)
    (raw, _, first), *blocks = zstd_blocks(b"".join(pieces(blob)))
    assert raw == 0
    zeros = [(kind, times * size) for kind, times, size in blocks]
    assert {kind for kind, size in zeros if size} == {1}
    assert first + sum(size for _, size in zeros) == zstandard.frame_content_size(head)


def zstd_blocks(data: bytes) -> list[tuple[int, int, int]]:
    """Return the kind, the number and the unpacked size of blocks of a frame (RFC 8878, section 3.1.1.2)."""
    place, is_last, found = 4 + 1 + 1 + 8, False, []
    while not is_last:
        block = int.from_bytes(data[place : place + 3], "little")
        is_last, kind, size = bool(block & 1), block >> 1 & 3, block >> 3
        length = 3 + (size if kind == 0 else 1)
        times = len(data) // length if not is_last and kind == 1 and found else 1
        while data[place : place + times * length] != data[place : place + length] * times:
            times -= max(1, times // 64)
        place += times * length
        found.append((kind, times, size))
    assert place == len(data)
    return found


@pytest.mark.parametrize("name", ["content-bomb", "content-gzip-bomb"])
def test_a_small_bomb_is_a_valid_image(name: str) -> None:
    image = read(f"{name}_size-20mib")
    blob = blob_of(image)
    assert blob.size < 30 * KIB
    (entry,) = entries(image)
    assert (entry.name, entry.size) == ("zeros.bin", 20 * MIB)


def test_gzip_bomb() -> None:
    image = read("content-gzip-bomb")
    blob = blob_of(image)
    assert 1030 < 64 * GIB / blob.size < 1032
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
    assert zeros_entry(inflater.decompress(blob.read(0, _PIECE), 16 * KIB)).size == 64 * GIB
    while inflater.unconsumed_tail:  # 258 MiB of it are what they claim to be
        data = inflater.decompress(inflater.unconsumed_tail, MIB)
        assert data.count(0) == len(data)
    assert int.from_bytes(blob.read(blob.size - 4, 4), "little") == 7 * 512


@pytest.mark.parametrize("count", [1, 999, 1001, 12_345])
def test_many_files(count: int) -> None:
    image = read(f"content-many-files_files-{count}")
    found = entries(image)
    folder = found[0].name.partition("/")[0]
    assert [each.name for each in found] == [f"{folder}/{number:07}" for number in range(count)]
    assert {(each.size, each.isreg()) for each in found} == {(0, True)}


@pytest.mark.slow
def test_a_million_files() -> None:
    blob = blob_of(read("content-many-files"))
    names = set()
    for data in pieces(blob):
        for place in range(0, len(data), 512):
            if record := data[place : place + 512].strip(b"\0"):
                names.add(record[:30])
    assert len(names) == 1_000_000
    last = blob.read(blob.size - 1024 - 1000 * 512, 1000 * 512 + 1024)
    assert [each.name[-7:] for each in members(last)] == [
        f"{number:07}" for number in range(999_000, 1_000_000)
    ]


@pytest.mark.parametrize(("params", "size"), [("", GIB), ("_size-100mib", 100 * MIB)])
def test_sparse(params: str, size: int) -> None:
    image = read(f"content-sparse{params}")
    assert blob_of(image).size < 10 * KIB
    with tarfile.open(fileobj=io.BytesIO(image.tars()[0])) as archive:
        entry = archive.getmember("sparse.bin")
        assert entry.issparse()
        assert entry.size == size
        file = archive.extractfile(entry)
        assert file is not None
        data = file.read(4096)
        assert data[:512].strip(b"\0")
        assert data[512:] == bytes(4096 - 512)
        assert file.seek(0, io.SEEK_END) == size
    entries(image)


def test_pax_bomb() -> None:
    image = read("content-pax-bomb")
    assert blob_of(image).size < 100 * KIB
    tar = image.tars()[0]
    header = tarfile.TarInfo.frombuf(tar[1024:1536], "utf-8", "strict")
    assert header.type == tarfile.XHDTYPE
    assert header.size == 64 * MIB + len(b"67108882 comment=\n")
    assert tar.count(b"x") > 64 * MIB


@pytest.mark.parametrize("size", [1, 491, 492, 2 * MIB])
def test_pax_bomb_of_any_size(size: int) -> None:
    (entry,) = entries(read(f"content-pax-bomb_size-{size}"))
    assert entry.name == "file.txt"
    assert entry.pax_headers["comment"] == "x" * size


@pytest.mark.parametrize("name", ["content-bomb", "content-gzip-bomb"])
def test_the_diff_id_of_a_large_bomb_is_wrong_but_unique(name: str) -> None:
    first, second = read(name), Reader(image_of(f"{name}_seed-7"))
    ids = [each.config["rootfs"]["diff_ids"][0] for each in (first, second)]
    assert ids[0] != ids[1]


@pytest.mark.parametrize(
    ("tag", "words"),
    [
        ("content-bomb_size-9pib", 'size: invalid value "9pib": use 0 to 8TiB'),
        ("content-sparse_size-1kb", 'size: invalid value "1kb": use 1KiB to 1TiB'),
        ("content-gzip-bomb_size-x", 'size: invalid size "x"'),
    ],
)
def test_a_size_out_of_range(tag: str, words: str) -> None:
    with pytest.raises(OCIError, match="content-") as caught:
        image_of(tag)
    assert words in caught.value.message


def test_a_size_is_described_with_its_unit() -> None:
    (size, _) = describe_image(CATALOGUE["content-bomb"]).parameters
    assert (size.name, size.default) == ("size", "1TiB")
