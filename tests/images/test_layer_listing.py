"""Listings of layers, compared with Python's tarfile, and hostile archives made by hand."""

from __future__ import annotations

import gzip
import io
import tarfile
import threading
import tracemalloc
import zlib

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from brokenreg.images.image import Document
from brokenreg.images.layer_listing import LayerListing, Limits
from brokenreg.images.tar_headers import Kind

MIB = 1024 * 1024
_KINDS = {
    tarfile.REGTYPE: Kind.FILE,
    tarfile.AREGTYPE: Kind.FILE,
    tarfile.DIRTYPE: Kind.DIRECTORY,
    tarfile.SYMTYPE: Kind.SYMLINK,
    tarfile.LNKTYPE: Kind.HARD_LINK,
    tarfile.CHRTYPE: Kind.CHARACTER_DEVICE,
    tarfile.FIFOTYPE: Kind.PIPE,
}


def listed(content: bytes, limits: Limits | None = None) -> LayerListing:
    listing = LayerListing(Document(content), limits or Limits())
    listing.run()
    assert listing.outcome
    return listing


def header(name: bytes, size: int = 0, kind: bytes = b"0", *, size_field: bytes | None = None) -> bytes:
    """Return a tar header with any fields."""
    field = size_field if size_field is not None else b"%011o\0" % size
    block = bytearray(512)
    block[:100] = name[:100].ljust(100, b"\0")
    block[100:108] = b"0000644\0"
    block[124:136] = field
    block[156:157] = kind
    block[257:265] = b"ustar\x0000"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


END = bytes(1024)

_names = st.text(
    st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1, max_size=60
).filter(lambda name: name not in (".", ".."))
_paths = st.lists(_names, min_size=1, max_size=6).map("/".join)
_members = st.builds(
    lambda name, kind, data, link, mode: (name, kind, data, link, mode),
    _paths,
    st.sampled_from(sorted(_KINDS)),
    st.binary(max_size=2000),
    _paths,
    st.integers(0, 0o7777),
)


def archive(members: list[tuple[str, bytes, bytes, str, int]], form: int) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=form, encoding="utf-8") as tar:
        for name, kind, data, link, mode in members:
            info = tarfile.TarInfo(name)
            info.type, info.mode = kind, mode
            if kind in (tarfile.REGTYPE, tarfile.AREGTYPE):
                info.size = len(data)
            if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
                info.linkname = link
            tar.addfile(info, io.BytesIO(data))
    return written.getvalue()


def _is_misread(member: tuple[str, bytes, bytes, str, int]) -> bool:
    """An old file with content whose name in the header, cut to 100 bytes, ends with a slash.

    tarfile takes it for a directory, and its content for the next header.
    """
    name, kind, data, _, _ = member
    return kind == tarfile.AREGTYPE and bool(data) and name.encode()[:100].endswith(b"/")


@settings(max_examples=150)
@given(
    st.lists(_members, max_size=8), st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]), st.booleans()
)
def test_a_listing_is_what_tarfile_reads(
    members: list[tuple[str, bytes, bytes, str, int]], form: int, is_packed: bool
) -> None:
    assume(not any(map(_is_misread, members)))
    content = archive(members, form)
    listing = listed(gzip.compress(content, 1) if is_packed else content)
    assert listing.is_whole
    with tarfile.open(fileobj=io.BytesIO(content), encoding="utf-8") as tar:
        expected = [
            (
                info.name.rstrip("/").encode(),
                _KINDS[info.type],
                info.size,
                info.mode,
                info.linkname.rstrip("/").encode() if info.issym() or info.islnk() else b"",
            )
            for info in tar
        ]
    found = [
        (entry.name.rstrip(b"/"), entry.kind, entry.size, entry.permissions, entry.link.rstrip(b"/"))
        for entry in listing.entries
    ]
    assert found == expected


@settings(max_examples=150)
@given(st.lists(_members, min_size=1, max_size=4), st.data(), st.booleans())
def test_damaged_archives_are_listed_as_far_as_they_go(
    members: list[tuple[str, bytes, bytes, str, int]], data: st.DataObject, is_packed: bool
) -> None:
    content = archive(members, tarfile.PAX_FORMAT)
    content = bytearray(gzip.compress(content, 1) if is_packed else content)
    for at, byte in data.draw(st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)))):
        content[at] = byte
    cut = bytes(content[: data.draw(st.integers(0, len(content)))])
    listing = listed(cut, Limits(seconds=5.0))
    assert len(listing.entries) <= len(content)


@given(st.binary(max_size=3000))
def test_anything_has_an_outcome(content: bytes) -> None:
    assert "\n" not in str(listed(content).outcome)


def test_whiteouts_hide_what_they_name() -> None:
    listing = listed(header(b"etc/.wh.passwd") + header(b"opt/.wh..wh..opq") + header(b"whole") + END)
    assert [entry.hides for entry in listing.entries] == [b"etc/passwd", b"opt/", None]
    assert [entry.is_opaque for entry in listing.entries] == [False, True, False]


