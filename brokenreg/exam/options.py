"""What all runs of one command line have in common."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The command, and how to run it. `url` is that of a registry that others use, too, if there is one."""

    command: tuple[str, ...]
    timeout: float
    seed: int | None = None
    url: str | None = None
    token: str | None = None
    jobs: int = 1
    with_har: bool = False
    cleanup: tuple[str, ...] = ()
    """A command that removes what the client keeps, after each run; empty for no command."""

    with_details: bool = False
    """Whether a report has the details of exchanges."""

    @property
    def is_shared(self) -> bool:
        """Return whether others use the registry, too."""
        return self.url is not None

    @property
    def repeated(self) -> list[str]:
        """Return the options of a command line that repeats a run."""
        return ["--timeout", f"{self.timeout:g}s", *(["--url", self.url] if self.url is not None else [])]
