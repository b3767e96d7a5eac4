"""Errors in scenarios and settings name the valid keys and values."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from brokenreg.rules.scenario import ScenarioError
from brokenreg.rules.scenario_text import read_scenario
from brokenreg.traffic.filter_keys import KEYS
from brokenreg.validation import describe_error, error_location
from brokenreg.wording import listed


@pytest.mark.parametrize(
    ("scenario", "said"),
    [
        ("expect: [{atleast: 1}]", "expect[0].atleast: unknown field: did you mean at_least?"),
        ("expect: [{zzz: 1}]",
         "expect[0].zzz: unknown field: use at_least, at_most, connections, count, each, filter, leaks, "
         "name, order or spacing"),
        ("expect: [{at_least: 1}]", "expect[0]: use exactly one of filter, order, leaks or connections"),
        ("expect: [{filter: 'foo:1'}]",
         f'expect[0].filter: unknown key "foo": use {listed(KEYS)}'),
        ("expect: [{filter: 'status:9'}]",
         'expect[0].filter: invalid status "9": use 404, 4xx, 400-499, >=500 or none'),
        ("expect: [{filter: x, count: -1}]", 'expect[0].count: invalid value "-1": use 0 or more'),
        ("expect: [{filter: x, count: many}]", 'expect[0].count: invalid value "many": use a whole number'),
        ("rules: [{fault: error, match: {zzz: 1}}]",
         "rules[0].match.zzz: unknown field: use attempt, client, endpoint, header, layer, "
         "method, protocol, reference, repository or user"),
        ("rules: [{fault: {type: error, status: 999}}]",
         'rules[0].fault.status: invalid value "999": use 400 to 599'),
        ("rules: [{fault: error, match: {endpoint: layers}}]",
         'rules[0].match.endpoint: invalid value "layers": did you mean layer?'),
        ("rules: [{fault: error, per: x}]",
         'rules[0].per: invalid value "x": use rule, repository, reference or client'),
        ("rules: [{fault: error, enabled: maybe}]",
         'rules[0].enabled: invalid value "maybe": use true or false'),
        ("rules: [{fault: error, match: {client: ''}}]",
         'rules[0].match.client: invalid value "": use some text'),
        ("rules: [{fault: error, times: 0}]",
         'rules[0].times: invalid value "0": use 1 or more; to switch a rule off, disable or remove it'),
        ("seed: abc", 'seed: invalid value "abc": use a whole number'),
    ],
)  # fmt: skip
def test_a_hint_names_what_is_valid_there(scenario: str, said: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        read_scenario(f"{scenario}\n", "s.yaml")
    assert str(caught.value) == f"s.yaml:1: {said}"


class _Inner(BaseModel, extra="forbid"):
    first: int = 0


class _Outer(BaseModel, extra="forbid"):
    one: _Inner | None = None
    many: tuple[_Inner, ...] = ()
    named: dict[str, list[_Inner]] = {}


@pytest.mark.parametrize(
    "document", [{"one": {"firs": 1}}, {"many": [{}, {"firs": 1}]}, {"named": {"a": [{"firs": 1}]}}]
)
def test_wherever_a_model_is_its_own_fields_are_named(document: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as caught:
        _Outer.model_validate(document)
    assert error_location(caught.value)[-1] == "firs"
    assert describe_error(caught.value, _Outer) == "unknown field: did you mean first?"


def test_a_secret_is_not_quoted() -> None:
    with pytest.raises(ValidationError) as caught:
        _Inner.model_validate({"first": "hunter2"})
    assert describe_error(caught.value, _Inner, is_secret=True) == "invalid value: use a whole number"


def test_a_password_in_a_url_is_not_quoted() -> None:
    with pytest.raises(ValidationError) as caught:
        _Inner.model_validate({"first": "http://casey:hunter2@h"})
    assert describe_error(caught.value, _Inner) == 'invalid value "http://***@h": use a whole number'
