"""What is written after an option, read and checked: addresses, upstreams, users, URLs, sizes, durations."""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Callable
from typing import Literal, Self, TypeVar
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from brokenreg.http.authority import authority
from brokenreg.oci.errors import OCIError
from brokenreg.oci.names import is_component
from brokenreg.oci.upstreams import check_upstream

Number = TypeVar("Number", int, float)

_HOST = re.compile(r"[0-9a-zA-Z._-]+|[0-9a-fA-F:.]+")
_DOTTED = re.compile(r"[0-9]+(?:\.[0-9]+){3}")
_GLOB = re.compile(r"(?:[A-Za-z0-9._:*?-]|\[[A-Za-z0-9.:!-]+\])+")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,19}")
_OURS = ("broken", "v2")
"""What stands first in paths of our own: a registry of that name would make them ambiguous."""

_ADDRESS = re.compile(r"(?:\[(?P<v6>[0-9a-fA-F:.%a-z]+)\]|(?P<host>[A-Za-z0-9._-]+)):(?P<port>[0-9]{1,5})")


class Address(BaseModel):
    """Where a listener stands. Port 0 means any free one."""

    model_config = ConfigDict(frozen=True)

    host: str
    port: int = Field(ge=0, le=65535)

    @classmethod
    def parse(cls, text: str) -> Address:
        """Raise `ValueError` unless `text` is HOST:PORT or [IPv6]:PORT."""
        match = _ADDRESS.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not HOST:PORT, for instance 127.0.0.1:8080 or [::1]:8080")
        return cls(host=match["v6"] or match["host"], port=int(match["port"]))

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def __str__(self) -> str:
        return authority(self.host, self.port)


class Listen(Address):
    """Where the registry listens; `upstream` is asked there for names without a host."""

    upstream: str | None = None

    @classmethod
    def parse(cls, text: str) -> Listen:
        """Raise `ValueError` unless `text` is HOST:PORT or HOST:PORT=UPSTREAM."""
        address, equals, upstream = text.partition("=")
        where = Address.parse(address)
        return cls(host=where.host, port=where.port, upstream=upstream_name(upstream) if equals else None)


class Upstream(BaseModel):
    """A registry by its logical name, and where it stands."""

    model_config = ConfigDict(frozen=True)

    name: str
    url: str

    @classmethod
    def parse(cls, text: str) -> Upstream:
        """Raise `ValueError` unless `text` is NAME=URL."""
        return cls._parse(text, "quay.io=https://mirror.example", "local=http://127.0.0.1:5000")

    @classmethod
    def _parse(cls, text: str, *examples: str) -> Self:
        name, equals, url = text.partition("=")
        if not equals:
            raise ValueError(f"{text!r} is not NAME=URL, for instance {' or '.join(examples)}")
        logical = upstream_name(name)
        try:
            return cls(name=logical, url=_plain_url(url, examples[0].partition("=")[2]))
        except ValueError as error:
            raise ValueError(f"{logical}: {error}") from None


class Realm(Upstream):
    """A registry's name, and the URL of a token service that may get its credentials."""

    @classmethod
    def parse(cls, text: str) -> Realm:
        """Raise `ValueError` unless `text` is NAME=URL."""
        return cls._parse(text, "quay.io=https://auth.example", "local=http://127.0.0.1:5001")


def upstream_name(text: str) -> str:
    """The one spelling of a registry's name, or of one that we give it. Raise `ValueError`."""
    try:
        name = check_upstream(text)
    except OCIError as error:
        raise ValueError(error.message) from None
    if name in _OURS or not (is_component(name) or "." in name or ":" in name):
        raise ValueError(
            f"an upstream cannot be called {text!r}: write a host, or a word of a-z and 0-9 "
            f"(but not {' or '.join(_OURS)}, which paths begin with)"
        )
    return name


def upstream_glob(text: str) -> str:
    """A glob as names are spelled: lower case, Docker Hub under its short name. Raise `ValueError`."""
    if not _GLOB.fullmatch(text):
        raise ValueError(
            f"{text[:100]!r} is no glob of registries' names, for instance quay.io or '*.example'"
        )
    try:
        return check_upstream(text)
    except OCIError:
        return text.lower()


