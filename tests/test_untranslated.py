"""No message of pydantic reaches users: each of its errors is translated, for every field of every model."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, BeforeValidator, ValidationError
from pydantic_core import PydanticKnownError
from pydantic_core._pydantic_core import list_all_errors  # what pydantic generates its own docs from

from brokenreg.config.settings import Settings
from brokenreg.control import blobs, breakpoints, holding, repositories
from brokenreg.control.routes import Query
from brokenreg.faults.catalogue import CATALOGUE
from brokenreg.rules.expectations import Expectation
from brokenreg.rules.rule import Rule
from brokenreg.rules.scenario import Scenario
from brokenreg.traffic.matching import Match
from brokenreg.validation import describe_error

_PYDANTIC = re.compile(
    r"Input should|Value error|Assertion failed|Extra inputs|Field required|should (be|have|match|contain)"
    r"|valid (integer|number|string|boolean|dictionary|list|tuple)|unable to|pydantic|instance of|\bctx\b"
)
"""Words of pydantic's messages."""

_WRONG: tuple[Any, ...] = (
    None, True, "", " ", "x", "-1", "0", "1e999", "nan", -1, 0, 10**30, 1.5, float("nan"), float("inf"),
    [], ["x"], {},
    {"x": 1}, {"": ""}, "a" * 5000, "\n", "é", "\ud800", b"x", object(), [[]], {"a": {"b": []}},
)  # fmt: skip


def _bodies() -> Iterator[type[BaseModel]]:
    """Yield the models of request bodies of the control API."""
    for module in (blobs, breakpoints, holding, repositories):
        for route in module.ROUTES:
            if route.body is not None:
                yield route.body


MODELS = (
    *dict.fromkeys((Settings, Query, Scenario, Rule, Match, Expectation, *_bodies(), *CATALOGUE.values())),
)


def refusals(model: type[BaseModel]) -> Iterator[tuple[str, Any, str]]:
    """Yield field, value and message for each wrong value of each field, and for what is no document."""
    for document in (*_WRONG, {"no such field": 1}):
        yield from _refusal(model, "", document)
    for field in model.model_fields:
        for value in _WRONG:
            yield from _refusal(model, field, value)
            yield from _refusal(model, field, [value])
            yield from _refusal(model, field, {"x": value})


def _refusal(model: type[BaseModel], field: str, value: Any) -> Iterator[tuple[str, Any, str]]:
    try:
        model.model_validate({field: value} if field else value)
    except ValidationError as error:
        yield field, value, describe_error(error, model)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_each_field_says_in_our_words_what_is_wrong(model: type[BaseModel]) -> None:
    told = list(refusals(model))
    assert told
    for field, value, message in told:
        assert not _PYDANTIC.search(message), (field, value, message)
        assert message.strip(), (field, value)
        assert "\n" not in message


class _Any(BaseModel):
    field: Annotated[Any, BeforeValidator(lambda value: value())]


@pytest.mark.parametrize("known", list_all_errors(), ids=lambda known: known["type"])
def test_each_error_of_pydantic_is_translated(known: Any) -> None:
    def refuse() -> None:
        raise PydanticKnownError(known["type"], known["example_context"])

    with pytest.raises(ValidationError) as caught:
        _Any.model_validate({"field": refuse})
    said = describe_error(caught.value, _Any)
    theirs = caught.value.errors()[0]["msg"]
    assert said
    assert theirs not in said
    assert not _PYDANTIC.search(said)


def test_all_models_of_the_control_api_are_walked() -> None:
    named = {each.__name__ for each in MODELS}
    assert {"HoldBody", "StepBody", "AbortBody", "EditBody", "BreakpointBody", "Switch"} <= named
    assert all(inspect.isclass(each) for each in MODELS)
