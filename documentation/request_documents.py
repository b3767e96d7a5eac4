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
from typing import Any, Literal, TypedDict
'''
_NEW_RULE = '''class NewRule(RuleFields):
    """A rule with its fault, or several faults that wrap each other."""

    fault: Mapping[str, Any] | Sequence[Mapping[str, Any]]
    """the fault, for example `faults.truncate(after="64KiB")`"""
'''
_RULE_TEXT = "The fields of a rule except for its fault. Missing ones have their default values."


def request_documents() -> str:
    """Return the module."""
    parts = (
        _typed_dict("Match", Match),
        _typed_dict("RuleFields", Rule, {"match": "Match"}, without="fault", text=_RULE_TEXT),
        _NEW_RULE,
        _typed_dict("Connections", Connections),
        _typed_dict("Expectation", Expectation, {"connections": "Connections", "leaks": "Literal[0]"}),
    )
    return formatted("\n\n".join([_MODULE, *parts]))


def _typed_dict(
    name: str,
    model: type[BaseModel],
    types: Mapping[str, str] | None = None,
    *,
    without: str = "",
    text: str = "",
) -> str:
    """Return the type of a model's documents. `types` are those that the schema does not say."""
    schema: dict[str, Any] = model.model_json_schema()
    properties = {field: each for field, each in schema["properties"].items() if field != without}
    fields = "\n".join(_fields(properties, types or {}))
    text = text or inspect.cleandoc(model.__doc__ or "")
    return f'class {name}(TypedDict, total=False):\n    """{text}"""\n\n{fields}\n'


def _fields(properties: Mapping[str, Any], types: Mapping[str, str]) -> Iterator[str]:
    for name, schema in properties.items():
        kind = types.get(name) or annotation(schema).removesuffix(" | None")
        text = textwrap.fill(f'"""{schema["description"]}"""', 106, break_on_hyphens=False)
        yield f"    {name}: {kind}\n{textwrap.indent(text, '    ')}\n"
