"""Referrers: lists of the manifests that refer to another one."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from brokenreg.oci.digests import Digest
from brokenreg.oci.mediatypes import ManifestFacts
from brokenreg.registry.referrers import following, referrers_page
from brokenreg.storage.records import Manifest
from tests.registry.pushing import (
    MIB,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_MANIFEST,
    digest_of,
    error_of,
    image,
    next_page,
    push_manifest,
)

SUBJECT = image(b"what they refer to")
SIGNATURE = "application/vnd.example.signature"
SBOM = "application/vnd.example.sbom"


def about(subject: bytes, **more: Any) -> dict[str, Any]:
    return {
        "subject": {"mediaType": OCI_MANIFEST, "digest": digest_of(subject), "size": len(subject)},
        **more,
    }


async def referrers(http: httpx.AsyncClient, repository: str, query: str = "") -> httpx.Response:
    response = await http.get(f"/v2/{repository}/referrers/{digest_of(SUBJECT)}{query}")
    assert response.status_code == 200
    assert response.headers["content-type"] == OCI_INDEX
    assert response.json()["schemaVersion"] == 2
    assert response.json()["mediaType"] == OCI_INDEX
    return response


async def test_the_fields_of_a_descriptor(http: httpx.AsyncClient) -> None:
    annotations = {"org.example.by": "Zoë"}
    body = image(b"signature", **about(SUBJECT, artifactType=SIGNATURE, annotations=annotations))
    digest = await push_manifest(http, "referrers/descriptor", "v1", body)
    (descriptor,) = (await referrers(http, "referrers/descriptor")).json()["manifests"]
    assert descriptor == {
        "mediaType": OCI_MANIFEST,
        "digest": digest,
        "size": len(body),
        "artifactType": SIGNATURE,
        "annotations": annotations,
    }


async def test_an_image_without_artifact_type_has_that_of_its_configuration(http: httpx.AsyncClient) -> None:
    await push_manifest(http, "referrers/config", "v1", image(b"plain", **about(SUBJECT)))
    (descriptor,) = (await referrers(http, "referrers/config")).json()["manifests"]
    assert descriptor["artifactType"] == OCI_CONFIG
    assert "annotations" not in descriptor


async def test_an_index_has_only_its_own_artifact_type(http: httpx.AsyncClient) -> None:
    plain = json.dumps({"schemaVersion": 2, "manifests": [], **about(SUBJECT)}).encode()
    typed = json.dumps({"schemaVersion": 2, "manifests": [], **about(SUBJECT, artifactType=SBOM)}).encode()
    digests = {await push_manifest(http, "referrers/index", "v1", body, OCI_INDEX) for body in (plain, typed)}
    found = (await referrers(http, "referrers/index")).json()["manifests"]
    assert {descriptor["digest"] for descriptor in found} == digests
    assert {descriptor["mediaType"] for descriptor in found} == {OCI_INDEX}
    assert [descriptor.get("artifactType") for descriptor in found if len(descriptor) > 3] == [SBOM]


async def test_filtered_by_artifact_type(http: httpx.AsyncClient) -> None:
    for number in range(3):
        for artifact_type in (SIGNATURE, SBOM):
            body = image(b"%d" % number, **about(SUBJECT, artifactType=artifact_type))
            await push_manifest(http, "referrers/filter", digest_of(body), body)
    everything = await referrers(http, "referrers/filter")
    assert len(everything.json()["manifests"]) == 6
    assert "oci-filters-applied" not in everything.headers
    filtered = await referrers(http, "referrers/filter", f"?artifactType={SBOM}")
    assert filtered.headers["oci-filters-applied"] == "artifactType"
    assert [each["artifactType"] for each in filtered.json()["manifests"]] == [SBOM] * 3
    nothing = await referrers(http, "referrers/filter", "?artifactType=application/none")
    assert nothing.headers["oci-filters-applied"] == "artifactType"
    assert nothing.json()["manifests"] == []


async def push_large(http: httpx.AsyncClient, repository: str, count: int, size: int) -> list[str]:
    """Push signatures and SBOMs with annotations of that size, and return their digests in order."""
    digests = []
    for number in range(count):
        told = {"artifactType": (SIGNATURE, SBOM)[number % 2], "annotations": {"a": "x" * size}}
        body = image(b"large %d" % number, **about(SUBJECT, **told))
        digests.append(await push_manifest(http, repository, digest_of(body), body))
    return sorted(digests)


async def pages_of(http: httpx.AsyncClient, url: str | None) -> list[list[dict[str, Any]]]:
    """Return the descriptors of each page, as a client reads them that accepts at most 4 MiB."""
    pages: list[list[dict[str, Any]]] = []
    while url is not None:
        response = await http.get(url)
        assert response.status_code == 200
        assert len(response.content) <= 4 * MIB
        assert len(response.content) == int(response.headers["content-length"])
        pages.append(response.json()["manifests"])
        url = next_page(response)
        assert len(pages) < 20, "the pages never end"
    return pages


async def test_long_lists_come_in_pages(http: httpx.AsyncClient) -> None:
    """A hundred referrers with annotations of 60 KB are 6 MB, of which clients read 4 MiB."""
    digests = await push_large(http, "referrers/long", 100, 60_000)
    url = f"/v2/referrers/long/referrers/{digest_of(SUBJECT)}"
    pages = await pages_of(http, url)
    assert [len(page) for page in pages] == [69, 31]
    assert [each["digest"] for page in pages for each in page] == digests
    filtered = await http.get(f"{url}?artifactType={SBOM}")
    assert next_page(filtered) is None  # half of them fit
    assert len(filtered.json()["manifests"]) == 50


async def test_the_link_keeps_filter_and_name(http: httpx.AsyncClient) -> None:
    name = "broken/in/long/referrers/filtered-pages"
    await push_large(http, name, 6, 1_500_000)
    url = f"/v2/{name}/referrers/{digest_of(SUBJECT)}?artifactType={SIGNATURE}"
    first = await http.get(url)
    following = next_page(first)
    assert following is not None
    assert following.startswith(f"/v2/{name}/referrers/")
    pages = await pages_of(http, url)
    assert [len(page) for page in pages] == [2, 1]
    assert {each["artifactType"] for page in pages for each in page} == {SIGNATURE}
    assert (await http.get(following)).headers["oci-filters-applied"] == "artifactType"


async def test_pages_are_correct_after_deletions_in_between(http: httpx.AsyncClient) -> None:
    digests = await push_large(http, "referrers/moving", 4, 1_900_000)
    first = await http.get(f"/v2/referrers/moving/referrers/{digest_of(SUBJECT)}")
    for gone in (digests[1], digests[2]):  # the last of the first page, and the first of the second
        assert (await http.delete(f"/v2/referrers/moving/manifests/{gone}")).status_code == 202
    (rest,) = await pages_of(http, next_page(first))
    assert [each["digest"] for each in rest] == [digests[3]]


def page_of(descriptors: list[dict[str, Any]], after: str = "") -> tuple[bytes, str | None]:
    return referrers_page(following((), sorted(descriptors, key=lambda each: each["digest"]), after))


def test_a_page_creates_only_its_own_descriptors() -> None:
    made = []

    class Counted(Manifest):
        def descriptor(self) -> dict[str, Any]:
            made.append(self.digest)
            return {**super().descriptor(), "annotations": {"a": "x" * MIB}}

    here = [
        Counted(Digest(f"sha256:{number:064}"), OCI_MANIFEST, 1, ManifestFacts())
        for number in range(0, 999, 2)
    ]
    listed = [{"digest": f"sha256:{number:064}", "annotations": {"a": "x" * MIB}} for number in range(998)]
    index, last = referrers_page(following(here, listed, ""))
    found = json.loads(index)["manifests"]
    assert [each["digest"] for each in found] == [f"sha256:{number:064}" for number in range(3)]
    assert ["mediaType" in each for each in found] == [True, False, True], "what is here comes first"
    assert last == found[-1]["digest"]
    assert len(made) <= 4


def test_a_descriptor_that_exceeds_a_page_has_no_annotations() -> None:
    plain = {"mediaType": OCI_MANIFEST, "digest": digest_of(b"1"), "size": 4 * MIB, "artifactType": SBOM}
    huge = {**plain, "annotations": {"a": "x" * 4 * MIB}}
    two, three = [{**plain, "digest": digest_of(b"%d" % number)} for number in (2, 3)]
    first, last = page_of([two, huge, three])
    assert (json.loads(first)["manifests"], last) == ([three], three["digest"])
    second, last = page_of([two, huge, three], three["digest"])
    assert (json.loads(second)["manifests"], last) == ([plain, two], None)


@pytest.mark.parametrize("less", [0, 1])
def test_a_page_may_be_full_to_the_last_byte(less: int) -> None:
    two = [{"digest": digest_of(b"%d" % number), "annotations": {"a": ""}} for number in range(2)]
    room = 4 * MIB - len(page_of(two)[0])
    two[1]["annotations"] = {"a": "é" * (room // 2) + "x" * (room % 2 + 1 - less)}
    index, last = page_of(two)
    assert len(index) <= 4 * MIB
    assert (last is None) is (less == 1)


async def test_empty_parameters_are_none(http: httpx.AsyncClient) -> None:
    digest = await push_manifest(http, "referrers/empty", "v1", image(b"e", **about(SUBJECT)))
    answer = await referrers(http, "referrers/empty", "?artifactType=&last=&n=")
    assert [each["digest"] for each in answer.json()["manifests"]] == [digest]
    assert "oci-filters-applied" not in answer.headers


async def test_a_manifest_without_referrers(http: httpx.AsyncClient) -> None:
    """The status is never 404, which would mean that the registry does not support this endpoint."""
    assert (await referrers(http, "referrers/never-pushed-to")).json()["manifests"] == []


async def test_the_subject_may_be_pushed_later_or_never(http: httpx.AsyncClient) -> None:
    digest = await push_manifest(http, "referrers/early", "v1", image(b"early", **about(SUBJECT)))
    assert [each["digest"] for each in (await referrers(http, "referrers/early")).json()["manifests"]] == [
        digest
    ]


async def test_a_sha512_subject(http: httpx.AsyncClient) -> None:
    subject = digest_of(SUBJECT, "sha512")
    body = image(b"512", subject={"mediaType": OCI_MANIFEST, "digest": subject, "size": len(SUBJECT)})
    digest = await push_manifest(http, "referrers/sha512", "v1", body)
    found = (await http.get(f"/v2/referrers/sha512/referrers/{subject}")).json()["manifests"]
    assert [each["digest"] for each in found] == [digest]
    assert (await referrers(http, "referrers/sha512")).json()["manifests"] == []


async def test_a_deleted_referrer_is_gone(http: httpx.AsyncClient) -> None:
    digest = await push_manifest(http, "referrers/delete", "v1", image(b"gone", **about(SUBJECT)))
    assert (await http.delete(f"/v2/referrers/delete/manifests/{digest}")).status_code == 202
    assert (await referrers(http, "referrers/delete")).json()["manifests"] == []


async def test_each_repository_and_namespace_has_its_own(http: httpx.AsyncClient) -> None:
    await push_manifest(http, "referrers/own", "v1", image(b"own", **about(SUBJECT)))
    assert len((await referrers(http, "referrers/own")).json()["manifests"]) == 1
    for name in ("referrers/other", "broken/in/x/referrers/own"):
        assert (await referrers(http, name)).json()["manifests"] == []


@pytest.mark.parametrize("reference", ["latest", "sha256:00", "md5:" + "0" * 32])
async def test_referrers_need_a_digest(http: httpx.AsyncClient, reference: str) -> None:
    response = await http.get(f"/v2/referrers/x/referrers/{reference}")
    assert error_of(response, 400)["code"] == "DIGEST_INVALID"
