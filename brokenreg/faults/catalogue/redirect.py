"""The fault that redirects the client to the second origin."""

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
"""A redirect with a Location (RFC 9110, section 15.4)."""

_ANSWERS = {"html": Answer.HTML, "loop": Answer.LOOP}


class Redirect(Fault):
    """Redirects to a signed URL at the second origin, as registries with an object store do.

    `form` selects what happens at that URL:

    - `works`: the content is served
    - `expired`: 403 with an XML body
    - `head-only`: the URL is valid only for HEAD, and GET gets a 403
    - `html`: 200 with an HTML page
    - `loop`: a redirect to itself
    - `dead`: the URL has a port that refuses connections

    The URL responds with 403 when its `lifetime` is over. With `hops`, the content follows after that many
    redirects. Rules are not evaluated at the second origin. `brokenreg status --json` lists the credentials
    that arrive there. The fault has no effect on a client that must log in first.
    """

    name = "redirect"
    default_endpoint = BLOB
    methods = READS | WRITES
    responds = True
    clients = (
        "If the URL has expired, Docker requests the layer again; containerd, skopeo and podman do not. "
        "Scanners that keep an expired URL, or that send HEAD to a URL that is signed for GET, fail "
        "(stackrox#22899, clair#1264, containerd#11949). Some clients send their credentials to the other "
        "origin (oras-go#1197, distribution-spec#607)."
    )
    example = "form-expired"

    form: Literal["works", "expired", "head-only", "html", "loop", "dead"] = Field(
        "works", description="what happens at the URL"
    )
    status: Status = Field(307, description="status of the redirect: 301, 302, 303, 307 or 308")
    lifetime: Duration = Field(LIFETIME, description="how long the URL works")
    hops: int = Field(
        1, ge=1, le=1000, description="number of redirects before the content, including this one"
    )

    def shadows(self, inner: Fault) -> bool:
        return False  # it does not apply to a client that must log in first

    async def apply(self, context: FaultContext) -> None:
        # The signed URL works without a login, so only a client that has logged in may get one.
        if not context.registry_view.access_check.admits(context.scope):
            context.no_effect("the registry requires a login first")
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
