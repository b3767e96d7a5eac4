"""Frames of HTTP/2 as bytes: files that are read piece by piece, and header blocks."""

from __future__ import annotations

import os
import tempfile

import pytest
from hpack import Decoder
from hyperframe.frame import DataFrame, Frame
from hypothesis import given
from hypothesis import strategies as st

from brokenreg.wire.http2_frames import FileFrames, header_block

CONTENT = bytes(range(256)) * 40


def _payloads(data: bytes) -> list[bytes]:
    found = []
    while data:
        frame, length = Frame.parse_frame_header(memoryview(data[:9]))
        assert isinstance(frame, DataFrame)
        assert (frame.stream_id, set(frame.flags)) == (7, set())
        found.append(data[9 : 9 + length])
        data = data[9 + length :]
    return found


@given(
    offset=st.integers(0, 5000),
    count=st.integers(1, 5000),
    frame_size=st.integers(1, 6000),
    read=st.lists(st.integers(1, 900), max_size=8),
    cached=st.booleans(),
)
def test_a_part_of_a_file_is_read_in_whatever_pieces_it_comes(
    offset: int, count: int, frame_size: int, read: list[int], cached: bool
) -> None:
    """The kernel may return less than was wanted, and no more than 1,024 buffers are read at a time."""
    preadv = os.preadv

    def some(descriptor: int, buffers: list[memoryview], at: int, flags: int = 0) -> int:
        if flags and not cached:
            raise BlockingIOError
        if not read:
            return preadv(descriptor, buffers, at)
        wanted, parts = read.pop(), []
        for buffer in buffers:
            parts.append(buffer[: max(0, wanted - sum(map(len, parts)))])
        return preadv(descriptor, parts, at)

    with tempfile.TemporaryFile() as file, pytest.MonkeyPatch.context() as patch:
        file.write(CONTENT)
        file.flush()
        patch.setattr(os, "preadv", some)
        part = FileFrames(file, offset, count, 7, frame_size)
        if not part.read_cached():
            part.read()
    payloads = _payloads(bytes(part.data))
    assert b"".join(payloads) == CONTENT[offset : offset + count]
    assert {len(each) for each in payloads[:-1]} <= {frame_size}


def test_a_file_that_is_shorter_is_an_error() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(CONTENT)
        file.flush()
        part = FileFrames(file, 0, len(CONTENT) + 1, 7, 16_384)
        assert not part.read_cached()
        with pytest.raises(OSError, match="shorter"):
            part.read()


def test_header_blocks_use_no_table() -> None:
    """So the same bytes are valid on every connection. Long values are encoded as well, but not kept."""
    headers = [(b"Content-Type", b" text/plain"), (b"keep-alive", b"x"), (b"x-long", b"y" * 5000)]
    for _ in range(2):
        decoded = list(Decoder().decode(header_block(201, headers)))
        assert decoded[:3] == [(":status", "201"), ("content-type", "text/plain"), ("x-long", "y" * 5000)]
        assert [name for name, _ in decoded[3:]] == ["date"]


def test_pseudo_header_fields_are_no_headers() -> None:
    with pytest.raises(ValueError, match=":path"):
        header_block(200, [(b":path", b"/")])
