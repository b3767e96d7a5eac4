"""Content that is mostly one byte, unpacked by other libraries."""

from __future__ import annotations

import gzip
import time
import zlib

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from brokenreg.images.runs import Run
from brokenreg.images.unpacked import Content


def whole(content: Content) -> bytes:
    return content.read(0, content.size)


runs = st.builds(
    Run,
    head=st.binary(max_size=300),
    byte=st.integers(0, 255),
    count=st.integers(1, 3000) | st.integers(131_000, 132_000),
    tail=st.binary(max_size=300),
)


@given(runs)
def test_both_formats_unpack_to_the_content(run: Run) -> None:
    data = whole(run.unpacked)
    assert data == run.head + bytes([run.byte]) * run.count + run.tail
    assert gzip.decompress(whole(run.gzip())) == data
    zstd = whole(run.zstd())
    assert zstandard.frame_content_size(zstd) == len(data)
    assert zstandard.ZstdDecompressor().decompress(zstd) == data
    assert run.checksum == zlib.crc32(data)


@pytest.mark.parametrize("byte", [0, 88, 255])
def test_the_rates(byte: int) -> None:
    run = Run(b"head", byte, 64 * 1024 * 1024, b"tail")
    assert 1030 < run.unpacked.size / run.gzip().size < 1032
    assert 32_000 < run.unpacked.size / run.zstd().size < 32_768
    assert gzip.decompress(whole(run.gzip())) == whole(run.unpacked)


def test_a_large_run_takes_no_time() -> None:
    began = time.process_time()
    run = Run(b"head", 0, 2**45, b"tail")
    assert run.gzip().size > 2**45 / 1032
    assert run.zstd().read(run.zstd().size - 4, 4) == b"tail"
    assert time.process_time() - began < 0.5
