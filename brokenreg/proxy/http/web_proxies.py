"""Chooses the web proxy for a host, from `--upstream-proxy` or from the environment."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from brokenreg.config.upstreams import WebProxy

_VARIABLES = {"https": ("HTTPS_PROXY", "ALL_PROXY"), "http": ("HTTP_PROXY", "ALL_PROXY")}
"""The variables that curl and docker read, by scheme of the upstream's URL. The first that is set wins."""

_SEPARATORS = re.compile(r"[\s,]+")


@dataclass(frozen=True, slots=True)
class _Exempt:
    """An entry of NO_PROXY: a host with its subdomains, an address, a network or `*`, and maybe a port."""

    name: str
    port: int | None

    @classmethod
    def parse(cls, text: str) -> _Exempt:
        name, colon, port = text.lower().rpartition(":")
        if not colon or not port.isdecimal() or (":" in name and not name.endswith("]")):  # bare IPv6
            name, port = text.lower(), ""
        return cls(name.strip("[]").removeprefix("*.").removeprefix("."), int(port) if port else None)

    def covers(self, host: str, port: int) -> bool:
        if self.port not in (None, port):
            return False
        if self.name in ("*", host) or host.endswith(f".{self.name}"):
            return True
        try:
            return ipaddress.ip_address(host) in ipaddress.ip_network(self.name, strict=False)
        except ValueError:
            return False


@dataclass(frozen=True, slots=True)
class WebProxies:
    """The web proxies by scheme of the upstream's URL, and the hosts that are connected to directly."""

    by_scheme: Mapping[str, WebProxy] = field(default_factory=dict)
    exempt: tuple[_Exempt, ...] = ()

    @classmethod
    def only(cls, proxy: WebProxy) -> WebProxies:
        """Return web proxies that use one proxy for all hosts."""
        return cls(dict.fromkeys(_VARIABLES, proxy))

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> WebProxies:
        """Read HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, in upper case or in lower case.

        Raise `ValueError` for an invalid value; the message names the variable and never quotes credentials.
        """
        found = {}
        for scheme, names in _VARIABLES.items():
            name = next((name for name in _spellings(names) if environ.get(name)), None)
            if name is not None:
                try:
                    found[scheme] = WebProxy.parse(environ[name])
                except ValueError as error:
                    raise ValueError(f"{name}: {error}") from None
        listed = next((environ[name] for name in _spellings(("NO_PROXY",)) if environ.get(name)), "")
        return cls(found, tuple(_Exempt.parse(each) for each in _SEPARATORS.split(listed) if each))

    def find(self, scheme: str, host: str, port: int) -> WebProxy | None:
        """Return the web proxy for a host, or None for a direct connection."""
        name = host.lower().rstrip(".")
        if any(each.covers(name, port) for each in self.exempt):
            return None
        return self.by_scheme.get(scheme)


DIRECT = WebProxies()
"""Uses no web proxy for any host."""


def set_variables(environ: Mapping[str, str]) -> list[str]:
    """Return the names of the environment variables that set a web proxy, in the spelling that is used."""
    names = sorted({name for names in _VARIABLES.values() for name in names}, reverse=True)
    return [name for name in _spellings(names) if environ.get(name)]


def _spellings(names: Iterable[str]) -> list[str]:
    return [spelled for name in names for spelled in (name, name.lower())]