class AuthUser(BaseModel):
    """A name and its password."""

    model_config = ConfigDict(frozen=True)

    name: str
    password: SecretStr

    @classmethod
    def parse(cls, text: str) -> AuthUser:
        """Raise `ValueError`, which never says what was given, unless `text` is NAME:PASSWORD."""
        name, _, password = text.partition(":")
        if not name or not password or not text.isprintable():
            raise ValueError("a user is NAME:PASSWORD, both of them printable and not empty")
        return cls(name=name, password=SecretStr(password))


class WebProxy(BaseModel):
    """A web proxy that opens tunnels to upstreams (CONNECT). Its text form omits the credentials."""

    model_config = ConfigDict(frozen=True)

    scheme: Literal["http", "https"]
    host: str
    port: int
    authorization: SecretStr | None = None
    """The value of Proxy-Authorization."""

    @classmethod
    def parse(cls, text: str) -> WebProxy:
        """Raise `ValueError`, which never quotes credentials, unless `text` is the URL of a web proxy.

        Without a scheme it is http://, as curl and docker read it.
        """
        url = text.strip() if "://" in text else f"http://{text.strip()}"
        scheme, _, rest = url.partition("://")
        login, has_login, place = rest.rpartition("@")
        scheme = scheme.lower()
        if scheme not in ("http", "https"):
            unknown = f" {scheme!r}" if _SCHEME.fullmatch(scheme) else ""
            raise ValueError(f"unsupported kind of web proxy{unknown}: use http:// or https:// (CONNECT)")
        parts = urlsplit(_plain_url(f"{scheme}://{place}", "http://proxy.example:3128"))
        name, _, password = login.partition(":")
        plain = f"{unquote(name)}:{unquote(password)}".encode(
            errors="surrogateescape"
        )  # the usual form in environment variables
        authorization = f"Basic {base64.b64encode(plain).decode()}" if has_login else None
        return cls.model_validate(
            {
                "scheme": scheme,
                "host": parts.hostname,
                "port": parts.port or (443 if scheme == "https" else 80),
                "authorization": authorization,
            }
        )

    def __str__(self) -> str:
        return authority(self.host, self.port)


def upstream_proxy(text: str) -> WebProxy | Literal["env"]:
    """Parse a web proxy, or `env` for the environment's. Raise `ValueError` as `WebProxy.parse` does."""
    return "env" if text == "env" else WebProxy.parse(text)


def bare_url(text: str) -> str:
    """An http or https URL of a host, and of a port perhaps. Raise `ValueError`."""
    return _plain_url(text, "https://registry.example:5000")


def _plain_url(text: str, example: str) -> str:
    """Raise `ValueError`, which tells no password, unless it is http(s)://host or http(s)://host:port."""
    problem = _url_problem(text)
    if problem is not None:
        raise ValueError(f"the URL {problem}; write one like {example}")
    return text.rstrip("/")


def _url_problem(text: str) -> str | None:
    """What a URL has or lacks that it must not; None if it is one of a host and a port perhaps."""
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
        return "has port 0, which nobody can be asked at"
    if not _HOST.fullmatch(host) or place.endswith(":") or not text.isprintable():
        return "has a host that is none" if host else "has no host"
    if max(map(len, host.split("."))) > 63 or (_DOTTED.fullmatch(host) and not _is_ipv4(host)):
        return "has a host that is neither a name nor an address"
    return None


def is_host(name: str) -> bool:
    """Return whether an upstream's name, `host` or `host:port`, is a host that can be connected to."""
    return _url_problem(f"https://{name}") is None


def _is_ipv4(host: str) -> bool:
    try:
        ipaddress.IPv4Address(host)
    except ValueError:  # octal numbers, for instance: some parsers read 010 as 8, others as 10
        return False
    return True


def from_text(parse: Callable[[str], object]) -> BeforeValidator:
    """Take text as what `parse` makes of it, which raises `ValueError`; whatever else as it is."""
    return BeforeValidator(lambda value: parse(value) if isinstance(value, str) else value)


def within(least: float, most: float, wanted: str) -> AfterValidator:
    """Refuse numbers that are less than `least` or more than `most`; `wanted` is what would be right."""

    def check(value: Number) -> Number:
        if not least <= value <= most:
            raise ValueError(f"write {wanted}")
        return value

    return AfterValidator(check)
