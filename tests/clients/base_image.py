"""A root file system with this machine's Python, /bin/sh and little else, as the base of an image."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

_PROGRAMS = ("sh", "mkdir", "chown", "cat", "id", "touch")
_SYSTEM_LIBRARIES = (
    "libgcc_s.so.1",
    "libstdc++.so.6",
    "librt.so.1",
    "libdl.so.2",
    "libpthread.so.0",
    "libutil.so.1",
)
"""What every Debian has beside its C library, and what wheels may expect (manylinux)."""

_LEFT_OUT = (
    "site-packages",
    "test",
    "tests",
    "idlelib",
    "tkinter",
    "lib2to3",
    "turtledemo",
    "__pycache__",
    "config-*",
)


def write_base(root: Path) -> None:
    """Write the file system into a new folder. Everything has the path that it has on this machine."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    library = Path(sysconfig.get_path("stdlib"))
    python = Path(sys.base_prefix, "bin", version)
    _copy_tree(library, root)
    extensions = [*library.glob("lib-dynload/*.so"), python, *map(Path, map(_program, _PROGRAMS))]
    for each in (python, *map(Path, map(_program, _PROGRAMS)), *_libraries(extensions)):
        _copy(each, root)
    system = Path(next(path for path in _libraries([python]) if path.name == "libc.so.6")).parent
    for name in _SYSTEM_LIBRARIES:
        if (system / name).exists():
            _copy(system / name, root)
    for folder in ("tmp", "run", "etc", "proc", "sys", "dev", "usr/bin"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)
    for name in ("bin", "lib", "lib64"):
        if Path("/", name).is_symlink() and not (root / name).exists():
            (root / name).symlink_to(Path("/", name).readlink())
    own = root / "usr/bin/python3"
    if not own.exists():
        own.symlink_to(python)


def _program(name: str) -> str:
    found = shutil.which(name, path="/usr/bin:/bin")
    assert found is not None, name
    return found


def _libraries(files: Iterable[Path]) -> set[Path]:
    listed = subprocess.run(["ldd", *map(str, files)], capture_output=True, text=True, check=False).stdout
    return {Path(path) for path in re.findall(r"(/\S+\.so\S*) \(0x", listed)}


def _copy(file: Path, root: Path) -> None:
    """Copy a file that /bin/.. may name, to where it really is on a merged-/usr system."""
    real_folder = file.parent.resolve()
    target = root / real_folder.relative_to("/") / file.name
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        shutil.copy2(file.resolve(), target)


def _copy_tree(folder: Path, root: Path) -> None:
    target = root / folder.resolve().relative_to("/")
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns(*_LEFT_OUT), dirs_exist_ok=True)
