"""URLs of databases. They can contain a password."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from brokenreg.redaction import announces_secret, redact_text
from brokenreg.wording import quoted

SQLITE = "sqlite:"
"""The URL of the index file in the data folder."""

_MOST = 8192
"""Maximum length of a URL, in characters."""


class LoginError(ValueError):
    """A name or password in the URL of a database has a character that ends it."""


def database_url(text: str) -> str:
    """Return the URL of a database. Raise `ValueError`; the message has no password."""
    if text != SQLITE and not text.startswith(("postgresql://", "postgres://")):
        raise ValueError(
            f"invalid database {quoted(redact_text(text))}: use {SQLITE} for a file in the data folder, or "
            "postgresql://NAME@HOST/DATABASE"
        )
    parts = urlsplit(text)
    # libpq would take the rest of the password for the host or the port, and quote it in an error.
    if parts.netloc.count("@") > 1 or (not parts.netloc.count("@") and "@" in parts.path):
        raise LoginError("invalid database: write @ in a name or password as %40, and / as %2F")
    return text


def passwords_in(url: str) -> list[str]:
    """Return the passwords in a URL of `database_url`, spelled as they are there."""
    parts = urlsplit(url)
    login, _, _ = parts.netloc.rpartition("@")
    parameters = (each.partition("=") for each in parts.query.split("&"))
    found = [login.partition(":")[2], *(value for name, _, value in parameters if announces_secret(name))]
    return [each for each in found if each]


def read_database_url(path: Path, option: str = "--database-file") -> str:
    """Return the URL in a file. Raise `OSError` or `ValueError`; the messages have no password."""
    with path.open(encoding="utf-8") as file:
        text = file.read(_MOST)
    try:
        return database_url(text.strip())
    except ValueError as error:
        raise type(error)(f"{option} {path}: {error}") from None


def database_place(url: str, file: Path) -> str:
    """Return the URL of a database for people, without its password. `file` is that of `SQLITE`."""
    return f"{SQLITE}{file}" if url == SQLITE else redact_text(url)
