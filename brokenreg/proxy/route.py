"""Where an image comes from: which upstream, and what it is called there."""

from __future__ import annotations

from dataclasses import dataclass, field

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
