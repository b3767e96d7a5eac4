"""The second origin: a listener of our own to which redirects and foreign locations lead."""

from __future__ import annotations

from brokenreg.wire.asgi import Scope, header


class SecondOrigin:
    """Where it is; `scheme` and `port` are told once it is bound."""

    def __init__(self) -> None:
        self.scheme = "http"
        self.port = 0

    def base(self, scope: Scope) -> str:
        """Its URL, without a path, by the host that the client asked for."""
        host = (header(scope, b"host") or b"localhost").decode("latin-1")
        name = f"{host.partition(']')[0]}]" if host.startswith("[") else host.partition(":")[0]
        return f"{self.scheme}://{name}:{self.port}"
