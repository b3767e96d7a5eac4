"""The image of `deploy/Dockerfile`: built, started as the docs and manifests say, pulled from, stopped."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.container_image import IMAGE, ROOT, Engine, base_name, built_image
from tests.clients.programs import attempt, need, run
from tests.deploy.kustomize import pods
from tests.deploy.node_mirror import PROGRAM
from tests.docs.own_network import own_network

pytestmark = pytest.mark.slow
_RESTRICTED = (
    "--read-only",
    "--read-only-tmpfs=false",
    "--cap-drop=all",
    "--security-opt=no-new-privileges",
    # Without systemd, podman has no timer for the health check.
    "--no-healthcheck",
    # Without limits of its own, podman raises them, which some machines do not allow.
    "--ulimit=nofile=1024:1024",
    "--ulimit=nproc=1000:1000",
)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with built_image() as engine:
        yield engine


@dataclass(frozen=True)
class Container:
    """A running container, with its own network."""

    engine: Engine
    name: str
    within: tuple[str, ...]
    """The words that begin a command in its network."""
    process: subprocess.Popen[str]

    def podman_exec(self, *command: str) -> subprocess.CompletedProcess[bytes]:
        words = self.engine.command("podman", "exec", self.name, *command)
        return attempt(*words, env=self.engine.env)


@contextmanager
def running(
    engine: Engine, *arguments: str, options: tuple[str, ...] = (), **environment: str
) -> Iterator[Container]:
    """Run the image as restricted as the docs say, in a network of its own."""
    name = "under-test"
    variables = [f"--env={name}={value}" for name, value in environment.items()]
    with own_network() as within:
        if not within:
            pytest.skip("no network of its own can be made here")
        (process_id,) = (word.partition("=")[2] for word in within if word.startswith("--target="))
        network = f"--network=ns:/proc/{process_id}/ns/net"
        options = ("--rm", f"--name={name}", network, *_RESTRICTED, *variables, *options)
        command = engine.command("podman", "run", *options, IMAGE, *arguments)
        with subprocess.Popen(
            command, env=engine.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                assert process.stdout is not None
                assert process.stderr is not None
                line = process.stdout.readline()
                assert line, process.stderr.read()[-4000:]
                assert json.loads(line)["event"] == "ready"
                yield Container(engine, name, within, process)
            finally:
                if process.poll() is None:
                    engine("podman", "rm", "--force", "--time=0", "--ignore", name)
                    process.communicate(timeout=20)


def test_what_the_image_says(engine: Engine) -> None:
    image = engine.inspect(IMAGE)
    config = image["Config"]
    assert config["User"] == "1000:1000"
    assert list(config["ExposedPorts"]) == ["8080/tcp"]
    assert list(config["Volumes"]) == ["/data"]
    assert config["StopSignal"] in ("SIGTERM", "15")
    assert "BROKENREG_LISTEN=0.0.0.0:8080" in config["Env"]
    history = json.dumps(image["History"])
    assert "find-links" not in history, "pip's configuration is a secret of the build"


def test_its_size_is_what_the_page_says(
    engine: Engine, record_property: Callable[[str, object], None]
) -> None:
    repository, tag = base_name()
    whole, base = (engine.inspect(name)["Size"] / 1e6 for name in (IMAGE, f"{repository}:{tag}"))
    record_property("reported", f"the container image has {whole:.0f} MB, its base has {base:.0f} MB of them")
    (said,) = re.findall(r"brokenreg adds about (\d+) MB", (ROOT / "docs/how-to/container.md").read_text())
    assert whole - base == pytest.approx(int(said), rel=0.1)


def test_it_is_healthy_serves_a_pull_and_ends_by_sigterm(engine: Engine, tmp_path: Path) -> None:
    need("skopeo")
    check = engine.inspect(IMAGE)["Healthcheck"]["Test"]
    assert check.pop(0) == "CMD"
    with running(engine) as container:
        assert container.podman_exec(*check).returncode == 0
        # The base is the tests' own, with the version of Python that the real base has.
        version = container.podman_exec("/opt/brokenreg/bin/python3", "--version").stdout.decode()
        assert version.startswith(f"Python {base_name()[1].partition('-')[0]}.")

        source = "docker://127.0.0.1:8080/broken/random:layers-2_size-1024"
        copy = ("skopeo", "copy", "--quiet", "--src-tls-verify=false", source, f"dir:{tmp_path}/copy")
        run(*container.within, *copy, env=engine.env)
        assert len(json.loads((tmp_path / "copy/manifest.json").read_text())["layers"]) == 2
        push = ("skopeo", "copy", "--quiet", "--dest-tls-verify=false", f"dir:{tmp_path}/copy")
        run(*container.within, *push, "docker://127.0.0.1:8080/team/app:v1", env=engine.env)

        status = container.podman_exec("cat", "/proc/1/status").stdout.decode()
        fields = dict(line.split(":", 1) for line in status.splitlines())
        assert fields["Uid"].split() == fields["Gid"].split() == ["1000"] * 4
        assert int(fields["CapEff"], 16) == 0
        for path in ("/written", "/opt/brokenreg/written", "/tmp/written"):
            assert b"Read-only file system" in container.podman_exec("touch", path).stderr

        own_id = int(engine("podman", "inspect", "--format={{.State.Pid}}", container.name))
        ended = os.pidfd_open(own_id)
        container.process.send_signal(signal.SIGTERM)  # podman passes it on
        assert select.select([ended], [], [], 2.0)[0], "still running after 2 seconds"
        os.close(ended)
        container.process.communicate(timeout=20)
        assert container.process.returncode == 0
    assert engine("podman", "ps", "--all", "--quiet") == ""
    assert engine("podman", "volume", "ls", "--quiet") == ""


def test_the_health_check_notices_that_nothing_listens(engine: Engine) -> None:
    check = engine.inspect(IMAGE)["Healthcheck"]["Test"][1:]
    with running(engine, BROKENREG_LISTEN="0.0.0.0:9090") as container:
        assert container.podman_exec(*check).returncode == 1


def test_it_runs_as_the_pod_of_the_manifests(engine: Engine, tmp_path: Path) -> None:
    need("curl")
    pod = pods("base")["brokenreg"]
    volume = tmp_path / "volume"  # like one that the kubelet has prepared for an fsGroup
    (volume / "lost+found").mkdir(parents=True, mode=0o700)
    os.chown(volume, 0, pod.spec["securityContext"]["fsGroup"])
    volume.chmod(0o2775)
    mount = (f"--volume={volume}:{pod.mounts['data']}",)
    environment = pod.environment(namespace="testing")
    with running(engine, *pod.container["args"], options=mount, **environment) as container:
        for probe in ("readinessProbe", "livenessProbe"):
            request = pod.container[probe]["httpGet"]
            url = f"{request['scheme'].lower()}://127.0.0.1:{pod.ports[request['port']]}{request['path']}"
            run(*container.within, "curl", "--fail", "--silent", "--insecure", url)
        assert container.podman_exec("brokenreg", "rules", "add", "error", "status=503").returncode == 0
        assert container.podman_exec("cat", "/data/tls/ca.pem").stdout.startswith(b"-----BEGIN CERTIFICATE")


def test_it_runs_as_the_daemon_set_that_changes_nodes(engine: Engine, tmp_path: Path) -> None:
    pod = pods("overlays/node-mirror")["brokenreg-node-mirror"]
    node = tmp_path / "certs.d"
    node.mkdir()
    folders = {"certs": node, "program": PROGRAM.parent}
    volumes = [f"--volume={folders[name]}:{path}" for name, path in pod.mounts.items()]
    variables = [f"--env={name}={value}" for name, value in pod.environment(hostIP="10.0.0.7").items()]
    program, *arguments = pod.container["command"]
    user = f"--user={pod.container['securityContext']['runAsUser']}"
    options = ("--rm", "--network=none", *_RESTRICTED, user, *volumes, *variables)
    command = engine.command("podman", "run", *options, f"--entrypoint={program}", IMAGE, *arguments)
    with subprocess.Popen(command, env=engine.env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("wrote ")
        assert {str(file.relative_to(node)) for file in node.rglob("*.toml")} == {
            "docker.io/hosts.toml",
            "quay.io/hosts.toml",
        }
        process.terminate()
        process.communicate(timeout=20)
    assert process.returncode == 0
    assert list(node.iterdir()) == []
