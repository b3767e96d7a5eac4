"""Lists of the documentation are the same on code hosts and in the site."""

from __future__ import annotations

import markdown
import pytest
from markdown_it import MarkdownIt

from documentation.lists import with_four_spaces
from tests.docs import pages
from tests.docs.pages import ROOT


def in_site(text: str) -> str:
    return markdown.markdown(
        "\n".join(with_four_spaces(text.splitlines())),
        extensions=["pymdownx.superfences", "sane_lists", "tables"],
    )


@pytest.mark.parametrize(
    "text",
    [
        "- a\n- b\n",
        "- a\n  more\n- b\n",
        "- a\n  - b\n    - c\n- d\n",
        "1. a\n   - b\n2. c\n",
        "1. a\n\n   more\n2. b\n",
        "- a\n\n  more\n- b\n",
        "10. a\n\n    more\n\n11. b\n",
        "text\n- a\n",
        "- a\n\n  ```sh\n  - b\n  ```\n\n- c\n",
        "```sh\ntext\n- a\n```\n",
        "- a\n\ntext\n\n- b\n",
        "- in\n  1970. It\n- b\n",
        "in\n1970. It\n",
        "1. a\n   b\n2. c\n   d\n\n   e\n3. f\n",
    ],
)
def test_lists(text: str) -> None:
    html = in_site(text)
    expected = MarkdownIt("commonmark").render(text)
    for mark in ("<ul", "<ol", "<li", "<code", "</ul>\n</li>", "</ol>\n</li>"):
        assert html.count(mark) == expected.count(mark), (mark, html)


@pytest.mark.parametrize("name", pages.names())
def test_lists_of_pages(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    html, expected = in_site(text), MarkdownIt("commonmark").render(text)
    for mark in ("<ul>", "<ol", "<li>"):
        assert html.count(mark) == expected.count(mark), mark
