"""Layers: every range is a slice of the whole, which is a valid tar and gzip."""

from __future__ import annotations

import gzip
import hashlib
import io
import subprocess
import tarfile
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR
from hypothesis import given
from hypothesis import strategies as st

from brokenreg.images.framing import BLOCK, GzipFrame
from brokenreg.images.hashing import HashingCancelled, LayerSums, hash_layers
from brokenreg.images.layer import Layer, LayerTar, layer_size
from brokenreg.images.progress import Progress
from brokenreg.images.spec import ImageSpec, LayerRecipe

GIB = 1024**3
SIZES = sorted(
    {0, 1, 15, 16, 17, 511, 512, 513, 1024}
    | {BLOCK - 1536 + delta for delta in (-512, -1, 0, 1, 512)}
    | {BLOCK + delta for delta in (-1, 0, 1)}
    | {2 * BLOCK - 1536 + delta for delta in (-1, 0, 1)}
    | {16 * BLOCK - 1536, 16 * BLOCK - 1535, 1_300_000}
)
"""Sizes near the limits of tar records, deflate blocks and hashed slices."""


@pytest.fixture(scope="module")
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def sums_of(recipe: LayerRecipe, threads: ThreadPoolExecutor) -> LayerSums:
    return hash_layers([recipe], threads, Progress(ImageSpec(1, recipe.size)))[0]


def whole(recipe: LayerRecipe) -> tuple[bytes, Layer]:
    """Return a layer that is built independently in one piece, apart from the header of the tar."""
    key = hashlib.sha256(
        f"recipe=1;size={recipe.size};seed={recipe.seed};layer={recipe.number};salt={recipe.salt}".encode()
    ).digest()
    content = Cipher(AES256(key), CTR(bytes(16))).encryptor().update(bytes(recipe.size))
    head = bytearray(512)
    LayerTar(recipe).read_into(0, memoryview(head))
    tar = bytes(head) + content + bytes(-recipe.size % 512) + bytes(1024)
    stream = [b"\x1f\x8b\x08\0\0\0\0\0\0\xff"]
    for start in range(0, len(tar), 65_535):
        part = tar[start : start + 65_535]
        last = start + 65_535 >= len(tar)
        stream += [
            bytes([last]),
            len(part).to_bytes(2, "little"),
            (65_535 - len(part)).to_bytes(2, "little"),
            part,
        ]
    crc = zlib.crc32(tar)
    stream += [crc.to_bytes(4, "little"), (len(tar) % 2**32).to_bytes(4, "little")]
    return b"".join(stream), Layer(recipe, crc)


@pytest.mark.parametrize("size", SIZES)
def test_a_layer_is_a_valid_tar_gzip_and_its_sums_are_right(size: int, threads: ThreadPoolExecutor) -> None:
    recipe = LayerRecipe(size, seed=5, number=2)
    expected, layer = whole(recipe)
    stream = layer.read(0, layer.size + 1)
    assert stream == expected
    assert len(stream) == layer.size == layer_size(recipe)
    tar = gzip.decompress(stream)  # checks CRC-32 and ISIZE
    assert len(tar) == layer.tar_size
    sums = sums_of(recipe, threads)
    assert sums.crc32 == zlib.crc32(tar)
    assert sums.diff_id == f"sha256:{hashlib.sha256(tar).hexdigest()}"
    assert sums.digest == f"sha256:{hashlib.sha256(stream).hexdigest()}"
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        (member,) = archive.getmembers()
    assert (member.name, member.size, member.mode) == ("layer-2.bin", size, 0o644)
    assert (member.uid, member.gid, member.mtime) == (0, 0, 0)
    assert (member.uname, member.gname) == ("", "")


LAYERS = {size: whole(LayerRecipe(size, seed=-1, number=1, salt="s")) for size in SIZES}


@given(st.data())
def test_any_range_is_that_slice_of_the_whole(data: st.DataObject) -> None:
    expected, layer = LAYERS[data.draw(st.sampled_from(SIZES))]
    edges = st.sampled_from([0, 10, 15, 527, 10 + 65_540, 15 + 65_540, layer.size - 8, layer.size])
    near = st.builds(lambda edge, delta: max(0, edge + delta), edges, st.integers(-20, 20))
    offset = data.draw(near | st.integers(0, layer.size + 10))
    length = data.draw(st.integers(0, 20) | near | st.integers(0, layer.size + 10))
    assert layer.read(offset, length) == expected[offset : offset + length]


