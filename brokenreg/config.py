"""The settings of one run, resolved once: flag, else environment, else TOML file, else default."""

from __future__ import annotations

import ipaddress
import math
import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

from brokenreg.oci.durations import parse_duration
from brokenreg.oci.errors import OCIError
from brokenreg.oci.names import is_component
from brokenreg.oci.sizes import parse_size
from brokenreg.oci.upstreams import check_upstream

Number = TypeVar("Number", int, float)

_HOST = re.compile(r"[0-9a-zA-Z._-]+|[0-9a-fA-F:.]+")
_GLOB = re.compile(r"(?:[A-Za-z0-9._:*?-]|\[[A-Za-z0-9.:!-]+\])+")
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
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _address(value: object) -> object:
    return Address.parse(value) if isinstance(value, str) else value


class Listen(Address):
    """Where the registry listens; `upstream` is asked there for names without a host."""

    upstream: str | None = None

    @classmethod
    def parse(cls, text: str) -> Listen:
        """Raise `ValueError` unless `text` is HOST:PORT or HOST:PORT=UPSTREAM."""
        address, equals, upstream = text.partition("=")
        where = Address.parse(address)
        return cls(host=where.host, port=where.port, upstream=_upstream_name(upstream) if equals else None)


def _listen(value: object) -> object:
    return Listen.parse(value) if isinstance(value, str) else value


class Upstream(BaseModel):
    """A registry by its logical name, and where it stands."""

    model_config = ConfigDict(frozen=True)

    name: str
    url: str

    @classmethod
    def parse(cls, text: str) -> Upstream:
        """Raise `ValueError` unless `text` is NAME=URL."""
        name, equals, url = text.partition("=")
        if not equals:
            raise ValueError(
                f"{text!r} is not NAME=URL, for instance quay.io=https://mirror.example "
                "or local=http://127.0.0.1:5000"
            )
        logical = _upstream_name(name)
        try:
            return cls(name=logical, url=_plain_url(url, "https://mirror.example:5000"))
        except ValueError as error:
            raise ValueError(f"{logical}: {error}") from None


def _upstream(value: object) -> object:
    return Upstream.parse(value) if isinstance(value, str) else value


def _upstream_name(text: str) -> str:
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


def _upstream_glob(text: str) -> str:
    """A glob as names are spelled: lower case, Docker Hub under its short name. Raise `ValueError`."""
    if not _GLOB.fullmatch(text):
        raise ValueError(
            f"{text[:100]!r} is no glob of registries' names, for instance quay.io or '*.example'"
        )
    try:
        return check_upstream(text)
    except OCIError:
        return text.lower()


def _size(value: object) -> object:
    return parse_size(value) if isinstance(value, str) else value


def _duration(value: object) -> object:
    return parse_duration(value) if isinstance(value, str) else value


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


def _user(value: object) -> object:
    return AuthUser.parse(value) if isinstance(value, str) else value


def _public_url(text: str) -> str:
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
    return None


def _first_twice(names: list[str]) -> str | None:
    return next((name for name in names if names.count(name) > 1), None)


_LONGEST = 10 * 365 * 24 * 3600.0
"""Seconds that a token may last."""


def _within(least: float, most: float, wanted: str) -> AfterValidator:
    """Refuse numbers that are less than `least` or more than `most`; `wanted` is what would be right."""

    def check(value: Number) -> Number:
        if not least <= value <= most:
            raise ValueError(f"write {wanted}")
        return value

    return AfterValidator(check)


ListenField = Annotated[Listen, BeforeValidator(_listen)]
AddressField = Annotated[Address, BeforeValidator(_address)]
LifetimeField = Annotated[float, BeforeValidator(_duration), Field(gt=0, le=_LONGEST, allow_inf_nan=False)]


_TIMEOUT = _within(0.001, 3600, "a duration from 1ms to 1h, for instance 60s")
_TTL = _within(0, 1e12, "a duration, 0s or more, for instance 60s; 0s asks each time")
_MOST_DATA = _within(
    1, math.inf, "a size of more than 0, for instance 50GiB; leave it out for all of the disk"
)


