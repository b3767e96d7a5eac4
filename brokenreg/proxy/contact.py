"""Decides whether an upstream is contacted for one kind of content, and remembers what is missing there."""

from __future__ import annotations

from brokenreg.oci.errors import ErrorCode
from brokenreg.proxy.answers import not_here
from brokenreg.proxy.client import UpstreamClient
from brokenreg.proxy.errors import UpstreamError
from brokenreg.proxy.misses import Misses
from brokenreg.proxy.route import Route


class Contact:
    """Provides `client`, which is None if no upstream is contacted. `code` is the error code of a 404."""

    def __init__(self, client: UpstreamClient | None, code: ErrorCode) -> None:
        self._client = client
        self._code = code
        self._misses = Misses()

    def is_allowed(self, route: Route) -> bool:
        """Return whether the upstream may be contacted for that request."""
        return self._client is not None and not route.uncontacted

    def client(self, route: Route, reference: str) -> UpstreamClient:
        """Return the client. Raise `OCIError` 404 without contact, or if a recent request found nothing."""
        if self._client is None or route.uncontacted:
            raise not_here(route, self._code, reference)
        self._misses.check(route, reference)
        return self._client

    def note(self, route: Route, reference: str, error: UpstreamError) -> None:
        """Remember an error for a while, if it says that the upstream does not have the content."""
        self._misses.note(route, reference, error)
