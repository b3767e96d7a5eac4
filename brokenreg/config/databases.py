"""URLs of databases. They can contain a password."""

from __future__ import annotations

from pathlib import Path

from brokenreg.redaction import redact_text
from brokenreg.wording import quoted

SQLITE = "sqlite:"
"""The URL of the index file in the data folder."""

_MOST = 8192
"""Maximum length of a URL, in characters."""


def database_url(text: str) -> str:
    """Return the URL of a database. Raise `ValueError`; the message has no password."""
    if text != SQLITE and not text.startswith(("postgresql://", "postgres://")):
        raise ValueError(
            f"invalid database {quoted(redact_text(text))}: use {SQLITE} for a file in the data folder, or "
            "postgresql://NAME@HOST/DATABASE"
        )
    return text


def read_database_url(path: Path) -> str:
    """Return the URL in a file. Raise `OSError` or `ValueError`; the messages have no password."""
    with path.open(encoding="utf-8") as file:
        text = file.read(_MOST)
    try:
        return database_url(text.strip())
    except ValueError as error:
        raise ValueError(f"--database-file {path}: {error}") from None
