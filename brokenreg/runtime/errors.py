"""The errors of operations. Each message says in one line why nothing was changed.

The control API returns them as problem+json, and the panel shows the message.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum

from brokenreg.gate.edits import HeadError
from brokenreg.gate.passage import NotHeldError
from brokenreg.oci.errors import OCIError
from brokenreg.rules.rule import FieldError
from brokenreg.rules.scenario import ScenarioError
from brokenreg.storage.errors import DatabaseUnreachableError, StorageError
from brokenreg.wording import listed

_NAME_SHOWN = 200


class OperationError(Exception):
    """An operation was not carried out."""


class Kind(StrEnum):
    """The kinds of items that operations work on."""

    BLOB = "blob"
    CACHED_BLOB = "cached blob"
    MANIFEST = "manifest"
    TAG = "tag"
    REPOSITORY = "repository"
    RULE = "rule"
    EXCHANGE = "exchange"
    BREAKPOINT = "breakpoint"


class NotFoundError(OperationError):
    """The item does not exist in `place`; `reason` says why, if known."""

    def __init__(self, kind: Kind, name: str | int, reason: str = "", *, place: str = "") -> None:
        self.kind = kind
        self.reason = reason
        missing = f'no {kind} "{str(name)[:_NAME_SHOWN]}"'
        if place:
            missing = f"{missing} in {place[:_NAME_SHOWN]}"
        super().__init__(f"{missing}: {reason}" if reason else missing)


class RefusedError(OperationError):
    """The item exists, but its state does not allow the operation."""


class UnacknowledgedError(OperationError):
    """The change was made, but some replicas did not acknowledge it in time."""

    def __init__(self, replicas: Sequence[str]) -> None:
        super().__init__(
            f"the change was made, but {listed(replicas).replace(' or ', ' and ')} did not acknowledge it "
            "within 2 s: requests to other replicas may still be served without it"
        )


class InvalidError(OperationError):
    """A value is invalid. `problem` says why, `field` says where, and the message says both."""

    def __init__(self, message: str, field: str | None = None, problem: str = "") -> None:
        super().__init__(message)
        self.field = field
        self.problem = problem or message


class ReadOnlyError(OperationError):
    """The user may only look (`Access.READ`). Nothing was changed."""

    def __init__(self) -> None:
        super().__init__("your access is read-only")


class FailedError(OperationError):
    """The data folder or the database could not be read or written."""


class UnavailableError(FailedError):
    """The database cannot be reached at the moment."""


@contextmanager
def operation_errors() -> Iterator[None]:
    """Turn the errors of the lower layers into `OperationError`."""
    try:
        yield
    except FieldError as error:
        raise InvalidError(str(error), error.where, error.problem) from None
    except HeadError as error:
        raise InvalidError(f"{error.field}: {error}", error.field, str(error)) from None
    except ScenarioError as error:
        raise InvalidError(str(error), error.field) from None
    except OCIError as error:
        raise InvalidError(error.message) from None
    except NotHeldError as error:
        raise RefusedError(str(error)) from None
    except DatabaseUnreachableError as error:
        raise UnavailableError(str(error)) from error
    except StorageError as error:
        raise FailedError(str(error)) from error
    except OSError as error:
        raise FailedError(f"the data folder cannot be used: {error.strerror or error}") from error
