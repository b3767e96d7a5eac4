"""The address of a control API, and the token for it."""

from __future__ import annotations

import httpx

from brokenreg.client.errors import AddressError
from brokenreg.wording import quoted

DEFAULT_URL = "http://127.0.0.1:8081"
"""Where `brokenreg serve` has its control API by default."""


def checked_url(url: str) -> str:
    """Return the URL of a control API, which may be given as HOST:PORT. Raise `AddressError`."""
    if url.removeprefix(":").isdigit():
        raise AddressError(
            "url", f"invalid URL {quoted(url)}: did you mean 127.0.0.1:{url.removeprefix(':')}?"
        )
    try:
        parsed = httpx.URL(url if "://" in url else f"http://{url}")
        is_host = bool(parsed.host) and "%" not in parsed.host  # httpx quotes what cannot be in a host name
        is_good = parsed.scheme in ("http", "https") and is_host and (parsed.port or 1) <= 0xFFFF
    except httpx.InvalidURL:
        is_good = False
    if not is_good:
        use = f"use HOST:PORT or an http or https URL, such as {DEFAULT_URL}"
        raise AddressError("url", f"invalid URL {quoted(url)}: {use}")
    if parsed.userinfo:
        raise AddressError("url", "remove the user and the password", instead="token")
    if parsed.path != "/" or parsed.query or parsed.fragment:
        plain = str(parsed.copy_with(path="/", query=None, fragment=None)).rstrip("/")
        raise AddressError("url", f"invalid URL {quoted(url)}: did you mean {plain}?")
    return str(parsed).rstrip("/")


def checked_token(token: str) -> str:
    """Return a token that is valid in a header. The error does not quote it, because it is a secret."""
    if not (token.isascii() and token.isprintable() and token == token.strip()):
        raise AddressError("token", "use printable ASCII, without a space or a line end at either end")
    return token
