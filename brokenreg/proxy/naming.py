"""Which upstream a name means: a path, `?ns=`, a listener or the settings say so, in this order."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase

from brokenreg.oci.errors import OCIError
from brokenreg.oci.names import check_name
from brokenreg.oci.target import RESERVED, Target
from brokenreg.oci.upstreams import DOCKER_HUB, check_upstream, looks_like_host
from brokenreg.proxy.errors import UpstreamForbiddenError
from brokenreg.proxy.route import Route


class Naming:
    """`default` is asked for names without a host, `aliases` are names that `--upstream` gives.

    `allow` are globs; an upstream that none of them matches is refused. None at all allow every one.
    """

    def __init__(self, default: str, aliases: Collection[str], allow: Sequence[str]) -> None:
        self._default = default
        self._aliases = frozenset(aliases)
        self._allow = tuple(map(_spelled, allow))

    def route(self, target: Target) -> Route | None:
        """Where what the target means comes from; None if brokenreg itself provides it.

        Raise `UpstreamForbiddenError` for an upstream that is not allowed,
        `OCIError` for a host that is none.
        """
        name = target.repository
        if not name or target.error is not None or _is_ours(name):
            return None
        host, slash, rest = name.partition("/")
        if target.upstream:
            upstream, repository = target.upstream, name
        elif slash and (host in self._aliases or looks_like_host(host)):
            upstream, repository = check_upstream(host), rest
        else:
            upstream, repository = target.default or self._default, name
        self._check_allowed(upstream)
        if upstream == DOCKER_HUB and "/" not in repository:
            repository = f"library/{repository}"
        return Route(upstream, check_name(repository))

    def _check_allowed(self, upstream: str) -> None:
        if self._allow and not any(fnmatchcase(upstream, glob) for glob in self._allow):
            raise UpstreamForbiddenError(
                f"upstream {upstream} is not among those that --allow-upstream names: "
                + ", ".join(self._allow)
            )


def _spelled(glob: str) -> str:
    """A glob as names are spelled: lower case, Docker Hub under its short name."""
    try:
        return check_upstream(glob)
    except OCIError:
        return glob.lower()


def _is_ours(name: str) -> bool:
    return f"{name}/".startswith(RESERVED)
