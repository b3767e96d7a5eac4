"""The settings of one run, resolved once: flag, else environment, else TOML file, else default."""

from __future__ import annotations

import math
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from brokenreg.oci.durations import parse_duration
from brokenreg.oci.sizes import parse_size
from brokenreg.option_values import (
    Address,
    AuthUser,
    Listen,
    Realm,
    Upstream,
    WebProxy,
    bare_url,
    from_text,
    is_host,
    upstream_glob,
    upstream_name,
    upstream_proxy,
    within,
)


def _first_twice(names: list[str]) -> str | None:
    return next((name for name in names if names.count(name) > 1), None)


_LONGEST = 10 * 365 * 24 * 3600.0
"""Seconds that a token may last."""


ListenField = Annotated[Listen, from_text(Listen.parse)]
AddressField = Annotated[Address, from_text(Address.parse)]
UpstreamProxyField = Annotated[WebProxy | Literal["env"], from_text(upstream_proxy)]
LifetimeField = Annotated[float, from_text(parse_duration), Field(gt=0, le=_LONGEST, allow_inf_nan=False)]


_TIMEOUT = within(0.001, 3600, "a duration from 1ms to 1h, for instance 60s")
_TTL = within(0, 1e12, "a duration, 0s or more, for instance 60s; 0s asks each time")
_VERIFY = within(1, _LONGEST, 'a duration of 1s or more, for instance 24h, or "off"')
_MOST_DATA = within(
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
    auth_user: tuple[Annotated[AuthUser, from_text(AuthUser.parse)], ...] = ()
    token_lifetime: LifetimeField | None = None
    public_url: Annotated[str, AfterValidator(bare_url)] | None = None
    upstream: tuple[Annotated[Upstream, from_text(Upstream.parse)], ...] = ()
    default_upstream: Annotated[str, AfterValidator(upstream_name)] = "quay.io"
    allow_upstream: tuple[Annotated[str, AfterValidator(upstream_glob)], ...] = ()
    upstream_auth: Literal["auto", "on", "off"] = "auto"
    upstream_realm: tuple[Annotated[Realm, from_text(Realm.parse)], ...] = ()
    upstream_ca: tuple[Path, ...] = ()
    upstream_proxy: UpstreamProxyField | None = None
    offline: bool = False
    upstream_timeout: Annotated[float, from_text(parse_duration), _TIMEOUT] = 60.0
    tag_ttl: Annotated[float, from_text(parse_duration), _TTL] = 60.0
    keep_gone: bool = False
    cache_max_size: Annotated[int, from_text(parse_size)] = Field(20 * 1024**3, ge=0)
    max_data: Annotated[int, from_text(parse_size), _MOST_DATA] | None = None
    verify_interval: Annotated[float, from_text(parse_duration), _VERIFY] | None = None
    fabricate_limit: Annotated[int, from_text(parse_size)] = Field(gt=0)
    ready_file: Path | None = None
    log: Path | None = None
    v2_catalog_delay: Annotated[float, from_text(parse_duration), Field(ge=0)] = 0.0
    v2_catalog_num_repos: int = Field(0, ge=0, le=10_000_000)

    @field_validator("auth_user")
    @classmethod
    def _are_different(cls, users: tuple[AuthUser, ...]) -> tuple[AuthUser, ...]:
        twice = _first_twice([user.name for user in users])
        if twice is not None:
            raise ValueError(f"user {twice!r} is given twice")
        return users

    @field_validator("control_token")
    @classmethod
    def _can_be_sent(cls, token: str | None) -> str | None:
        if token is not None and (not token or not token.isprintable() or token != token.strip()):
            raise ValueError(
                "no client can send this token; write printable characters, with no space at either end"
            )
        return token

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
    def _names_hosts(self) -> Self:
        """Check the upstreams that have no URL: brokenreg connects to them by name."""
        has_url = {upstream.name for upstream in self.upstream}
        for option, name in (
            ("--default-upstream", self.default_upstream),
            *(("--listen", listen.upstream) for listen in self.listen),
        ):
            if name is not None and name not in has_url and not is_host(name):
                raise ValueError(
                    f'{option}: invalid upstream "{name}": use a host name, an IPv4 address of four decimal '
                    f"numbers without leading zeros, or add --upstream {name}=URL"
                )
        return self

    @model_validator(mode="after")
    def _leads_others_only_where_allowed(self) -> Self:
        """Require allowed names with a web proxy: it resolves names itself, so addresses go unchecked."""
        is_asked = self.upstream_proxy is not None and not self.offline
        if is_asked and self.is_beyond_loopback and not self.allow_upstream:
            raise ValueError(
                "--upstream-proxy needs --allow-upstream if --listen is reachable from other machines: "
                "brokenreg cannot check the addresses that only the web proxy resolves; "
                "add --allow-upstream NAME for each registry, or listen on 127.0.0.1"
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
