"""`/panel`: the panel in a browser, with the script of textual-serve (`pip install brokenreg[web]`).

A page of another origin cannot show this page in a frame, and it loads nothing from elsewhere. The token is
in a form. The page gets a ticket instead, which opens one WebSocket.
"""

from __future__ import annotations

import html
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import parse_qs

from brokenreg.control.guard import ControlGuard
from brokenreg.control.tickets import Tickets
from brokenreg.http.asgi import Receive, Scope, Send, header
from brokenreg.runtime.operations import Access

WEB_PATH = "/panel"

_SCRIPT = "/panel/textual.js"
_LONGEST_FORM = 16 * 1024
_HTML = "text/html; charset=utf-8"
_HEADERS = (
    ("cache-control", "no-store"),
    ("content-security-policy", "default-src 'self'; base-uri 'none'; form-action 'self'; object-src 'none'; "
     "frame-ancestors 'none'"),
    ("cross-origin-opener-policy", "same-origin"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
)  # fmt: skip
_STYLE = """
html, body { margin: 0; height: 100%; background: #10151b; color: #d8dee6; }
html { font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 34rem; margin: 0 auto; padding: 3rem 1rem; }
label { display: block; }
input, button { font: inherit; padding: .4rem .6rem; }
code { font-family: ui-monospace, monospace; }
a { color: #4ea1ff; }
.textual-terminal { width: 100vw; height: 100vh; overflow: hidden; }
.ended { display: none; position: fixed; left: 1rem; bottom: 1rem; }
body.-closed .ended { display: block; }
"""
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8">'
    '<path fill="#ff8c1a" d="M0 0h8v3H5L4 5 3 3H0z"/></svg>'
)
_FRAME = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>brokenreg</title>
<link rel="icon" href="/panel/icon.svg">
<link rel="stylesheet" href="/panel/xterm.css"><link rel="stylesheet" href="/panel/panel.css">
"""
_FORM = """<main><h1>brokenreg</h1>{problem}
<form method="post" action="/panel" autocomplete="off">
<label for="token">Token (<code>--control-token</code> or <code>--control-read-token</code>)</label>
<input id="token" name="token" type="password" required autofocus> <button>Open the panel</button>
</form></main></html>"""
_TERMINAL = """<script src="/panel/textual.js"></script>
<body><div class="textual-terminal" data-session-websocket-url="{url}" data-font-size="15"></div>
<p class="ended"><a href="/panel">Open the panel again</a></p></body></html>"""
_MISSING = """<main><h1>brokenreg</h1><p>The panel in a browser needs an extra package on the server.
Install it with <code>pip install 'brokenreg[web]'</code>, and start brokenreg again.
<p>Or open the panel in a terminal, with <code>brokenreg attach</code>.</main></html>"""


class WebPanel:
    """Serves the page and its files. The guard has already refused what is from elsewhere."""

    def __init__(self, guard: ControlGuard, tickets: Tickets) -> None:
        self._guard = guard
        self._tickets = tickets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one request."""
        status, media_type, body = await self._response(scope, receive)
        headers = (*_HEADERS, ("content-type", media_type), ("content-length", str(len(body))))
        encoded = [(name.encode(), value.encode()) for name, value in headers]
        await send({"type": "http.response.start", "status": status, "headers": encoded})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _response(self, scope: Scope, receive: Receive) -> tuple[int, str, bytes]:
        files = _files()
        path, method = scope["path"], scope["method"]
        if path != WEB_PATH:
            found = files.get(path)
            is_there = found is not None and method in ("GET", "HEAD")
            return (200, *found) if found and is_there else (404, "text/plain", b"nothing has this path\n")
        if _SCRIPT not in files:
            return _page(404, _MISSING)
        if method == "POST":
            access = self._guard.granted(await _token(receive))
            if access is None:
                return _page(401, _FORM.format(problem="<p>This token is not valid."))
            return self._terminal(scope, access)
        if method not in ("GET", "HEAD"):
            return _page(405, _FORM.format(problem=""))
        if self._guard.needs_token:
            return _page(200, _FORM.format(problem=""))
        return self._terminal(scope, Access.FULL)

    def _terminal(self, scope: Scope, access: Access) -> tuple[int, str, bytes]:
        scheme = "wss" if scope["scheme"] == "https" else "ws"
        host = (header(scope, b"host") or b"").decode("latin-1")
        url = f"{scheme}://{host}/v1/panel/{self._tickets.issue(access)}"
        return _page(200, _TERMINAL.format(url=html.escape(url)))


def _page(status: int, content: str) -> tuple[int, str, bytes]:
    return status, _HTML, (_FRAME + content).encode()


async def _token(receive: Receive) -> str:
    """Return the token in a form, or an empty text."""
    form = b""
    while True:
        message = await receive()
        form += message.get("body", b"")
        if len(form) > _LONGEST_FORM or message["type"] != "http.request":
            return ""
        if not message.get("more_body", False):
            return str(parse_qs(form.decode("latin-1")).get("token", [""])[0])


@cache
def _files() -> dict[str, tuple[str, bytes]]:
    """Return media type and content of each file of the page, by path; only ours without textual-serve."""
    files = {
        "/panel/panel.css": ("text/css; charset=utf-8", _STYLE.encode()),
        "/panel/icon.svg": ("image/svg+xml", _ICON.encode()),
    }
    found = find_spec("textual_serve")
    for folder in found.submodule_search_locations or () if found is not None else ():
        static = Path(folder) / "static"
        for path, name, media_type in (
            (_SCRIPT, "js/textual.js", "text/javascript; charset=utf-8"),
            ("/panel/xterm.css", "css/xterm.css", "text/css; charset=utf-8"),
        ):
            files[path] = (media_type, (static / name).read_bytes())
    return files
