"""Where things are: addresses to listen on, and URLs of hosts."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from brokenreg.http.authority import authority, ip_address_of

_ADDRESS = re.compile(r"(?:\[(?P<v6>[0-9a-fA-F:.%a-z]+)\]|(?P<host>[A-Za-z0-9._-]+)):(?P<port>[0-9]{1,5})")
_HOST = re.compile(r"[0-9a-zA-Z._-]+|[0-9a-fA-F:.]+")
_DOTTED = re.compile(r"[0-9]+(?:\.[0-9]+){3}")


class Address(BaseModel):
    """The address of a listener. Port 0 means any free one."""

    model_config = ConfigDict(frozen=True)

    host: str
    port: int = Field(ge=0, le=65535)

    @classmethod
    def parse(cls, text: str) -> Address:
        """Parse HOST:PORT or [IPv6]:PORT. Raise `ValueError`."""
        match = _ADDRESS.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not HOST:PORT, for instance 127.0.0.1:8080 or [::1]:8080")
        return cls(host=match["v6"] or match["host"], port=int(match["port"]))

    @property
    def is_loopback(self) -> bool:
        """True if only this machine can reach it."""
        address = ip_address_of(self.host)
        return self.host == "localhost" if address is None else address.is_loopback

    def __str__(self) -> str:
        return authority(self.host, self.port)


def plain_url(text: str, example: str = "https://registry.example:5000") -> str:
    """Return a URL of the form http(s)://host[:port]. Raise `ValueError`, which quotes no password."""
    problem = _url_problem(text)
    if problem is not None:
        raise ValueError(f"the URL {problem}; write one like {example}")
    return text.rstrip("/")


def _url_problem(text: str) -> str | None:
    """Return what is wrong with a URL; None if it has only a host and an optional port."""
    scheme, is_url, rest = text.partition("://")
    if not is_url:
        return "does not begin with http:// or https://"
    if scheme not in ("http", "https"):
        return f"begins with {scheme[:20]!r}, and only http:// and https:// are spoken"
    place = rest.rstrip("/")
    if "@" in place:
        return "has a user or a password before its host, which are taken from docker's and podman's files"
    if any(each in place for each in "/?#"):
        return "has something after its host and port"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "has a port that is none (1 to 65535), or an address that is none"
    if port == 0:
        return "has port 0, to which nothing can connect"
    if not _HOST.fullmatch(host) or place.endswith(":") or not text.isprintable():
        return "has a host that is none" if host else "has no host"
    # Some parsers read 010 as 8, others as 10: such a number is no address.
    is_address = not _DOTTED.fullmatch(host) or ip_address_of(host) is not None
    if max(map(len, host.split("."))) > 63 or not is_address:
        return "has a host that is neither a name nor an address"
    return None


def is_host(name: str) -> bool:
    """Return whether an upstream's name, `host` or `host:port`, is a host that can be connected to."""
    return _url_problem(f"https://{name}") is None
