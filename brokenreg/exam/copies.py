"""Verifies copies of images: OCI layouts, oci-archive and docker-archive files, and `dir:` folders."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import tarfile
import zlib
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import OCIError
from brokenreg.wording import counted

_PIECE = 1 << 20
_MOST_DOCUMENT = 8 << 20
_MOST_MEMBERS = 20_000
_MOST_BYTES = 64 << 30
_MOST_DEPTH = 8
_GZIP = b"\x1f\x8b"

Opener = Callable[[str], IO[bytes] | None]
"""Opens a file of a copy by its name; None if it does not exist."""


class CopyError(ValueError):
    """This is no copy of an image."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a copy. `digest` is that of the blob, if it is about one."""

    text: str
    digest: str = ""
    is_missing: bool = False
    """Whether something is not there. Otherwise, what is there is wrong."""


def problem_of_layout(folder: Path, requested: Container[str] = ()) -> Problem | None:
    """Return what is wrong with an OCI layout (image-spec, "Image Layout"); None if it is intact.

    `requested` are the digests that the client requested. Of an index, one complete manifest is enough,
    because clients keep only their platform. A manifest that was requested must be complete, too.
    """
    names = (f"{each.parent.name}:{each.name}" for each in sorted(folder.glob("blobs/*/*")) if each.is_file())
    return _worst(_problems_of_layout(lambda name: _open(folder, name), names, requested))


def problem_of_folder(folder: Path, requested: Container[str] = ()) -> Problem | None:
    """Return what is wrong with a `dir:` copy of skopeo and podman, as in a layout; None if it is intact.

    Raise `CopyError` if no manifest names a blob: it is a file of something else.
    """
    manifests = [each.name for each in folder.iterdir() if each.name.endswith("manifest.json")]
    named = {name: _digests_in(_document(_open(folder, name))) for name in sorted(manifests)}
    if not any(named.values()):
        raise CopyError("manifest.json names no blob")
    digests = [each for digests in named.values() for each in digests]
    return _worst(_problems_of_folder(folder, digests, requested))


def problem_of_archive(path: Path, requested: Container[str] = ()) -> Problem | None:
    """Return what is wrong with an oci-archive (as in a layout) or a docker-archive.

    Raise `CopyError` if it is neither.
    """
    try:
        with tarfile.open(path) as archive:
            members = {each.name.removeprefix("./"): each for each in _members(archive)}

            def opened(name: str) -> IO[bytes] | None:
                member = members.get(name)
                return archive.extractfile(member) if member is not None else None

            if "index.json" in members and "oci-layout" in members:
                blobs = (each.split("/")[1:] for each in members if re.fullmatch(r"blobs/\w+/\w+", each))
                return _worst(_problems_of_layout(opened, (":".join(each) for each in blobs), requested))
            if "manifest.json" in members:
                return _worst(_problems_of_docker_archive(opened))
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        if path.suffix == ".tar":
            return Problem(f"not a complete archive ({error})", is_missing=True)
        raise CopyError(str(error)) from None
    raise CopyError("not an archive of an image")


def _worst(problems: Iterable[Problem]) -> Problem | None:
    """Return the first problem with what is there, or else the first thing that is missing."""
    missing = None
    for each in problems:
        if not each.is_missing:
            return each
        missing = missing or each
    return missing


def _members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    for number, each in enumerate(archive):
        if number >= _MOST_MEMBERS:
            raise tarfile.TarError("too many members")
        yield each


def _problems_of_folder(folder: Path, named: Iterable[str], requested: Container[str]) -> Iterator[Problem]:
    def opened(digest: str) -> IO[bytes] | None:
        algorithm, _, encoded = digest.partition(":")
        names = (encoded, f"{encoded}.manifest.json", f"{algorithm}-{encoded}")
        return next((found for each in names if (found := _open(folder, each)) is not None), None)

    for digest in named:
        if (blob := opened(digest)) is not None or not _is_digest(digest):
            yield from _problems_of_blob(blob, digest)
    tree = _Tree(opened, requested)
    yield from tree.missing_of(_document(_open(folder, "manifest.json")))


def _problems_of_layout(opened: Opener, blobs: Iterable[str], requested: Container[str]) -> Iterator[Problem]:
    for digest in blobs:
        yield from _problems_of_blob(opened(_blob(digest)), digest)
    index = opened("index.json")
    if index is None:
        yield Problem("index.json is missing", is_missing=True)
        return
    images = _descriptors(_document(index), "manifests")
    if not images:
        yield Problem("index.json names no image", is_missing=True)
    tree = _Tree(lambda digest: opened(_blob(digest)), requested)
    for each in images:
        yield from tree.missing(each)


