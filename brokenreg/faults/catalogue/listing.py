"""Faults of lists: pages of tags that lead nowhere or never end, and referrers that are not told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, ClassVar, Literal
from urllib.parse import parse_qsl, urlencode

from pydantic import Field

from brokenreg.faults.catalogue.base import Fault
from brokenreg.faults.strike import Head, Strike
from brokenreg.faults.tickets import Answer
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.oci.mediatypes import OCI_INDEX
from brokenreg.registry.paging import page_of

_GET = frozenset({"GET"})
_HTML = b"<!doctype html><title>Sign in</title><h1>Sign in</h1>\n"


class TagPages(Fault):
    """Lists tags in pages that clients get wrong.

    `invented` adds so many made-up tags. `page` is the size of a page, also for a client that asks for none
    or for larger ones. `cap`: a larger `n` is refused with 400 PAGINATION_NUMBER_INVALID. `link` says what
    is wrong with the Link to the next page: `absent` though there is one, `malformed`, `cyclic` (from the
    last page to the first: it never ends), `absolute` (a URL with host: right, and rarely met), `foreign` (at
    the second origin, which records credentials that arrive there).
    """

    name: ClassVar[str] = "tag-pages"
    endpoint: ClassVar[str] = "tags"
    methods: ClassVar[frozenset[str] | None] = _GET
    clients: ClassVar[str] = (
        "those that ask for all at once, or follow Link for ever: image-reflector-controller#585, #931"
    )
    example: ClassVar[str] = "invented-9000_page-100_link-absent"

    link: Literal["honest", "absent", "malformed", "cyclic", "absolute", "foreign"] = Field(
        "honest", description="what is wrong with Link"
    )
    page: int | None = Field(None, ge=1, le=10**6, description="tags of a page at most; absent: as asked for")
    cap: int | None = Field(None, ge=0, le=10**6, description="largest `n` that is not refused; absent: any")
    invented: int = Field(0, ge=0, le=100_000, description="made-up tags, beside those that are there")

    async def strike(self, strike: Strike) -> None:
        query = dict(parse_qsl(strike.scope["query_string"].decode("latin-1"), keep_blank_values=True))
        asked = query.get("n")
        head, body = await strike.fetch(scope={**strike.scope, "query_string": b""})
        if head.status != 200:
            strike.spare(f"the status is {head.status}")
            await strike.respond(head.status, {"content-type": head.get("content-type") or ""}, body)
            return
        if self.cap is not None and asked is not None and asked.isdigit() and int(asked) > self.cap:
            await strike.respond_error(
                OCIError(
                    400, ErrorCode.PAGINATION_NUMBER_INVALID, f"n={asked[:20]}; at most {self.cap} at once"
                )
            )
            return
        if self.page is not None and (asked is None or not asked.isdigit() or int(asked) > self.page):
            query["n"] = str(self.page)
        document = json.loads(body)
        tags = sorted(
            {*document["tags"], *(f"invented-{number:06}" for number in range(1, self.invented + 1))}
        )
        try:
            page, links = page_of(query.get, tags, f"/v2/{document['name']}/tags/list")
        except OCIError as error:
            strike.spare("the honest registry refuses it as well")
            await strike.respond_error(error)
            return
        link = self._link(strike, links.get("link"), query)
        headers = {"content-type": "application/json"} | ({"link": link} if link is not None else {})
        await strike.respond(200, headers, _compact({**document, "tags": page}))

    def _link(self, strike: Strike, link: str | None, query: dict[str, str]) -> str | None:
        """The Link header, from the honest one."""
        if self.link == "cyclic" and link is None:
            first = urlencode({"n": query["n"]} if "n" in query else {})
            return f'<{strike.scope["path"]}?{first}>; rel="next"'
        if link is None or self.link in ("honest", "cyclic"):
            return link
        url, rest = link.removeprefix("<").split(">", 1)
        match self.link:
            case "malformed":
                return f"<{url}; rel=next"
            case "absolute":
                return f"<{strike.base}{url}>{rest}"
            case "foreign":
                return f"<{strike.surroundings.origin.url(strike.scope, url)}>{rest}"
        return None


class Referrers(Fault):
    """Does not tell who refers to a manifest, though it would know.

    `not-found` and `bad-request`: 404 and 400, as registries without the API answer, so that clients must
    look for the tag `sha256-<hex>`; `html`: 200 with a page; `redirect`: 307 to such a page at the second
    origin; `empty`: 200 without a body; `none`: an index of nothing; `wrong-type`: a document that is no
    index; `paged`: one referrer a page, with Link.
    """

    name: ClassVar[str] = "referrers"
    endpoint: ClassVar[str] = "referrers"
    methods: ClassVar[frozenset[str] | None] = _GET
    clients: ClassVar[str] = "those that look for signatures: oras-go#633, go-containerregistry#1647"
    example: ClassVar[str] = "form-html"

    form: Literal["not-found", "bad-request", "html", "redirect", "empty", "none", "wrong-type", "paged"] = (
        Field("not-found", description="what is answered")
    )

    async def strike(self, strike: Strike) -> None:
        match self.form:
            case "not-found":
                await strike.respond_error(
                    OCIError(404, ErrorCode.UNSUPPORTED, "There is no such endpoint here")
                )
            case "bad-request":
                await strike.respond_error(OCIError(400, ErrorCode.UNSUPPORTED, "No referrers are told here"))
            case "html":
                await strike.respond(200, {"content-type": "text/html"}, _HTML)
            case "redirect":
                url = strike.surroundings.origin.url(strike.scope, strike.scope["path"], answer=Answer.HTML)
                await strike.respond(307, {"location": url})
            case "empty":
                await strike.respond(200, {"content-type": OCI_INDEX})
            case "none":
                await _index(strike, [])
            case "wrong-type":
                await strike.respond(200, {"content-type": "application/json"}, _compact({"referrers": []}))
            case "paged":
                await self._paged(strike)

    async def _paged(self, strike: Strike) -> None:
        query = parse_qsl(strike.scope["query_string"].decode("latin-1"), keep_blank_values=True)
        head, body = await strike.fetch()
        if head.status != 200:
            strike.spare(f"the status is {head.status}")
            await strike.respond(head.status, {"content-type": head.get("content-type") or ""}, body)
            return
        manifests = json.loads(body)["manifests"]
        told = dict(query).get("page", "1")
        page = int(told) if told.isdigit() and len(told) < 9 else 1
        if len(manifests) < 2:
            strike.spare("there are no two of them")
        link = None
        if page < len(manifests):
            others = [pair for pair in query if pair[0] != "page"]
            link = f'<{strike.scope["path"]}?{urlencode([*others, ("page", page + 1)])}>; rel="next"'
        await _index(strike, manifests[max(0, page - 1) : page], head, link)


async def _index(
    strike: Strike, manifests: Sequence[Any], honest: Head | None = None, link: str | None = None
) -> None:
    headers = {"content-type": OCI_INDEX} | ({"link": link} if link is not None else {})
    filters = honest.get("oci-filters-applied") if honest is not None else None
    if filters is not None:
        headers["oci-filters-applied"] = filters
    await strike.respond(
        200, headers, _compact({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests})
    )


def _compact(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
