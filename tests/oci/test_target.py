"""Paths are parsed correctly, regardless of the names in them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenreg.oci.target import Endpoint, Target, parse_target

DIGEST = "sha256:" + "0a" * 32
names = st.lists(
    st.sampled_from(
        ["a", "manifests", "blobs", "uploads", "tags", "list", "referrers", "v2", "x.y", "p-q_r"]
    ),
    min_size=1,
    max_size=4,
).map("/".join)


@given(names)
def test_names_may_contain_the_words_of_the_api(name: str) -> None:
    for path, endpoint, reference in [
        (f"/v2/{name}/manifests/v1", Endpoint.MANIFEST, "v1"),
        (f"/v2/{name}/manifests/{DIGEST}", Endpoint.MANIFEST, DIGEST),
        (f"/v2/{name}/blobs/{DIGEST}", Endpoint.LAYER, DIGEST),
        (f"/v2/{name}/blobs/uploads/", Endpoint.UPLOAD, ""),
        (f"/v2/{name}/blobs/uploads/{'ab' * 16}", Endpoint.UPLOAD, "ab" * 16),
        (f"/v2/{name}/referrers/{DIGEST}", Endpoint.REFERRERS, DIGEST),
        (f"/v2/{name}/tags/list", Endpoint.TAGS, ""),
    ]:
        target = parse_target(path)
        assert target.error is None
        assert (target.endpoint, target.name, target.reference) == (endpoint, name, reference)


@given(st.text(max_size=60))
def test_never_raises(path: str) -> None:
    parse_target(f"/v2/{path}")
    parse_target(path)
    parse_target("/token", path)


@pytest.mark.parametrize("path", ["/v2", "/v2/"])
def test_ping_with_and_without_slash(path: str) -> None:
    assert parse_target(path).endpoint is Endpoint.PING


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/", 404, "UNSUPPORTED"),
        ("/v2/a", 404, "UNSUPPORTED"),
        ("/v2/manifests/x", 404, "UNSUPPORTED"),
        ("/v2/A/manifests/x", 400, "NAME_INVALID"),
        ("/v2/a/../b/manifests/x", 400, "NAME_INVALID"),
        ("/v2//a/manifests/x", 400, "NAME_INVALID"),
        ("/v2/a/manifests/.x", 400, "TAG_INVALID"),
        ("/v2/a/manifests/sha256:00", 400, "DIGEST_INVALID"),
        ("/v2/a/blobs/latest", 400, "DIGEST_INVALID"),
        ("/v2/a/referrers/latest", 400, "DIGEST_INVALID"),
        ("/v2/a/blobs/uploads/../../x", 404, "UNSUPPORTED"),
        ("/v2/a/blobs/uploads/zz", 404, "BLOB_UPLOAD_UNKNOWN"),
        ("/v2/broken/in/a/manifests/x", 400, "NAME_INVALID"),
        ("/v2/broken/with/error/manifests/x", 400, "NAME_INVALID"),
        ("/v2/broken/with/error/broken/in/a/b/manifests/x", 400, "NAME_INVALID"),
    ],
)
def test_a_bad_path_has_its_specified_error(path: str, status: int, code: str) -> None:
    error = parse_target(path).error
    assert error is not None
    assert (error.status, error.code) == (status, code)


def test_strips_prefixes_outermost_first_and_keeps_them_for_the_client() -> None:
    name = "broken/in/t1/broken/with/error_status-503/broken/with/timeout_dur-1s/library/nginx"
    target = parse_target(f"/v2/{name}/manifests/latest")
    assert target.namespace == "t1"
    assert target.faults == ("error_status-503", "timeout_dur-1s")
    assert target.repository == "library/nginx"
    assert target.name == name
    assert parse_target("/v2/a/tags/list").with_name(name).key == ("t1", "library/nginx")


@pytest.mark.parametrize(
    ("repository", "reserved"),
    [
        ("broken/prepared", False),
        ("broken/prepared/deep", False),
        ("broken/preparedness", True),
        ("broken/error", True),
        ("brokenish/x", False),
        ("library/nginx", False),
    ],
)
def test_what_is_reserved(repository: str, reserved: bool) -> None:
    assert parse_target(f"/v2/{repository}/tags/list").is_reserved is reserved


def test_a_request_for_a_token_is_about_the_first_repository_of_its_scopes() -> None:
    scopes = (
        "scope=registry:catalog:*&scope=repository:broken/in/t1/broken/with/drip/a/b:pull+repository:c:pull"
    )
    target = parse_target("/token", f"service=x&{scopes}")
    assert target.error is None
    assert (target.endpoint, target.namespace, target.faults) == (Endpoint.TOKEN, "t1", ("drip",))
    assert (target.repository, target.name) == ("a/b", "broken/in/t1/broken/with/drip/a/b")
    plain = parse_target("/token", "scope=repository:broken/in/t1/broken/with/drip/a/b:pull")
    assert plain == target


@pytest.mark.parametrize("query", ["", "scope=", "scope=registry:catalog:*", "scope=a&scope=%ff", "other=1"])
def test_a_request_for_a_token_may_be_about_nothing(query: str) -> None:
    assert parse_target("/token", query) == Target(Endpoint.TOKEN)


@pytest.mark.parametrize("name", ["A", "broken/in/a", "broken/with/error", "a/../b"])
def test_a_request_for_a_token_of_a_bad_name(name: str) -> None:
    target = parse_target("/token", f"scope=repository:{name}:pull")
    assert target.endpoint is Endpoint.TOKEN
    assert target.error is not None
    assert target.error.code == "NAME_INVALID"


def test_a_path_below_that_of_artifactory() -> None:
    target = parse_target("/artifactory/api/docker/v2/team/app/manifests/v1")
    assert (target.endpoint, target.repository, target.reference) == (Endpoint.MANIFEST, "team/app", "v1")
    assert target.root == "/artifactory/api/docker"
    assert parse_target("/artifactory/api/docker/v2/").endpoint is Endpoint.PING
    assert parse_target("/artifactory/api/docker/team/app/manifests/v1").endpoint is Endpoint.OTHER