@dataclass(slots=True)
class _Tree:
    """What is missing of what a manifest or an index names. Each digest is checked only once."""

    opened: Opener
    requested: Container[str]
    known: dict[str, list[Problem]] = field(default_factory=dict)

    def missing(self, digest: str, depth: int = 0) -> list[Problem]:
        if digest not in self.known and depth <= _MOST_DEPTH:
            self.known[digest] = []  # an index can name itself
            blob = self.opened(digest)
            self.known[digest] = (
                [_missing(digest)] if blob is None else self.missing_of(_document(blob), depth)
            )
        return self.known.get(digest, [])

    def missing_of(self, document: Any, depth: int = 0) -> list[Problem]:
        blobs = [*_descriptors(document, "config"), *_descriptors(document, "layers")]
        found = [_missing(each) for each in blobs if self._is_absent(each)]
        children = {each: self.missing(each, depth + 1) for each in _descriptors(document, "manifests")}
        for each, problems in children.items():
            found += problems if each in self.requested else []
        if children and all(children.values()):
            found += next(iter(children.values()))
        return found

    def _is_absent(self, digest: str) -> bool:
        blob = self.opened(digest)
        if blob is not None:
            blob.close()
        return blob is None


def _problems_of_docker_archive(opened: Opener) -> Iterator[Problem]:
    """Yield what is wrong: the configuration has its digest as name, and those of the unpacked layers."""
    images = _document(opened("manifest.json"), list)
    if not images or not all(isinstance(each, dict) for each in images):
        yield Problem("manifest.json names no image", is_missing=True)
        return
    for image in images:
        name = str(image.get("Config", ""))
        encoded = name.rpartition("/")[2].removesuffix(".json")
        yield from _problems_of_blob(opened(name), f"sha256:{encoded}")
        root = _document(opened(name)).get("rootfs")
        promised = _list(root.get("diff_ids")) if isinstance(root, dict) else []
        layers = _list(image.get("Layers"))
        if len(layers) != len(promised):
            text = f"{counted(len(layers), 'layer')}, but the configuration has {len(promised)}"
            yield Problem(text, is_missing=len(layers) < len(promised) or not promised)
        for layer, digest in zip(layers, promised, strict=False):
            yield from _problems_of_blob(_unpacked(opened(str(layer))), str(digest))


def _unpacked(blob: IO[bytes] | None) -> IO[bytes] | None:
    if blob is None:
        return None
    start = blob.read(2)
    blob.seek(0)
    return gzip.open(blob) if start == _GZIP else blob  # type: ignore[return-value]


def _problems_of_blob(blob: IO[bytes] | None, digest: str) -> Iterator[Problem]:
    if not _is_digest(digest):
        yield Problem(f"{digest[:200]} is not a digest")
        return
    promised = Digest.parse(digest)
    if blob is None:
        yield _missing(digest)
        return
    hasher, left = hashlib.new(promised.algorithm), _MOST_BYTES
    with blob:
        while left > 0 and (piece := blob.read(_PIECE)):
            hasher.update(piece)
            left -= len(piece)
    if Digest.from_hash(hasher) != promised:
        yield Problem(f"{digest} has other bytes ({hasher.hexdigest()[:12]}...)", digest)


def _is_digest(text: str) -> bool:
    try:
        Digest.parse(text)
    except OCIError:
        return False
    return True


def _missing(digest: str) -> Problem:
    return Problem(f"{digest} is missing", digest, is_missing=True)


def _digests_in(document: Any) -> list[str]:
    """Return the digests that an index or a manifest names; none for anything else."""
    return [each for name in ("config", "layers", "manifests") for each in _descriptors(document, name)]


def _descriptors(document: Any, name: str) -> list[str]:
    """Return the digests in a member of an index or a manifest."""
    value = document.get(name) if isinstance(document, dict) else None
    found = [value] if isinstance(value, dict) else _list(value)
    return [str(each["digest"]) for each in found if isinstance(each, dict) and "digest" in each]


def _document(blob: IO[bytes] | None, kind: type[Any] = dict) -> Any:
    """Return a JSON document, or an empty one for a blob that is not JSON or is too large."""
    if blob is None:
        return kind()
    with blob:
        content = blob.read(_MOST_DOCUMENT + 1)
    try:
        document = json.loads(content) if len(content) <= _MOST_DOCUMENT else None
    except (ValueError, RecursionError):
        document = None
    return document if isinstance(document, kind) else kind()


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _blob(digest: str) -> str:
    algorithm, _, encoded = digest.partition(":")
    return f"blobs/{algorithm}/{encoded}"


def _open(folder: Path, name: str) -> IO[bytes] | None:
    path = folder / name
    return path.open("rb") if ".." not in name and path.is_file() else None