def test_several_gzip_members_are_one_stream() -> None:
    content = header(b"a") + header(b"b") + END
    listing = listed(gzip.compress(content[:700]) + gzip.compress(content[700:]) + bytes(100))
    assert [entry.name for entry in listing.entries] == [b"a", b"b"]
    assert listing.is_whole


def test_names_are_kept_as_they_are_and_nothing_is_resolved() -> None:
    names = [
        b"../../etc/passwd",
        b"/etc/passwd",
        b"\x1b[31mred",
        b"a\nb",
        b"\xff\xfe",
        b"[bold]x[/]",
        b"same",
        b"same",
    ]
    listing = listed(b"".join(map(header, names)) + END)
    assert [entry.name for entry in listing.entries] == names


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the blob is empty"),
        (b"no tar at all", "cut off in a header"),
        (b"x" * 1024, "checksum"),
        (header(b"a"), "no end mark"),
        (header(b"a", 4096) + b"only this", "cut off: 4 KiB of 4 KiB"),
        (header(b"a", size_field=b"\x80" + b"\xff" * 11) + END, "cut off"),
        (header(b"a", size_field=b"\xff" * 12) + END, "negative size"),
        (header(b"a", size_field=b"not octal!!\0") + END, "a header has an invalid size"),
        (header(b"x", 2**33, b"L") + END, "a header has 8 GiB"),
        (header(b"x", 10, b"x") + b"99999 a=b\n".ljust(512, b"\0") + END, "pax header is malformed"),
        (
            header(b"x", 13, b"x") + b"13 size=-99 \n".ljust(512, b"\0") + END,
            "a pax header has an invalid size",
        ),
        (gzip.compress(header(b"a") * 100, mtime=0)[:-30], "gzip stream"),
        (gzip.compress(b"", mtime=0)[:12], "gzip stream is cut off"),
        (b"\x1f\x8bnot gzip at all", "damaged"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(content: bytes, said: str) -> None:
    listing = listed(content)
    assert not listing.is_whole
    assert said in str(listing.outcome), listing.outcome


def test_long_names_are_cut() -> None:
    name = b"n" * 9000
    listing = listed(
        header(b"x", len(name) + 1, b"L") + (name + b"\0").ljust(9216, b"\0") + header(b"short") + END
    )
    assert listing.entries[0].name == b"n" * 4096
    assert listing.entries[0].is_name_cut


@pytest.mark.slow
def test_a_million_entries_stop_at_the_bound_within_its_memory() -> None:
    packed = zlib.compressobj(1, zlib.DEFLATED, 31)
    block = b"".join(header(b"%07d" % number + b"n" * 90) for number in range(1000))
    content = b"".join(packed.compress(block) for _ in range(1000)) + packed.flush()
    tracemalloc.start()
    listing = listed(content, Limits(entries=20_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(listing.entries) == 20_000
    assert "the limit of 20,000 entries is reached" in str(listing.outcome)
    assert peak < 20 * MIB


def test_names_are_bounded_together() -> None:
    name = b"n" * 4000
    one = header(b"x", 4001, b"L") + (name + b"\0").ljust(4096, b"\0") + header(b"s")
    listing = listed(one * 300, Limits(names=MIB))
    assert "the names exceed 1 MiB" in str(listing.outcome)
    assert len(listing.entries) == MIB // 4000


def bomb(size: int) -> bytes:
    """Return a file with `size` zeros, compressed to a thousandth."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts = [packer.compress(header(b"bomb", size_field=b"\x80" + size.to_bytes(11, "big")))]
    parts += [packer.compress(bytes(8 * MIB)) for _ in range(size // (8 * MIB))]
    return b"".join([*parts, packer.flush()])


def test_a_bomb_is_not_unpacked_beyond_the_bound() -> None:
    content = bomb(256 * MIB)
    assert len(content) < MIB
    tracemalloc.start()
    listing = listed(content, Limits(unpacked=64 * MIB))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "the limit of 64 MiB unpacked is reached" in str(listing.outcome)
    assert listing.unpacked < 65 * MIB
    assert peak < 2 * MIB
    assert [entry.size for entry in listing.entries] == [256 * MIB]


def test_endless_headers_end_with_the_time() -> None:
    class Endless:
        size = 2**60

        def read(self, offset: int, length: int) -> bytes:
            return (pax * (length // len(pax) + 2))[offset % len(pax) :][:length]

    pax = header(b"x", 11, b"x") + b"11 path=ab\n".ljust(512, b"\0")
    ticks = iter(range(10_000_000))
    listing = LayerListing(Endless(), Limits(seconds=500.0), clock=lambda: float(next(ticks)))
    listing.run()
    assert "the limit of 500 s is reached" in str(listing.outcome)
    assert listing.entries == []


def test_stop_ends_the_thread() -> None:
    class Endless:
        size = 2**60

        def read(self, offset: int, length: int) -> bytes:
            reading.set()
            return (block * (length // 512 + 2))[offset % 512 :][:length]

    block = header(b"again")
    reading = threading.Event()
    listing = LayerListing(Endless(), Limits(entries=10**9))
    thread = threading.Thread(target=listing.run)
    thread.start()
    assert reading.wait(5)
    listing.stop()
    thread.join(5)
    assert not thread.is_alive()
    assert "the listing was closed" in str(listing.outcome)
