"""Every fault of the catalogue is complete. Messages name the fault and what it lacks."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Literal, get_args, get_origin

import pytest

from brokenreg.faults.catalogue import CATALOGUE
from brokenreg.faults.catalogue.base import ConnectFault, Fault


def _concrete(base: type[Fault]) -> Iterator[type[Fault]]:
    for each in base.__subclasses__():
        yield from _concrete(each)
        if not inspect.isabstract(each) and each.__module__.startswith("brokenreg."):
            yield each


def test_every_fault_is_listed() -> None:
    listed = set(CATALOGUE.values())
    missing = sorted(
        each.__name__ for each in _concrete(Fault) if each not in listed and hasattr(each, "name")
    )
    assert not missing, f"{missing}: add to the tuple of the family in brokenreg/faults/catalogue/__init__.py"


@pytest.mark.parametrize("fault", CATALOGUE.values(), ids=lambda fault: fault.name)
def test_a_fault_is_complete(fault: type[Fault]) -> None:
    name = fault.__name__
    lacking = [
        each for each in ("name", "default_endpoint", "clients", "example") if not hasattr(fault, each)
    ]
    assert not lacking, f"{name} lacks {', '.join(lacking)}"
    summary = (vars(fault).get("__doc__") or "").partition("\n")[0]
    assert summary.endswith("."), f"{name} lacks a docstring, whose first line is a sentence: it is the help"
    undescribed = [each for each, field in fault.model_fields.items() if not field.description]
    assert not undescribed, f"{name}: {', '.join(undescribed)} lack a description"


@pytest.mark.parametrize("fault", CATALOGUE.values(), ids=lambda fault: fault.name)
def test_a_path_can_name_every_choice(fault: type[Fault]) -> None:
    for field, info in fault.model_fields.items():
        for annotation in (info.annotation, *get_args(info.annotation)):
            for choice in get_args(annotation) if get_origin(annotation) is Literal else ():
                if isinstance(choice, str):
                    assert choice == choice.lower(), f"{fault.name}.{field}: {choice!r} is not lower case"


def test_a_connect_fault_is_for_connections() -> None:
    found = {each.name for each in CATALOGUE.values() if issubclass(each, ConnectFault)}
    assert found == {each.name for each in CATALOGUE.values() if each.default_endpoint == "connect"}
