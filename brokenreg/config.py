"""The settings of one run, resolved once: flag, else environment, else TOML file, else default."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from brokenreg.oci.durations import parse_duration
from brokenreg.oci.sizes import parse_size

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


def _size(value: object) -> object:
    return parse_size(value) if isinstance(value, str) else value


def _duration(value: object) -> object:
    return parse_duration(value) if isinstance(value, str) else value


AddressField = Annotated[Address, BeforeValidator(_address)]


class Settings(BaseModel):
    """All that can be told to a brokenreg; frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    listen: tuple[AddressField, ...] = Field(min_length=1)
    control: AddressField | None = None
    control_token: str | None = Field(None, repr=False)
    data: Path
    scenario: tuple[Path, ...] = ()
    seed: int = Field(0, ge=-(2**63), lt=2**63)
    cert: Path | None = None
    key: Path | None = None
    tls: Literal["self-signed"] | None = None
    allow_host: tuple[str, ...] = ()
    fabricate_limit: Annotated[int, BeforeValidator(_size)] = Field(gt=0)
    ready_file: Path | None = None
    log: Path | None = None
    v2_catalog_delay: Annotated[float, BeforeValidator(_duration), Field(ge=0)] = 0.0
    v2_catalog_num_repos: int = Field(0, ge=0, le=10_000_000)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.cert is None) != (self.key is None):
            raise ValueError("--cert and --key (CERT_FILE and KEY_FILE) go together")
        if self.cert is not None and self.tls is not None:
            raise ValueError("--tls self-signed makes a certificate; leave it out, or --cert and --key")
        if self.control is not None and not self.control.is_loopback and not self.control_token:
            raise ValueError(
                f"--control {self.control} can be reached from elsewhere and needs --control-token; "
                "or keep it on 127.0.0.1, or pass --control off"
            )
        return self
