"""The panel and the control API only read the parts of a runtime: `Operations` alone changes them.

This reads the source of `tui/` and `control/`, and finds the expressions that are a part of a runtime: by the
names of its fields, by the annotations of parameters, and by what variables and attributes are assigned from.
Every method that is called on such a part must be in `READING`, and nothing of it may be assigned.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

import brokenreg
from brokenreg.gate.breakpoints import Breakpoints
from brokenreg.gate.gate import Gate
from brokenreg.gate.passage import Passage
from brokenreg.images.images import Images
from brokenreg.proxy.proxy import Proxy
from brokenreg.rules.active_rule import ActiveRule
from brokenreg.rules.rule_book import RuleBook
from brokenreg.rules.rule_books import RuleBooks
from brokenreg.runtime.runtime import Runtime
from brokenreg.second_origin.credential_trap import CredentialTrap
from brokenreg.storage import Store
from brokenreg.storage.blobs import BlobStore
from brokenreg.storage.cached_blobs import CachedBlobs
from brokenreg.storage.index import Index
from brokenreg.storage.integrity import Integrity
from brokenreg.storage.records import Repository
from brokenreg.traffic.bodies import Bodies
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.log import TrafficLog

PARTS = (
    Runtime, Gate, Breakpoints, Passage, RuleBooks, RuleBook, ActiveRule, Store, Index, BlobStore,
    CachedBlobs, Integrity, Repository, Images, Proxy, CredentialTrap, TrafficLog, Bodies, Exchange,
)  # fmt: skip
METHODS = {name for part in PARTS for name, _ in inspect.getmembers(part, inspect.isfunction)}
NAMES = {each.name for each in fields(Runtime)} - {"settings", "status", "diagnostics", "replicas"}
"""The fields that are parts. `replicas` sends requests, and the operations of other processes check them."""

READING = {
    "all_rules", "book", "can_hold", "corrupt_size", "find", "get", "head", "held", "index_repetitions",
    "intact_object", "is_config", "is_quarantined", "layers_of", "made", "manifest_body", "modified",
    "names", "namespaces", "newest", "of", "open", "open_whole", "path", "quarantined_size", "referrers",
    "repository", "request_header", "resolve", "response_header", "scenario", "size", "subscribe",
    "summary", "verdicts", "why_missing",
}  # fmt: skip
"""Methods of these parts that change nothing that users see. A method that is not here needs an operation."""

CONTAINER_CHANGES = {
    "add", "append", "clear", "discard", "extend", "insert", "pop", "popitem", "remove", "setdefault",
    "update",
}  # fmt: skip

ROOT = Path(brokenreg.__file__).parent
SOURCES = sorted([*ROOT.glob("tui/**/*.py"), *ROOT.glob("control/**/*.py")])


class Reader(ast.NodeVisitor):
    """Finds what a module does with the parts of a runtime."""

    def __init__(self, source: str) -> None:
        self.tree = ast.parse(source)
        self.parts = {*NAMES, "runtime"}
        self.found: list[str] = []
        before = 0
        while len(self.parts) > before:  # until no name is new: one may be assigned from another
            before = len(self.parts)
            for node in ast.walk(self.tree):
                self.parts.update(name.lstrip("_") for name in self._named(node))
        self.visit(self.tree)

    def _named(self, node: ast.AST) -> Iterator[str]:
        """Yield the names that a node makes names of a part."""
        match node:
            case ast.arg(arg=name, annotation=ast.expr() as annotation):
                words = {each.id for each in ast.walk(annotation) if isinstance(each, ast.Name)}
                if words & {part.__name__ for part in PARTS}:
                    yield name
            case ast.Assign(targets=[ast.Name(id=name) | ast.Attribute(attr=name)], value=value):
                if self._is_part(value):
                    yield name
            case ast.NamedExpr(target=ast.Name(id=name), value=value):
                if self._is_part(value):
                    yield name
            case (
                ast.For(target=ast.Name(id=name), iter=value)
                | ast.comprehension(target=ast.Name(id=name), iter=value)
            ) if self._is_part(value):
                yield name

    def _is_part(self, node: ast.expr) -> bool:
        match node:
            case ast.Name(id=name):
                return name.lstrip("_") in self.parts
            case ast.Attribute(value=value, attr=name):
                return name.lstrip("_") in self.parts or self._is_part(value)
            case ast.Call(func=ast.Attribute(value=value)):
                return self._is_part(value)
            case ast.Subscript(value=value) | ast.Await(value=value):
                return self._is_part(value)
        return False

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if self._is_part(node.value):
            if not isinstance(node.ctx, ast.Load):
                self.found.append(f"{node.lineno}: {ast.unparse(node)} is assigned")
            elif node.attr in METHODS - READING:
                self.found.append(f"{node.lineno}: {ast.unparse(node)}")
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if self._is_part(node.value) and not isinstance(node.ctx, ast.Load):
            self.found.append(f"{node.lineno}: {ast.unparse(node)} is assigned")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        match node.func:
            case ast.Attribute(value=ast.Attribute() as value, attr=name) if (
                self._is_part(value) and name in CONTAINER_CHANGES
            ):
                self.found.append(f"{node.lineno}: {ast.unparse(node.func)}")
        self.generic_visit(node)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_parts_of_a_runtime_are_only_read(path: Path) -> None:
    reader = Reader(path.read_text())
    assert not reader.found
    imports = [each for each in ast.walk(reader.tree) if isinstance(each, ast.ImportFrom)]
    names = [each.name for imported in imports for each in imported.names]
    assert "replay_of" not in names, "only an operation may send a request again"


@pytest.mark.parametrize(
    "line",
    [
        "runtime.rules.book('').add(rule, '')",
        "self._runtime.gate.order(1, Resume())",
        "partial(self._gate.hold, 1)",
        "books = runtime.rules\nbooks.reset('')",
        "self._things = runtime.log\nself._things.forget(all)",
        "for each in runtime.rules.book(''):\n    each.rule = None",
        "def f(given: Gate) -> None:\n    given.breakpoints.are_on = False",
        "await context.runtime.store.index.delete_tag(key, tag)",
        "runtime.gate.held.clear()",
        "runtime.log.under_way[1] = exchange",
        "del runtime.log.under_way[1]",
    ],
)
def test_a_change_is_found(line: str) -> None:
    assert Reader(line).found
