"""Reads the files of the fault `body` in a scenario file: `{type: body, file: page.html}`.

Only scenario files that are given on the command line can have them. A scenario that arrives over the control
API must not name files of this machine.
"""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from brokenreg.faults.catalogue.body.replacement import MAX_BODY
from brokenreg.rules.rule import FieldError
from brokenreg.wording import quoted


def read_body_files(document: Any, folder: Path) -> bool:
    """Put the content of files into the bodies of a scenario. Return whether it has any.

    Paths are relative to `folder`. Raise `FieldError` if a file cannot be read, is larger than 1 MiB, or is
    not a regular file.
    """
    bodies = list(_bodies(document))
    for field, fault in bodies:
        name = fault.pop("file")
        if not isinstance(name, str) or not name:
            raise FieldError((*field, "file"), "use the path of a file")
        fault.update(_content(folder / name, name, (*field, "file")))
    return bool(bodies)


def _bodies(document: Any) -> Iterator[tuple[tuple[str | int, ...], dict[str, Any]]]:
    """Yield each fault `body` that has a file, with its field in the document."""
    rules = document.get("rules") if isinstance(document, dict) else None
    for place, rule in enumerate(rules if isinstance(rules, list) else ()):
        faults = rule.get("fault") if isinstance(rule, dict) else None
        for number, fault in enumerate(faults if isinstance(faults, list) else [faults]):
            if isinstance(fault, dict) and fault.get("type") == "body" and "file" in fault:
                inner = (number,) if isinstance(faults, list) else ()
                yield ("rules", place, "fault", *inner), fault


def _content(path: Path, name: str, field: tuple[str | int, ...]) -> dict[str, str]:
    try:
        # Without O_NONBLOCK, opening a FIFO that has no writer would block.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise FieldError(field, f"{quoted(name)} is not a regular file")
            content = file.read(MAX_BODY + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise FieldError(field, f"{quoted(name)}: {reason}") from None
    if len(content) > MAX_BODY:
        raise FieldError(field, f"{quoted(name)} is too large: use at most {MAX_BODY} bytes")
    try:
        return {"text": content.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}
