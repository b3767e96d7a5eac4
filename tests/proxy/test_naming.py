"""How the upstream of a request is found, in all forms that clients use, and which names are refused."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from brokenreg.config.settings import Settings
from brokenreg.oci.errors import OCIError
from brokenreg.oci.resolution import Base
from brokenreg.oci.target import parse_target
from brokenreg.proxy.errors import UpstreamForbiddenError
from brokenreg.proxy.routes import Naming
from tests.proxy.chain import Chain, chain, last
from tests.registry.pushing import digest_of, error_of
from tests.server import brokenreg, clean_environment

NAMING = Naming("quay.io", [])
ALIASES = frozenset({"local", "localhost:5000"})
MANIFEST = "manifests/v1"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    with chain(tmp_path_factory.mktemp("chain")) as running:
        running.push_image("org/app", b"layer", tag="v1")
        running.push_image("org/app", b"layer", tag="v2")
        yield running


def route(path: str, query: str = "", listener: str = "") -> str | None:
    """Return the upstream and the name there, as one name."""
    target = parse_target(path, query, {"127.0.0.1:8080"}, Base(ALIASES, listener=listener))
    found = NAMING.route(target)
    return None if found is None else found.name


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        ("/v2/dcaravel/brokenreg", "", "quay.io/dcaravel/brokenreg"),
        ("/v2/docker.io/library/nginx", "", "docker.io/library/nginx"),
        ("/v2/docker.io/nginx", "", "docker.io/library/nginx"),
        ("/docker.io/v2/library/nginx", "", "docker.io/library/nginx"),
        ("/docker.io/v2/library/nginx", "ns=127.0.0.1:8080", "docker.io/library/nginx"),
        ("/v2/library/nginx", "ns=docker.io", "docker.io/library/nginx"),
        ("/v2/library/nginx", "ns=index.docker.io", "docker.io/library/nginx"),
        ("/v2/quay.io/prometheus/node", "ns=quay.io", "quay.io/prometheus/node"),
        ("/v2/docker.io/library/nginx", "ns=docker.io", "docker.io/library/nginx"),
        ("/v2/org/app", "ns=localhost:5000", "localhost:5000/org/app"),
        ("/localhost:5000/v2/org/app", "", "localhost:5000/org/app"),
        ("/v2/local/org/app", "", "local/org/app"),
        ("/local/v2/org/app", "", "local/org/app"),
        ("/Local/v2/org/app", "", "local/org/app"),
        ("/local/v2/local/org/app", "", "local/org/app"),
        ("/local/v2/v2/app", "", "local/v2/app"),
        ("/local/v2/broken/with/drip/org/app", "", "local/org/app"),
        ("/other/v2/org/app", "", None),
        ("/v2/v2/app", "", "quay.io/v2/app"),
        ("/v2/org/app", "ns=127.0.0.1:8080", "quay.io/org/app"),
        ("/v2/broken/in/t1/docker.io/library/nginx", "", "docker.io/library/nginx"),
        ("/v2/broken/with/truncate_after-65536/docker.io/library/nginx", "", "docker.io/library/nginx"),
        ("/v2/broken/with/truncate_after-65536/library/nginx", "ns=docker.io", "docker.io/library/nginx"),
        ("/v2/broken/random", "ns=docker.io", None),
        ("/v2/broken/prepared/x", "", None),
        ("/v2/broken/prepared", "ns=docker.io", None),
    ],
)
def test_every_form_of_a_name(path: str, query: str, expected: str | None) -> None:
    assert route(f"{path}/{MANIFEST}", query) == expected


def test_a_listener_stands_for_one() -> None:
    assert route(f"/v2/library/nginx/{MANIFEST}", listener="docker.io") == "docker.io/library/nginx"
    assert route(f"/v2/nginx/{MANIFEST}", listener="docker.io") == "docker.io/library/nginx"
    assert route(f"/v2/ghcr.io/a/b/{MANIFEST}", listener="docker.io") == "ghcr.io/a/b"


@pytest.mark.parametrize(
    ("path", "query", "listener", "name"),
    [
        ("/v2/docker.io/nginx", "", "", "docker.io/nginx"),
        ("/v2/docker.io/library/nginx", "", "quay.io", "docker.io/library/nginx"),
        ("/v2/index.docker.io/library/nginx", "", "", "index.docker.io/library/nginx"),
        ("/v2/nginx", "ns=docker.io", "", "nginx"),
        ("/v2/library/nginx", "ns=Index.Docker.IO", "quay.io", "library/nginx"),
        ("/v2/index.docker.io/nginx", "ns=docker.io", "", "index.docker.io/nginx"),
        ("/docker.io/v2/nginx", "", "", "nginx"),
        ("/v2/nginx", "", "docker.io", "nginx"),
        ("/v2/library/nginx", "", "docker.io", "library/nginx"),
        ("/v2/broken/with/drip/nginx", "", "docker.io", "broken/with/drip/nginx"),
    ],
)
def test_one_image_has_one_name(path: str, query: str, listener: str, name: str) -> None:
    target = parse_target(f"{path}/{MANIFEST}", query, (), Base(listener=listener))
    assert target.repository == "docker.io/library/nginx"
    assert target.remote == "library/nginx"
    assert target.name == name
    assert set(target.names) == {"docker.io/library/nginx", "docker.io/nginx", "library/nginx", "nginx"}


@pytest.mark.parametrize(
    ("name", "listener", "repository", "names"),
    [
        ("nginx", "", "nginx", {"nginx"}),
        ("org/app", "docker.io", "docker.io/org/app", {"docker.io/org/app", "org/app"}),
        ("library/nginx", "quay.io", "quay.io/library/nginx", {"quay.io/library/nginx", "library/nginx"}),
        ("local/app", "docker.io", "local/app", {"local/app", "app"}),
        ("broken/prepared/x", "docker.io", "broken/prepared/x", {"broken/prepared/x"}),
    ],
)
def test_all_names_of_a_repository(name: str, listener: str, repository: str, names: set[str]) -> None:
    target = parse_target(f"/v2/{name}/{MANIFEST}", "", (), Base(ALIASES, listener=listener))
    assert target.repository == repository
    assert set(target.names) == names


@pytest.mark.parametrize(
    "asked", ["https://quay.io", "user@quay.io", "quay.io/org", "a..b", "quay.io:0", "-"]
)
def test_invalid_hosts(asked: str) -> None:
    error = parse_target(f"/v2/org/app/{MANIFEST}", f"ns={asked}").error
    assert error is not None
    assert (error.status, error.code) == (400, "NAME_INVALID")


def test_upstreams_that_are_not_allowed() -> None:
    allow = ["Quay.io", "*.example", "registry-1.docker.io"]
    given = {"listen": ["127.0.0.1:0"], "data": "data", "fabricate_limit": 1, "allow_upstream": allow}
    naming = Naming("quay.io", Settings.model_validate(given).allow_upstream)
    for name in ("org/app", "quay.io/org/app", "mirror.example/org/app", "docker.io/library/x"):
        assert naming.route(parse_target(f"/v2/{name}/{MANIFEST}")) is not None
    with pytest.raises(UpstreamForbiddenError, match="--allow-upstream"):
        naming.route(parse_target(f"/v2/ghcr.io/org/app/{MANIFEST}"))
    assert issubclass(UpstreamForbiddenError, OCIError)


@pytest.mark.parametrize("path", ["/v2/quay.io/org/app", "/v2/org/app?ns=quay.io", "/quay.io/v2/org/app"])
def test_pages_of_tags_lead_to_the_same_image(both: Chain, path: str) -> None:
    name, _, query = path.partition("?")
    response = both.get(f"{name}/tags/list?n=1&{query}")
    assert response.json()["tags"] == ["v1"]
    link = response.headers["link"].partition(">")[0].removeprefix("<")
    assert link.startswith(name)
    assert both.get(link).json()["tags"] == ["v2"]


def test_pushed_content_overrides_the_upstream(both: Chain) -> None:
    """For names that contain their upstream. A short name that was pushed to does not use its upstream."""
    manifest = b'{"schemaVersion": 2, "pushed": "here"}'
    put = httpx.put(f"{both.proxy.url}/v2/quay.io/org/app/manifests/mine", content=manifest)
    assert put.status_code == 201
    assert both.get("/v2/quay.io/org/app/manifests/mine").content == manifest
    assert last(both.proxy, "endpoint:manifest")["cache"] is None
    assert both.get("/v2/quay.io/org/app/manifests/v1").status_code == 200
    assert both.get("/v2/quay.io/org/app/tags/list").json()["tags"] == ["mine", "v1", "v2"]


def until_cached(both: Chain, digest: str) -> None:
    """Fetch a layer until it is cached, because clients get the last byte before the file is durable."""
    for _ in range(100):
        assert both.get(f"/v2/org/app/blobs/{digest}").content == b"layer"
        if last(both.proxy, "endpoint:layer")["cache"] == "hit":
            return
    raise AssertionError(last(both.proxy, "endpoint:layer"))


@pytest.mark.parametrize("source", ["org/app", "quay.io/org/app", "org/app&ns=quay.io"])
def test_cached_blobs_can_be_mounted(both: Chain, source: str) -> None:
    """As docker requests it when it pushes a pulled image: no blob is sent again."""
    digest = digest_of(b"layer")
    until_cached(both, digest)
    name = source.translate({ord(letter): "-" for letter in "/.&="})
    url = f"/v2/mounted/{name}/blobs/uploads/?mount={digest}&from={source}"
    mounted = httpx.post(both.proxy.url + url)
    assert mounted.status_code == 201
    assert httpx.get(both.proxy.url + mounted.headers["location"]).content == b"layer"
    assert last(both.proxy, "endpoint:layer")["cache"] is None
    assert httpx.post(both.proxy.url + url.replace("app", "none")).status_code == 202


def test_cached_blobs_are_mounted_into_the_requested_namespace(both: Chain) -> None:
    digest = digest_of(b"layer")
    until_cached(both, digest)
    for target, source, status in (
        ("broken/in/x/mounted/one", "quay.io/org/app", 202),
        ("broken/in/x/mounted/two", "broken/in/x/quay.io/org/app", 201),
        ("mounted/three", "broken/in/x/quay.io/org/app", 202),
    ):
        url = f"{both.proxy.url}/v2/{target}/blobs/uploads/?mount={digest}&from={source}"
        assert httpx.post(url).status_code == status


def test_a_root_path_may_have_a_name_of_ours(both: Chain, tmp_path: Path) -> None:
    """As for `"registry-mirrors": ["http://R/local"]`: pulls, pages, redirects, pushes."""
    layer = f"blobs/{digest_of(b'layer')}"
    with (
        brokenreg(tmp_path, "--upstream", f"local={both.upstream.url}") as running,
        httpx.Client(base_url=running.url, timeout=30) as http,
    ):
        assert http.get("/local/v2/").status_code == 200
        assert http.get("/local/v2/org/app/manifests/v1").status_code == 200
        page = http.get("/local/v2/org/app/tags/list?n=1")
        assert "</local/v2/org/app/tags/list?" in page.headers["link"]
        sent = http.get(f"/local/v2/broken/with/redirect/org/app/{layer}")
        assert http.get(sent.headers["location"]).content == b"layer"
        begun = http.post("/local/v2/broken/with/upload-location_form-foreign/app/blobs/uploads/")
        place = httpx.URL(begun.headers["location"]).copy_merge_params({"digest": digest_of(b"pushed")})
        assert http.put(place, content=b"pushed").status_code == 201
        pushed = http.get(f"/v2/local/app/blobs/{digest_of(b'pushed')}")
        assert pushed.content == b"pushed"


@pytest.mark.parametrize("name", ["v2", "broken", "V2"])
@pytest.mark.parametrize("option", ["--upstream={}=http://127.0.0.1:5000", "--listen=127.0.0.1:0={}"])
def test_names_that_paths_have_already(name: str, option: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "brokenreg", "serve", "--data", str(tmp_path), option.format(name)]
    done = subprocess.run(
        command, capture_output=True, text=True, env=clean_environment(), timeout=30, check=False
    )
    assert done.returncode == 2
    assert f'invalid upstream "{name}": use a host, or a word' in done.stderr
    assert "Traceback" not in done.stderr


def test_a_blob_without_a_manifest_is_not_requested_upstream(both: Chain) -> None:
    head = httpx.head(f"{both.proxy.url}/v2/org/app/blobs/sha256:{'0' * 64}")
    assert head.status_code == 404
    assert not both.asked("endpoint:blob method:HEAD")


def test_ourselves_and_this_machine_are_refused(both: Chain) -> None:
    for asked in (both.proxy.host, f"localhost:{both.proxy.host.partition(':')[2]}", both.upstream.host):
        error = error_of(
            both.get(f"/v2/org/loop/manifests/v1?ns={asked.replace('127.0.0.1', '127.0.0.2')}"), 403
        )
        assert error["code"] == "DENIED"
