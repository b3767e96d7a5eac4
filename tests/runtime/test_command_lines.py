"""The command line of each operation has the same effect on another server: with the CLI, and with curl."""

from __future__ import annotations

import asyncio
import inspect
import shlex
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import click
import httpx
import pytest

from brokenreg.assembly.server import Server
from brokenreg.cli.main import main
from brokenreg.config.settings import Settings
from brokenreg.diagnostics import Diagnostics
from brokenreg.faults.catalogue import CATALOGUE
from brokenreg.gate.passage import HEADERS, Abort, Resume, Step
from brokenreg.rules.fault_descriptions import describe
from brokenreg.rules.rule import rule_of
from brokenreg.rules.scenario_text import load_scenario
from brokenreg.runtime.operations import Access, Change, Operations, command_lines
from tests.process import run_here
from tests.server import Brokenreg, brokenreg, clean_environment


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokenreg]:
    with brokenreg(tmp_path_factory.mktemp("other") / "data") as running:
        yield running


@pytest.fixture
def emptied(other: Brokenreg) -> Brokenreg:
    for namespace in ("", "team"):
        httpx.delete(f"{other.control}/v1/rules", params={"namespace": namespace}).raise_for_status()
    return other


def run(line: str, running: Brokenreg) -> None:
    """Run a command line as a shell does."""
    words = shlex.split(line)
    if words[0] == "brokenreg":
        done = run_here(*words[1:], BROKENREG_URL=running.control)
    else:
        environment = clean_environment(BROKENREG_URL=running.control)
        done = subprocess.run(
            ["sh", "-c", line], capture_output=True, text=True, env=environment, timeout=30, check=False
        )
    assert done.returncode == 0, (line, done.stderr)


def rules_of(running: Brokenreg, namespace: str = "") -> list[dict[str, Any]]:
    found = httpx.get(f"{running.control}/v1/rules", params={"namespace": namespace}).json()
    return [{key: each[key] for key in each if key not in ("id", "source")} for each in found]


HOSTILE = 'it\'s "x" $(reboot) `id` \\ *?é; -- | > #\t'
RULES: list[dict[str, Any]] = [
    *({"fault": describe(kind).examples.rule["fault"]} for kind in CATALOGUE.values()),
    {
        "name": HOSTILE,
        "fault": {"type": "error", "status": 503, "message": HOSTILE},
        "match": {
            "endpoint": "any",
            "repository": "library/*|-x",
            "reference": "v1",
            "method": "GET|HEAD",
            "client": "-curl/* x",
            "user": "a b",
            "header": {"x-a": "=b*", "accept": "!*json"},
            "attempt": 2,
            "protocol": "h2",
        },
        "skip": 1,
        "times": 3,
        "probability": 0.25,
        "per": "client",
        "after": "-first",
        "optional": True,
        "enabled": False,
    },
    {
        "fault": [{"type": "latency", "dur": "2s"}, {"type": "truncate", "after": "64KiB"}],
        "match": {"layer": 2},
    },
    {"fault": {"type": "error", "processed": True}, "match": {"method": "PUT"}, "override": True},
]


@pytest.mark.parametrize("namespace", ["", "team"])
@pytest.mark.parametrize("document", RULES, ids=lambda document: str(document["fault"])[:40])
def test_adding_a_rule_adds_the_same_rule(
    document: dict[str, Any], namespace: str, emptied: Brokenreg
) -> None:
    rule = rule_of(document)
    if rule.endpoint == "connect":  # before the namespace is known
        namespace = ""
    if rule.after is not None:
        run(command_lines.rule_added(namespace, rule_of({"name": rule.after, "fault": "error"})), emptied)
    line = command_lines.rule_added(namespace, rule)
    if line.startswith("curl") and shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    run(line, emptied)
    added = rules_of(emptied, namespace)[-1]
    assert rule_of({key: value for key, value in added.items() if key not in ("matched", "applied")}) == rule
    assert "\n" not in line


def test_the_first_rule_is_first(emptied: Brokenreg) -> None:
    run(command_lines.rule_added("", rule_of({"name": "a", "fault": "error"})), emptied)
    run(command_lines.rule_added("", rule_of({"name": "b", "fault": "error"}), first=True), emptied)
    assert [each["name"] for each in rules_of(emptied)] == ["b", "a"]


