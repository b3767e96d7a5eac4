"""`brokenreg/client/faults`: a constructor for each fault of the catalogue, by family."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from brokenreg.faults.catalogue import CATALOGUE, Fault
from brokenreg.faults.catalogue.base import ConnectFault
from brokenreg.parameter_descriptions import parameter_names
from documentation.python_source import annotation, docstring, formatted

_INDEX = '''"""Typed constructors of all faults.

    from brokenreg.client import Client, faults

    with Client("127.0.0.1:8081") as control:
        control.add_rule({"fault": faults.error(status=503), "times": 2})

Sizes are bytes or text such as `"64KiB"`. Durations are seconds or text such as `"1m30s"`. A parameter that
is left out has its default value. The server checks the values: an invalid one raises `UsageError` when the
fault is sent.

`make reference` writes this package from the catalogue of the server.
"""
'''
_MODULE = '''"""Constructors of the faults of the family {family}. `make reference` writes this module."""

from __future__ import annotations
{typing}
from brokenreg.client.faults.fault import {kinds}
'''


def families() -> list[str]:
    """Return the names of the families, in the order of the catalogue."""
    return list(dict.fromkeys(fault.family() for fault in CATALOGUE.values()))


def constructors(family: str) -> str:
    """Return the module with the constructors of a family."""
    body = "\n\n".join(_constructor(fault) for fault in CATALOGUE.values() if fault.family() == family)
    names = [name for name, use in (("Any", "Any]"), ("Literal", "Literal[")) if use in body]
    typing = f"from typing import {', '.join(names)}\n" if names else ""
    collections = [name for name in ("Mapping", "Sequence") if f"{name}[" in body]
    if collections:
        typing = f"from collections.abc import {', '.join(collections)}\n{typing}"
    typing = typing and f"\n{typing}"
    kinds = ", ".join(["ConnectFault"] * ("ConnectFault(" in body) + ["Fault", "with_parameters"])
    return formatted(f"{_MODULE.format(family=family, typing=typing, kinds=kinds)}\n\n{body}")


def package() -> str:
    """Return the module that has all constructors."""
    names = {family: _names(family) for family in families()}
    imports = "".join(
        f"from brokenreg.client.faults._{family} import {', '.join(sorted(names[family]))}\n"
        for family in sorted(names)
    )
    exported = sorted(name for each in names.values() for name in each)
    listed = ", ".join(f'"{name}"' for name in ["ConnectFault", "Fault", *exported])
    own = "from brokenreg.client.faults.fault import ConnectFault, Fault\n"
    return formatted(f"{_INDEX}\n{imports}{own}\n__all__ = ({listed})\n")


def _names(family: str) -> list[str]:
    return [_name(fault) for fault in CATALOGUE.values() if fault.family() == family]


def _name(fault: type[Fault]) -> str:
    return fault.name.replace("-", "_")


def _kind(fault: type[Fault]) -> str:
    return "ConnectFault" if issubclass(fault, ConnectFault) else "Fault"


def _constructor(fault: type[Fault]) -> str:
    schema = fault.model_json_schema()
    properties = {name: schema["properties"][name] for name in parameter_names(fault)}
    parameters = [*_parameters(properties, schema.get("required", []))]
    signature = f"*, {', '.join(parameters)}" if parameters else ""
    notes = {name: each["description"] for name, each in properties.items()}
    endpoint = f"The default endpoint is `{fault.default_endpoint}`."
    paragraphs = [inspect.cleandoc(fault.__doc__ or ""), endpoint, *(["Parameters:"] if notes else [])]
    return (
        f"@with_parameters\n"
        f"def {_name(fault)}({signature}) -> Fault:\n"
        f"{docstring(paragraphs, notes)}\n"
        f'    return {_kind(fault)}(type="{fault.name}")\n'
    )


def _parameters(properties: Mapping[str, Any], required: list[str]) -> Iterator[str]:
    for name, schema in properties.items():
        default = "" if name in required else f" = {schema['default']!r}"
        yield f"{name}: {annotation(schema)}{default}"
