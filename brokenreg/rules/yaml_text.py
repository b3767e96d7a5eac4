"""Reads the YAML of scenarios: mappings, lists and scalars, with the line of each.

A scenario may come from an untrusted source. So length and depth are limited, and anchors, aliases and tags
are refused. A scalar stays a text until its field is validated: a tag `1.10` does not become 1.1, and `no`
does not become false.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from brokenreg.wording import counted, quoted

Lines = dict[tuple[str | int, ...], int]
"""The line of each field of a document, from 1."""

MAX_TEXT = 1024 * 1024
"""Maximum length of a text, in characters."""

_MAX_DEPTH = 16
_MAX_NODES = 100_000
_INDICATORS = frozenset("*&!?%@`|")
"""Characters with a meaning of their own at the beginning of a scalar, which globs may contain."""

_QUOTE = 'put globs in quotes, such as "*/app"'
_NULLS = ("", "~", "null", "Null", "NULL")


class YAMLTextError(ValueError):
    """A text is not YAML of this kind; `line` is the line of the error, from 1."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line = line


def read_yaml(text: str) -> tuple[Any, Lines]:
    """Return the document (mappings, lists, strings and None), and the line of each field in it.

    An empty text returns None. Raise `YAMLTextError` if the text is not valid.
    """
    if len(text) > MAX_TEXT:
        raise YAMLTextError(1, f"the text has {counted(len(text), 'character')}: use at most {MAX_TEXT}")
    reader = _Reader(_events(text))
    try:
        return reader.document(), reader.lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YAMLTextError(mark.line + 1 if mark else 1, _problem_of(text, error)) from None
    except yaml.YAMLError as error:
        raise YAMLTextError(1, f"invalid YAML: {str(error).partition(chr(10))[0]}") from None


def _problem_of(text: str, error: yaml.MarkedYAMLError) -> str:
    """Return what is wrong with a text that is not YAML.

    A tab, which people do not see, is named. If a character that begins an alias, a tag and the like may be
    meant as text, quotes are suggested.
    """
    lines = text.split("\n")
    mark = error.problem_mark or error.context_mark
    line = lines[mark.line] if mark and mark.line < len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return "invalid YAML: a tab in the indentation: use spaces"
    if mark is None:
        return f"invalid YAML: {error.problem}"
    begins = error.context_mark or mark
    first = line[begins.column : begins.column + 1] if begins.line == mark.line else ""
    around = line[max(mark.column - 1, 0) : mark.column + 1]
    if _INDICATORS & {first, *around}:
        return f"invalid YAML: {error.problem}: {_QUOTE}"
    return f"invalid YAML: {error.problem}"


def _events(text: str) -> Iterator[Event]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    events: Iterator[Event] = yaml.parse(text, Loader=loader)
    return events


class _Reader:
    def __init__(self, events: Iterator[Event]) -> None:
        self._events = events
        self._nodes = 0
        self.lines: Lines = {}

    def document(self) -> Any:
        value = None
        documents = 0
        for event in self._events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise YAMLTextError(
                        _line(event), 'a second document begins: remove "---" and what follows'
                    )
            elif isinstance(event, NodeEvent):
                value = self._node(event, ())
        return value

    def _node(self, event: Event, place: tuple[str | int, ...]) -> Any:
        self._check(event, place)
        self.lines[place] = _line(event)
        if isinstance(event, ScalarEvent):
            is_null = event.style is None and event.value in _NULLS
            return None if is_null else event.value
        if isinstance(event, SequenceStartEvent):
            return self._sequence(place)
        return self._mapping(place)

    def _sequence(self, place: tuple[str | int, ...]) -> list[Any]:
        values: list[Any] = []
        while not isinstance(event := next(self._events), SequenceEndEvent):
            values.append(self._node(event, (*place, len(values))))
        return values

    def _mapping(self, place: tuple[str | int, ...]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        while not isinstance(event := next(self._events), MappingEndEvent):
            if not isinstance(event, ScalarEvent):
                self._check(event, place)
                raise YAMLTextError(_line(event), "invalid key (a list or a mapping): use a word")
            key = event.value
            if key in values:
                raise YAMLTextError(_line(event), f"duplicate key {quoted(key)}: remove one of the two")
            values[key] = self._node(next(self._events), (*place, key))
            self.lines[*place, key] = _line(event)
        return values

    def _check(self, event: Event, place: tuple[str | int, ...]) -> None:
        self._nodes += 1
        if self._nodes > _MAX_NODES:
            raise YAMLTextError(_line(event), f"too many values: use at most {_MAX_NODES}")
        if isinstance(event, AliasEvent) or getattr(event, "anchor", None) is not None:
            raise YAMLTextError(
                _line(event),
                f"anchors (&) and aliases (*) are not supported: {_QUOTE}",
            )
        if (tag := getattr(event, "tag", None)) not in (None, "!"):
            raise YAMLTextError(_line(event), f"unsupported YAML tag {quoted(tag)}: remove it, or {_QUOTE}")
        if isinstance(event, MappingStartEvent | SequenceStartEvent) and len(place) >= _MAX_DEPTH:
            raise YAMLTextError(_line(event), f"nested too deeply: use at most {_MAX_DEPTH} levels")


def _line(event: Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1
