"""Runs `brokenreg run` in a process of its own, and finds what it leaves."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.server import clean_environment

GET = (
    sys.executable,
    "-c",
    "import sys, urllib.request\nfor url in sys.argv[1:]:\n    print(urllib.request.urlopen(url).status)\n",
)
"""A client that gives up at the first error."""

MANIFEST = "{registry_url}/v2/{repository}/manifests/{tag}"


def environment(tmp_path: Path, **more: str) -> dict[str, str]:
    """The environment of a run whose temporary files are in a folder of the test."""
    (tmp_path / "tmp").mkdir(exist_ok=True)
    return clean_environment(TMPDIR=str(tmp_path / "tmp"), BROKENREG_OFFLINE="1", **more)


def start(tmp_path: Path, *arguments: str, **more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "brokenreg", "run", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(tmp_path, **more),
        cwd=tmp_path,
    )


def run(tmp_path: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run to the end, and check that nothing is left."""
    process = start(tmp_path, *arguments, **more)
    output, errors = process.communicate(timeout=60)
    assert_nothing_left(tmp_path)
    return subprocess.CompletedProcess(arguments, process.returncode, output, errors)


def assert_nothing_left(tmp_path: Path) -> None:
    """Neither a file nor a process (and so no port) of the run is there any more."""
    assert list((tmp_path / "tmp").iterdir()) == []
    assert list(_processes(f"TMPDIR={tmp_path / 'tmp'}")) == []


def _processes(variable: str) -> Iterator[str]:
    """Processes that were started with a variable, without those that have ended."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            started_with = (folder / "environ").read_bytes().split(b"\0")
            if os.fsencode(variable) in started_with:
                yield (folder / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
