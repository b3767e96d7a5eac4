"""Writing what somebody exports to a file: whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def save(name: str, text: str, *, overwrite: bool) -> None:
    """Write `text` to the file of that name (`~` is the home of the user), by way of a file beside it.

    Raise `FileExistsError` if something is there and `overwrite` is not wanted, `OSError` if it cannot be,
    `RuntimeError` if there is no such home.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        raise IsADirectoryError(21, "is a directory")
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        beside = Path(file.name)
        try:
            file.write(text.encode("utf-8", "backslashreplace"))
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
            if overwrite:
                beside.replace(path)
            else:
                os.link(beside, path)
        finally:
            beside.unlink(missing_ok=True)
