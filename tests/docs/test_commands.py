"""Every command in README.md, the tutorials and the reference runs, and prints what they show.

The how-to pages and the examples have modules of their own, so that all run at the same time.
"""

from __future__ import annotations

import pytest

from tests.docs import pages
from tests.docs.conftest import ShellFor
from tests.docs.not_run import NOT_RUN
from tests.docs.running import run_page
from tests.docs.transcripts import commands_of


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [name for name in pages.with_commands() if "/how-to/" not in name and not name.startswith("examples/")],
)
def test_commands(name: str, shell_for: ShellFor) -> None:
    run_page(name, shell_for)


def test_what_is_not_run_is_listed() -> None:
    found = {
        name: {
            commands_of(block)[0].text: order.text for block in blocks if (order := block.order("not run"))
        }
        for name in pages.names()
        if (blocks := [block for block in pages.read(name).blocks if block.order("not run")])
    }
    assert found == NOT_RUN
    assert sum(map(len, found.values())) <= 12
