"""The fault that limits how many requests are served."""

from __future__ import annotations

import ipaddress
import time
from typing import Literal

from pydantic import Field

from brokenreg.faults.catalogue.base import Fault
from brokenreg.faults.catalogue.parameters import Duration
from brokenreg.faults.context import FaultContext
from brokenreg.faults.response_head import Head
from brokenreg.http.dates import http_date
from brokenreg.oci.errors import ErrorCode, OCIError


class RateLimit(Fault):
    """Allows `quota` requests per `window` and responds to all others with 429 (code TOOMANYREQUESTS).

    A window starts with its first request. `by` decides whether each client address has a window of its own
    or all clients share one. `message` is the message of a 429. `retry_after` selects its Retry-After header:

    - `seconds`: the number of seconds until the window ends
    - `date`: the time at which the window ends
    - `absent`: no header
    - `garbage`: neither a number nor a date
    - `huge`: ten years

    `headers` selects the headers that announce the limit:

    - `usual`: `ratelimit-limit` and `ratelimit-remaining` in every response, as in `100;w=21600`
    - `docker-hub`: the same and `docker-ratelimit-source` (the client's address, or the /64 network of IPv6),
      but not in a 429
    - `none`: no headers

    With `docker-hub`, the addresses of one /64 network of IPv6 are one client. If `count_head` is false, HEAD
    is neither counted nor refused, as at Docker Hub. `used` is how many requests the first window counts in
    advance: if it equals `quota`, none is left.
    """

    name = "rate-limit"
    default_endpoint = "manifest"
    clients = (
        "containers/image honours Retry-After and tries 5 times, 2 to 60 s apart. containerd repeats the "
        "request immediately (containerd#10447). Docker gives up. See also oras-go#1210 and "
        "go-containerregistry#2111."
    )
    example = "quota-2_window-1m"

    quota: int = Field(0, ge=0, le=10**9, description="number of requests allowed per window; 0 allows none")
    used: int = Field(0, ge=0, le=10**9, description="number of requests that the first window starts with")
    window: Duration = Field(60.0, gt=0, description="length of the window")
    by: Literal["client", "all"] = Field("client", description="whose requests are counted together")
    retry_after: Literal["seconds", "date", "absent", "garbage", "huge"] = Field(
        "seconds", description="form of the Retry-After header"
    )
    headers: Literal["usual", "docker-hub", "none"] = Field(
        "usual", description="headers that announce the limit"
    )
    count_head: bool = Field(True, description="whether HEAD is counted")
    message: str = Field(
        "You have reached your pull rate limit", max_length=1024, description="message of a 429"
    )

    async def apply(self, context: FaultContext) -> None:
        address = context.exchange.client.rpartition(":")[0].strip("[]")
        source = source_of(address) if self.headers == "docker-hub" else address
        client = source if self.by == "client" else ""
        is_counted = self.count_head or context.exchange.method != "HEAD"
        key = f"window of {client}"
        window = await context.memory.add(key, int(is_counted), first=self.used, lasts=self.window)
        used = window.count
        if is_counted and used > self.quota:
            await context.respond_error(self._refusal(self.window - window.age))
            return
        context.no_effect(f"{used} of {self.quota} in this window" if is_counted else "HEAD is not counted")

        def add_limits(head: Head) -> None:
            for name, value in self._headers(max(0, self.quota - used), source).items():
                head.add(name, value)

        await context.forward_changed(add_limits)

    def _refusal(self, left: float) -> OCIError:
        headers = self._headers(0, "") if self.headers == "usual" else {}
        seconds = max(1, -(-int(left * 1000) // 1000))
        if self.retry_after == "seconds":
            headers["retry-after"] = str(seconds)
        elif self.retry_after == "date":
            headers["retry-after"] = http_date(time.time() + seconds)
        elif self.retry_after == "garbage":
            headers["retry-after"] = "soon"
        elif self.retry_after == "huge":
            headers["retry-after"] = str(10 * 365 * 24 * 3600)
        return OCIError(429, ErrorCode.TOOMANYREQUESTS, self.message, headers=headers)

    def _headers(self, remaining: int, source: str) -> dict[str, str]:
        if self.headers == "none":
            return {}
        window = f";w={max(1, round(self.window))}"
        headers = {"ratelimit-limit": f"{self.quota}{window}", "ratelimit-remaining": f"{remaining}{window}"}
        return headers | ({"docker-ratelimit-source": source} if self.headers == "docker-hub" else {})


def source_of(address: str) -> str:
    """Return what Docker Hub counts by: an IPv4 address, or the /64 network of an IPv6 address."""
    if ":" not in address:
        return address
    return str(ipaddress.ip_network(f"{address.partition('%')[0]}/64", strict=False))
