"""The cases that `brokenreg exam` runs: chosen by name, or listed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import click

from brokenreg.wording import near, quoted

if TYPE_CHECKING:
    from brokenreg.exam.cases import Action, Case


def chosen_cases(only: Sequence[str], actions: Collection[Action] | None = None) -> list[Case]:
    """Return the cases for these actions, or for all, whose names match a glob; all without a glob.

    Raise `click.UsageError` if there is a glob that no name matches.
    """
    from brokenreg.exam.cases import ACTIONS, cases

    actions = ACTIONS if actions is None else actions
    names = [each.name for each in cases() if each.action in actions]
    for glob in only:
        if not any(each.action in actions for each in cases(glob)):
            found = near(glob, names)
            hint = 'run "brokenreg exam --cases" for the list' if found is None else f"did you mean {found}?"
            raise click.UsageError(
                f"--only: no case for {' or '.join(actions)} has a name like {quoted(glob)}: {hint}"
            )
    return [each for each in cases(*only) if each.action in actions]


def list_cases(found: Sequence[Case]) -> None:
    """Print the name and the summary of each case, by action."""
    for action, members in groupby(found, lambda each: each.action):
        click.echo(f"{action}")
        for each in members:
            click.echo(f"  {each.name:36} {each.about.summary}")
