"""Hostile text for every field that clients can set, and checks of what a screen shows of it."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from urllib.parse import quote

from textual.app import App

from tests.registry.pushing import OCI_MANIFEST

MARKUP = "[red]r[/] [@click=app.quit]q[/] [/] [bold"
ESCAPES = "\x1b]0;EVIL\x07\x1b]52;c;RVZJTA==\x07\x1b[?1049l\x1b[2J\x1b[31m\x1bc"
CONTROLS = "\x00\x08\t\r\n\x0b\x7f\x85\x90\x9b31m\u2028"
TURNED = "\u202eabc\u202c\u2067\u05d0\u05d1\u0627\u200f\ufeff"
JOINED = "e\u0301\u0489\u200b\u200d\u1161\u11a8\ufe0f\U0001f1e9\U0001f1ea\U0001f44d\U0001f3fd\u3164"
WIDE = "漢字😀ｆ"
HOSTILE = f"{MARKUP}{ESCAPES}{CONTROLS}{TURNED}{JOINED}{WIDE}"

LATIN = "".join(map(chr, range(0x80, 0x100)))
"""What octets beyond ASCII are taken for in a header."""

_UNSEEN = frozenset("\u115f\u3164\uffa0\u2800")
_JOINING = (range(0x1160, 0x1200), range(0xD7B0, 0xD800), range(0x1F1E6, 0x1F200), range(0x1F3FB, 0x1F400))


def rows(app: App) -> list[str]:
    """Return the lines of the screen, after checking their widths and that all characters are harmless."""
    shown = [strip.text for strip in app.screen._compositor.render_strips()]
    for row in shown:
        assert sum(map(cells, row)) == app.size.width, repr(row)
    return shown


def cells(character: str) -> int:
    """Return the number of cells in a terminal. Fail for characters that have other effects."""
    assert character.isprintable(), ascii(character)
    assert unicodedata.category(character)[0] != "M", ascii(character)
    assert unicodedata.bidirectional(character) not in ("R", "AL", "AN"), ascii(character)
    assert character not in _UNSEEN, ascii(character)
    assert not any(ord(character) in each for each in _JOINING), ascii(character)
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def paths() -> Iterator[str]:
    """Draw request targets in ASCII that decode to any text."""
    nasty = quote(HOSTILE, safe="")
    yield f"/v2/{nasty}/manifests/{nasty}"
    yield f"/v2/library/app/manifests/1.2?{nasty}={nasty}&ns={nasty}"
    yield f"/v2/broken/error:503/{nasty}/manifests/x"
    yield f"/v2/app/tags/list?n={nasty}&last={nasty}"
    yield "/v2/%ff%fe%80/manifests/%ed%a0%80"
    yield f"/{'%F0%9F%98%80' * 4000}"
    yield f"/v2/{'a' * 60_000}/manifests/x"


def manifest(blob: str) -> bytes:
    """Return a manifest for one blob in which all texts are hostile, including lone surrogates."""
    odd = HOSTILE + "\ud800"
    layer = {"mediaType": odd, "digest": blob, "size": 5, "annotations": {odd: odd}, "urls": [odd]}
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": odd,
        "config": {"mediaType": odd, "digest": blob, "size": 2**70},
        "layers": [layer, layer],
        "annotations": {odd: odd},
    }
    return json.dumps(document).encode()
