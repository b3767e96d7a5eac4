"""Real clients log in, push and pull, with HTTP Basic and with tokens. A wrong password is reported."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clients import layouts
from tests.clients.private import Client
from tests.clients.programs import need
from tests.clients.storages import brokenreg
from tests.server import Brokenreg

USER, PASSWORD = "casey", "hunter2"
CREDENTIALS = f"{USER}:{PASSWORD}"
WRONG = f"{USER}:wrong"
MADE_UP = "broken/random:layers-2_size-1000"


@pytest.fixture(scope="module", params=["basic", "token"])
def secured(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokenreg]:
    """A registry with one user."""
    folder = tmp_path_factory.mktemp(request.param)
    with brokenreg(folder / "data", "--auth", request.param, "--auth-user", CREDENTIALS) as running:
        yield running


def test_skopeo(skopeo: Client, secured: Brokenreg, tmp_path: Path) -> None:
    remote = f"docker://{secured.host}/skopeo/app:v1"
    source = layouts.write_layout(tmp_path / "source", layouts.image("auth-skopeo"))
    push = ("copy", "--dest-tls-verify=false", f"oci:{source}:v1", remote)
    pull = ("copy", "--src-tls-verify=false", remote, f"oci:{tmp_path}/back:v1")
    skopeo(*push, f"--dest-creds={CREDENTIALS}")
    skopeo(*pull, f"--src-creds={CREDENTIALS}")
    assert layouts.read_layout(tmp_path / "back") == layouts.read_layout(source)
    for refused in (push, (*push, f"--dest-creds={WRONG}"), pull, (*pull, f"--src-creds={WRONG}")):
        assert "required" in skopeo.refused(*refused) or "username/password" in skopeo.refused(*refused)


def test_skopeo_copies_between_repositories(skopeo: Client, secured: Brokenreg, tmp_path: Path) -> None:
    """A blob that is mounted needs a token for two repositories."""
    source = layouts.write_layout(tmp_path / "source", layouts.image("auth-mount"))
    first, second = (f"docker://{secured.host}/mount/{name}:v1" for name in ("first", "second"))
    plain = ("copy", "--src-tls-verify=false", "--dest-tls-verify=false")
    skopeo(*plain, f"oci:{source}:v1", first, f"--dest-creds={CREDENTIALS}")
    skopeo(*plain, first, second, f"--src-creds={CREDENTIALS}", f"--dest-creds={CREDENTIALS}")
    inspect = ("inspect", "--tls-verify=false", f"--creds={CREDENTIALS}", "--format={{.Digest}}")
    assert skopeo(*inspect, first) == skopeo(*inspect, second)


def test_podman(podman: Client, secured: Brokenreg, tmp_path: Path) -> None:
    authfile = f"--authfile={tmp_path}/auth.json"
    login = ("login", "--tls-verify=false", authfile, f"--username={USER}")
    said = podman.refused(*login, "--password=wrong", secured.host)
    assert "invalid username/password" in said or "authentication required" in said
    podman(*login, f"--password={PASSWORD}", secured.host)
    reference = f"{secured.host}/podman/app:v1"
    identity = podman("pull", "--quiet", "--tls-verify=false", authfile, f"{secured.host}/{MADE_UP}")
    podman("push", "--tls-verify=false", authfile, identity, reference)
    podman("rmi", "--all", "--force")
    pull = ("pull", "--quiet", "--tls-verify=false", reference)
    (tmp_path / "none.json").write_text("{}")
    nobody = f"--authfile={tmp_path}/none.json"
    assert "unauthorized" in podman.refused(*pull, nobody, f"--creds={WRONG}")
    assert "unauthorized" in podman.refused(*pull, nobody)
    assert podman(*pull, f"--creds={CREDENTIALS}") == identity


def test_docker(docker: Client, secured: Brokenreg) -> None:
    login = ("login", f"--username={USER}", secured.host)
    assert "unauthorized" in docker.refused(*login, "--password=wrong").lower()
    source, reference = f"{secured.host}/{MADE_UP}", f"{secured.host}/docker/app:v1"
    assert docker.refused("pull", source)
    docker(*login, f"--password={PASSWORD}")
    try:
        docker("pull", source)
        docker("tag", source, reference)
        docker("push", reference)
        docker("rmi", source, reference)
        docker("pull", reference)
        docker("rmi", reference)
    finally:
        docker("logout", secured.host)
    assert docker.refused("pull", reference)


def test_ctr(ctr: Client, secured: Brokenreg) -> None:
    plain = ("--plain-http", "--user")
    source, reference = f"{secured.host}/{MADE_UP}", f"{secured.host}/ctr/app:v1"
    pull = ("images", "pull", "--snapshotter=native", *plain)
    try:
        assert "401 Unauthorized" in ctr.refused(*pull, WRONG, source)
        ctr(*pull, CREDENTIALS, source)
        assert "401 Unauthorized" in ctr.refused("images", "push", *plain, WRONG, reference, source)
        ctr("images", "push", *plain, CREDENTIALS, reference, source)
        ctr(*pull, CREDENTIALS, reference)
    finally:
        if names := ctr("images", "ls", "--quiet").split():
            ctr("images", "rm", "--sync", *names)


def test_oras(
    secured: Brokenreg, client_env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need(module="oras")
    from oras.client import OrasClient

    monkeypatch.setenv("HOME", client_env["HOME"])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hello.txt").write_text("hello\n")
    kind = secured.data.parent.name.rstrip("0123456789")
    client = OrasClient(insecure=True, auth_backend=kind)
    client.auth.set_basic_auth(USER, PASSWORD)
    try:
        assert len(client.get_manifest(f"{secured.host}/{MADE_UP}")["layers"]) == 2
        if kind == "basic":  # a token that lacks a scope it keeps, and gives up
            target = f"{secured.host}/oras/app:v1"
            client.push(files=["hello.txt"], target=target, disable_path_validation=True)
            (pulled,) = client.pull(target=target, outdir=str(tmp_path / "out"))
            assert Path(pulled).read_text() == "hello\n"
    finally:
        client.session.close()


def test_skopeo_outlives_its_token(skopeo: Client, tmp_path: Path) -> None:
    """It believes that its token ends in mid-pull, and asks for another in time."""
    with brokenreg(tmp_path / "data", "--auth", "token", "--auth-user", CREDENTIALS) as running:
        faults = "broken/with/token_skew--58s_claimed-60s_lifetime-90s_times-1"
        slow = "broken/with/latency_dur-2500ms_endpoint-manifest_times-1"
        pull = ("copy", "--src-tls-verify=false", f"--src-creds={CREDENTIALS}")
        skopeo(*pull, f"docker://{running.host}/{faults}/{slow}/{MADE_UP}", f"dir:{tmp_path}/out")
        running.stop()
    seen = exchanges(running)
    assert [each["status"] for each in seen if each["endpoint"] == "token"] == [200, 200]
    assert [each["status"] for each in seen if each["endpoint"] == "layer"] == [200, 200]


def test_containerd_recovers_after_a_refusal_during_a_pull(ctr: Client, tmp_path: Path) -> None:
    """The registry takes the token no longer than for the first answer."""
    with brokenreg(tmp_path / "data", "--auth", "token", "--auth-user", CREDENTIALS) as running:
        faults = "broken/with/token_lifetime-2s_times-1"
        slow = "broken/with/latency_dur-2500ms_endpoint-manifest_skip-1_times-1"
        reference = f"{running.host}/{faults}/{slow}/{MADE_UP}"
        try:
            ctr("images", "pull", "--plain-http", "--snapshotter=native", f"--user={CREDENTIALS}", reference)
        finally:
            if names := ctr("images", "ls", "--quiet").split():
                ctr("images", "rm", "--sync", *names)
        running.stop()
    seen = exchanges(running)
    assert sum(each["endpoint"] == "token" and each["status"] == 200 for each in seen) == 2
    manifests = [each["status"] for each in seen if each["endpoint"] == "manifest"]
    assert manifests == [401, 200, 401, 200]
    assert [each["status"] for each in seen if each["endpoint"] == "layer"] == [200, 200]


def test_docker_keeps_a_refresh_token_and_uses_it(docker: Client, tmp_path: Path) -> None:
    """`docker login` is given one, and stores it in place of the password."""
    with brokenreg(tmp_path / "data", "--auth", "token", "--auth-user", CREDENTIALS) as running:
        docker("login", f"--username={USER}", f"--password={PASSWORD}", running.host)
        try:
            stored = json.loads((Path(docker.env["DOCKER_CONFIG"]) / "config.json").read_text())
            assert stored["auths"][running.host]["identitytoken"]
            docker("pull", f"{running.host}/{MADE_UP}")
            docker("rmi", f"{running.host}/{MADE_UP}")
        finally:
            docker("logout", running.host)
        running.stop()
    tokens = [each for each in exchanges(running) if each["endpoint"] == "token"]
    assert ("POST", "broken/random", 200) in [
        (each["method"], each["repository"], each["status"]) for each in tokens
    ]
    assert PASSWORD not in json.dumps(running.lines)


def exchanges(running: Brokenreg) -> list[dict[str, Any]]:
    return sorted(
        (line for line in running.lines if line["event"] == "exchange"), key=lambda each: each["id"]
    )


@pytest.fixture
def challenged(secured: Brokenreg) -> Iterator[Callable[[str], None]]:
    """Add a rule that challenges all requests without an Authorization in that form."""
    with httpx.Client(base_url=secured.control) as control:

        def challenge(form: str) -> None:
            rule = {"fault": {"type": "challenge", "form": form}}
            assert control.post("/v1/rules", json=rule).status_code == 201

        yield challenge
        assert control.delete("/v1/rules").status_code == 204


@pytest.mark.parametrize(
    ("secured", "form", "problem"),
    [
        ("token", "no-service", ""),
        ("token", "relative-realm", "unsupported protocol scheme"),
        ("token", "two-headers", "unauthorized"),
        ("token", "unknown-scheme", "unauthorized"),
        ("basic", "two-headers", ""),
        ("basic", "absent", "unauthorized"),
    ],
    indirect=["secured"],
)
def test_skopeo_with_invalid_challenges(
    skopeo: Client,
    secured: Brokenreg,
    challenged: Callable[[str], None],
    form: str,
    problem: str,
) -> None:
    """It gets along with them, or fails cleanly. Where both are offered, it takes Basic."""
    challenged(form)
    inspect = ("inspect", "--raw", "--tls-verify=false", f"--creds={CREDENTIALS}")
    remote = f"docker://{secured.host}/{MADE_UP}"
    if problem:
        assert problem in skopeo.refused(*inspect, remote)
    else:
        assert json.loads(skopeo(*inspect, remote))["layers"]


@pytest.mark.one_replica
def test_skopeo_sends_its_password_to_a_foreign_realm(
    skopeo: Client, secured: Brokenreg, challenged: Callable[[str], None]
) -> None:
    """The trap tells; the token that it is given there opens nothing."""
    challenged("foreign-realm")
    inspect = ("inspect", "--raw", "--tls-verify=false", f"--creds={CREDENTIALS}")
    assert "unauthorized" in skopeo.refused(*inspect, f"docker://{secured.host}/{MADE_UP}")
    leaked = httpx.get(f"{secured.control}/v1/status").json()["leaked_credentials"]
    assert (leaked["count"], leaked["last"][0]["kind"]) == (1, "Authorization Basic")
    assert PASSWORD not in json.dumps(leaked)
