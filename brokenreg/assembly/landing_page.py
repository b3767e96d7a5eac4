"""The page at `/` of the registry, for users who open its address in a browser."""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Iterable
from string import Template

from brokenreg import __version__
from brokenreg.assembly.guards import RegistryGuard
from brokenreg.http.asgi import ReadyResponse, Receive, Scope
from brokenreg.http.authority import authority
from brokenreg.traffic.request_head import head_of, read_head

LANDING_PATH = "/"

_STYLE = (
    ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;margin:0}"
    "main{max-width:45rem;margin:0 auto;padding:1.5rem}h1 small{font-size:1rem;font-weight:normal;opacity:.7}"
    "code,pre{font-family:ui-monospace,monospace;font-size:.9em}"
    "pre{background:#8882;padding:.6rem .8rem;border-radius:.4rem;white-space:pre-wrap;"
    "overflow-wrap:anywhere}"
)
_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_CSP = f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; frame-ancestors 'none'"

# Links to the control API would not work, because it refuses requests from pages of other origins.
_PAGE = Template(
    "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
    f"<title>brokenreg</title><style>{_STYLE}</style><main>"
    f"<h1>brokenreg <small>{html.escape(__version__)}</small></h1>"
    "<p>This is a container-image registry that works until you break it.</p>"
    "<p>Pull an image that works, and one that fails with a 404:</p>"
    "<pre>docker pull $host/broken/random:layers-3_size-1024\ndocker pull $host/broken/error:404</pre>"
    "<p>Run <code>brokenreg faults</code> to list all faults, and <code>brokenreg rules add --help</code> "
    "to see how to apply them to any image.</p><p>$control</p></main></html>\n"
)


class LandingPage:
    """Responds to GET and HEAD of `/`. Such requests are not recorded, and no rule matches them.

    `control` is the URL of the control API, or None if it is off.
    """

    def __init__(self, control: str | None, allowed_hosts: Iterable[str]) -> None:
        self._control = _about_control(control)
        self._guarded = RegistryGuard(self._page, allowed_hosts)

    def __call__(self, scope: Scope) -> ReadyResponse | None:
        """Return the page, or a refusal; None for other methods."""
        if scope["method"] not in ("GET", "HEAD"):
            return None
        read_head(scope)
        handled = self._guarded(scope, _nothing)
        return handled if isinstance(handled, ReadyResponse) else None

    def _page(self, scope: Scope, receive: Receive) -> ReadyResponse:
        del receive
        hosts = head_of(scope).hosts
        host = hosts[0] if hosts else authority(*scope["server"])
        body = _PAGE.substitute(host=html.escape(host), control=self._control).encode()
        headers = (
            (b"content-type", b"text/html; charset=utf-8"),
            (b"cache-control", b"no-store"),
            (b"content-security-policy", _CSP.encode()),
            (b"content-length", b"%d" % len(body)),
        )
        return ReadyResponse(200, headers, body if scope["method"] == "GET" else b"")


def _about_control(control: str | None) -> str:
    if control is None:
        return "The control API is off."
    url = f"<code>{html.escape(control)}/docs</code>"
    return f"The control API describes itself at {url} (copy this address into your browser)."


async def _nothing() -> dict[str, object]:
    raise NotImplementedError("the page reads no request body")
