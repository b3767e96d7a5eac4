"""Parses the challenges in `WWW-Authenticate` (RFC 9110, sections 11.3 and 11.6.1), even malformed ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_MAX_HEADER = 8192
"""Maximum length of a header in characters; a longer one is ignored."""

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_END = r"(?=[ \t]*(?:,|$))"
_GAP = re.compile(r"[ \t,]*")
_PARAMETER = re.compile(
    rf"""(?P<name>{_WORD})[ \t]*=[ \t]*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[^ \t,"=][^ \t,"]*)){_END}"""
)
_SCHEME = re.compile(rf"(?P<name>{_WORD})(?:[ \t]+|(?=,|$))")
_TOKEN68 = re.compile(rf"[A-Za-z0-9._~+/-]+=*{_END}")
_UNREADABLE = re.compile(r"[^,]*")


@dataclass(frozen=True)
class Challenge:
    """An authentication scheme that a server offers. Scheme and names of parameters are in lower case."""

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict)


def parse_challenges(values: Iterable[str]) -> list[Challenge]:
    """Return the challenges of all `WWW-Authenticate` headers in order; one header may contain several.

    Malformed parts are ignored. If a parameter occurs twice, the first counts.
    """
    return [challenge for value in values if len(value) <= _MAX_HEADER for challenge in _parse(value)]


def _parse(text: str) -> list[Challenge]:
    found: list[Challenge] = []
    parameters: dict[str, str] = {}
    at = _end(_GAP, text, 0)
    while at < len(text):
        if parameter := _PARAMETER.match(text, at):
            if found:
                parameters.setdefault(parameter["name"].lower(), _value(parameter))
            at = parameter.end()
        elif scheme := _SCHEME.match(text, at):
            parameters = {}
            found.append(Challenge(scheme["name"].lower(), parameters))
            at = scheme.end()
            if not _PARAMETER.match(text, at):
                at = _end(_TOKEN68, text, at)
        else:
            at = _end(_UNREADABLE, text, at)
        at = _end(_GAP, text, at)
    return found


def _value(parameter: re.Match[str]) -> str:
    quoted = parameter["quoted"]
    return parameter["bare"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    """Return the end of the match that begins at `at`, or `at` if the pattern does not match there."""
    match = pattern.match(text, at)
    return at if match is None else match.end()
