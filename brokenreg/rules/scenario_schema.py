"""The JSON Schema of scenario files, for editors and other tools."""

from __future__ import annotations

from typing import Any

from brokenreg.faults.catalogue import CATALOGUE
from brokenreg.faults.catalogue.parameters import MAX_SECONDS
from brokenreg.rules.rule import FAULT, fault_schema
from brokenreg.rules.scenario import Scenario

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_FAULT = "Fault"


def scenario_schema() -> dict[str, Any]:
    """Return the schema, in JSON Schema 2020-12.

    It is generated from the models, without what would confuse users of an editor: generated titles, and null
    for optional values. An editor reads `reference: 1.10` as a number, so texts may be numbers. A
    scenario has every scalar as a text, so a duration needs its unit.
    """
    schema = _readable(Scenario.model_json_schema())
    faults = {each["properties"]["type"]["const"]: each for each in _readable(fault_schema())["oneOf"]}
    definitions = {**schema.pop("$defs"), _FAULT: _any_fault(faults), **faults}
    fault = definitions["Rule"]["properties"]["fault"]
    _, several = fault.pop("anyOf")
    fault.update(_one_or_several(several))
    return {
        "$schema": DIALECT,
        **schema,
        "title": "brokenreg scenario",
        "$defs": definitions,
    }


def _any_fault(faults: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a fault: its name, or its name and parameters.

    Choices are made by `if` and `then`, so that an error is about the named fault alone.
    """
    kinds = [{"const": name, "description": CATALOGUE[name].summary()} for name in faults]
    alone = [kind for kind in kinds if faults[kind["const"]]["required"] == ["type"]]
    parameters = [
        {
            "if": {"type": "object", "properties": {"type": {"const": name}}, "required": ["type"]},
            "then": {"$ref": f"#/$defs/{name}"},
        }
        for name in faults
    ]
    return {
        "description": "A fault: {type: truncate, after: 64KiB}, or its name alone.",
        "type": ["object", "string"],
        "required": ["type"],
        "properties": {"type": {"oneOf": kinds}},
        "allOf": [{"if": {"type": "string"}, "then": {"oneOf": alone}}, *parameters],
    }


def _one_or_several(several: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of one fault, or of a list as `several` describes it."""
    return {"if": {"type": "array"}, "then": several, "else": several["items"]}


def _readable(schema: Any) -> Any:
    """Return a schema in the form for editors (see `scenario_schema`)."""
    if isinstance(schema, list):
        return [_readable(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if schema == FAULT:
        return {"$ref": f"#/$defs/{_FAULT}"}
    if schema.get("maximum") == MAX_SECONDS:
        return {"const": 0}
    found = {key: _readable(value) for key, value in schema.items() if not _is_noise(key, value)}
    if "properties" in schema:
        found["properties"] = {name: _property(each) for name, each in schema["properties"].items()}
    return found


def _property(schema: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = _readable(schema)
    choices = [each for each in found.pop("anyOf", ()) if each != {"type": "null"}]
    if len(choices) == 1:
        found = {**choices[0], **found}
    elif choices:
        found["anyOf"] = choices
    is_text = found.get("type") == "string" and not {"enum", "const"} & found.keys()
    return {**found, "type": ["string", "number"]} if is_text else found


def _is_noise(key: str, value: Any) -> bool:
    return key == "title" or (key == "default" and (value is None or isinstance(value, dict)))
