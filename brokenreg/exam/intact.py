"""Whether the copy of an image that a client left has the bytes that its digests promise."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from brokenreg.client.documents import Exchange
from brokenreg.exam.copies import CopyError, problem_of_archive, problem_of_folder, problem_of_layout
from brokenreg.exam.report import Verdict

_MOST_ENTRIES = 20_000


@dataclass(slots=True)
class Copies:
    """The copies that were found: how many are good, and what is wrong with the others."""

    good: int = 0
    problems: list[str] = field(default_factory=list)

    def add(self, name: str, problem: str) -> None:
        if problem:
            self.problems.append(f"{name}: {problem}" if name != "." else problem)
        else:
            self.good += 1


def copies_in(workdir: Path) -> Copies:
    """Return what the OCI layouts, archives and `dir:` copies in a folder are like."""
    found = Copies()
    seen = 0
    for folder, folders, files in os.walk(workdir):
        seen += len(folders) + len(files)
        if seen > _MOST_ENTRIES:
            found.problems.append(f"more than {_MOST_ENTRIES} files: too many to verify")
            return found
        here = Path(folder)
        try:
            if "oci-layout" in files or "index.json" in files:
                folders.clear()
                found.add(str(here.relative_to(workdir)), problem_of_layout(here))
            elif "manifest.json" in files:
                with suppress(CopyError):
                    found.add(str(here.relative_to(workdir)), problem_of_folder(here))
            else:
                for name in sorted(files):
                    _add_archive(found, workdir, here / name)
        except OSError as error:
            found.problems.append(f"{error.filename}: {error.strerror}")
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
    `may_fail` and did, it need not leave a copy.
    """
    copies = copies_in(workdir)
    never_good = _only_wrong(exchanges, with_wrong_bytes)
    is_suspected = False
    if copies.problems:
        got = "; ".join(copies.problems[:3])
    elif copies.good:
        got = f"{copies.good} intact" if copies.good > 1 else "intact"
    elif status == 0 and never_good:
        is_suspected = True
        got = (
            f"suspected: no copy in {{workdir}}, but the client exited with 0, and it got {never_good[0]} "
            "only with wrong bytes"
        )
    elif status and may_fail:
        got = "no copy, because the client failed"
    else:
        got = "no OCI layout, archive or dir: copy in {workdir}"
    has_failed = bool(status) and may_fail
    is_met = (bool(copies.good) or has_failed) and not copies.problems
    nearest = [] if is_met else [each["id"] for each in with_wrong_bytes][-5:]
    want = "a copy in {workdir} whose bytes match their digests"
    return Verdict(
        name="the client's copy",
        kind="client-intact",
        wanted=want,
        got=got,
        met=is_met,
        is_suspected=is_suspected,
        nearest=tuple(nearest),
        has_wrong_bytes=bool(copies.problems),
    )


def _add_archive(found: Copies, workdir: Path, path: Path) -> None:
    if path.is_symlink() or not path.is_file():
        return
    try:
        problem = problem_of_archive(path)
    except CopyError:
        return  # something else than an archive of an image
    found.add(str(path.relative_to(workdir)), problem)


def _only_wrong(exchanges: Sequence[Exchange], with_wrong_bytes: Sequence[Exchange]) -> list[str]:
    """Return the digests that were delivered, but never with the bytes that they promise."""
    wrong = {each["id"] for each in with_wrong_bytes}
    good = {
        each["reference"]
        for each in exchanges
        if each["id"] not in wrong and each["status"] == 200 and each["ended"] == "complete"
    }
    return list(
        dict.fromkeys(each["reference"] for each in with_wrong_bytes if each["reference"] not in good)
    )
