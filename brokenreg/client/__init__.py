"""A typed client of the control API of a running brokenreg: `Client`, and `AsyncClient` for asyncio.

with Client("127.0.0.1:8081", namespace="job-1") as control:
    control.add_rule({"fault": {"type": "error", "status": 503}, "times": 2})
    ...
    assert all(each["met"] for each in control.verdicts())
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

__all__ = (
    "DEFAULT_URL",
    "AddressError",
    "AsyncClient",
    "Client",
    "ControlError",
    "MissingError",
    "NotControlAPIError",
    "ProblemError",
    "UnauthorizedError",
    "UnreachableError",
    "UsageError",
    "WaitTimeoutError",
)