def test_odd_slices_in_a_row_give_the_whole() -> None:
    expected, layer = LAYERS[1_300_000]
    for step in (4097, 65_535, 65_540, 65_541, 1024 * 1024 + 7):
        assert b"".join(layer.read(at, step) for at in range(0, layer.size, step)) == expected


@pytest.mark.parametrize(("offset", "length"), [(-1, 5), (0, -1)])
def test_a_negative_range_is_an_error(offset: int, length: int) -> None:
    with pytest.raises(ValueError, match="no such range"):
        LAYERS[0][1].read(offset, length)


@pytest.mark.parametrize("size", [0, 1, 100_000])
def test_tar_unpacks_it(size: int, tmp_path: Path) -> None:
    recipe = LayerRecipe(size, seed=0, number=3, salt="a salt")
    stream, _ = whole(recipe)
    subprocess.run(["tar", "-xz", "-C", tmp_path], input=stream, check=True, capture_output=True)
    (file,) = tmp_path.iterdir()
    assert file.name.startswith("layer-3-")
    assert file.stat().st_size == size


def test_a_salt_tells_even_empty_layers_apart(threads: ThreadPoolExecutor) -> None:
    salted = [sums_of(LayerRecipe(0, 0, 1, salt), threads).digest for salt in ("", "a", "b")]
    assert len(set(salted)) == 3


@pytest.mark.parametrize("size", [8 * GIB - 1, 8 * GIB, 8 * GIB + 1, 100 * GIB + 77])
def test_huge_layers_are_framed_right_and_read_anywhere(size: int) -> None:
    recipe = LayerRecipe(size, seed=0, number=1)
    layer = Layer(recipe, crc32=0x01020304)
    head = memoryview(bytearray(4096))
    LayerTar(recipe).read_into(0, head)
    with tarfile.open(fileobj=io.BytesIO(head)) as archive:
        member = archive.next()
    assert member is not None
    assert (member.name, member.size) == ("layer-1.bin", size)
    assert member.offset_data == (512 if size < 8 * GIB else 1536)
    assert layer.tar_size == member.offset_data + -(-size // 512) * 512 + 1024
    check_sparsely(layer, member.offset_data, size)
    trailer = bytes([4, 3, 2, 1]) + (layer.tar_size % 2**32).to_bytes(4, "little")
    assert layer.read(layer.size - 8, 100) == trailer
    assert layer.read(layer.size, 1) == b""


def check_sparsely(layer: Layer, start: int, size: int) -> None:
    """Check content and headers of whole blocks around some offsets."""
    key = hashlib.sha256(f"recipe=1;size={size};seed=0;layer=1;salt=".encode()).digest()
    blocks = -(-layer.tar_size // BLOCK)
    for block in (1, 2**16, 2**17 - 1, blocks // 2, blocks - 2, blocks - 1):
        first = block * BLOCK - start
        counter, skip = divmod(first, 16)
        cipher = Cipher(AES256(key), CTR(counter.to_bytes(16, "big"))).encryptor()
        tar = (cipher.update(bytes(skip + BLOCK))[skip:])[: max(size - first, 0)].ljust(BLOCK, b"\0")
        tar = tar[: layer.tar_size - block * BLOCK]
        length = len(tar).to_bytes(2, "little")
        header = bytes([block == blocks - 1]) + length + bytes(0xFF - byte for byte in length)
        offset = 10 + block * (BLOCK + 5)
        assert layer.read(offset, 5 + len(tar)) == header + tar
        assert layer.read(offset + 3, len(tar) - 9) == (header + tar)[3:-11]


def test_a_range_across_the_whole_of_pax_head_and_content() -> None:
    layer = Layer(LayerRecipe(8 * GIB, 0, 1), 0)
    head = layer.read(0, 200_000)
    assert layer.read(10, 5) == GzipFrame(layer.tar_size).parts(0, memoryview(b""), 5)[0]
    assert b"size=8589934592\n" in head[:2000]
    for offset in range(500, 1600, 37):
        assert layer.read(offset, 1000) == head[offset : offset + 1000]


def test_hashing_ends_when_told(threads: ThreadPoolExecutor) -> None:
    progress = Progress(ImageSpec(1, 100 * GIB))
    progress.cancelled.set()
    with pytest.raises(HashingCancelled):
        hash_layers([LayerRecipe(100 * GIB, 0, 1)], threads, progress)
