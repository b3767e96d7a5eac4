"""Link headers of lists: valid forms from real registries, and invalid ones."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenreg.proxy.cache.list_pages import next_page

SOURCE = "quay.io"
ASKED = "tags/list?n=1000"


@pytest.mark.parametrize(
    ("link", "page"),
    [
        ('</v2/a/b/tags/list?last=v9&n=50>; rel="next"', "tags/list?last=v9&n=50"),
        ("</v2/a/b/tags/list?last=v9&n=50>; rel=next", "tags/list?last=v9&n=50"),
        ('<?last=v9>;REL="NEXT"', "tags/list?last=v9"),
        ('<https://else.test/x?last=v9#end>; rel="next"', "tags/list?last=v9"),
        ('</p?page=1>; rel="prev", </p?page=3>; rel="next"', "tags/list?page=3"),
        ('</p?page=3>; rel="next last"', "tags/list?page=3"),
        ('</p?page=3>; title="a, b; c"; rel="next"; type="x"', "tags/list?page=3"),
        ("</p?next=%2Fa%3D%3D&last=>; rel=next", "tags/list?next=/a%3D%3D&last="),
        ('</p?page=1>; rel="prev"', None),
        ('</p?page=1>; rel="nextish"', None),
        ("</p?page=1>", None),
        ('</p>; rel="next"', None),
        ("</v2/a/b/tags/list?last=v9; rel=next", None),
        ("//[::1?last=v9", None),
        ("", None),
        (None, None),
    ],
)
def test_links(link: str | None, page: str | None) -> None:
    assert next_page(SOURCE, ASKED, link) == page


@given(st.text(st.characters(max_codepoint=0xFF)) | st.text('<>;,"= rel=next?&'))
def test_any_link_becomes_a_query_on_our_path(link: str) -> None:
    page = next_page(SOURCE, ASKED, link)
    if page is not None:
        assert page.startswith("tags/list?")
        assert page.isascii()
        assert not set(page) & set(" <>#\r\n")


@given(st.lists(st.tuples(st.text(min_size=1), st.text()), min_size=1))
def test_a_query_stays_what_it_is(query: list[tuple[str, str]]) -> None:
    first = next_page(SOURCE, ASKED, "</p?page=2>; rel=next")
    assert first == "tags/list?page=2"
    encoded = "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in query)
    page = next_page(SOURCE, ASKED, f'<{encoded}>; rel="prev", </x?{encoded}>; rel="next"')
    assert page is not None
    assert parse_qsl(page.partition("?")[2], keep_blank_values=True) == query


def _quoted(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())