@asynccontextmanager
async def recorded(folder: Path) -> AsyncIterator[tuple[Server, Operations, list[str]]]:
    """Yield a server, operations on it, and the command lines of what they have done."""
    settings = Settings(listen=["127.0.0.1:0"], control="127.0.0.1:0", data=folder / "data", offline=True)
    lines: list[str] = []

    def note(change: Change) -> None:
        lines.extend(change.commands)

    async with Server.running(settings, Diagnostics()) as server:
        operations = Operations(server.runtime, Access.FULL)
        operations.on_change = note
        yield server, operations, lines


async def test_a_script_of_the_commands_has_the_same_effect(tmp_path: Path) -> None:
    scenario = tmp_path / "a scenario.yaml"
    scenario.write_text("rules: [{name: loaded, fault: error}, {name: later, fault: latency}]\n")
    with brokenreg(tmp_path / "fresh") as fresh:
        async with recorded(tmp_path) as (server, operations, lines):
            await operations.load_scenario("team", lambda: load_scenario(scenario), str(scenario))
            for name in "abcd":
                operations.add_rule("", rule_of({"name": name, "fault": "error"}), "panel")
            a, b, c, d = (each.id for each in server.runtime.rules.book(""))
            operations.replace_rule("", b, rule_of({"name": "B", "fault": ["latency", "truncate"]}), "panel")
            operations.move_rule("", d, -2)
            operations.move_rule("", a, 1)
            operations.set_rule_enabled("", c, enabled=False)
            operations.remove_rule("", a)
            operations.switch_all_rules()
            operations.switch_all_rules()
            operations.set_rule_enabled("", c, enabled=True)
            operations.switch_all_rules()
            operations.fail_next("", rule_of({"name": "next", "fault": "error", "times": 1}), "fail next")
            operations.add_breakpoint("-client:skopeo status:5xx")
            operations.add_breakpoint("endpoint:layer")
            operations.remove_breakpoint(1)
            operations.set_breakpoints_enabled(enabled=False)
            for line in lines:
                await asyncio.to_thread(run, line, fresh)
            for namespace in ("", "team"):
                book = server.runtime.rules.book(namespace)
                here = [{"matched": 0, "applied": 0, **each.rule.written()} for each in book]
                assert await asyncio.to_thread(rules_of, fresh, namespace) == here
            there = await asyncio.to_thread(httpx.get, f"{fresh.control}/v1/breakpoints")
            assert there.json() == {"on": False, "breakpoints": [{"id": 2, "expression": "endpoint:layer"}]}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (command_lines.held(42, None), "brokenreg hold 42"),
        (command_lines.held(42, HEADERS), "brokenreg hold 42 --at headers"),
        (command_lines.held(42, 64 * 1024), "brokenreg hold 42 --at 64KiB"),
        (command_lines.ordered(Resume(), 42), "brokenreg resume 42"),
        (command_lines.ordered(Step(64 * 1024), 42), "brokenreg step 42"),
        (command_lines.ordered(Step(1000), 42), "brokenreg step 42 --bytes 1000"),
        (command_lines.ordered(Abort(), 42), "brokenreg abort 42"),
        (command_lines.ordered(Abort(503)), "brokenreg abort --status 503"),
        (command_lines.was_reset("team"), "brokenreg reset --namespace team"),
        (command_lines.rules_cleared(""), "brokenreg rules clear"),
        (command_lines.scenario_loaded("", "-a b.yaml"), "brokenreg scenario load -- '-a b.yaml'"),
    ],
)
def test_the_other_commands_are_valid(line: str, words: str) -> None:
    assert line == words
    context: click.Context = click.Context(main)
    command: click.Command | None = main
    rest = shlex.split(line)[1:]
    while isinstance(command, click.Group):
        _, command, rest = command.resolve_command(context, rest)
    assert command is not None
    command.make_context(words, rest)  # it parses


def test_every_operation_reports_its_command() -> None:
    silent = {"replay", "forget_exchanges", "forget_traffic", "restore_rules", "require_change"}
    for name, operation in inspect.getmembers(Operations, inspect.isfunction):
        if not name.startswith("_") and name not in silent:
            source = inspect.getsource(operation)
            assert "self._chang" in source, name
