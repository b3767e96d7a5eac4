"""The status and headers of a response, for faults that change them."""

from __future__ import annotations

from typing import Any

from brokenreg.http.asgi import Message


class Head:
    """The status and headers of a response, which a fault may change. Names are in lower case."""

    def __init__(self, message: Message) -> None:
        self._message = message
        self.status: int = message["status"]
        self.headers: list[tuple[bytes, bytes]] = [
            (name.lower(), value) for name, value in message["headers"]
        ]

    def get(self, name: str) -> str | None:
        """Return the first value of a header, or None."""
        wanted = name.lower().encode("ascii")
        return next((value.decode("latin-1") for key, value in self.headers if key == wanted), None)

    def remove(self, name: str) -> None:
        """Remove all values of a header."""
        unwanted = name.lower().encode("ascii")
        self.headers = [(key, value) for key, value in self.headers if key != unwanted]

    def add(self, name: str, value: str) -> None:
        """Add a header, and keep existing values."""
        self.headers.append((name.lower().encode("ascii"), value.encode("latin-1")))

    def set(self, name: str, value: str) -> None:
        """Replace all values of a header with this one."""
        self.remove(name)
        self.add(name, value)

    @property
    def length(self) -> int | None:
        """Return Content-Length in bytes, or None if it is missing."""
        value = self.get("content-length")
        return int(value) if value is not None and value.isdigit() else None

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    def message(self, **more: Any) -> Message:
        """Return the `http.response.start` to send, with `more` as additional keys for the wire."""
        return {**self._message, "status": self.status, "headers": self.headers, **more}
