"""A typed client of the control API of a running brokenreg: `Client`, and `AsyncClient` for asyncio.

with Client("127.0.0.1:8081", namespace="job-1") as control:
    control.add_rule({"fault": {"type": "error", "status": 503}, "times": 2})
    ...
    assert all(each["met"] for each in control.verdicts())

`local_registry` starts a brokenreg for a block, and stops it.
"""

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
