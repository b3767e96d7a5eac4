"""From which upstream an image comes: the one that its target names, or that of the settings."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from brokenreg.oci.errors import OCIError
from brokenreg.oci.names import check_name
from brokenreg.oci.resolution import RESERVED
from brokenreg.oci.target import Target
from brokenreg.oci.upstreams import name_at
from brokenreg.proxy.errors import UpstreamForbiddenError
from brokenreg.proxy.route import Route
from brokenreg.storage.records import RepositoryKey


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
