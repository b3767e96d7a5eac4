"""Upload faults: what a client learns about its session, and whether the push can still be completed."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

from tests.raw_http import HTTP1, ask
from tests.registry.pushing import digest_of, error_of, push_blob, status
from tests.server import Brokenreg, brokenreg

CONTENT = b"0123456789" * 100


def uploads(fault: str, name: str = "uploads/app") -> str:
    return f"/v2/broken/with/{fault}/{name}/blobs/uploads/"


def fresh() -> str:
    """Return a repository that no other test uses, because path rules have counters for each."""
    return f"uploads/{uuid.uuid4().hex}"


async def begin(http: httpx.AsyncClient, url: str) -> httpx.Response:
    response = await http.post(url)
    assert response.status_code == 202, response.text
    return response


async def end(http: httpx.AsyncClient, location: str) -> httpx.Response:
    return await http.put(
        location, params=httpx.QueryParams(urlsplit(location).query).set("digest", digest_of(CONTENT))
    )


@pytest.mark.parametrize("step", [2, 3, 4])
async def test_a_session_is_lost_at_its_step_and_stays_lost(any_http: httpx.AsyncClient, step: int) -> None:
    location = (await begin(any_http, uploads(f"upload-lost_step-{step}"))).headers["location"]
    for number in range(2, 6):
        response = await any_http.patch(location, content=b"x")
        if number < step:
            assert response.status_code == 202
        else:
            assert error_of(response, 404)["code"] == "BLOB_UPLOAD_UNKNOWN"
    assert (await any_http.get(location)).status_code == 404


async def test_a_session_is_lost_once(http: httpx.AsyncClient) -> None:
    location = (await begin(http, uploads("upload-lost_step-3_once-true"))).headers["location"]
    statuses = [(await http.patch(location, content=CONTENT[:500])).status_code]
    statuses += [(await http.patch(location, content=CONTENT[500:])).status_code for _ in range(2)]
    assert statuses == [202, 404, 202]
    assert (await end(http, location)).status_code == 201


async def test_each_session_counts_its_own_steps(http: httpx.AsyncClient) -> None:
    url = uploads("upload-lost_step-3")
    first, second = [(await begin(http, url)).headers["location"] for _ in range(2)]
    assert (await http.patch(first, content=b"x")).status_code == 202
    assert (await http.patch(second, content=b"x")).status_code == 202
    assert (await http.patch(second, content=b"x")).status_code == 404


LOCATIONS = {
    "absolute": lambda base, path: f"{base}{path}",
    "relative": lambda base, path: path.rpartition("/")[2],
}


@pytest.mark.parametrize("form", LOCATIONS)
async def test_an_upload_goes_on_where_location_leads(any_http: httpx.AsyncClient, form: str) -> None:
    url = uploads(f"upload-location_form-{form}")
    response = await begin(any_http, url)
    told = response.headers["location"]
    session = response.headers["docker-upload-uuid"]
    assert told == LOCATIONS[form](str(any_http.base_url).rstrip("/"), f"{url}{session}")
    for part in (CONTENT[:400], CONTENT[400:]):
        location = urljoin(str(response.url), told)
        response = await any_http.patch(location, content=part)
        assert response.status_code == 202
        told = response.headers["location"]
    assert (await end(any_http, urljoin(str(response.url), told))).status_code == 201


async def test_relative_to_a_post_without_a_slash(http: httpx.AsyncClient) -> None:
    response = await begin(http, uploads("upload-location_form-relative").rstrip("/"))
    location = urljoin(str(response.url), response.headers["location"])
    assert (await http.get(location)).status_code == 204


async def test_a_location_whose_query_counts(http: httpx.AsyncClient) -> None:
    location = (await begin(http, uploads("upload-location_form-query"))).headers["location"]
    path, query = location.split("?")
    assert query
    assert error_of(await http.patch(path, content=CONTENT), 404)["code"] == "BLOB_UPLOAD_UNKNOWN"
    assert (await http.get(path.replace("/broken/with/upload-location_form-query", ""))).headers[
        "range"
    ] == "0-0"
    response = await http.patch(location, content=CONTENT)
    assert response.headers["location"] == location
    assert (await end(http, location)).status_code == 201


async def test_a_location_that_is_missing_or_garbage(any_http: httpx.AsyncClient) -> None:
    response = await begin(any_http, uploads("upload-location_form-missing"))
    assert "location" not in response.headers
    assert response.headers["docker-upload-uuid"]
    response = await begin(any_http, uploads("upload-location_form-garbage"))
    with pytest.raises(ValueError, match="IPv6"):
        urlsplit(response.headers["location"])


async def test_the_location_of_what_is_stored_is_honest(http: httpx.AsyncClient) -> None:
    url = uploads("upload-location_form-garbage")
    response = await http.post(url, params={"digest": digest_of(CONTENT)}, content=CONTENT)
    assert response.status_code == 201
    assert (await http.get(response.headers["location"])).content == CONTENT


@pytest.mark.parametrize(
    ("form", "told"), [("behind_by-100", "0-399"), ("ahead_by-7", "0-506"), ("absent", None)]
)
async def test_a_range_that_is_miscounted(any_http: httpx.AsyncClient, form: str, told: str | None) -> None:
    location = (await begin(any_http, uploads(f"upload-range_form-{form}"))).headers["location"]
    response = await any_http.patch(location, content=CONTENT[:500])
    assert (response.status_code, response.headers.get("range")) == (202, told)
    response = await any_http.get(location)
    assert (response.status_code, response.headers.get("range")) == (204, told)
    honest = location.replace(f"broken/with/upload-range_form-{form}/", "")
    assert (await any_http.get(honest)).headers["range"] == "0-499"


async def test_a_chunk_in_order_is_refused(any_http: httpx.AsyncClient) -> None:
    location = (await begin(any_http, uploads("upload-range_skip-1", fresh()))).headers["location"]
    assert (await any_http.patch(location, content=CONTENT[:500])).status_code == 202
    response = await any_http.patch(
        location, content=CONTENT[500:] * 1000, headers={"content-range": "500-500499"}
    )
    assert error_of(response, 416)["code"] == "RANGE_INVALID"
    assert response.headers["range"] == "0-499"
    assert response.headers["location"] == location
    assert (await any_http.get(location)).headers["range"] == "0-499"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 500, 503])
async def test_a_mount_is_refused(http: httpx.AsyncClient, status: int) -> None:
    digest = await push_blob(http, "uploads/source", CONTENT)
    query = {"mount": digest, "from": "uploads/source"}
    url = uploads(f"mount-refused_status-{status}", f"uploads/mount-{status}")
    error_of(await http.post(url, params=query), status)
    await begin(http, url)  # what mounts nothing passes


async def test_a_mount_becomes_an_upload(any_http: httpx.AsyncClient) -> None:
    digest = await push_blob(any_http, "uploads/source", CONTENT)
    query = {"mount": digest, "from": "uploads/source"}
    name = fresh()
    response = await any_http.post(uploads("mount-refused", name), params=query)
    assert response.status_code == 202
    assert (await any_http.get(f"/v2/{name}/blobs/{digest}")).status_code == 404
    location = response.headers["location"]
    assert (await any_http.patch(location, content=CONTENT)).status_code == 202
    assert (await end(any_http, location)).status_code == 201


async def test_a_body_that_is_too_large(any_http: httpx.AsyncClient) -> None:
    """The announced or received length is too large. The response arrives although the body is not read."""
    large = b"x" * 3_000_000

    async def chunks() -> AsyncIterator[bytes]:
        for begin in range(0, len(large), 65536):
            yield large[begin : begin + 65536]

    location = (await begin(any_http, uploads("too-large_limit-1mib"))).headers["location"]
    assert error_of(await any_http.patch(location, content=large), 413)["code"] == "SIZE_INVALID"
    assert error_of(await any_http.patch(location, content=chunks()), 413)["code"] == "SIZE_INVALID"
    assert (await any_http.get(location)).headers["range"] == "0-0"
    assert (await any_http.patch(location, content=b"x" * 1024 * 1024)).status_code == 202
    assert (await any_http.get(location)).headers["range"] == "0-1048575"


async def test_a_manifest_that_is_too_large(http: httpx.AsyncClient) -> None:
    url = "/v2/broken/with/too-large_limit-100_endpoint-manifest/uploads/app/manifests/v1"
    error_of(await http.put(url, content=b"x" * 101), 413)
    assert (await http.put(url, content=b"x" * 100)).status_code == 201


async def test_limits_of_chunks_are_reported_and_kept(http: httpx.AsyncClient) -> None:
    response = await begin(http, uploads("too-large_limit-800_tell-true_least-100"))
    assert response.headers["oci-chunk-max-length"] == "800"
    assert response.headers["oci-chunk-min-length"] == "100"
    location = response.headers["location"]
    assert error_of(await http.patch(location, content=CONTENT[:99]), 400)["code"] == "SIZE_INVALID"
    response = await http.patch(location, content=CONTENT[:950][:800])
    assert (response.status_code, "oci-chunk-max-length" in response.headers) == (202, False)
    assert (await http.patch(location, content=CONTENT[800:950])).status_code == 202
    last = await http.put(location, params={"digest": digest_of(CONTENT)}, content=CONTENT[950:])
    assert last.status_code == 201


async def test_a_location_whose_query_counts_is_reported_wherever_one_is(http: httpx.AsyncClient) -> None:
    told = (await begin(http, uploads("upload-location_form-query"))).headers["location"]
    assert (await http.get(told)).headers["location"] == told
    refused = await http.patch(told, content=CONTENT, headers={"content-range": "500-1499"})
    assert (refused.status_code, refused.headers["location"]) == (416, told)
    path = told.partition("?")[0]
    assert error_of(await http.get(path), 404)["code"] == "BLOB_UPLOAD_UNKNOWN"
    assert error_of(await http.delete(path), 404)["code"] == "BLOB_UPLOAD_UNKNOWN"
    assert (await http.delete(told)).status_code == 204


async def test_a_refused_chunk_and_a_range_of_earlier(any_http: httpx.AsyncClient) -> None:
    url = uploads("upload-range_form-stale_by-100_skip-1", fresh())
    location = (await begin(any_http, url)).headers["location"]
    assert (await any_http.patch(location, content=CONTENT[:500])).status_code == 202
    refused = await any_http.patch(location, content=CONTENT[500:])
    assert (error_of(refused, 416)["code"], refused.headers["range"]) == ("RANGE_INVALID", "0-399")
    assert (await any_http.get(location)).headers["range"] == "0-499"


async def test_no_effect_on_a_range_that_cannot_be_lower(http: httpx.AsyncClient) -> None:
    url = uploads("upload-range_form-behind_by-100_times-1", fresh())
    location = (await begin(http, url)).headers["location"]
    assert (await http.get(location)).headers["range"] == "0-0"
    ranges = [(await http.patch(location, content=CONTENT[:500])).headers["range"] for _ in range(2)]
    assert ranges == ["0-399", "0-999"]


async def test_no_effect_below_the_limit(http: httpx.AsyncClient) -> None:
    url = uploads("too-large_limit-500_times-1", fresh())
    location = (await begin(http, url)).headers["location"]
    assert (await http.patch(f"{url}unknown", content=b"x")).status_code == 404
    assert (await http.patch(location, content=CONTENT[:500])).status_code == 202
    statuses = [(await http.patch(location, content=CONTENT[:501])).status_code for _ in range(2)]
    assert statuses == [413, 202]


async def test_a_mount_with_a_digest_becomes_an_upload(http: httpx.AsyncClient) -> None:
    digest = await push_blob(http, "uploads/source", CONTENT)
    query = {"mount": digest, "from": "uploads/source", "digest": digest}
    assert (await http.post(uploads("mount-refused", fresh()), params=query)).status_code == 202


async def test_a_login_challenge_passes_through_faults(tmp_path: Path) -> None:
    """The challenge passes, and a request that is repeated with credentials does not count as a step."""
    options = ("--auth", "basic", "--auth-user", "casey:secret")
    with brokenreg(tmp_path / "data", *options) as running:
        async with httpx.AsyncClient(base_url=running.url) as http:
            credentials = httpx.BasicAuth("casey", "secret")
            for fault in ("upload-lost_step-3", "upload-range_skip-1", "too-large"):
                location = (await http.post(uploads(fault, fresh()), auth=credentials)).headers["location"]
                for _ in range(3):
                    refused = await http.patch(location, content=CONTENT)
                    assert error_of(refused, 401)["code"] == "UNAUTHORIZED"
                    assert refused.headers["www-authenticate"].startswith("Basic ")
                if fault.startswith("upload-lost"):
                    statuses = [
                        (await http.patch(location, content=b"x", auth=credentials)).status_code
                        for _ in range(2)
                    ]
                    assert statuses == [202, 404]


def test_the_bytes_of_refusals(registry: Brokenreg) -> None:
    """The refusal is complete, nothing follows it, and the connection can be used again."""
    with HTTP1(registry) as connection:
        for fault, status_line, content in (
            ("upload-lost", b"HTTP/1.1 404 ", b"x" * 3_000_000),
            ("upload-range", b"HTTP/1.1 416 ", b"x" * 3_000_000),
            ("too-large_limit-1kib", b"HTTP/1.1 413 ", b"x" * 3_000_000),
            ("too-large_limit-1kib_least-9", b"HTTP/1.1 400 ", b"x" * 8),
        ):
            location = connection.ask(uploads(fault), "POST").header("location")
            assert location is not None
            answer = connection.ask(location, "PATCH", content=content)
            assert answer.status_line.startswith(status_line)
            assert answer.all("content-length") == [str(len(answer.body))]
            assert answer.raw.endswith(b"\r\n\r\n" + answer.body)
            (error,) = json.loads(answer.body)["errors"]
            assert set(error) <= {"code", "message", "detail"}
            assert (answer.ended, answer.rest) == ("keep-alive", b"")


def test_where_the_bytes_go_on(registry: Brokenreg) -> None:
    for form, locations in (("missing", []), ("garbage", ["http://[no-host/%zz"])):
        answer = ask(registry, uploads(f"upload-location_form-{form}"), "POST")
        assert (answer.status, answer.all("location"), answer.body) == (202, locations, b"")
        assert answer.all("content-length") == ["0"]
        assert answer.all("range") == ["0-0"]


async def test_an_upload_that_goes_on_at_the_second_origin(any_http: httpx.AsyncClient) -> None:
    name = fresh()
    response = await begin(any_http, uploads("upload-location_form-foreign", name))
    location = response.headers["location"]
    assert urlsplit(location).port != any_http.base_url.port
    assert urlsplit(location).hostname == any_http.base_url.host
    for part in (CONTENT[:400], CONTENT[400:]):
        response = await any_http.patch(location, content=part)
        assert response.status_code == 202
        location = response.headers["location"]
    assert (await end(any_http, location)).status_code == 201
    assert (await any_http.get(f"/v2/{name}/blobs/{digest_of(CONTENT)}")).content == CONTENT


async def test_credentials_at_the_second_origin_are_reported(own_registry: Brokenreg) -> None:
    async with httpx.AsyncClient(base_url=own_registry.url) as http:
        location = (await begin(http, uploads("upload-location_form-foreign"))).headers["location"]
        assert (await http.patch(location, content=CONTENT[:500])).status_code == 202
        assert not status(own_registry)["leaked_credentials"]["count"]
        assert (await http.patch(location, content=CONTENT[500:], auth=("casey", "x"))).status_code == 202
        assert status(own_registry)["leaked_credentials"]["count"] == 1


@pytest.mark.parametrize("form", ["query", "relative", "absolute", "foreign"])
async def test_a_location_keeps_the_query_that_names_a_registry(http: httpx.AsyncClient, form: str) -> None:
    """A push as by containerd: the session and its result are in the repository of `ns`."""
    content = f"pushed by {form}".encode()
    name = f"broken/with/upload-location_form-{form}/with/ns"
    begun = await http.post(f"/v2/{name}/blobs/uploads/?ns=registry.example")
    place = begun.request.url.join(begun.headers["location"])
    assert place.params["ns"] == "registry.example"
    put = await http.put(place.copy_merge_params({"digest": digest_of(content)}), content=content)
    assert put.status_code == 201
    pushed = await http.get(f"/v2/registry.example/with/ns/blobs/{digest_of(content)}")
    assert pushed.content == content


@pytest.mark.parametrize("form", ["other-scheme", "other-host", "no-port"])
async def test_a_location_of_a_registry_that_does_not_know_its_address(
    any_http: httpx.AsyncClient, form: str
) -> None:
    location = (await begin(any_http, uploads(f"upload-location_form-{form}"))).headers["location"]
    ours, theirs = urlsplit(str(any_http.base_url)), urlsplit(location)
    assert (theirs.scheme != ours.scheme) == (form == "other-scheme")
    assert theirs.hostname == ("registry.invalid" if form == "other-host" else ours.hostname)
    assert theirs.port == (None if form == "no-port" else ours.port)
    assert (await end(any_http, f"{theirs.path}?{theirs.query}")).status_code in (201, 400)
