"""Every command in the documentation runs, and prints what the documentation shows."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from tests.docs import pages
from tests.docs.not_run import NOT_RUN
from tests.docs.pages import ROOT, Page
from tests.docs.running import DocumentedError, PageRun
from tests.docs.shell import Shell
from tests.docs.transcripts import commands_of

_RUN = [name for name in pages.names() if "```console" in (ROOT / name).read_text(encoding="utf-8")]


@pytest.mark.slow
@pytest.mark.parametrize("name", _RUN)
def test_commands(name: str, shell_for: Callable[[Page], AbstractContextManager[Shell]]) -> None:
    page = pages.read(name)
    problem = None
    with shell_for(page) as shell:
        try:
            PageRun(page, shell).run()
        except DocumentedError as error:
            problem = str(error)
    if problem:
        pytest.fail(problem, pytrace=False)


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
