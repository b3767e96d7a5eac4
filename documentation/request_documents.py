"""`brokenreg/client/request_documents.py`: the documents that the client sends, as types."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from brokenreg.rules.expectations import Connections, Expectation
from brokenreg.rules.rule import Rule
from brokenreg.traffic.matching import Match
from documentation.python_source import annotation, formatted

_MODULE = '''"""The documents that the client sends, as types: rules, what they match, and expectations.

docs/reference/rules.md explains the fields. `make reference` writes this module from the server's models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Required, TypedDict
'''
_FAULTS = "Required[Mapping[str, Any] | Sequence[Mapping[str, Any]]]"
_KINDS: tuple[tuple[str, type[BaseModel], Mapping[str, str]], ...] = (
    ("Match", Match, {}),
    ("NewRule", Rule, {"match": "Match", "fault": _FAULTS}),
    ("Connections", Connections, {}),
    ("Expectation", Expectation, {"connections": "Connections", "leaks": "Literal[0]"}),
)
"""The name of each type, its model, and fields whose types the schema does not say."""


def request_documents() -> str:
    """Return the module."""
    return formatted("\n\n".join([_MODULE, *(_typed_dict(*each) for each in _KINDS)]))


def _typed_dict(name: str, model: type[BaseModel], types: Mapping[str, str]) -> str:
    schema: dict[str, Any] = model.model_json_schema()
    fields = "\n".join(_fields(schema["properties"], types))
    text = inspect.cleandoc(model.__doc__ or "")
    return f'class {name}(TypedDict, total=False):\n    """{text}"""\n\n{fields}\n'


def _fields(properties: Mapping[str, Any], types: Mapping[str, str]) -> Iterator[str]:
    for name, schema in properties.items():
        kind = types.get(name) or annotation(schema).removesuffix(" | None")
        text = textwrap.fill(f'"""{schema["description"]}"""', 106, break_on_hyphens=False)
        yield f"    {name}: {kind}\n{textwrap.indent(text, '    ')}\n"
