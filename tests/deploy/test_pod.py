"""A real `brokenreg serve` with the arguments and the environment of the manifests answers their probes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from tests.deploy.kustomize import FLEET, OVERLAYS, Pod, of_kind, pods
from tests.docs.own_network import own_network
from tests.server import clean_environment

pytestmark = pytest.mark.slow
_TOKEN = "a-token-of-these-tests"
_REDIRECTED = "/v2/broken/with/redirect/broken/random"

_REQUEST = """
import http.client, json, socket, ssl, sys
scheme, port, path, name, ca, headers = json.loads(sys.argv[1])
connection = http.client.HTTPConnection(name or "127.0.0.1", port)
connection.sock = socket.create_connection(("127.0.0.1", port), timeout=10)
if scheme == "HTTPS":
    context = ssl.create_default_context(cafile=ca) if ca else ssl._create_unverified_context()
    connection.sock = context.wrap_socket(connection.sock, server_hostname=name or None)
connection.request("GET", path, headers=headers)
response = connection.getresponse()
print(json.dumps([response.status, response.headers["Location"], response.read().decode("latin-1")]))
"""


@dataclass(frozen=True)
class Running:
    """brokenreg as one of the pods has it, in a network of its own."""

    pod: Pod
    within: tuple[str, ...]
    data: Path
    environment: dict[str, str]

    def exec(self, *arguments: str) -> str:
        """Run a command of brokenreg as `kubectl exec` does."""
        command = [*self.within, sys.executable, "-m", "brokenreg", *arguments]
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=30, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def get(
        self, scheme: str, port: str, path: str, name: str = "", ca: Path | str = "", **headers: str
    ) -> tuple[int, str, str]:
        """Send a request to a port of the container. Verify the certificate if there is a CA.

        Return the status, the Location and the body.
        """
        request = json.dumps([scheme, self.pod.ports[port], path, name, str(ca), headers])
        command = [*self.within, sys.executable, "-c", _REQUEST, request]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr
        status, location, body = json.loads(done.stdout)
        return status, location, body


@contextmanager
def _running(overlay: str, folder: Path, **more: str) -> Iterator[Running]:
    """Start it, with more variables. Its credentials are those for `private.example`."""
    pod = pods(overlay)["brokenreg"]
    folders = {path: folder / path.strip("/") for path in pod.mounts.values()}
    for each in folders.values():
        each.mkdir(parents=True)
    if tls := folders.get("/tls"):
        certificate = trustme.CA().issue_cert("brokenreg.testing.svc")
        certificate.private_key_pem.write_to_path(tls / "tls.key")
        for part in certificate.cert_chain_pems:
            part.write_to_path(tls / "tls.crt", append=True)
    if upstreams := folders.get("/upstreams"):
        credentials = {"username": "casey", "password": "hunter2"}
        (upstreams / "config.json").write_text(json.dumps({"auths": {"private.example": credentials}}))
    environment = {
        name: str(folder / value.strip("/")) if value.startswith("/") else value
        for name, value in pod.environment(namespace="testing", token=_TOKEN).items()
    }
    with own_network() as within:
        if not within:
            pytest.skip("no network of its own can be made here")
        command = [*within, sys.executable, "-m", "brokenreg", *pod.container["args"]]
        environ = clean_environment(**environment, **more)
        process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["event"] == "ready"
            yield Running(pod, within, folders["/data"], environ)
            process.terminate()
            assert process.wait(timeout=pod.spec["terminationGracePeriodSeconds"]) == 0
        finally:
            process.kill()
            process.communicate()


@pytest.mark.parametrize("overlay", [each for each in OVERLAYS if each != FLEET])
def test_it_answers_its_probes_and_serves_images(overlay: str, tmp_path: Path) -> None:
    with _running(overlay, tmp_path) as running:
        for probe in ("readinessProbe", "livenessProbe"):
            request = running.pod.container[probe]["httpGet"]
            assert running.get(request["scheme"], request["port"], request["path"])[0] == 200
        status, _, manifest = running.get("HTTPS", "registry", f"{_REDIRECTED}/manifests/layers-1_size-1024")
        assert status == 200
        assert len(json.loads(manifest)["layers"]) == 1
        assert (running.data / "index.sqlite3").exists()
        assert "error status=503" in running.exec("rules", "add", "error", "status=503", "--times", "3")


def test_clients_in_pods_verify_its_certificate_and_follow_its_redirects(tmp_path: Path) -> None:
    (service,) = of_kind("base", "Service")
    name = service["metadata"]["name"]
    with _running("base", tmp_path) as running:
        ca = running.data / "tls/ca.pem"
        _, _, manifest = running.get("HTTPS", "registry", f"{_REDIRECTED}/manifests/layers-1_size-1024")
        layer = f"{_REDIRECTED}/blobs/{json.loads(manifest)['layers'][0]['digest']}"
        for host in (name, f"{name}.testing", f"{name}.testing.svc"):
            status, location, _ = running.get("HTTPS", "registry", layer, host, ca)
            assert status == 307
            origin = f"https://{host}:{running.pod.ports['second-origin']}"
            assert location.startswith(f"{origin}/")
            assert running.get("HTTPS", "second-origin", location.removeprefix(origin), host, ca)[0] == 200


def test_the_control_api_wants_its_token_and_has_the_name_of_the_service(tmp_path: Path) -> None:
    with _running("overlays/team", tmp_path) as running:
        host = {"Host": f"brokenreg-control.testing.svc:{running.pod.ports['control']}"}
        bearer = {"Authorization": f"Bearer {_TOKEN}"}
        assert running.get("HTTP", "control", "/v1/status", **host)[0] == 401
        assert running.get("HTTP", "control", "/v1/status", **host, **bearer)[0] == 200
        assert running.get("HTTP", "control", "/metrics", **host, **bearer)[0] == 200


def test_it_logs_in_to_upstreams(tmp_path: Path) -> None:
    upstream = "private.example=http://127.0.0.1:5000"
    with _running("overlays/team", tmp_path / "pod", BROKENREG_UPSTREAM=upstream) as running:
        options = ["--listen", "127.0.0.1:5000", "--control", "off", "--offline", "--headless"]
        login = ["--auth", "basic", "--auth-user", "casey:hunter2", "--data", str(tmp_path / "private")]
        private = subprocess.Popen(
            [*running.within, sys.executable, "-m", "brokenreg", "serve", *options, *login],
            env=clean_environment(),
            stdout=subprocess.PIPE,
        )
        try:
            assert private.stdout is not None
            assert private.stdout.readline()
            path = "/v2/private.example/broken/random/manifests/layers-1_size-10"
            assert running.get("HTTPS", "registry", path)[0] == 200
        finally:
            private.terminate()
            private.communicate(timeout=20)
