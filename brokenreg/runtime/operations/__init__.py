"""The operations that change a running brokenreg. The control API and the panel change it only through them.

`Operations` is bound to a runtime and to what its holder may do. Each public method of it is one change. A
method that cannot be carried out raises `OperationError`, whose message says why in one line. If the holder
may only look, that is `ReadOnlyError`. To look, read the `Runtime` itself.
"""

from __future__ import annotations

from brokenreg.runtime.operations.access import Access, Change, RulesChange
from brokenreg.runtime.operations.blobs import BlobOperations, DeletedBlob
from brokenreg.runtime.operations.repositories import RepositoryOperations
from brokenreg.runtime.operations.resets import ResetOperations

__all__ = ["Access", "Change", "DeletedBlob", "Operations", "RulesChange"]


class Operations(BlobOperations, RepositoryOperations, ResetOperations):
    """Everything that can be changed in a running brokenreg, for a holder with `access`."""
