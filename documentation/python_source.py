"""Python source from JSON Schema: annotations, default values and docstrings."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_WIDTH = 106
"""Maximum length of a line of a docstring that is indented by four spaces."""

_TYPES = {"integer": "int", "number": "float", "string": "str", "boolean": "bool", "null": "None"}


def formatted(source: str) -> str:
    """Return source as `ruff format` writes it."""
    command = [sys.executable, "-m", "ruff", "format", "--quiet", "--line-length", "110", "-"]
    done = subprocess.run(command, input=source, capture_output=True, text=True, check=True)  # noqa: S603
    return done.stdout


def annotation(schema: Mapping[str, Any]) -> str:
    """Return the type of the values that a JSON Schema allows: `int | str`, `Literal["fin", "rst"]`."""
    names = list(dict.fromkeys(_names(schema)))
    if "float" in names and "int" in names:
        names.remove("int")
    if "str" in names:
        names = [each for each in names if not each.startswith("Literal")]
    order = ("float", "int", "bool")
    return " | ".join(sorted(names, key=lambda each: (each == "None", each not in order)))


def _names(schema: Mapping[str, Any]) -> Iterator[str]:
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        yield f"Literal[{', '.join(map(repr, values))}]"
    elif "anyOf" in schema:
        for each in schema["anyOf"]:
            yield from _names(each)
    elif schema["type"] == "array":
        yield f"Sequence[{annotation(schema['items'])}]"
    elif schema["type"] == "object":
        values = schema["additionalProperties"]
        yield f"Mapping[str, {'Any' if values is True else annotation(values)}]"
    else:
        yield _TYPES[schema["type"]]


def docstring(paragraphs: Sequence[str], items: Mapping[str, str]) -> str:
    """Return a docstring whose last paragraph is a list of items. The paragraphs may have line ends."""
    listed = (_wrapped(f"- `{name}`: {' '.join(text.split())}") for name, text in items.items())
    text = "\n\n".join([*paragraphs, *(["\n".join(listed)] if items else [])])
    end = "\n" if "\n" in text else ""
    return textwrap.indent(f'"""{text}{end}"""', "    ", lambda line: bool(line.strip()))


def _wrapped(text: str) -> str:
    return textwrap.fill(text, _WIDTH, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False)
