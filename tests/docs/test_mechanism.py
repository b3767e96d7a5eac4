"""What runs the documentation finds what is wrong with it, and says where."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs import shell as shells
from tests.docs.own_network import own_network
from tests.docs.pages import PageError, parse
from tests.docs.running import DocumentedError, PageRun
from tests.docs.shell import Shell
from tests.docs.transcripts import matches

Run = Callable[[str], None]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the text of a page, with a short deadline."""
    home, files = tmp_path / "home", tmp_path / "files"
    home.mkdir()
    files.mkdir()
    monkeypatch.setattr(shells, "DEADLINE", 1.0)

    def run(text: str) -> None:
        page = parse("page.md", text)
        with Shell((), {**os.environ, "HOME": str(home)}, home, files) as shell:
            PageRun(page, shell).run()

    return run


def console(*lines: str) -> str:
    return "\n".join(("```console", *lines, "```", ""))


@pytest.mark.parametrize(
    ("lines", "printed"),
    [
        (["a", "b"], "a\nb\n"),
        (["a"], "a\n\n"),
        (["...", "b"], "b\n"),
        (["...", "c"], "a\nb\nc\n"),
        (["a ... c"], "a b c\n"),
        (["...b", "..."], "a b\n"),
        ([], ""),
    ],
)
def test_what_is_as_shown(lines: list[str], printed: str) -> None:
    assert matches(lines, printed)


@pytest.mark.parametrize(
    ("lines", "printed"),
    [(["a"], "a\nb\n"), (["a", "b"], "a\n"), ([], "a\n"), (["a ... c"], "a\nc\n"), (["a.c"], "abc\n")],
)
def test_what_is_not_as_shown(lines: list[str], printed: str) -> None:
    assert not matches(lines, printed)


def test_a_page(run: Run) -> None:
    run(
        console("$ cd /tmp && X=1", "$ pwd; echo $X", "/tmp", "1", "$ false", "$ echo $?", "1")
        + console("$ echo a \\", "> b", "a b", "$ cat <<END", "> x", "> END", "x", "$ cd; pwd", "/home/you")
        + "<!-- test: file sub/rules.txt -->\n```text\n'$x'\n```\n"
        + console("$ cat sub/rules.txt", "'$x'")
        + "<!-- test: start echo up; sleep 60 -->\n"
        + console("$ jobs | wc -l", "1")
        + "<!-- test: stop -->\n"
        + console("$ jobs | wc -l", "0")
        + "<!-- test: keeps running -->\n"
        + console("$ echo up; echo more; sleep 60", "up")
        + console("$ (sleep 0.1; echo late; sleep 60) &", "late")
        + "<!-- test: not run: never -->\n"
        + console("$ exit 1")
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (console("$ echo a", "b"), "page.md:2: $ echo a\n- b\n+ a"),
        ("\n" + console("$ true", "$ echo a >&2"), "page.md:4: $ echo a >&2\n+ a"),
        (console("$ printf 'a 1\\nb\\n'", "a ...", "c"), "  a 1\n- c\n+ b"),
        (console("$ echo so far; sleep 60"), "has not ended after 1 s; it printed:\nso far"),
        (console("$ exit 3"), "ended the shell"),
        (console("$ (echo oops; exit 1) &", "ready"), "page.md:2: $ (echo oops; exit 1) &\n- ready\n+ oops"),
        (console("no prompt"), "page.md:2: a console block begins with a command"),
        ("<!-- test: run false -->\n", "page.md:1: 'false': status 1"),
        ("<!-- test: start true -->\n", "page.md:1: 'true' has printed nothing"),
    ],
)
def test_what_is_wrong_is_told(run: Run, text: str, told: str) -> None:
    with pytest.raises(DocumentedError) as caught:
        run(text)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "<!-- test: begin x -->\n",
        "<!-- test: start -->\n",
        "<!-- test: stop now -->\n",
        "<!-- test: keeps running -->\n",
        "<!-- test: keeps running -->\n# Next\n```console\n$ true\n```\n",
        "<!-- test: start x\n-->\n",
        "```console\n$ true\n",
    ],
)
def test_pages_that_cannot_be_run(text: str) -> None:
    with pytest.raises(PageError, match=r"^page.md:1: "):
        parse("page.md", text)


def test_what_a_page_starts_ends_with_it(run: Run, tmp_path: Path) -> None:
    run(console("$ (echo up; exec sleep 61) &", "up", f"$ echo $! >{tmp_path}/pid"))
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_the_own_network_reaches_nothing_else(tmp_path: Path) -> None:
    with own_network() as prefix:
        if not prefix:
            pytest.skip("a network of its own needs Linux and more rights")
        with Shell(prefix, os.environ, tmp_path, tmp_path) as shell:
            printed, _ = shell.run(
                "cat /proc/net/dev | tail -n +3 | cut -d: -f1; (echo >/dev/tcp/192.0.2.1/80) 2>&1"
            )
    assert printed.split()[0] == "lo"
    assert "unreachable" in printed
