"""Every command in the how-to pages runs, and prints what they show."""

from __future__ import annotations

import pytest

from tests.docs import pages
from tests.docs.conftest import ShellFor
from tests.docs.running import run_page


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in pages.with_commands() if "/how-to/" in name])
def test_commands(name: str, shell_for: ShellFor) -> None:
    run_page(name, shell_for)
