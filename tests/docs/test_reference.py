"""What is generated from the code in the documentation is current."""

from __future__ import annotations

import pytest

from documentation.generated import GENERATED, Generated


@pytest.mark.parametrize("generated", GENERATED, ids=lambda each: f"{each.file} {each.part}".rstrip())
def test_it_is_current(generated: Generated) -> None:
    assert generated.is_current(), f"{generated.file} is not current: run `make reference`"
