"""Real clients pull through the proxy from real registries: open, with passwords, with tokens, under TLS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.clients import layouts
from tests.clients.layouts import KIB, Image, Index
from tests.clients.origins import KINDS, homes, origin
from tests.clients.private import Client
from tests.clients.pullers import PULLERS, Puller
from tests.clients.storages import brokenreg
from tests.proxy.upstreams import PASSWORD
from tests.proxy.web_proxy import web_proxy
from tests.server import Brokenreg


@dataclass(frozen=True)
class Proxied:
    """A brokenreg, and the content of its upstream quay.io."""

    registry: Brokenreg
    image: Image
    index: Index


_WHOLE = [("skopeo", kind) for kind in KINDS] + [(name, "plain") for name in ("docker", "podman", "ctr")]
_FIRST = [(name, kind) for name in ("docker", "podman", "ctr") for kind in KINDS if kind != "plain"]


@pytest.mark.one_replica
@pytest.mark.parametrize(("name", "kind"), _WHOLE)
def test_once_over_the_network_then_from_disk(
    request: pytest.FixtureRequest, skopeo: Client, tmp_path: Path, name: str, kind: str
) -> None:
    """An image and an index, by tag and by digest: asked for once, and had for good."""
    puller = PULLERS[name](request.getfixturevalue(name), tmp_path / "pulled")
    image, index = (
        layouts.image(f"proxy-{name}-{kind}", layers=2, size=KIB),
        layouts.index(f"proxies-{name}-{kind}"),
    )
    later = [("org/index:v1", index), (f"org/image@{image.digest}", image)]
    first = [*later, ("org/image:v1", image), (f"org/index@{index.digest}", index)]
    with ExitStack() as network:
        quay = network.enter_context(origin("quay.io", kind, tmp_path))
        quay.push(skopeo, "org/image", image)
        quay.push(skopeo, "org/index", index)
        pushed = quay.blobs_asked()
        with brokenreg(tmp_path / "data", *quay.options, **quay.environment) as running:
            _pull(puller, running, first)
            asked = quay.blobs_asked()
            assert asked == sorted([*pushed, *_paths("org/image", image), *_paths("org/index", index)])
            _pull(puller, running, later)
            assert quay.blobs_asked() == asked
            network.close()
            _pull(puller, running, later)  # the tag is fresh still
            assert running.stop() == 0
        with brokenreg(tmp_path / "data", *quay.options, **quay.environment) as again:
            _pull(puller, again, later)  # nobody can say any more whether it is
            assert again.stop() == 0
    asked_of = {
        (each["reference"], each["cache"]) for each in again.lines if each.get("endpoint") == "manifest"
    }
    assert ("v1", "stale") in asked_of
    assert {cache for _, cache in asked_of} == {"hit", "stale"}
    assert PASSWORD not in str(running.lines + again.lines)


@pytest.fixture(scope="module")
def proxied(
    short_folder: Path, client_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Proxied]]:
    """For each kind of upstream: one with an image and an index, and a brokenreg as its proxy."""
    skopeo = Client(("skopeo",), client_env)
    image, index = layouts.image("proxy-image", layers=2, size=KIB), layouts.index("proxy-index")
    with ExitStack() as stack:

        @cache
        def start(kind: str) -> Proxied:
            folder = tmp_path_factory.mktemp(kind)
            quay = stack.enter_context(origin("quay.io", kind, folder))
            quay.push(skopeo, "org/image", image)
            quay.push(skopeo, "org/index", index)
            registry = brokenreg(folder / "data", *quay.options, **quay.environment)
            return Proxied(stack.enter_context(registry), image, index)

        yield start


@pytest.mark.parametrize(("name", "kind"), [*_FIRST, ("buildah", "token")])
def test_every_kind_of_upstream(
    request: pytest.FixtureRequest,
    proxied: Callable[[str], Proxied],
    tmp_path: Path,
    name: str,
    kind: str,
) -> None:
    """The credentials are those of the user that brokenreg runs for; clients know of none."""
    puller = PULLERS[name](request.getfixturevalue(name), tmp_path / "pulled")
    there = proxied(kind)
    _pull(
        puller,
        there.registry,
        [("org/image:v1", there.image), (f"org/index@{there.index.digest}", there.index)],
    )


def test_names_without_a_host_come_from_the_default_upstream(
    skopeo: Client, docker: Client, tmp_path: Path
) -> None:
    """quay.io, unless told otherwise; and a push to the same name wins."""
    puller = PULLERS["docker"](docker, tmp_path)
    top = layouts.image("proxy-default", layers=1, size=KIB)
    own = layouts.image("proxy-pushed", layers=1, size=KIB)
    with origin("quay.io", "plain", tmp_path) as quay:
        quay.push(skopeo, "org/app", top)
        with brokenreg(tmp_path / "data", *quay.options, **quay.environment) as running:
            puller.pull(f"{running.host}/org/app:v1", top)
            layout = layouts.write_layout(tmp_path / "own", own)
            copy = ("copy", "--dest-tls-verify=false", f"oci:{layout}:v1")
            skopeo(*copy, f"docker://{running.host}/org/app:v1")
            puller.pull(f"{running.host}/org/app:v1", own)
            puller.pull(f"{running.host}/org/app@{top.digest}", top)
    puller.forget()


@pytest.mark.parametrize(("name", "kind"), [("skopeo", "tls"), ("docker", "tls"), ("skopeo", "htpasswd")])
def test_through_a_web_proxy(
    request: pytest.FixtureRequest, skopeo: Client, tmp_path: Path, name: str, kind: str
) -> None:
    """Which alone knows where quay.io is. Its credentials and those of the registry do not meet."""
    puller = PULLERS[name](request.getfixturevalue(name), tmp_path / "pulled")
    top = layouts.image(f"web-proxy-{name}-{kind}", layers=2, size=KIB)
    with origin("quay.io", kind, tmp_path) as quay:
        quay.push(skopeo, "org/app", top)
        port = 443 if kind == "tls" else 80
        options = ["--upstream", f"quay.io={quay.upstream.scheme}://quay.io"]
        options += [] if quay.upstream.ca is None else ["--upstream-ca", str(quay.upstream.ca)]
        with web_proxy({f"quay.io:{port}": quay.upstream.host}, login="web:pr0xy") as web:
            options += ["--upstream-proxy", web.url]
            with brokenreg(tmp_path / "data", *options, **quay.environment) as running:
                _pull(puller, running, [("org/app:v1", top), (f"org/app@{top.digest}", top)])
                assert running.stop() == 0
    assert set(web.asked) == {f"CONNECT quay.io:{port} HTTP/1.1"}
    heads, sent = b"".join(web.heads), b"".join(web.sent)
    assert (b"proxy-authorization" in heads.lower(), b"\r\nauthorization" in heads.lower()) == (True, False)
    assert b"proxy-authorization" not in sent.lower()
    assert (b"authorization: basic" in sent.lower()) == (kind == "htpasswd")
    assert "pr0xy" not in str(running.lines)


@pytest.mark.parametrize("kind", ["htpasswd", "token"])
def test_without_credentials(skopeo: Client, tmp_path: Path, kind: str) -> None:
    """A client is told to log in where brokenreg runs, and is not asked for credentials itself."""
    with origin("quay.io", kind, tmp_path) as quay:
        quay.push(skopeo, "org/app", layouts.image("proxy-nobody", layers=1))
        with brokenreg(tmp_path / "data", *quay.options, **homes(tmp_path / "nobody")) as running:
            inspect = ("inspect", "--tls-verify=false", f"docker://{running.host}/quay.io/org/app:v1")
            said = skopeo.refused(*inspect)
    assert "unauthorized" in said
    assert "quay.io requires credentials for org/app; none found for quay.io" in said


def test_offline(skopeo: Client, tmp_path: Path) -> None:
    """What was pulled once is there; of the rest it is said why not. Nobody is asked."""
    puller = PULLERS["skopeo"](skopeo, tmp_path / "pulled")
    top = layouts.index("proxy-offline")
    with origin("quay.io", "plain", tmp_path) as quay:
        quay.push(skopeo, "org/app", top)
        quay.push(skopeo, "org/other", layouts.image("proxy-other", layers=1))
        with brokenreg(tmp_path / "data", *quay.options) as running:
            puller.pull(f"{running.host}/quay.io/org/app:v1", top)
        asked = quay.upstream.requests()
        with brokenreg(tmp_path / "data", *quay.options, "--offline") as running:
            puller.pull(f"{running.host}/quay.io/org/app:v1", top)
            puller.pull(f"{running.host}/org/app@{top.digest}", top)
            other = f"docker://{running.host}/quay.io/org/other:v1"
            said = skopeo.refused("inspect", "--tls-verify=false", other)
        assert quay.upstream.requests() == asked
    assert "manifest v1 of quay.io/org/other is not cached, and brokenreg is offline (--offline)" in said


def _pull(puller: Puller, running: Brokenreg, references: list[tuple[str, Image | Index]]) -> None:
    """Pull all of them from quay.io, and delete them."""
    for reference, top in references:
        puller.pull(f"{running.host}/quay.io/{reference}", top)
    puller.forget()


def _paths(repository: str, top: Image | Index) -> list[str]:
    """Return the path of each blob once."""
    return [f"/v2/{repository}/blobs/{blob.digest}" for blob in top.blobs]
