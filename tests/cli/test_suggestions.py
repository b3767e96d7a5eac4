"""What the command line suggests for options, commands and arguments that do not exist."""

from __future__ import annotations

import click
import pytest

from brokenreg.cli import suggestions
from brokenreg.cli.main import main
from tests.process import run_here


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("serve --port 5000", 'no option "--port": did you mean --listen?'),
        ("serve -p 5000", 'no option "-p": did you mean --listen?'),
        ("serve --host 0.0.0.0", 'no option "--host": did you mean --listen?'),
        ("serve --storage /tmp", 'no option "--storage": did you mean --data?'),
        ("serve --tls-cert x", 'no option "--tls-cert": did you mean --cert?'),
        ("serve --lisen x", 'no option "--lisen": did you mean --listen?'),
        ("serve --verbose", 'no option "--verbose": every request is logged, so leave it out'),
        ("serve --insecure", 'no option "--insecure": plain HTTP is the default, so leave it out'),
        ("serve --elephants", 'no option "--elephants": run "brokenreg serve --help" for the list'),
        ("serve --tls", "--tls needs a value: use --tls [self-signed]"),
        ("serve --headless=yes", "--headless takes no value: use --headless alone"),
        ("serve --auth yes", '--auth: invalid value "yes": use none, basic or token'),
        ("serve --auth tokn", '--auth: invalid value "tokn": did you mean token?'),
        ("serve --seed abc", '--seed: invalid value "abc": use a whole number'),
        ("serve 127.0.0.1:5000", 'argument "127.0.0.1:5000": did you mean --listen 127.0.0.1:5000?'),
        ("serve elephants", 'argument "elephants": run "brokenreg serve --help" for its options'),
        ("serve --listen 5000", 'invalid address "5000": use 127.0.0.1:5000, or 0.0.0.0:5000 for all '),
        ("serve --listen http://localhost:5000/", "did you mean localhost:5000?"),
        ("rules list --port 8081", 'no option "--port": did you mean --url?'),
        ("rules add truncate --after 64K", 'no option "--after": write parameters as NAME=VALUE: after=64K'),
        ("rules add error --status=503", "write parameters as NAME=VALUE: status=503"),
        ("rules add error --retry-after 5", "write parameters as NAME=VALUE: retry-after=5"),
        ("rules add error --repo app", 'no option "--repo": did you mean --repository?'),
        ("rules add error --tag v1", 'no option "--tag": did you mean --reference?'),
        ("rules add", 'FAULT is missing: run "brokenreg faults" for the list'),
        ("hold --after 64KiB", 'no option "--after": did you mean --at?'),
        ("rules rm 1", 'no command "rm": did you mean "brokenreg rules remove"?'),
        ("rules clear 3", 'unexpected argument "3": did you mean "brokenreg rules remove 3"?'),
        ("rules clear all", 'unexpected argument "all": run "brokenreg rules clear --help"'),
        ("rules ls", 'no command "ls": did you mean "brokenreg rules list"?'),
        ("rules elephants", 'no command "elephants": run "brokenreg rules --help" for the list'),
        ("start", 'no command "start": did you mean "brokenreg serve"?'),
        ("logs", 'no command "logs": did you mean "brokenreg log"?'),
        ("rule list", 'no command "rule": did you mean "brokenreg rules"?'),
        ("list", 'no command "list": did you mean "brokenreg rules list"?'),
        ("continue 3", 'no command "continue": did you mean "brokenreg resume"?'),
        ("version", 'no command "version": run "brokenreg --version"'),
        ("rules list --yaml", 'no option "--yaml": run "brokenreg scenario show"'),
        ("serve --follow", 'no option "--follow": run "brokenreg log --follow"'),
        ("faults truncat", 'no fault "truncat": did you mean truncate?'),
        ("faults 404", 'no fault "404": did you mean not-found?'),
        ("faults elephants", 'no fault "elephants": run "brokenreg faults"'),
    ],
)
def test_what_is_suggested(arguments: str, said: str) -> None:
    done = run_here(*arguments.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr.splitlines()[-1]


def test_the_name_of_a_variable_with_an_invalid_value_is_given() -> None:
    done = run_here("serve", BROKENREG_AUTH="yes")
    assert (
        done.stderr.splitlines()[-1] == 'Error: BROKENREG_AUTH: invalid value "yes": use none, basic or token'
    )


def commands(group: click.Group) -> list[click.Command]:
    found: list[click.Command] = []
    for each in group.commands.values():
        found += [each, *(commands(each) if isinstance(each, click.Group) else [])]
    return found


def test_what_is_suggested_exists() -> None:
    """A table that names an option or a command which was renamed would send people in circles."""
    every = commands(main)
    options = {
        name
        for each in [main, *every]
        for param in each.get_params(click.Context(each))
        for name in param.opts
    }
    names = {str(each.name) for each in every}
    assert set(suggestions._OPTIONS) <= options
    assert set(suggestions._COMMANDS) <= names


@pytest.mark.parametrize(
    "command",
    [
        "",
        "serve",
        "tui",
        "faults",
        "rules",
        "rules add",
        "log",
        "hold",
        "check",
        "wait",
        "scenario",
        "breakpoints",
    ],
)
def test_help_fits_a_terminal_of_80_columns(command: str) -> None:
    done = run_here(*command.split(), "--help", COLUMNS="80")
    assert done.returncode == 0
    assert [line for line in done.stdout.splitlines() if len(line) > 80] == []
