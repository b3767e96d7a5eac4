"""Finds the scenario files that a command line names: files, profiles, folders and globs."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from pathlib import Path

from brokenreg.exam.errors import RunUsageError

_PROFILE = "profile:"
_SUFFIXES = (".yaml", ".yml")


def scenario_files(given: Sequence[Path]) -> list[Path]:
    """Return the files, with those of folders and globs by name. Raise `RunUsageError`."""
    return [file for each in given for file in _files(each)]


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        found = sorted(each for each in path.iterdir() if each.suffix in _SUFFIXES)
        if not found:
            raise RunUsageError(f'--scenario: no .yaml file in the folder "{path}"')
        yield from found
    elif _is_glob(path):
        found = [Path(each) for each in sorted(glob.glob(str(path)))]
        if not found:
            raise RunUsageError(f'--scenario: no file matches "{path}"')
        yield from found
    else:
        yield path


def _is_glob(path: Path) -> bool:
    """Return whether this is a pattern. A file whose name has such characters is a file."""
    text = str(path)
    return glob.has_magic(text) and not text.startswith(_PROFILE) and not path.exists()
