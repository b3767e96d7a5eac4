"""Computed content, read with libraries that are not ours."""

from __future__ import annotations

import gzip
import io
import tarfile

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from brokenreg.images.computed import (
    Framed,
    Joined,
    Random,
    Repeated,
    gzip_stored,
    pieces_of,
    zstd_stored,
)
from brokenreg.images.image import Document
from brokenreg.images.tarball import SYMLINK, Entry, tar_of
from brokenreg.images.unpacked import Content

pieces = st.recursive(
    st.binary(max_size=20).map(Document)
    | st.builds(Repeated, st.binary(min_size=1, max_size=5), st.integers(0, 9))
    | st.builds(Random, st.text(max_size=3), st.integers(0, 40)),
    lambda inner: st.lists(inner, max_size=4).map(Joined),
    max_leaves=6,
)


def whole(content: Content) -> bytes:
    return b"".join(pieces_of(content))


@given(pieces, st.integers(0, 60), st.integers(0, 60))
def test_any_range_is_a_part_of_the_whole(content: Content, begin: int, length: int) -> None:
    data = content.read(0, content.size)
    assert len(data) == content.size
    assert content.read(begin, length) == data[begin : begin + length]


@given(pieces, st.integers(1, 7), st.integers(0, 200), st.integers(0, 200))
def test_frames(content: Content, block: int, begin: int, length: int) -> None:
    framed = Framed(content, b"<<", block, lambda length, last: b"%d%d" % (length, last), b">>>")
    data = content.read(0, content.size)
    cut = [data[place : place + block] for place in range(0, len(data), block)] or [b""]
    wanted = b"".join(b"%d%d%s" % (len(each), place == len(cut), each) for place, each in enumerate(cut, 1))
    wanted = b"<<" + wanted + b">>>"
    assert framed.size == len(wanted)
    assert framed.read(begin, length) == wanted[begin : begin + length]


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 131_072, 300_000])
def test_compressed_content_is_what_libraries_unpack(size: int) -> None:
    content = Random("x", size)
    assert gzip.decompress(whole(gzip_stored(content))) == whole(content)
    packed = whole(zstd_stored(content))
    assert zstandard.ZstdDecompressor().decompressobj().decompress(packed) == whole(content)


def test_a_wrong_range() -> None:
    with pytest.raises(ValueError, match="no such range"):
        Repeated(b"x", 3).read(-1, 2)


def test_tar() -> None:
    long = b"a" * 300
    tar = whole(
        tar_of(
            [
                Entry(b"file", b"content", mode=0o4755),
                Entry(long, Repeated(b"x", 1000)),
                Entry(b"link", kind=SYMLINK, link=long),
                Entry(b"\xff", b"", pax={"mtime": b"1.5"}),
            ]
        )
    )
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        first, second, third, fourth = archive.getmembers()
        assert (first.name, first.mode, first.size) == ("file", 0o4755, 7)
        content = archive.extractfile(second)
        assert content is not None
        assert (second.name, content.read()) == (long.decode(), b"x" * 1000)
        assert (third.name, third.linkname, third.issym()) == ("link", long.decode(), True)
        assert (fourth.name, fourth.mtime) == ("\udcff", 1.5)
