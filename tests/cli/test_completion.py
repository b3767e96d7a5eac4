"""Completion in shells: bash for real, zsh and fish as far as they are installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def run_shell(shell: str, script: str, *arguments: str) -> str:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        [shell, *arguments, "-c", script], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def completed_by_bash(line: str) -> list[str]:
    """Return what bash offers for the last word of a line, asking the function that `complete` registered."""
    words = line.split(" ")
    return run_shell(
        "bash",
        'eval "$(_BROKENREG_COMPLETE=bash_source brokenreg)"\n'
        "function=$(complete -p brokenreg | sed 's/.*-F \\([^ ]*\\).*/\\1/')\n"
        f"COMP_WORDS=({' '.join(words)} {'' if words[-1] else repr('')}) COMP_CWORD={len(words) - 1}\n"
        f'"$function" brokenreg "{words[-1]}" "{words[-2]}"\n'
        "printf '%s\\n' \"${COMPREPLY[@]}\"\n",
        "--norc",
    ).split()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("brokenreg se", ["serve"]),
        ("brokenreg rules ", ["add", "clear", "disable", "enable", "list", "move", "remove", "replace"]),
        ("brokenreg serve --default-u", ["--default-upstream"]),
        ("brokenreg serve --auth ", ["none", "basic", "token"]),
    ],
)
def test_bash(line: str, expected: list[str]) -> None:
    assert completed_by_bash(line) == expected


def test_bash_offers_nothing_for_an_unknown_word() -> None:
    assert completed_by_bash("brokenreg nothing-like-this") == []


@pytest.mark.parametrize(("shell", "registers"), [("zsh", "compdef"), ("fish", "complete --no-files")])
def test_the_source_for_other_shells(shell: str, registers: str) -> None:
    source = run_shell("sh", f"_BROKENREG_COMPLETE={shell}_source brokenreg")
    assert registers in source
    assert f"_BROKENREG_COMPLETE={shell}_complete" in source
    if shutil.which(shell):
        assert subprocess.run([shell, "-n", "/dev/stdin"], input=source, text=True).returncode == 0


def test_the_module_is_the_command() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "brokenreg", "--version"], capture_output=True, text=True, timeout=60
    ).stdout
    assert shown.startswith("brokenreg, version ")
