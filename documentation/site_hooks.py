"""Hooks of MkDocs: pages and pictures from outside `docs/`, and links that work on a code host as well.

A link is relative to the file in the repository, for example `../../screenshots/held-160x45.svg`. The site
has the same files in other places; these hooks copy them and adapt the links.
"""

from __future__ import annotations

import logging
import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from documentation.lists import with_four_spaces

_LOG = logging.getLogger("mkdocs.documentation")
"""Its warnings end a strict build."""

_ROOT = Path(__file__).parents[1]
_STYLE = "stylesheets/site.css"
_EXAMPLES = sorted(path.relative_to(_ROOT).as_posix() for path in (_ROOT / "examples").glob("*/README.md"))
_PAGES = {
    "README.md": "start.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    **{example: example for example in _EXAMPLES},
}
"""Pages of the site that are not in `docs/`: the place in the repository, and that in the site."""

_FILES = {"LICENSE": "LICENSE.txt", **_PAGES}
_LINK = re.compile(r"(\]\()(?!\w+:|#|/)([^)\s#]+)(#[^)\s]*)?(?=\))")
_TEST_COMMENT = re.compile(r"^<!-- test: .*-->\n", re.MULTILINE)
_FENCE = re.compile(r"^ *(```+|~~~+)")
_FONT = re.compile(r",\s*url\([^)]*\) format\([^)]*\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files from outside `docs/`."""
    for source, place in _PAGES.items():
        files.append(File.generated(config, place, content=(_ROOT / source).read_text()))
    files.append(File.generated(config, "LICENSE.txt", content=(_ROOT / "LICENSE").read_text()))
    files.append(File.generated(config, _STYLE, abs_src_path=str(Path(__file__).with_name("site.css"))))
    folders = (_ROOT / "deploy", _ROOT / "examples", _ROOT / "action")
    for path in sorted([_ROOT / "action.yml", *(path for folder in folders for path in folder.rglob("*"))]):
        place = path.relative_to(_ROOT).as_posix()
        if path.is_file() and place not in _PAGES:
            files.append(File.generated(config, place, abs_src_path=str(path)))
    for picture in sorted((_ROOT / "screenshots").glob("*.svg")):
        # Rich names a font on another host, which a browser would fetch for the picture alone.
        content = _FONT.sub("", picture.read_text())
        files.append(File.generated(config, f"screenshots/{picture.name}", content=content))
    for picture in sorted((_ROOT / "screenshots").glob("*.png")):
        files.append(File.generated(config, f"screenshots/{picture.name}", abs_src_path=str(picture)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Adapt the links of a page, and leave out the comments for tests."""
    place = page.file.src_uri
    source = next((each for each, its in _PAGES.items() if its == place), f"docs/{place}")

    def adapted(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link[2]))
        if not (_ROOT / target).is_file():
            _LOG.warning("%s links to %s, but %s is not a file", source, link[2], target)
        there = posixpath.relpath(_place_of(target), posixpath.dirname(place) or ".")
        return f"{link[1]}{there}{link[3] or ''}"

    linked = _outside_code(_TEST_COMMENT.sub("", markdown), lambda line: _LINK.sub(adapted, line))
    return "\n".join(with_four_spaces(linked))


def _place_of(source: str) -> str:
    """Return the place in the site of a file in the repository."""
    return _FILES.get(source, source.removeprefix("docs/"))


def _outside_code(markdown: str, change: Callable[[str], str]) -> Iterator[str]:
    """Yield all lines; those that are not in a block of code are changed."""
    fence = ""
    for line in markdown.splitlines():
        found = _FENCE.match(line)
        yield line if fence or found else change(line)
        if found and not fence:
            fence = found[1]
        elif found and line.strip().startswith(fence):
            fence = ""
