"""The other blocks of the documentation are valid, and its links lead somewhere."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from pymdownx.slugs import slugify

from brokenreg.rules.scenario_text import read_scenario
from tests.docs import pages
from tests.docs.pages import ROOT

_PAGES = [*pages.names(), "CONTRIBUTING.md"]
_LINK = re.compile(r"\]\((?!\w+:)([^)\s]*)\)")
_HEADING = re.compile(r"#+ +(.*)")
_slug = slugify(case="lower")


def _read_yaml(text: str) -> None:
    document = yaml.safe_load(text)
    if isinstance(document, dict) and {"rules", "expect"} & document.keys():
        read_scenario(text, "this block")


_READERS: dict[str, Callable[[str], object]] = {"yaml": _read_yaml, "json": json.loads, "toml": tomllib.loads}


@pytest.mark.parametrize("name", _PAGES)
def test_documents_are_valid(name: str) -> None:
    """YAML, JSON and TOML can be read, and scenarios can be loaded."""
    page = pages.read(name)
    for block in page.blocks:
        try:
            _READERS.get(block.language, str)(block.text)
        except (ValueError, yaml.YAMLError) as error:
            pytest.fail(f"{page.where(block.line)}: {error}", pytrace=False)


@pytest.mark.parametrize("name", _PAGES)
def test_commands_are_in_console_blocks(name: str) -> None:
    """Nothing that looks like a command after a prompt is left out."""
    page = pages.read(name)
    for block in page.blocks:
        if block.language != "console":
            assert not re.search(r"^[$#>] \w", block.text, re.MULTILINE), page.where(block.line)


@pytest.mark.parametrize("name", _PAGES)
def test_links(name: str) -> None:
    """Those of README.md are not in the site, and those to pictures and sources lead out of `docs/`."""
    for number, target in _links(name):
        path, _, anchor = target.partition("#")
        file = (ROOT / name).parent / path if path else ROOT / name
        assert file.is_file(), f"{name}:{number}: {path} is not a file"
        if anchor:
            assert anchor in _anchors(file), f"{name}:{number}: no heading {anchor} in {path or name}"


def _links(name: str) -> Iterator[tuple[int, str]]:
    for number, line in _prose(ROOT / name):
        yield from ((number, target) for target in _LINK.findall(line))


def _anchors(file: Path) -> set[str]:
    return {
        _slug(found[1].replace("`", ""), "-")
        for _, line in _prose(file)
        if (found := _HEADING.fullmatch(line))
    }


def _prose(file: Path) -> Iterator[tuple[int, str]]:
    """The lines of a page that are not in blocks of code, with their numbers."""
    fence = ""
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        mark = re.match(r" *(```+)", line)
        if not fence and mark is None:
            yield number, re.sub(r"`[^`]*`", lambda code: "" if "](" in code[0] else code[0], line)
        elif mark:
            fence = "" if fence else mark[1]
