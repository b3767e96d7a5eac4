"""docs/reference/control-api.md lists all keys of filters and all kinds of points."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from brokenreg.traffic.filter_keys import KEYS, SHORT
from brokenreg.traffic.timeline_events import KINDS

DOCUMENTED = (Path(__file__).parents[2] / "docs/reference/control-api.md").read_text().splitlines()


@pytest.mark.parametrize("name", KEYS)
def test_a_filter_key(name: str) -> None:
    spellings = [name, *(short for short, key in SHORT.items() if key == name)]
    row = f"| {', '.join(f'`{each}`' for each in spellings)} | {KEYS[name].usage} |"
    assert row in DOCUMENTED


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_of_points(kind: str) -> None:
    described = KINDS[kind]
    meaning = (described.__doc__ or "").splitlines()[0]
    data = ", ".join(f"`{field.name}`" for field in fields(described))
    assert f"| `{kind}` | {data} | {meaning} |" in DOCUMENTED
