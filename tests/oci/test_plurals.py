"""A count that is followed by a noun goes through `counted`, so that nobody reads "1 rules"."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import brokenreg
from brokenreg.wording import counted, form_for

_NOUNS = re.compile(
    r" (bytes|characters|clients|connections|entries|exchanges|faults|files|layers|lines|manifests|matches|"
    r"repositories|requests|responses|rules|seconds|tags|values)\b"
)
_CONSTANT = re.compile(r"_?[A-Z][A-Z_]*|self\._limits\.\w+")
"""Limits of ours, which are never 1."""


def test_one_is_singular_and_all_else_plural() -> None:
    assert [counted(count, "rule") for count in (0, 1, 2)] == ["0 rules", "1 rule", "2 rules"]
    assert [counted(count, "entry", "entries") for count in (1, 2)] == ["1 entry", "2 entries"]
    assert [form_for(count, "is", "are") for count in (1, 2)] == ["is", "are"]


def test_no_count_is_followed_by_a_plural_that_does_not_depend_on_it() -> None:
    root = Path(brokenreg.__file__).parent
    found = [
        f"{path.relative_to(root)}:{line}"
        for path in sorted(root.rglob("*.py"))
        for line in _plurals(ast.parse(path.read_text()))
    ]
    assert not found


def _plurals(tree: ast.AST) -> list[int]:
    """The lines with an f-string in which a value is followed by a noun in the plural."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for value, text in zip(node.values, node.values[1:], strict=False)
        if isinstance(value, ast.FormattedValue)
        and isinstance(text, ast.Constant)
        and _NOUNS.match(str(text.value))
        and not _CONSTANT.fullmatch(ast.unparse(value.value))
    ]
