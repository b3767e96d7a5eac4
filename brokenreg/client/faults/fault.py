"""A fault as the control API reads it, and how a constructor makes one."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

P = ParamSpec("P")


class Fault(dict[str, Any]):
    """A fault with its name (`type`) and the parameters that were given, which is valid in JSON and YAML."""

    def __repr__(self) -> str:
        parameters = (f"{name}={value!r}" for name, value in self.items() if name != "type")
        return f"faults.{str(self['type']).replace('-', '_')}({', '.join(parameters)})"


class ConnectFault(Fault):
    """A fault of a connection. It is applied before there is a request, so its rule has no namespace."""


def with_parameters(constructor: Callable[P, Fault]) -> Callable[P, Fault]:
    """Add the parameters that a constructor is called with to its fault.

    The others are left out, because the server knows their default values.
    """

    @wraps(constructor)
    def construct(*args: P.args, **kwargs: P.kwargs) -> Fault:
        fault = constructor(*args, **kwargs)
        fault.update(kwargs)
        return fault

    return construct
