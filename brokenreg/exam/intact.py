"""Whether the copy of an image that a client left has the bytes that its digests promise."""

from __future__ import annotations

import os
from collections.abc import Container, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from brokenreg.client.documents import Exchange
from brokenreg.exam.copies import (
    CopyError,
    Problem,
    problem_of_archive,
    problem_of_folder,
    problem_of_layout,
)
from brokenreg.exam.exchange_numbers import number_of
from brokenreg.exam.report import Verdict

_MOST_ENTRIES = 20_000
_NEAREST = 5


@dataclass(slots=True)
class Copies:
    """The copies that were found: how many are good, and what is wrong with the others."""

    good: int = 0
    bad: list[Problem] = field(default_factory=list)

    @property
    def problems(self) -> list[str]:
        """Return what is wrong, as text."""
        return [each.text for each in self.bad]

    def add(self, name: str, problem: Problem | None) -> None:
        if problem is None:
            self.good += 1
        else:
            self.bad.append(replace(problem, text=f"{name}: {problem.text}") if name != "." else problem)


def copies_in(workdir: Path, requested: Container[str] = ()) -> Copies:
    """Return what the OCI layouts, archives and `dir:` copies in a folder are like.

    `requested` are the digests that the client requested.
    """
    found = Copies()
    seen = 0
    for folder, folders, files in os.walk(workdir):
        seen += len(folders) + len(files)
        if seen > _MOST_ENTRIES:
            found.bad.append(Problem(f"more than {_MOST_ENTRIES} files: too many to verify"))
            return found
        here = Path(folder)
        try:
            if "oci-layout" in files or "index.json" in files:
                folders.clear()
                found.add(str(here.relative_to(workdir)), problem_of_layout(here, requested))
            elif "manifest.json" in files:
                with suppress(CopyError):
                    found.add(str(here.relative_to(workdir)), problem_of_folder(here, requested))
            else:
                for name in sorted(files):
                    _add_archive(found, workdir, here / name, requested)
        except OSError as error:
            found.bad.append(Problem(f"{error.filename}: {error.strerror}"))
    return found


def intact_verdict(
    workdir: Path,
    status: int | None,
    exchanges: Sequence[Exchange],
    with_wrong_bytes: Sequence[Exchange],
    *,
    may_fail: bool = False,
) -> Verdict:
    """Return whether a copy is there and intact, or whether the client seems to have accepted wrong bytes.

    `with_wrong_bytes` are the exchanges that delivered other bytes than their digest promises. If the client
    `may_fail` and did, it need not leave a copy, and what it left may be incomplete.
    """
    copies = copies_in(workdir, {each["reference"] for each in exchanges})
    never_good = _only_wrong(exchanges, with_wrong_bytes)
    has_failed = bool(status) and may_fail
    wrong = [each for each in copies.bad if not each.is_missing]
    is_suspected = False
    if copies.bad:
        shown = wrong or copies.bad
        got = "; ".join(each.text for each in shown[:3])
        got += ", because the client failed" if has_failed and not wrong else ""
    elif copies.good:
        got = f"{copies.good} intact" if copies.good > 1 else "intact"
    elif status == 0 and never_good:
        is_suspected = True
        got = (
            f"suspected: no copy in {{workdir}}, but the client exited with 0, and it got {never_good[0]} "
            "only with wrong bytes"
        )
    elif has_failed:
        got = "no copy, because the client failed"
    else:
        got = "no OCI layout, archive or dir: copy in {workdir}"
    is_met = not wrong if has_failed else bool(copies.good) and not copies.bad
    nearest = [] if is_met else _nearest(wrong or copies.bad, exchanges, with_wrong_bytes)
    want = "a copy in {workdir} whose bytes match their digests"
    return Verdict(
        name="the client's copy",
        kind="client-intact",
        wanted=want,
        got=got,
        met=is_met,
        is_suspected=is_suspected,
        nearest=tuple(nearest[-_NEAREST:]),
        has_wrong_bytes=bool(wrong),
        is_incomplete=bool(copies.bad) and not wrong,
    )


def _nearest(
    problems: Sequence[Problem], exchanges: Sequence[Exchange], with_wrong_bytes: Sequence[Exchange]
) -> list[int]:
    """Return the exchanges of the blobs that are a problem, or else those that delivered wrong bytes."""
    digests = {each.digest for each in problems if each.digest}
    if any(each.is_missing for each in problems):
        return [number_of(each) for each in exchanges if each["reference"] in digests]
    of_blobs = [number_of(each) for each in with_wrong_bytes if each["reference"] in digests]
    return of_blobs or [number_of(each) for each in with_wrong_bytes]


def _add_archive(found: Copies, workdir: Path, path: Path, requested: Container[str]) -> None:
    if path.is_symlink() or not path.is_file():
        return
    try:
        problem = problem_of_archive(path, requested)
    except CopyError:
        return  # something else than an archive of an image
    found.add(str(path.relative_to(workdir)), problem)


def _only_wrong(exchanges: Sequence[Exchange], with_wrong_bytes: Sequence[Exchange]) -> list[str]:
    """Return the digests that were delivered, but never with the bytes that they promise."""
    wrong = {number_of(each) for each in with_wrong_bytes}
    good = {
        each["reference"]
        for each in exchanges
        if number_of(each) not in wrong and each["status"] == 200 and each["ended"] == "complete"
    }
    return list(
        dict.fromkeys(each["reference"] for each in with_wrong_bytes if each["reference"] not in good)
    )
