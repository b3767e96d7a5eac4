"""Encoding of HTTP/2: DATA frames for files that are read in pieces, and header blocks."""

from __future__ import annotations

import asyncio
import os
import tempfile
from typing import IO

import pytest
from hpack import Decoder
from hyperframe.frame import DataFrame, Frame
from hypothesis import given
from hypothesis import strategies as st

from brokenreg.bulk.sendfile import read_part
from brokenreg.http.http2_frames import data_frames, header_block

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
def test_a_part_of_a_file_in_pieces_of_any_size(
    offset: int, count: int, frame_size: int, read: list[int], cached: bool
) -> None:
    """The kernel may return fewer bytes than requested, or have none in memory."""
    preadv, pread = os.preadv, os.pread

    def some(descriptor: int, buffers: list[memoryview], at: int, flags: int) -> int:
        if not cached:
            raise BlockingIOError
        return preadv(descriptor, [buffers[0][: read.pop() if read else None]], at)

    def some_by_thread(descriptor: int, size: int, at: int) -> bytes:
        return pread(descriptor, min(size, read.pop() if read else size), at)

    async def all_parts(file: IO[bytes]) -> bytes:
        frames, at = b"", 0
        while at < count:
            part = await read_part(file, offset + at, count - at)
            frames += data_frames(7, part, frame_size, end=False)
            at += len(part)
        return frames

    with tempfile.TemporaryFile() as file, pytest.MonkeyPatch.context() as patch:
        file.write(CONTENT)
        file.flush()
        patch.setattr(os, "preadv", some)
        patch.setattr(os, "pread", some_by_thread)
        payloads = _payloads(asyncio.run(all_parts(file)))
    assert b"".join(payloads) == CONTENT[offset : offset + count]
    assert max(map(len, payloads)) <= frame_size


async def test_a_file_that_is_shorter_is_an_error() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(CONTENT)
        file.flush()
        assert await read_part(file, 0, len(CONTENT) + 1) == CONTENT
        with pytest.raises(OSError, match="shorter"):
            await read_part(file, len(CONTENT), 1)


@given(st.binary(max_size=50), st.integers(1, 60), st.booleans())
def test_only_the_last_frame_ends_the_stream(data: bytes, frame_size: int, end: bool) -> None:
    content, ends, frames = b"", [], data_frames(7, memoryview(data), frame_size, end=end)
    while frames:
        frame, length = Frame.parse_frame_header(memoryview(frames[:9]))
        content += frames[9 : 9 + length]
        ends.append("END_STREAM" in frame.flags)
        frames = frames[9 + length :]
    assert content == data
    assert ends == [False] * (max(1, -(-len(data) // frame_size)) - 1) + [end]


def test_header_blocks_do_not_use_the_dynamic_table() -> None:
    """So the same bytes are valid on every connection. Long values are encoded as well, but not kept."""
    headers = [(b"Content-Type", b" text/plain"), (b"keep-alive", b"x"), (b"x-long", b"y" * 5000)]
    for _ in range(2):
        decoded = list(Decoder().decode(header_block(201, headers)))
        assert decoded[:3] == [(":status", "201"), ("content-type", "text/plain"), ("x-long", "y" * 5000)]
        assert [name for name, _ in decoded[3:]] == ["date"]


def test_pseudo_header_fields_are_refused_as_headers() -> None:
    with pytest.raises(ValueError, match=":path"):
        header_block(200, [(b":path", b"/")])
