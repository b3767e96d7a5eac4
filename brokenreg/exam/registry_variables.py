"""The environment variables that configure the registry of a run, as part of the line that repeats it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping

from brokenreg.config.settings import Settings
from brokenreg.redaction import REDACTED, redact_text

_OF_OTHERS = frozenset(
    {"listen", "control", "control_token", "control_read_token", "data", "scenario", "ready_file", "log"}
)
"""The settings that a run chooses by itself, or that are meant for another server."""


def with_variables(line: str, environment: Mapping[str, str]) -> str:
    """Return a command line after the variables that configure its registry, without their secrets."""
    return " ".join([*_assignments(environment), line])


def _assignments(environment: Mapping[str, str]) -> Iterator[str]:
    for name, field in Settings.model_fields.items():
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        variables = (f"BROKENREG_{name.upper()}", str(extra.get("legacy") or ""))
        found = next((each for each in variables if environment.get(each)), None)
        if found is not None and name not in _OF_OTHERS:
            yield f"{found}={shlex.quote(_shown(name, environment[found]))}"


def _shown(name: str, value: str) -> str:
    if name == "auth_user":
        return " ".join(f"{each.partition(':')[0]}:{REDACTED}" for each in value.split())
    return redact_text(value)
