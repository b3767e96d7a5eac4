"""Upstream registries: names, URLs, listeners that represent an upstream, and the web proxy."""

from __future__ import annotations

import base64
import re
from collections.abc import Collection
from fnmatch import fnmatchcase
from typing import Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, SecretStr

from brokenreg.config.addresses import Address, plain_url
from brokenreg.http.authority import authority
from brokenreg.oci.errors import OCIError
from brokenreg.oci.names import is_component
from brokenreg.oci.upstreams import check_upstream
from brokenreg.redaction import redact_text
from brokenreg.wording import quoted

_GLOB = re.compile(r"(?:[A-Za-z0-9._:*?-]|\[[A-Za-z0-9.:!-]+\])+")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,19}")
_OURS = ("broken", "v2")
"""First components of our own paths. A registry with such a name would make them ambiguous."""


class Listen(Address):
    """An address of the registry. Names without a host come from `upstream`."""

    upstream: str | None = None

    @classmethod
    def parse(cls, text: str) -> Listen:
        """Parse HOST:PORT or HOST:PORT=UPSTREAM. Raise `ValueError`."""
        address, equals, upstream = text.partition("=")
        where = Address.parse(address)
        return cls(host=where.host, port=where.port, upstream=upstream_name(upstream) if equals else None)


class Upstream(BaseModel):
    """The name of a registry and its URL."""

    model_config = ConfigDict(frozen=True)

    name: str
    url: str

    @classmethod
    def parse(cls, text: str) -> Upstream:
        """Parse NAME=URL. Raise `ValueError`."""
        return cls._parse(text, "quay.io=https://mirror.example", "local=http://127.0.0.1:5000")

    @classmethod
    def _parse(cls, text: str, *examples: str) -> Self:
        name, equals, url = text.partition("=")
        if not equals:
            raise ValueError(
                f"invalid value {quoted(redact_text(text))}: use NAME=URL, such as {' or '.join(examples)}"
            )
        logical = upstream_name(name)
        try:
            return cls(name=logical, url=plain_url(url, examples[0].partition("=")[2]))
        except ValueError as error:
            raise ValueError(f"{logical}: {error}") from None


class Realm(Upstream):
    """The name of a registry, and the URL of a token service that may get its credentials."""

    @classmethod
    def parse(cls, text: str) -> Realm:
        """Parse NAME=URL. Raise `ValueError`."""
        return cls._parse(text, "quay.io=https://auth.example", "local=http://127.0.0.1:5001")


def upstream_name(text: str) -> str:
    """Return the normalised name of a registry. Raise `ValueError`."""
    try:
        name = check_upstream(text)
    except OCIError as error:
        raise ValueError(error.message) from None
    if name in _OURS or not (is_component(name) or "." in name or ":" in name):
        raise ValueError(
            f"invalid upstream {quoted(text)}: use a host, or a word of a-z and 0-9 "
            f"other than {' and '.join(_OURS)}, which begin paths of brokenreg"
        )
    return name


def upstream_glob(text: str) -> str:
    """Return a normalised glob: in lower case, with the short name of Docker Hub. Raise `ValueError`."""
    if not _GLOB.fullmatch(text):
        raise ValueError(
            f"invalid glob {quoted(text)}: use one for names of registries, such as quay.io or '*.example'"
        )
    try:
        return check_upstream(text)
    except OCIError:
        return text.lower()


class WebProxy(BaseModel):
    """A web proxy that opens tunnels to upstreams (CONNECT). Its text form omits the credentials."""

    model_config = ConfigDict(frozen=True)

    scheme: Literal["http", "https"]
    host: str
    port: int
    login: SecretStr | None = None
    """Name and password, spelled as in the URL."""

    @property
    def authorization(self) -> SecretStr | None:
        """Return the value of the header Proxy-Authorization; None without a login."""
        if self.login is None:
            return None
        name, _, password = self.login.get_secret_value().partition(":")
        plain = f"{unquote(name)}:{unquote(password)}".encode(
            errors="surrogateescape"
        )  # without a scheme, as is usual in environment variables
        return SecretStr(f"Basic {base64.b64encode(plain).decode()}")

    @classmethod
    def parse(cls, text: str) -> WebProxy:
        """Parse the URL of a web proxy. Raise `ValueError`; the message has no credentials.

        Without a scheme, it is http://, as with curl and docker.
        """
        url = text.strip() if "://" in text else f"http://{text.strip()}"
        scheme, _, rest = url.partition("://")
        login, has_login, place = rest.rpartition("@")
        scheme = scheme.lower()
        if scheme not in ("http", "https"):
            unknown = f" {scheme!r}" if _SCHEME.fullmatch(scheme) else ""
            raise ValueError(f"unsupported kind of web proxy{unknown}: use http:// or https:// (CONNECT)")
        parts = urlsplit(plain_url(f"{scheme}://{place}", "http://proxy.example:3128"))
        return cls.model_validate(
            {
                "scheme": scheme,
                "host": parts.hostname,
                "port": parts.port or (443 if scheme == "https" else 80),
                "login": login if has_login else None,
            }
        )

    def __str__(self) -> str:
        return authority(self.host, self.port)


def web_proxy_or_env(text: str) -> WebProxy | Literal["env"]:
    """Parse a web proxy, or `env` for that of the environment. Raise `ValueError` like `WebProxy.parse`."""
    return "env" if text == "env" else WebProxy.parse(text)


def check_default_upstream(name: str, globs: Collection[str]) -> None:
    """Raise `ValueError` if `--allow-upstream` has globs, and none of them matches the default upstream."""
    if globs and not any(fnmatchcase(name, glob) for glob in globs):
        raise ValueError(
            f"--default-upstream {name} is not allowed by --allow-upstream {' '.join(globs)}: "
            f"add --allow-upstream {name}, or choose another default"
        )
