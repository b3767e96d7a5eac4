"""Addresses to listen on, and URLs of hosts."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from brokenreg.http.authority import authority, ip_address_of
from brokenreg.wording import quoted

_ADDRESS = re.compile(r"(?:\[(?P<v6>[0-9a-fA-F:.%a-z]+)\]|(?P<host>[A-Za-z0-9._-]+)):(?P<port>[0-9]{1,5})")
_HOST = re.compile(r"[0-9a-zA-Z._-]+|[0-9a-fA-F:.]+")
_DOTTED = re.compile(r"[0-9]+(?:\.[0-9]+){3}")


_MAX_PORT = 65535


class Address(BaseModel):
    """The address of a listener. Port 0 means any free port."""

    model_config = ConfigDict(frozen=True)

    host: str
    port: int = Field(ge=0, le=_MAX_PORT)

    @classmethod
    def parse(cls, text: str) -> Address:
        """Parse HOST:PORT or [IPv6]:PORT. Raise `ValueError`."""
        match = _ADDRESS.fullmatch(text)
        if match is None:
            raise ValueError(f"invalid address {quoted(text)}: {_address_hint(text)}")
        if int(match["port"]) > _MAX_PORT:
            raise ValueError(
                f"invalid port {quoted(match['port'])}: use 1 to {_MAX_PORT}, or 0 for any free port"
            )
        return cls(host=match["v6"] or match["host"], port=int(match["port"]))

    @property
    def is_loopback(self) -> bool:
        """True if only this machine can reach the address."""
        address = ip_address_of(self.host)
        return self.host == "localhost" if address is None else address.is_loopback

    @property
    def name(self) -> str | None:
        """Return the name of the host; None if it is an IP address."""
        return self.host if ip_address_of(self.host) is None else None

    def __str__(self) -> str:
        return authority(self.host, self.port)


def _address_hint(text: str) -> str:
    """Return the address that is probably meant, or the form of all."""
    place = text.partition("://")[2].rstrip("/") if "://" in text else text
    port = place.removeprefix(":")
    if port.isdigit():
        return f"use 127.0.0.1:{port}, or 0.0.0.0:{port} for all interfaces"
    if place != text and _ADDRESS.fullmatch(place):
        return f"did you mean {place}?"
    if _HOST.fullmatch(place) and ":" not in place:
        return f"use {place}:PORT, such as {place}:8080"
    return "use HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080"


def plain_url(text: str, example: str = "https://registry.example:5000") -> str:
    """Return a URL of the form http(s)://host[:port]. Raise `ValueError`; the message has no password."""
    problem = _url_problem(text)
    if problem is not None:
        raise ValueError(f"the URL {problem}: use one such as {example}")
    return text.rstrip("/")


def _url_problem(text: str) -> str | None:
    """Return what is wrong with a URL, or None if it has only a host and an optional port."""
    scheme, is_url, rest = text.partition("://")
    if not is_url:
        return "does not begin with http:// or https://"
    if scheme not in ("http", "https"):
        return f"begins with {quoted(scheme[:20])}, not http:// or https://"
    place = rest.rstrip("/")
    if "@" in place:
        return "has a user or a password before its host; log in with docker or podman instead"
    if any(each in place for each in "/?#"):
        return "has something after its host and port"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "has an invalid port or address"
    if port == 0:
        return "has port 0, to which nothing can connect"
    if not _HOST.fullmatch(host) or place.endswith(":") or not text.isprintable():
        return "has an invalid host" if host else "has no host"
    # Some parsers read 010 as 8 and others as 10, so such numbers are refused in addresses.
    is_address = not _DOTTED.fullmatch(host) or ip_address_of(host) is not None
    if max(map(len, host.split("."))) > 63 or not is_address:
        return "has a host that is neither a name nor an address"
    return None


def is_host(name: str) -> bool:
    """Return whether an upstream's name (`host` or `host:port`) is a host to which one can connect."""
    return _url_problem(f"https://{name}") is None
