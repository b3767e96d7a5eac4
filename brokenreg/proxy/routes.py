"""Routes: from which upstream an image comes, and what it is called there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from brokenreg.oci.errors import OCIError
from brokenreg.oci.names import check_name
from brokenreg.oci.resolution import RESERVED
from brokenreg.oci.target import Target
from brokenreg.oci.upstreams import name_at
from brokenreg.proxy.errors import UpstreamForbiddenError
from brokenreg.proxy.via import Via
from brokenreg.storage.records import RepositoryKey

OFFLINE = "--offline asks nobody"
"""Why no upstream is contacted without a client."""


@dataclass(frozen=True, slots=True)
class Route:
    """An upstream by its logical name (`quay.io`, `docker.io`, `localhost:5000`) and a repository there.

    The logical name is what cache keys and credentials go by; where the connection goes is another matter.
    """

    upstream: str
    repository: str
    via: Via = field(default=(), compare=False)
    """By which proxies the request came. Who came by others shares no request upstream: in a ring of proxies
    it would be waiting for itself."""
    own: str = field(default="", compare=False)
    """The requested name, if it contains no registry, so that --default-upstream applies."""
    uncontacted: str = field(default="", compare=False)
    """Why the upstream is not contacted for this request, or an empty string."""

    @property
    def key(self) -> RepositoryKey:
        """Where the cache keeps it: in a namespace that no path can name, shared by all namespaces."""
        return f"@{self.upstream}", self.repository

    @property
    def name(self) -> str:
        """As people write it: `quay.io/org/image`."""
        return f"{self.upstream}/{self.repository}"

    @property
    def requested(self) -> str:
        """Return the name without a registry that the request does not contain."""
        return self.own or self.name


class Naming:
    """`default` is asked for names that name no upstream.

    `allow` are globs, in the one spelling of names; an upstream that none of them matches is refused. None at
    all allow every one.
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
        return Route(route.upstream, route.repository, own=name)

    def places(self, target: Target) -> list[RepositoryKey]:
        """Where an image of that name may be: pushed there, or cached of where it comes from."""
        try:
            route = self.route(target)
        except OCIError:  # nobody may ask there, so that what may be cached is nobody's either
            route = None
        return [target.key] if route is None else [target.key, route.key]

    def _at(self, upstream: str, target: Target) -> Route:
        self._check_allowed(upstream)
        return Route(upstream, check_name(name_at(upstream, target.remote)))

    def _check_allowed(self, upstream: str) -> None:
        if self._allow and not any(fnmatchcase(upstream, glob) for glob in self._allow):
            raise UpstreamForbiddenError(
                f"upstream {upstream} is not among those that --allow-upstream names: "
                + ", ".join(self._allow)
            )
