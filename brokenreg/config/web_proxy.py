"""The web proxy by which upstreams are reached."""

from __future__ import annotations

import base64
import re
from typing import Literal
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, SecretStr

from brokenreg.config.addresses import plain_url
from brokenreg.http.authority import authority

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,19}")


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
        """Parse the URL of a web proxy. Raise `ValueError`, which never quotes credentials.

        Without a scheme it is http://, as curl and docker read it.
        """
        url = text.strip() if "://" in text else f"http://{text.strip()}"
        scheme, _, rest = url.partition("://")
        login, has_login, place = rest.rpartition("@")
        scheme = scheme.lower()
        if scheme not in ("http", "https"):
            unknown = f" {scheme!r}" if _SCHEME.fullmatch(scheme) else ""
            raise ValueError(f"unsupported kind of web proxy{unknown}: use http:// or https:// (CONNECT)")
        parts = urlsplit(plain_url(f"{scheme}://{place}", "http://proxy.example:3128"))
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


def web_proxy_or_env(text: str) -> WebProxy | Literal["env"]:
    """Parse a web proxy, or `env` for the environment's. Raise `ValueError` as `WebProxy.parse` does."""
    return "env" if text == "env" else WebProxy.parse(text)