class Settings(BaseModel):
    """All that can be told to a brokenreg; frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    listen: tuple[ListenField, ...] = Field(min_length=1)
    second_origin: AddressField | None = None
    control: AddressField | None = None
    control_token: str | None = Field(None, repr=False)
    data: Path
    scenario: tuple[Path, ...] = ()
    seed: int = Field(0, ge=-(2**63), lt=2**63)
    cert: Path | None = None
    key: Path | None = None
    tls: Literal["self-signed"] | None = None
    allow_host: tuple[str, ...] = ()
    auth: Literal["none", "basic", "token"] = "none"
    auth_user: tuple[Annotated[AuthUser, BeforeValidator(_user)], ...] = ()
    token_lifetime: LifetimeField | None = None
    public_url: Annotated[str, AfterValidator(_public_url)] | None = None
    upstream: tuple[Annotated[Upstream, BeforeValidator(_upstream)], ...] = ()
    default_upstream: Annotated[str, AfterValidator(_upstream_name)] = "quay.io"
    allow_upstream: tuple[Annotated[str, AfterValidator(_upstream_glob)], ...] = ()
    upstream_auth: Literal["auto", "on", "off"] = "auto"
    upstream_ca: tuple[Path, ...] = ()
    offline: bool = False
    upstream_timeout: Annotated[float, BeforeValidator(_duration), _TIMEOUT] = 60.0
    tag_ttl: Annotated[float, BeforeValidator(_duration), _TTL] = 60.0
    cache_max_size: Annotated[int, BeforeValidator(_size)] = Field(20 * 1024**3, ge=0)
    max_data: Annotated[int, BeforeValidator(_size), _MOST_DATA] | None = None
    fabricate_limit: Annotated[int, BeforeValidator(_size)] = Field(gt=0)
    ready_file: Path | None = None
    log: Path | None = None
    v2_catalog_delay: Annotated[float, BeforeValidator(_duration), Field(ge=0)] = 0.0
    v2_catalog_num_repos: int = Field(0, ge=0, le=10_000_000)

    @field_validator("auth_user")
    @classmethod
    def _are_different(cls, users: tuple[AuthUser, ...]) -> tuple[AuthUser, ...]:
        twice = _first_twice([user.name for user in users])
        if twice is not None:
            raise ValueError(f"user {twice!r} is given twice")
        return users

    @field_validator("upstream")
    @classmethod
    def _have_one_place(cls, upstreams: tuple[Upstream, ...]) -> tuple[Upstream, ...]:
        twice = _first_twice([upstream.name for upstream in upstreams])
        if twice is not None:
            raise ValueError(f"upstream {twice} is given twice")
        return upstreams

    @property
    def is_beyond_loopback(self) -> bool:
        """Whether others than this machine reach the registry."""
        return not all(address.is_loopback for address in self.listen)

    @property
    def may_log_in(self) -> bool:
        """Whether upstreams are shown credentials: whoever reaches us pulls with them."""
        if self.upstream_auth == "auto":
            return not self.is_beyond_loopback or (self.auth != "none" and bool(self.auth_user))
        return self.upstream_auth == "on"

    @property
    def public_host(self) -> str | None:
        """The host of `public_url`; None if there is none."""
        return None if self.public_url is None else urlsplit(self.public_url).hostname

    @model_validator(mode="after")
    def _may_ask_its_default(self) -> Self:
        """One that was chosen: the built-in one may be refused on purpose."""
        name, globs = self.default_upstream, self.allow_upstream
        is_chosen = name != type(self).model_fields["default_upstream"].default
        if is_chosen and globs and not any(fnmatchcase(name, glob) for glob in globs):
            raise ValueError(
                f"--default-upstream {name} is not allowed by --allow-upstream {' '.join(globs)}; "
                f"add --allow-upstream {name}, or let the default be one of those"
            )
        return self

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.cert is None) != (self.key is None):
            raise ValueError("--cert and --key (CERT_FILE and KEY_FILE) go together")
        if self.cert is not None and self.tls is not None:
            raise ValueError("--tls self-signed makes a certificate; leave it out, or --cert and --key")
        if self.auth == "none" and self.auth_user:
            raise ValueError("--auth-user needs --auth basic or --auth token; without, nobody is asked")
        if self.auth != "token" and self.token_lifetime is not None:
            raise ValueError("--token-lifetime needs --auth token; without, no token is looked at")
        if self.control is not None and not self.control.is_loopback and not self.control_token:
            raise ValueError(
                f"--control {self.control} can be reached from elsewhere and needs --control-token; "
                "or keep it on 127.0.0.1, or pass --control off"
            )
        return self
