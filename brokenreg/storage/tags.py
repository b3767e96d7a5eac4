"""The tags of one repository, in order of name."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Collection, Iterable

from brokenreg.oci.digests import Digest

_FEW = 64
"""Maximum number of names that are removed one by one. For more, one pass over all names is faster."""


class SortedNames(list[str]):
    """Distinct names in order, so that the cost of a page does not depend on the number of names."""

    def put(self, name: str) -> None:
        """Add a name, which must not be present."""
        insort(self, name)

    def drop(self, name: str) -> None:
        """Remove a name, which must be present."""
        del self[bisect_left(self, name)]


class Tags(dict[str, Digest]):
    """The digest of each tag. Change it only with `point` and `drop`, which update `names`."""

    __slots__ = ("names",)

    def __init__(self) -> None:
        super().__init__()
        self.names = SortedNames()

    def copy(self) -> Tags:
        copied = Tags()
        copied.update(self)
        copied.names[:] = self.names
        return copied

    def point(self, tags: Iterable[str], digest: Digest) -> None:
        """Point tags at a manifest."""
        for tag in tags:
            if tag not in self:
                self.names.put(tag)
            self[tag] = digest

    def drop(self, tags: Collection[str]) -> None:
        """Remove the given tags that exist."""
        found = [tag for tag in tags if self.pop(tag, None) is not None]
        if len(found) <= _FEW:
            for tag in found:
                self.names.drop(tag)
        else:
            self.names[:] = [name for name in self.names if name in self]
