"""Describes all faults for `brokenreg faults`, `GET /v1/faults` and docs/reference/faults.md."""

from __future__ import annotations

import inspect
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field

from brokenreg.faults.catalogue import CATALOGUE, Fault
from brokenreg.faults.catalogue.base import ANY, BLOB
from brokenreg.oci.params import join_params, split_params
from brokenreg.oci.resolution import RESERVED
from brokenreg.oci.target import Endpoint
from brokenreg.parameter_descriptions import ParameterDescription, parameters_of
from brokenreg.rules.path_rules import prefix_of
from brokenreg.rules.rule import Rule

_OF_IMAGES = {str(Endpoint.MANIFEST), str(Endpoint.CONFIG), str(Endpoint.LAYER), BLOB, ANY}


class Examples(BaseModel):
    """An example rule in each form in which rules are written; null if a form cannot express it."""

    model_config = ConfigDict(frozen=True)

    image: str | None = Field(description="image path of a fabricated image to which the fault is applied")
    path: str | None = Field(description="image path of any other image with the fault")
    rule: dict[str, Any] = Field(description="body of POST /v1/rules")
    scenario: str = Field(description="scenario file")
    command: str


class FaultDescription(BaseModel):
    """The description of one fault."""

    model_config = ConfigDict(frozen=True)

    name: str
    family: str
    summary: str
    description: str
    endpoint: str = Field(description="default endpoint of its rules")
    methods: list[str] | None = Field(description="methods to which the fault can be applied; null for all")
    protocols: list[str]
    clients: str
    parameters: list[ParameterDescription]
    examples: Examples


def descriptions() -> list[FaultDescription]:
    """Return the descriptions of all faults, in the order of their families."""
    return [describe(kind) for kind in CATALOGUE.values()]


def describe(kind: type[Fault]) -> FaultDescription:
    """Return the description of one fault."""
    return FaultDescription(
        name=kind.name,
        family=kind.family(),
        summary=kind.summary(),
        description=inspect.getdoc(kind) or "",
        endpoint=str(kind.default_endpoint),
        methods=None if kind.methods is None else sorted(kind.methods),
        protocols=sorted(kind.protocols),
        clients=kind.clients,
        parameters=list(parameters_of(kind)),
        examples=_examples(kind),
    )


def _examples(kind: type[Fault]) -> Examples:
    values = kind.short_form(kind.example) or split_params(kind.example, list(kind.model_fields))
    numbers = {name: int(value) if value.isdigit() else value for name, value in values.items()}
    written = {"fault": {"type": kind.name, **numbers}}
    try:
        prefix_of(Rule(fault=(kind.of(values),)))
        path = f"{RESERVED}with/{'_'.join(filter(None, (kind.name, join_params(values))))}/library/app:v1"
    except ValueError:
        path = None
    image = (
        f"{RESERVED}{kind.name}:{kind.example or 'latest'}" if kind.default_endpoint in _OF_IMAGES else None
    )
    given = " ".join(f"{name}={value}" for name, value in values.items())
    return Examples(
        image=image,
        path=path,
        rule=written,
        scenario=yaml.safe_dump({"rules": [written]}, sort_keys=False, width=110, default_flow_style=False),
        command=f"brokenreg rules add {kind.name} {given}".rstrip(),
    )
