"""Hides secrets in the arguments of this process, which other users of the machine can list."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

_ARG_START, _ARG_END = 48, 49
"""The positions of the addresses of the arguments in `/proc/self/stat`, from 1 (proc(5))."""


def hide_arguments(secrets: Iterable[str]) -> None:
    """Replace secrets in the list of arguments that the system shows. Do nothing where there is no /proc."""
    given = [secret for secret in secrets if secret and any(secret in each for each in sys.orig_argv)]
    if not given:
        return
    import ctypes  # only for that, and it takes a while

    try:
        _, _, rest = Path("/proc/self/stat").read_text().rpartition(")")
    except OSError:
        return
    fields = rest.split()  # from the third
    start, end = (int(fields[position - 3]) for position in (_ARG_START, _ARG_END))
    if not start:  # the system does not report it
        return
    arguments = ctypes.string_at(start, end - start)
    for content in (secret.encode(errors="surrogateescape") for secret in given):
        place = arguments.find(content)
        while place >= 0:
            ctypes.memset(start + place, ord("*"), len(content))
            place = arguments.find(content, place + len(content))
