"""Configurations that are odd."""

from __future__ import annotations

import pytest

from tests.images.catalogue.reading import read


@pytest.mark.parametrize("steps", [3, 20])
def test_history_too_long(steps: int) -> None:
    image = read(f"history-too-long_steps-{steps}")
    assert len(image.config["history"]) == len(image.root["layers"]) + steps
    assert not any(step.get("empty_layer") for step in image.config["history"])
