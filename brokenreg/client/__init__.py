"""A typed client of the control API of a running brokenreg: `Client`, and `AsyncClient` for asyncio.

with Client("127.0.0.1:8081", namespace="job-1") as control:
    control.add_rule({"fault": {"type": "error", "status": 503}, "times": 2})
    ...
    assert all(each["met"] for each in control.verdicts())

`local_registry` starts a brokenreg for a block, and stops it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from brokenreg.client.address import DEFAULT_URL
    from brokenreg.client.clients import AsyncClient, Client
    from brokenreg.client.errors import (
        AddressError,
        ControlError,
        MissingError,
        NotControlAPIError,
        ProblemError,
        UnauthorizedError,
        UnreachableError,
        UsageError,
        WaitTimeoutError,
    )
    from brokenreg.client.local_server import LocalRegistry, NotStartedError, local_registry

__all__ = (
    "DEFAULT_URL",
    "AddressError",
    "AsyncClient",
    "Client",
    "ControlError",
    "LocalRegistry",
    "MissingError",
    "NotControlAPIError",
    "NotStartedError",
    "ProblemError",
    "UnauthorizedError",
    "UnreachableError",
    "UsageError",
    "WaitTimeoutError",
    "local_registry",
)

_MODULES = {
    "DEFAULT_URL": "address",
    "AsyncClient": "clients",
    "Client": "clients",
    "LocalRegistry": "local_server",
    "NotStartedError": "local_server",
    "local_registry": "local_server",
}
"""The module of each name; all others are errors."""


def __getattr__(name: str) -> object:
    """Import what is needed: the clients take 60 ms, which the start of a registry does not wait for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES.get(name, 'errors')}"), name)
