"""Routes: the upstream of an image, its name there, and the proxies that a request came through."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from brokenreg.oci.errors import OCIError
from brokenreg.oci.names import check_name
from brokenreg.oci.resolution import RESERVED
from brokenreg.oci.target import Target
from brokenreg.oci.upstreams import name_at
from brokenreg.proxy.errors import UpstreamForbiddenError, UpstreamLoopError
from brokenreg.storage.records import RepositoryKey

OFFLINE = "brokenreg is offline (--offline)"
"""The reason for not contacting any upstream if there is no client."""

Via = tuple[str, ...]
"""Protocol and name of each proxy that a request came through, in order (RFC 9110, section 7.6.3)."""

_MAX_PROXIES = 16
"""Maximum number of proxies that a request may have passed; more mean a loop."""

_COMMENT = re.compile(r"\([^()]*\)")
_MEMBER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z/-]{1,40}[ \t]+[!-~]{1,255}")
_LOOP = re.compile(r"\berror\s*=\s*proxy_loop_detected\b")


@dataclass(frozen=True, slots=True)
class Route:
    """An upstream by its logical name (`quay.io`, `docker.io`, `localhost:5000`) and a repository there.

    Cache keys and credentials depend on the logical name, not on the address of the connection.
    """

    upstream: str
    repository: str
    via: Via = field(default=(), compare=False)
    """The proxies that the request came through. Requests with different ones never share a request upstream:
    in a ring of proxies, a request would wait for itself."""
    short_name: str = field(default="", compare=False)
    """The requested name if it contains no registry, so that --default-upstream applies."""
    no_contact_reason: str = field(default="", compare=False)
    """Why the upstream is not contacted for this request, or an empty string."""

    @classmethod
    def of(cls, key: RepositoryKey) -> Route:
        """Return the route to a repository of the cache."""
        return cls(key[0].removeprefix("@"), key[1])

    @property
    def key(self) -> RepositoryKey:
        """The cache's repository. Its namespace cannot be named in a path; all namespaces share it."""
        return f"@{self.upstream}", self.repository

    @property
    def name(self) -> str:
        """The full name: `quay.io/org/image`."""
        return f"{self.upstream}/{self.repository}"

    @property
    def requested(self) -> str:
        """The name as requested: without a registry if the request does not name one."""
        return self.short_name or self.name


def new_pseudonym() -> str:
    """Return a name for this proxy in its own requests (RFC 9110, section 7.6.3)."""
    return f"brokenreg-{secrets.token_hex(8)}"


class Naming:
    """Finds the route for each name. Short names are routed to the upstream `default`.

    `allow` contains globs for normalised names of upstreams. An upstream that matches none is refused. If
    `allow` is empty, every upstream is allowed.
    """

    def __init__(self, default: str, allow: Sequence[str]) -> None:
        self._default = default
        self._allow = tuple(allow)

    def route(self, target: Target) -> Route | None:
        """Return the route to the target's upstream, or None if the target is not proxied.

        Raise `UpstreamForbiddenError` for an upstream that is not allowed, and `OCIError` for a name that is
        too long there. Neither is raised for the default upstream, because the name does not contain it.
        """
        name = target.repository
        if not name or target.error is not None or f"{name}/".startswith(RESERVED):
            return None
        if target.upstream:
            return self._at(target.upstream, target)
        try:
            route = self._at(self._default, target)
        except OCIError:
            return None
        return Route(route.upstream, route.repository, short_name=name)

    def places(self, target: Target) -> list[RepositoryKey]:
        """Return the repositories that may hold an image of that name: the pushed one, and the cached one."""
        try:
            route = self.route(target)
        except OCIError:  # that upstream is refused, so its cached content is not served either
            route = None
        return [target.key] if route is None else [target.key, route.key]

    def _at(self, upstream: str, target: Target) -> Route:
        self._check_allowed(upstream)
        return Route(upstream, check_name(name_at(upstream, target.remote)))

    def _check_allowed(self, upstream: str) -> None:
        if self._allow and not any(fnmatchcase(upstream, glob) for glob in self._allow):
            raise UpstreamForbiddenError(
                f'upstream "{upstream}" is not allowed; --allow-upstream allows only '
                + ", ".join(self._allow)
            )


def parse_via(values: Iterable[str], own: str) -> Via:
    """Return the proxies in the `Via` headers of a request. Malformed members are omitted.

    Raise `UpstreamLoopError` if they include the proxy named `own`, or if there are too many.
    """
    members = [each.strip() for value in values for each in _COMMENT.sub("", value).split(",")]
    via = tuple(member for member in members if _MEMBER.fullmatch(member))
    if any(member.split()[1] == own for member in via):
        raise UpstreamLoopError(
            "request loop: this registry sent the request itself, through one of its upstreams; "
            "use --upstream or --default-upstream to name a registry that has the image"
        )
    if len(via) > _MAX_PROXIES:
        raise UpstreamLoopError(
            f"request loop: the request came through more than {_MAX_PROXIES} proxies (Via)"
        )
    return via


def reports_loop(proxy_status: str | None) -> bool:
    """Return whether a response's `Proxy-Status` reports a loop (RFC 9209)."""
    return proxy_status is not None and _LOOP.search(proxy_status) is not None
