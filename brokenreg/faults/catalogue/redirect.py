"""The fault that redirects the client to the second origin."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from brokenreg.faults.catalogue.base import BLOB, READS, WRITES, Fault, RespondingFault
from brokenreg.faults.catalogue.parameters import Duration
from brokenreg.faults.context import FaultContext
from brokenreg.oci.target import ARTIFACTORY
from brokenreg.second_origin.signed_urls import LIFETIME, Allowed, Answer
from brokenreg.traffic.exchange import Exchange

_ANSWERS = {
    "artifactory": Answer.CHALLENGE,
    "captcha": Answer.CAPTCHA,
    "expired-r2": Answer.EXPIRED_R2,
    "html": Answer.HTML,
    "landing-page": Answer.LANDING_PAGE,
    "loop": Answer.LOOP,
    "not-found": Answer.NOT_FOUND,
    "rejects-authorization": Answer.REJECTS_AUTHORIZATION,
}


class Redirect(RespondingFault):
    """Redirects to a signed URL at the second origin, as registries with an object store do.

    `form` selects what happens at that URL:

    - `works`: the content is served
    - `expired`: 403 with an XML body (AccessDenied), as at S3
    - `expired-r2`: 403 with an XML body (ExpiredRequest), as at R2
    - `head-only`: the URL is valid only for HEAD, and GET gets a 403
    - `not-found`: 404 with an XML body
    - `rejects-authorization`: 400 with an XML body if the client sends Authorization, as at Azure
    - `artifactory`: 401 with another challenge, without a scope, unless the client sends Authorization. The
      path of the URL begins with /artifactory/api/docker
    - `html`: 200 with an HTML page
    - `landing-page`: 200 with an HTML page of 11,500 bytes, as from Artifactory
    - `captcha`: 200 with an HTML page that requires proof that the client is a person
    - `loop`: a redirect to itself
    - `dead`: the URL has a port that refuses connections

    The URL responds with 403 when its `lifetime` is over. With `hops`, the content follows after that many
    redirects. Rules are not evaluated at the second origin. `brokenreg status --json` lists the credentials
    that arrive there. The fault has no effect on a client that must log in first.
    """

    name = "redirect"
    default_endpoint = BLOB
    methods = READS | WRITES
    clients = (
        "If the URL has expired, Docker requests the layer again; containerd, skopeo and podman do not. "
        "Scanners that keep an expired URL, or that send HEAD to a URL that is signed for GET, fail "
        "(stackrox#22899, clair#1264, containerd#11949). Some clients send their credentials to the other "
        "origin (oras-go#1197, distribution-spec#607)."
    )
    example = "form-expired"

    form: Literal[
        "works",
        "expired",
        "expired-r2",
        "head-only",
        "not-found",
        "rejects-authorization",
        "artifactory",
        "html",
        "landing-page",
        "captcha",
        "loop",
        "dead",
    ] = Field("works", description="what happens at the URL")
    status: int = Field(307, ge=300, le=399, description="status of the redirect")
    get_only: bool = Field(False, description="whether only GET is redirected, not HEAD")
    lifetime: Duration = Field(LIFETIME, description="how long the URL works")
    hops: int = Field(
        1, ge=1, le=1000, description="number of redirects before the content, including this one"
    )

    def shadows(self, inner: Fault) -> bool:
        return False  # it does not apply to a client that must log in first

    def inapplicable_reason(self, exchange: Exchange) -> str | None:
        if self.get_only and exchange.method == "HEAD":
            return "only GET is redirected"
        return super().inapplicable_reason(exchange)

    async def apply(self, context: FaultContext) -> None:
        # The signed URL works without a login, so only a client that has logged in may get one.
        if not context.registry_view.access_check.admits(context.scope):
            context.no_effect("the registry requires a login first")
            await context.forward()
            return
        await super().apply(context)

    async def respond(self, context: FaultContext) -> None:
        query = context.scope["query_string"].decode("latin-1")
        root = ARTIFACTORY if self.form == "artifactory" else ""
        url = context.registry_view.origin.url(
            context.scope,
            f"{root}{context.scope['path']}?{query}",
            allowed=Allowed.HEAD if self.form == "head-only" else None,
            lifetime=-1 if self.form == "expired" else self.lifetime,
            answer=_ANSWERS.get(self.form, Answer.CONTENT),
            hops=self.hops - 1,
            status=self.status,
            dead=self.form == "dead",
        )
        await context.respond(self.status, {"location": url})
