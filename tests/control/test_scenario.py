"""`/v1/scenario`: reads and writes all rules of a namespace."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from brokenreg.config.settings import Settings
from brokenreg.control.routes import YAML, APIRequest, Query
from brokenreg.control.rules import replace_scenario
from brokenreg.faults.catalogue import CATALOGUE
from brokenreg.rules.active_rule import ActiveRule
from brokenreg.rules.fault_descriptions import describe
from brokenreg.rules.rule import FieldError, rule_of
from brokenreg.rules.rule_book import RuleBook
from brokenreg.rules.rule_books import RuleBooks
from brokenreg.rules.scenario import SourcedScenario
from brokenreg.runtime.operations import Access, Operations
from brokenreg.traffic.log import TrafficLog
from tests.control.problem import problem_of
from tests.server import Brokenreg, brokenreg

_FAULTS = [describe(kind).examples.rule["fault"] for kind in CATALOGUE.values()]
_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20)


def is_rule(document: dict[str, Any]) -> bool:
    try:
        rule_of(document)
    except FieldError:
        return False
    return True


_RULES = st.fixed_dictionaries(
    {"fault": st.sampled_from(_FAULTS) | st.lists(st.sampled_from(_FAULTS), min_size=1, max_size=3)},
    optional={
        "name": _TEXT,
        "match": st.fixed_dictionaries(
            {},
            optional={
                "endpoint": st.sampled_from(["manifest", "layer", "any", "upload", "tags"]),
                "repository": _TEXT,
                "reference": st.sampled_from(["1.10", "no", "latest", "0x10", "~", "null", "1e3"]),
                "header": st.dictionaries(_TEXT, _TEXT, min_size=1, max_size=2),
                "layer": st.integers(1, 99),
            },
        ),
        "skip": st.integers(0, 99),
        "times": st.none() | st.integers(0, 99),
        "probability": st.floats(0, 1),
        "per": st.sampled_from(["rule", "repository", "reference", "client"]),
        "enabled": st.booleans(),
        "override": st.booleans(),
    },
).filter(is_rule)


def bare(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {key: value for key, value in rule.items() if key not in ("id", "source", "matched", "applied")}
        for rule in rules
    ]


@pytest.mark.slow
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(rules=st.lists(_RULES, min_size=1, max_size=4))
def test_rules_from_any_interface_are_written_and_read_again(registry: Brokenreg, rules: list[Any]) -> None:
    with httpx.Client(base_url=registry.control, timeout=30) as control:
        control.delete("/v1/rules")
        for rule in rules:
            assert control.post("/v1/rules", json=rule).status_code == 201
        before = bare(control.get("/v1/rules").json())
        text = control.get("/v1/scenario")
        assert text.headers["content-type"] == "application/yaml"
        control.delete("/v1/rules")
        put = control.put("/v1/scenario", content=text.content, headers={"content-type": "application/yaml"})
        assert (put.status_code, put.text) == (200, text.text)
        assert bare(control.get("/v1/rules").json()) == before
        document = control.get("/v1/scenario", headers={"accept": "application/json"}).json()
        assert control.put("/v1/scenario", json=document).status_code == 200
        assert control.get("/v1/scenario").text == text.text


def test_it_takes_the_place_of_what_was_there(registry: Brokenreg, control: httpx.Client) -> None:
    control.post("/v1/rules", json={"fault": "error"})
    text = "name: an afternoon\nseed: 7\nrules:\n- fault: {type: error, status: 418}\n  times: 1\n"
    put = control.put("/v1/scenario", content=text)
    assert yaml.safe_load(put.text) == yaml.safe_load(text)
    (rule,) = control.get("/v1/rules").json()
    assert rule["source"] == "control API:4"
    asked = [httpx.get(f"{registry.url}/v2/a/manifests/v1").status_code for _ in range(2)]
    assert asked == [418, 404]


@pytest.mark.parametrize(
    ("text", "kind", "field", "told"),
    [
        (
            "rules:\n- fault: error\n- fault: {type: truncate, after: x}",
            "yaml",
            "rules[1].fault.after",
            ":3:",
        ),
        ('{"rules": [{"fault": "error"}, {"fault": "erro"}]}', "json", "rules[1].fault.type", "did you mean"),
        ("rules: [", "yaml", None, "invalid YAML"),
        ("a: &a [*a]", "yaml", None, "anchors"),
        ("[" * 100_000, "yaml", None, "nest"),
        ("[" * 100_000, "json", None, "nested too deep"),
        ('{"rules": [], "extra": 1}', "json", "extra", "unknown field"),
        ('{"rules": 3}', "json", "rules", "use a list"),
        ("rules:\n" + "- fault: error\n" * 1001, "yaml", "rules", "at most 1000"),
    ],
)
def test_a_bad_one_changes_nothing(
    control: httpx.Client, text: str, kind: str, field: str | None, told: str
) -> None:
    control.post("/v1/rules", json={"name": "stays", "fault": "error"})
    before = control.get("/v1/rules").json()
    put = control.put("/v1/scenario", content=text, headers={"content-type": f"application/{kind}"})
    assert told in problem_of(put, 400, field)
    assert control.get("/v1/rules").json() == before


def test_reset_leads_back_to_the_start(tmp_path: Path) -> None:
    start = tmp_path / "start.yaml"
    start.write_text(
        "seed: 3\nrules:\n- fault: {type: error, status: 503}\n  match: {method: GET}\n  times: 1\n"
    )
    with brokenreg(tmp_path / "data", "--scenario", str(start)) as running:
        control = httpx.Client(base_url=running.control)
        blob = httpx.put(f"{running.url}/v2/kept/manifests/v1", content=b"{}")
        assert blob.status_code == 201
        at_start = control.get("/v1/scenario").text
        for _ in range(2):
            asked = [httpx.get(f"{running.url}/v2/kept/manifests/v1").status_code for _ in range(2)]
            assert asked == [503, 200]
            control.put("/v1/scenario", json={"rules": []})
            assert control.post("/v1/reset").status_code == 204
            (rule,) = control.get("/v1/rules").json()
            assert (rule["matched"], rule["applied"], rule["source"]) == (0, 0, f"{start}:3")
            assert control.get("/v1/scenario").text == at_start
            assert control.get("/v1/exchanges").json() == []


def test_reset_of_one_namespace_keeps_breakpoints(registry: Brokenreg, control: httpx.Client) -> None:
    """They hold responses of all namespaces."""

    def breakpoints() -> list[object]:
        return list(control.get("/v1/breakpoints").json()["breakpoints"])

    control.post("/v1/breakpoints", json={"expression": "status:599"}).raise_for_status()
    control.post("/v1/reset", params={"namespace": "job"}).raise_for_status()
    assert len(breakpoints()) == 1
    control.post("/v1/reset").raise_for_status()
    assert breakpoints() == []


async def test_a_reset_meanwhile_does_not_lose_a_scenario(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread reads the scenario, which takes effect after the reset."""
    books = RuleBooks(0, lambda _: ())
    runtime: Any = SimpleNamespace(rules=books, log=TrafficLog(), settings=Settings(), shared_rules=None)
    prepare = RuleBook.prepare

    def prepare_during_a_reset(book: RuleBook, sourced: SourcedScenario) -> list[ActiveRule]:
        prepared = prepare(book, sourced)
        books.reset("ns")
        return prepared

    monkeypatch.setattr(RuleBook, "prepare", prepare_during_a_reset)
    books.book("ns").add(rule_of({"fault": {"type": "error"}, "name": "before"}), "test")
    operations = Operations(runtime, Access.FULL)
    body = b"rules: [{fault: {type: error, status: 503}}]"
    request = APIRequest(operations, {}, Query(namespace="ns"), body, YAML, "")
    response = await replace_scenario(runtime, request)
    assert b"503" in await response.get_data(as_text=False)
    assert [active.rule.name for active in books.book("ns")] == [None]


def test_a_book_that_is_still_in_use_is_empty_after_a_reset() -> None:
    books = RuleBooks(0, lambda _: ())
    book = books.book("ns")
    active = book.add(rule_of({"fault": {"type": "error"}}), "test")
    books.reset("ns")
    assert (list(book), book.replace(active.id, active.rule, "test")) == ([], None)
