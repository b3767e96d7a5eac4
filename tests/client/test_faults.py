"""`brokenreg.client.faults` and the documents that the client sends, and what mypy refuses of them."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mypy import api

from brokenreg.client import Client, UsageError, faults
from brokenreg.client.request_documents import Expectation, Match, NewRule
from brokenreg.faults.catalogue import CATALOGUE
from brokenreg.parameter_descriptions import parameter_names
from brokenreg.rules import expectations, rule
from brokenreg.rules.rule import fault_of, rule_of
from brokenreg.traffic import matching
from tests.server import Brokenreg


def constructor(name: str) -> Any:
    return getattr(faults, name.replace("-", "_"))


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_constructor_has_the_parameters_of_its_fault(name: str) -> None:
    fields = CATALOGUE[name].model_fields
    signature = inspect.signature(constructor(name))
    assert [*signature.parameters] == parameter_names(CATALOGUE[name])
    for each in signature.parameters.values():
        assert each.kind is each.KEYWORD_ONLY
        is_required = fields[each.name].is_required()
        assert each.default == (each.empty if is_required else fields[each.name].default)
        assert f"- `{each.name}`: " in (constructor(name).__doc__ or "")
    assert (constructor(name).__doc__ or "").startswith(CATALOGUE[name].summary())


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_server_accepts_what_a_constructor_makes(name: str) -> None:
    required = {"dur": "2s"} if name == "timeout" else {}
    made = constructor(name)(**required)
    assert made == {"type": name, **required}
    model = fault_of(made)
    given = {each: getattr(model, each) for each in CATALOGUE[name].model_fields if each != "value"}
    fault_of(constructor(name)(**given))
    assert eval(repr(made), {"faults": faults}) == made


def test_what_is_given_counts_even_if_it_is_the_default() -> None:
    assert faults.token() == {"type": "token"}
    assert faults.token(skew=0) == {"type": "token", "skew": 0}


def test_a_wrong_parameter_is_refused_where_it_is_written() -> None:
    with pytest.raises(TypeError, match="statsu"):
        constructor("error")(statsu=503)
    with pytest.raises(TypeError, match="dur"):
        constructor("timeout")()


def test_a_rule_of_typed_parts_is_accepted_and_a_wrong_value_refused(own_registry: Brokenreg) -> None:
    with Client(own_registry.control) as control:
        match = Match(endpoint="layer", method="GET|HEAD", header={"range": "*"})
        both = [faults.latency(dur="10ms"), faults.truncate(after="64KiB", end="rst")]
        added = control.add_rule(NewRule(fault=both, match=match, times=2, probability="50%", per="client"))
        assert added["fault"] == [
            {"type": "latency", "dur": "10ms"},
            {"type": "truncate", "after": 65536, "end": "rst"},
        ]
        with pytest.raises(UsageError) as caught:
            control.add_rule({"fault": faults.error(status=999)})
        assert caught.value.field == "fault.status"


def test_the_documents_have_the_fields_of_the_models() -> None:
    pairs = (
        (NewRule, rule.Rule),
        (Match, matching.Match),
        (Expectation, expectations.Expectation),
    )
    for document, model in pairs:
        assert document.__required_keys__ | document.__optional_keys__ == set(model.model_fields)
    rule_of(NewRule(fault=faults.error(), match=Match(endpoint="layer", layer=2)))


def test_importing_them_imports_nothing_of_the_server() -> None:
    code = """
import sys
from brokenreg.client import faults, request_documents
server = {"pydantic", "quart", "hypercorn", "brokenreg.faults", "brokenreg.rules", "brokenreg.traffic"}
assert not server & set(sys.modules), server & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


RIGHT = """
from brokenreg.client import Client, faults
from brokenreg.client.request_documents import Match
from brokenreg.pytest_plugin import TestRegistry

def use(control: Client, brokenreg: TestRegistry) -> None:
    control.add_rule({"fault": faults.error(status=503, retry_after="2"), "times": 2})
    control.add_rule({"fault": {"type": "error", "status": 503}})
    control.add_rule({"fault": [faults.latency(dur="1s"), faults.truncate(after=1024, end="rst")]})
    match: Match = {"endpoint": "manifest", "attempt": 2}
    control.add_rule({"fault": faults.timeout(dur=0.5), "match": match})
    with brokenreg.rule(faults.error(status=503), times=2, match={"endpoint": "layer"}, per="client") as rule:
        print(rule["id"])
    brokenreg.expect("status:200", count=2)
    brokenreg.expect(connections={"at_most": 4})
"""
WRONG = (
    ('faults.error(statsu=503)', "statsu"),
    ('faults.error(status="many")', "arg-type"),
    ('faults.truncate(end="slowly")', "arg-type"),
    ('faults.timeout()', "dur"),
    ('Match(endpoint="manifests")', "typeddict-item"),
    ('control.add_rule({"fault": faults.error(), "tiems": 2})', "tiems"),
    ('brokenreg.rule(faults.error(), tiems=2)', "tiems"),
    ('brokenreg.rule("error")', "arg-type"),
    ('brokenreg.rule(faults.error(), match={"endpoint": "manifests"})', "typeddict-item"),
    ('brokenreg.expect("status:200", cuont=2)', "cuont"),
    ('brokenreg.expect(leaks=1)', "arg-type"),
)  # fmt: skip


@pytest.mark.slow
def test_mypy_accepts_right_uses_and_refuses_wrong_ones(tmp_path: Path) -> None:
    user = tmp_path / "user.py"
    user.write_text(RIGHT + "".join(f"    {code}\n" for code, _ in WRONG))
    options = ["--strict", "--config-file=", f"--cache-dir={tmp_path}/cache", "--show-error-codes"]
    said, errors, status = api.run([*options, str(user)])
    lines = [line for line in said.splitlines() if "user.py" in line and ": error:" in line]
    first = RIGHT.count("\n") + 1
    assert [int(line.split(":")[1]) for line in lines] == [*range(first, first + len(WRONG))], said + errors
    assert status == 1
    for line, (code, expected) in zip(lines, WRONG, strict=True):
        assert expected in line, code
