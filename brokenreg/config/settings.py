"""The settings of a run. The options of `serve` and `tui` are generated from them."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from brokenreg.config.addresses import Address, plain_url
from brokenreg.config.blob_location import BlobLocation
from brokenreg.config.combinations import check_combinations
from brokenreg.config.databases import SQLITE, database_url
from brokenreg.config.fleet import Network, long_key, parse_network
from brokenreg.config.options import check_different, from_text, option, or_off, within
from brokenreg.config.upstreams import (
    Listen,
    Realm,
    Upstream,
    WebProxy,
    check_default_upstream,
    upstream_glob,
    upstream_name,
    web_proxy_or_env,
)
from brokenreg.config.users import AuthUser, sendable_token
from brokenreg.oci.durations import parse_duration
from brokenreg.oci.sizes import parse_size

_LONGEST = 10 * 365 * 24 * 3600.0
"""Maximum lifetime of a token, and maximum interval between two verifications, in seconds."""

Duration = Annotated[float, from_text(parse_duration)]
Size = Annotated[int, from_text(parse_size)]

_TIMEOUT = within(0.001, 3600, "a duration from 1ms to 1h, for example 60s")
_STOP = within(0, 24 * 3600, "a duration from 0s to 24h, for example 60s")
_TTL = within(0, 1e12, "a duration of 0s or more, for example 60s")
_VERIFY = within(1, _LONGEST, 'a duration of 1s or more, for example 24h, or "off"')
_LOG_MEMORY = within(2**20, 2**40, "a size from 1MiB to 1TiB, for example 64MiB")
_MOST_DATA = within(1, math.inf, "a size of more than 0, for example 50GiB")


def _default_listen() -> tuple[Listen, ...]:
    """Return the default address, which the environment variables of the predecessor can change."""
    host, port = os.environ.get("BIND_HOST", "127.0.0.1"), os.environ.get("BIND_PORT", "8080")
    return (Listen.parse(f"{host}:{port}"),)


class Settings(BaseModel):
    """All settings of a run, in the order of `--help`.

    Each field is an option: `upstream_timeout` is `--upstream-timeout` and BROKENREG_UPSTREAM_TIMEOUT. A bool
    is a flag, a Literal is a choice, and a tuple is an option that can be repeated. The command line itself
    checks values with the metavars N, FILE and DIR.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    listen: tuple[Annotated[Listen, from_text(Listen.parse)], ...] = option(
        _default_listen,
        "HOST:PORT[=UPSTREAM]",
        "Address of the registry; can be repeated. Port 0 selects any free port. With =UPSTREAM, images "
        "whose names have no host come from that registry: 127.0.0.1:8082=docker.io is a mirror for Docker.  "
        "[default: 127.0.0.1:8080]",
        min_length=1,
    )
    second_origin: Annotated[Address, from_text(Address.parse)] | None = option(
        None,
        "HOST:PORT",
        "Address of the second origin, to which redirects and foreign locations lead. A host name is also "
        "in its URLs.  [default: the host of the registry, with any free port]",
    )
    control: Annotated[Address | None, or_off(Address.parse)] = option(
        "127.0.0.1:8081", "HOST:PORT|off", "Address of the control API."
    )
    control_token: Annotated[str, AfterValidator(sendable_token)] | None = option(
        None, "TOKEN", "Bearer token for the control API; required if it listens beyond loopback.", repr=False
    )
    control_read_token: Annotated[str, AfterValidator(sendable_token)] | None = option(
        None, "TOKEN", "Bearer token with which users can look, but not change anything.", repr=False
    )
    control_tls: Literal["self-signed", "registry"] | None = option(
        None,
        "",
        "Serve the control API over TLS. self-signed: create a certificate as --tls does. registry: use that "
        "of the registry.",
        bare="self-signed",
    )
    data: Path = option(
        lambda: Path.home() / "broken-reg",
        "DIR",
        "Data folder.  [default: $HOME/broken-reg]",
        legacy="BLOB_DIR",
    )
    blobs: Annotated[BlobLocation, from_text(BlobLocation.parse)] = option(
        "file:",
        "URL",
        "Where blobs are stored. file: is the data folder. With s3://BUCKET[/PREFIX], gs://BUCKET[/PREFIX] "
        "or az://CONTAINER[/PREFIX], they are in that object store, and the data folder has copies of some.",
    )
    blob_redirect: bool = option(
        False,
        "",
        "Redirect clients to the object store to read blobs. The URLs are valid for 5 minutes.",
    )
    database: Annotated[str, AfterValidator(database_url)] = option(
        SQLITE,
        "URL",
        "Database of the index: sqlite: (a file in the data folder), or postgresql://NAME@HOST/DATABASE, "
        "which several brokenregs can share.",
        repr=False,
    )
    database_file: Path | None = option(
        None, "FILE", "File with the URL of the database, if that contains a password."
    )
    fleet_key: Annotated[str, AfterValidator(long_key)] | None = option(
        None,
        "KEY",
        "Secret that all brokenregs with the same database have in common. With it, they act as one.",
        repr=False,
    )
    fleet_network: Annotated[Network, from_text(parse_network)] | None = option(
        None, "CIDR", "Network in which the brokenregs of a fleet call each other.  [default: 127.0.0.0/8]"
    )
    scenario: tuple[Path, ...] = option(
        (), "FILE", "Scenario file (YAML or JSON), or profile:NAME, to load at startup; can be repeated."
    )
    seed: int = option(
        0,
        "N",
        "Seed of all draws: with the same seed, rules apply to the same requests. A scenario can change it.",
        ge=-(2**63),
        lt=2**63,
    )
    cert: Path | None = option(None, "FILE", "TLS certificate chain (PEM).", legacy="CERT_FILE")
    key: Path | None = option(None, "FILE", "TLS private key (PEM).", legacy="KEY_FILE")
    tls: Literal["self-signed"] | None = option(
        None, "", "Create a certificate, and print the path of the CA to trust."
    )
    allow_host: tuple[str, ...] = option(
        (), "NAME", "Additional host name of the registry on loopback; can be repeated."
    )
    auth: Literal["none", "basic", "token"] = option(
        "none", "", "What clients must send: nothing, HTTP Basic credentials, or a token from /token."
    )
    auth_user: tuple[Annotated[AuthUser, from_text(AuthUser.parse)], ...] = option(
        (),
        "NAME:PASSWORD",
        "A user; can be repeated (in the environment, separated by spaces). Without users, any name and "
        "password are valid, and the token service issues any token to anyone.",
    )
    token_lifetime: Annotated[Duration, Field(gt=0, le=_LONGEST, allow_inf_nan=False)] | None = option(
        None, "DURATION", "How long a token is valid.  [default: 5m]"
    )
    public_url: Annotated[str, AfterValidator(plain_url)] | None = option(
        None,
        "URL",
        "URL under which clients reach the registry, for absolute URLs such as that of the token service.  "
        "[default: the host of the request]",
    )
    upstream: tuple[Annotated[Upstream, from_text(Upstream.parse)], ...] = option(
        (),
        "NAME=URL",
        "URL of a registry that is not found under its name: quay.io=https://mirror.example, "
        "local=http://127.0.0.1:5000. Can be repeated.",
    )
    default_upstream: Annotated[str, AfterValidator(upstream_name)] = option(
        "quay.io",
        "NAME",
        "Registry for names without a host, if nothing was ever pushed to them.",
    )
    allow_upstream: tuple[Annotated[str, AfterValidator(upstream_glob)], ...] = option(
        (), "GLOB", "Contact only registries whose names match; can be repeated.  [default: any registry]"
    )
    upstream_auth: Literal["auto", "on", "off"] = option(
        "auto",
        "",
        "Whether to log in to upstreams with the credentials of Docker and podman. auto: only if the "
        "registry listens on loopback, or if --auth and --auth-user restrict access.",
    )
    upstream_realm: tuple[Annotated[Realm, from_text(Realm.parse)], ...] = option(
        (),
        "NAME=URL",
        "Also send the credentials of the registry NAME to the token service at URL, although it is in "
        "another domain; can be repeated.",
    )
    upstream_ca: tuple[Path, ...] = option(
        (), "FILE", "CA (PEM) to trust for upstreams, in addition to those of the system; can be repeated."
    )
    upstream_proxy: Annotated[WebProxy | Literal["env"], from_text(web_proxy_or_env)] | None = option(
        None,
        "URL|env",
        "Reach upstreams through a web proxy: http://[NAME:PASSWORD@]HOST:PORT, or https://. env: use "
        "HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY. Beyond loopback, this requires --allow-upstream.  "
        "[default: connect directly]",
    )
    upstream_timeout: Annotated[Duration, _TIMEOUT] = option(
        "60s",
        "DURATION",
        "How long to wait for the head of an upstream's response, and for each part of its body. "
        "Connecting can take up to 10s.",
    )
    tag_ttl: Annotated[Duration, _TTL] = option(
        "60s", "DURATION", "How long a cached tag is served before it is revalidated with its upstream."
    )
    keep_gone: bool = option(False, "", "Keep serving cached tags that were deleted at their upstream.")
    offline: bool = option(
        False, "", "Do not contact any other registry: content that is neither pushed nor cached gets a 404."
    )
    cache_max_size: Size = option(
        "20GiB", "SIZE", "Maximum size of all cached blobs. The least recently used ones are removed.", ge=0
    )
    max_data: Annotated[Size, _MOST_DATA] | None = option(
        None,
        "SIZE",
        "Maximum size of all blobs and uploads in the data folder. Cached blobs are removed to make room for "
        "pushes.  [default: the whole disk, or 20GiB with an object store]",
    )
    verify_interval: Annotated[Annotated[float, _VERIFY] | None, or_off(parse_duration)] = option(
        "off",
        "DURATION|off",
        "How often to compare all blobs in the data folder with their digests, in the background. A corrupt "
        "blob is reported and no longer served.",
    )
    fabricate_limit: Size = option(
        "128GiB", "SIZE", "Maximum size of a fabricated image (layers x size).", gt=0
    )
    stop_timeout: Annotated[Duration, _STOP] = option(
        "700ms",
        "DURATION",
        "How long requests in flight may take to end after SIGTERM or Ctrl+C. From 10s on, connections are "
        "accepted for 5s more, while /healthz responds with 503. A second signal ends the wait.",
    )
    ready_file: Path | None = option(
        None, "FILE", "Write the ready line to FILE once connections are accepted."
    )
    log: Path | None = option(None, "FILE", "Append each exchange to FILE as a line of JSON.")
    log_memory: Annotated[Size, _LOG_MEMORY] = option(
        "64MiB", "SIZE", "Maximum memory of the exchange log. The oldest exchanges are dropped."
    )
    v2_catalog_delay: Duration = option(
        "0s",
        "DURATION",
        "How long to wait before responding to _catalog, for example 1.5s or 2m.",
        ge=0,
        legacy="V2_CATALOG_DELAY",
    )
    v2_catalog_num_repos: int = option(
        0,
        "N",
        "Number of fabricated repositories that _catalog lists.",
        ge=0,
        le=10_000_000,
        legacy="V2_CATALOG_NUM_REPOS",
    )

    @field_validator("auth_user")
    @classmethod
    def _are_unique_users(cls, users: tuple[AuthUser, ...]) -> tuple[AuthUser, ...]:
        check_different("user", [user.name for user in users])
        return users

    @field_validator("upstream")
    @classmethod
    def _are_unique_upstreams(cls, upstreams: tuple[Upstream, ...]) -> tuple[Upstream, ...]:
        check_different("upstream", [upstream.name for upstream in upstreams])
        return upstreams

    @property
    def is_beyond_loopback(self) -> bool:
        """True if other machines can reach the registry."""
        return not all(address.is_loopback for address in self.listen)

    @property
    def may_log_in(self) -> bool:
        """True if credentials may be sent to upstreams. Everyone who reaches the registry pulls with them."""
        if self.upstream_auth == "auto":
            return not self.is_beyond_loopback or (self.auth != "none" and bool(self.auth_user))
        return self.upstream_auth == "on"

    @property
    def public_host(self) -> str | None:
        """The host of `public_url`, or None if it is not set."""
        return None if self.public_url is None else urlsplit(self.public_url).hostname

    @model_validator(mode="after")
    def _allows_its_default(self) -> Self:
        """Check the default upstream if it was set; the built-in one may be excluded deliberately."""
        if self.default_upstream != type(self).model_fields["default_upstream"].default:
            check_default_upstream(self.default_upstream, self.allow_upstream)
        return self

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        check_combinations(self)
        return self
