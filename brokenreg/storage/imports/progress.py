"""What an import has done so far, and its result."""

from __future__ import annotations

from dataclasses import dataclass, field

from brokenreg.oci.sizes import format_size
from brokenreg.wording import counted


@dataclass(slots=True)
class Progress:
    """The current step. `total` is 0 while it is unknown. `sent` and `size` are in bytes."""

    step: str = ""
    done: int = 0
    total: int = 0
    sent: int = 0
    size: int = 0

    def begin(self, step: str, total: int = 0, size: int = 0) -> None:
        """Begin the next step."""
        self.step, self.done, self.total, self.sent, self.size = step, 0, total, 0, size

    def line(self) -> str:
        """Return the step as one line."""
        counts = f" {self.done} of {self.total}" if self.total else ""
        sizes = f", {format_size(self.sent)} of {format_size(self.size)}" if self.size else ""
        return f"{self.step}{counts}{sizes}"


@dataclass(slots=True)
class ContentCounts:
    """The number of things in a data folder, and how many of its blobs were sent. Sizes are in bytes."""

    repositories: int = 0
    manifests: int = 0
    tags: int = 0
    blobs: int = 0
    size: int = 0
    uploads: int = 0
    missing: int = 0
    """The number of blobs that repositories link to, but that are not stored."""
    sent: int = 0
    sent_size: int = 0
    was_finished: bool = False
    """Whether the data folder had been copied entirely before."""
    problems: list[str] = field(default_factory=list)
    """What could not be copied, because it is corrupt."""

    def line(self) -> str:
        """Return the numbers as one line."""
        return (
            f"{counted(self.repositories, 'repository', 'repositories')}, "
            f"{counted(self.manifests, 'manifest')}, {counted(self.tags, 'tag')}, "
            f"{counted(self.blobs, 'blob')} ({format_size(self.size)})"
        )
