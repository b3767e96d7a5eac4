"""What the holder of operations may do, and the only way from an operation to the runtime."""

from __future__ import annotations

from enum import StrEnum

from brokenreg.runtime.errors import ReadOnlyError
from brokenreg.runtime.runtime import Runtime


class Access(StrEnum):
    """What a user may do with a running brokenreg."""

    FULL = "full"
    """Look at everything and change everything."""
    READ = "read"
    """Look at everything and change nothing."""


class Changes:
    """The base of all groups of operations. It gives the runtime only to holders with full access.

    An operation gets the runtime from `_runtime` and from nowhere else, so none can change it unchecked.
    """

    def __init__(self, runtime: Runtime, access: Access) -> None:
        self.__runtime = runtime
        self.__access = access

    @property
    def may_change(self) -> bool:
        """Return whether the holder may change anything. If not, every operation raises `ReadOnlyError`."""
        return self.__access is Access.FULL

    def require_change(self) -> None:
        """Raise `ReadOnlyError` if the holder may not change anything."""
        if not self.may_change:
            raise ReadOnlyError

    @property
    def _runtime(self) -> Runtime:
        """Return the runtime, in order to change it. Raise `ReadOnlyError`."""
        self.require_change()
        return self.__runtime
