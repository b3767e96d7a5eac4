"""The cases that need no file: a pull of each kind of odd image, without any other failure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from brokenreg.exam.outcomes import Outcome
from brokenreg.images.catalogue import CATALOGUE

PREFIX = "image-"
"""Their names are those of the kinds with this prefix, so that they are a family."""

_VALID = frozenset(
    {
        *("layer-none", "layer-twice", "layer-tar", "layer-zstd", "layer-zstd-chunked", "layer-estargz"),
        *("layer-gzip-members", "layer-tar-empty", "content-setuid", "index-many", "index-attestation"),
        *("content-name-case", "content-whiteout-opaque", "content-sparse", "content-many-files"),
    }
)
"""Kinds that a specification allows, and that occur: clients must pull them."""

_INVALID = frozenset({"layer-size", "index-empty"})
"""Kinds that no client should take for an image, however little it reads of it."""

_SIZES = {
    "content-bomb": "size-200mib",
    "content-gzip-bomb": "size-200mib",
    "content-many-files": "files-10000",
    "content-sparse": "size-100mib",
    "content-pax-bomb": "size-2mib",
    "index-many": "count-100",
}
"""Parameters of kinds that would fill a disk, or take too long, by default."""

_EITHER = (Outcome.RECOVERED, Outcome.FAILED_CLEANLY)


def documents(seed: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and the document of each case. `seed` is the placeholder for the seed of a run."""
    for name, kind in CATALOGUE.items():
        good, why = _judgement(name)
        yield (
            f"{PREFIX}{name}",
            {
                "summary": kind.summary(),
                "why": why,
                "sources": (kind.sources,),
                "good": good,
                "client": {"image": f"broken/image:{_tag(name)}_seed-{seed}"},
            },
        )


def _judgement(name: str) -> tuple[tuple[Outcome, ...], str]:
    """Return the good outcomes of a kind, and why it matters."""
    if name in _VALID:
        return (Outcome.RECOVERED,), "The image is valid, so a client must pull it."
    if name in _INVALID:
        return (Outcome.FAILED_CLEANLY,), "It contradicts itself, so a client should say what is wrong."
    return _EITHER, "A client pulls such an image or says what is wrong with it. It must not crash or hang."


def _tag(name: str) -> str:
    return "_".join(filter(None, (name, _SIZES.get(name, ""))))
