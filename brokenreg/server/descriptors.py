"""The limit on open files: each connection is one, and thousands may be held at once."""

from __future__ import annotations

import contextlib
import resource

_ENOUGH = 65_536


def allow_many_connections() -> None:
    """Raise our own limit as far as this process may, or as far as makes sense."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        # macOS says that there is no limit and refuses what is beyond its own.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
