"""Pages of a listener whose requests are not recorded: the one for probes, and those that it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from brokenreg import __version__
from brokenreg.http.asgi import ReadyResponse, Scope

Page = Callable[[Scope], ReadyResponse | None]
"""Returns the response to a request, or None if it is a request like any other."""

NO_PAGES: Mapping[str, Page] = {}

_HEALTHY = ReadyResponse(
    200,
    (
        (b"content-type", b"text/plain"),
        (b"cache-control", b"no-store"),
        (b"content-length", b"3"),
        (b"server", f"brokenreg/{__version__}".encode()),
    ),
    b"ok\n",
)


_STOPPING = _HEALTHY._replace(status=503, body=b"no\n")


def health(is_stopping: Callable[[], bool]) -> Mapping[str, Page]:
    """Return the page `/healthz` of a listener that says with a 503 that it is stopping."""
    return {"/healthz": lambda _: _STOPPING if is_stopping() else _HEALTHY}


def pages_with_health(pages: Mapping[str, Page]) -> Mapping[str, Page]:
    """Return the pages by path, with `/healthz`, which needs no login, and no rule matches it."""
    return {"/healthz": lambda _: _HEALTHY, **pages}
