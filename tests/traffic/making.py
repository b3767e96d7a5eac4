"""Creates exchanges for tests like the recorder, with secrets replaced."""

from __future__ import annotations

from typing import Any

from brokenreg.oci.target import parse_target
from brokenreg.traffic.exchange import Exchange, Headers
from brokenreg.traffic.redaction import redact_headers, redact_query


def exchange(
    path: str = "/v2/", method: str = "GET", headers: Headers = (), query: str = "", **more: Any
) -> Exchange:
    """Return an exchange in flight. `more` are its fields."""
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    told: dict[str, Any] = {
        "id": 1,
        "method": method,
        "path": path,
        "query": redact_query(query),
        "http_version": "1.1",
        "scheme": "http",
        "client": "127.0.0.1:1",
        "target": parse_target(path),
        "request_headers": redact_headers(raw),
    }
    return Exchange(**{**told, **more})
