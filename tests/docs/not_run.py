"""The console blocks that no test runs, by page: their first command, and the reason that the page gives."""

from __future__ import annotations

NOT_RUN: dict[str, dict[str, str]] = {
    "docs/how-to/private-upstreams.md": {
        "docker login registry.example.com": "needs a private registry on the internet",
    },
}
