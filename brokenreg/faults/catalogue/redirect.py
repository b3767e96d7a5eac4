"""Faults that send the client elsewhere: redirect."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from brokenreg.faults.catalogue.base import BLOB, READS, WRITES, Fault
from brokenreg.faults.catalogue.parameters import Duration
from brokenreg.faults.context import FaultContext
from brokenreg.second_origin.signed_urls import LIFETIME, Allowed, Answer


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isdecimal() else value


Status = Annotated[Literal[301, 302, 303, 307, 308], BeforeValidator(_number)]
"""A redirect that says where (RFC 9110, section 15.4)."""

_ANSWERS = {"html": Answer.HTML, "loop": Answer.LOOP}


class Redirect(Fault):
    """Answers with a redirect to a signed URL of the second origin, as registries before object stores do.

    `form` is what becomes of it there: it `works`; it is `expired` (403, an XML body); it is good for
    `head-only`, and GET is 403; it answers 200 with an `html` page; it leads to itself in a `loop`; it is
    `dead`, on a port that refuses connections. Every URL is 403 once its `lifetime` is over. With `hops` the
    content comes after so many redirects. What the second origin serves no rule strikes; whatever credential
    arrives there is told by `GET /v1/status`. Who must log in first is told so, and not redirected.
    """

    name = "redirect"
    default_endpoint = BLOB
    methods = READS | WRITES
    responds = True
    clients = (
        "docker asks again for a layer whose URL is expired; containerd, skopeo and podman do not; scanners "
        "that keep an expired URL or ask HEAD of one that is signed for GET (stackrox#22899, clair#1264, "
        "containerd#11949); those that send credentials on (oras-go#1197, distribution-spec#607)"
    )
    example = "form-expired"

    form: Literal["works", "expired", "head-only", "html", "loop", "dead"] = Field(
        "works", description="what is wrong with the URL"
    )
    status: Status = Field(307, description="status: 301, 302, 303, 307 or 308")
    lifetime: Duration = Field(LIFETIME, description="how long the URL works")
    hops: int = Field(1, ge=1, le=1000, description="redirects before the content, this one included")

    def shadows(self, inner: Fault) -> bool:
        return False  # who must log in first is not redirected

    async def apply(self, context: FaultContext) -> None:
        # The URL needs no login, so it is for those alone who have logged in.
        if not await context.registry_view.access_check.admits(context.scope):
            context.no_effect("the registry asks for a login first")
            await context.forward()
            return
        query = context.scope["query_string"].decode("latin-1")
        url = context.registry_view.origin.url(
            context.scope,
            f"{context.scope['path']}?{query}",
            allowed=Allowed.HEAD if self.form == "head-only" else None,
            lifetime=-1 if self.form == "expired" else self.lifetime,
            answer=_ANSWERS.get(self.form, Answer.CONTENT),
            hops=self.hops - 1,
            status=self.status,
            dead=self.form == "dead",
        )
        await context.respond(self.status, {"location": url})
