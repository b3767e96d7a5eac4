"""The program of the overlay `node-mirror` writes what containerd needs, and removes it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import yaml

from tests.deploy.kustomize import KUBERNETES, of_kind, pods
from tests.deploy.node_mirror import OVERLAY, PROGRAM, installed, start


def test_it_writes_the_address_of_the_service_and_removes_it(tmp_path: Path) -> None:
    (service,) = (each for each in of_kind(OVERLAY, "Service") if each["spec"].get("type") == "NodePort")
    (port,) = service["spec"]["ports"]
    with installed(tmp_path, NODE="10.0.0.7"):
        assert sorted(each.name for each in tmp_path.iterdir()) == ["docker.io", "quay.io"]
        for file in tmp_path.glob("*/*"):
            assert file.name == "hosts.toml"
            hosts = tomllib.loads(file.read_text())
            assert hosts["server"] == f"https://10.0.0.7:{port['nodePort']}"
            (host,) = hosts["host"]
            assert host == hosts["server"]
    assert list(tmp_path.iterdir()) == []


def test_an_address_of_ipv6(tmp_path: Path) -> None:
    with installed(tmp_path, NODE="fd00::7", REGISTRIES="quay.io"):
        hosts = tomllib.loads((tmp_path / "quay.io/hosts.toml").read_text())
        assert hosts["server"] == "https://[fd00::7]:30080"


def test_other_files_stay(tmp_path: Path) -> None:
    other = tmp_path / "quay.io" / "ca.pem"
    other.parent.mkdir()
    other.write_text("theirs")
    with installed(tmp_path):
        assert (tmp_path / "quay.io/hosts.toml").exists()
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == [other]


def test_it_refuses_a_file_that_it_did_not_write(tmp_path: Path) -> None:
    theirs = tmp_path / "quay.io" / "hosts.toml"
    theirs.parent.mkdir()
    content = b'server = "https://quay.io" # \xfc\n'  # not UTF-8
    theirs.write_bytes(content)
    with start(tmp_path) as process:
        _, stderr = process.communicate(timeout=10)
    assert process.returncode == 1
    assert f"{theirs} exists" in stderr
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == [theirs]
    assert theirs.read_bytes() == content


def test_a_file_that_was_replaced_meanwhile_stays(tmp_path: Path) -> None:
    with installed(tmp_path, REGISTRIES="quay.io"):
        (tmp_path / "quay.io/hosts.toml").write_bytes(b"\xfc")
    assert (tmp_path / "quay.io/hosts.toml").read_bytes() == b"\xfc"


def test_if_it_cannot_write_all_files_it_leaves_none(tmp_path: Path) -> None:
    (tmp_path / "quay.io").write_text("not a folder")
    with start(tmp_path) as process:
        process.communicate(timeout=10)
    assert process.returncode == 1
    assert [each.name for each in tmp_path.iterdir()] == ["quay.io"]


def test_after_a_crash_it_finds_its_own_files_again(tmp_path: Path) -> None:
    with installed(tmp_path) as process:
        process.kill()
    assert len(list(tmp_path.glob("*/hosts.toml"))) == 2
    with installed(tmp_path):
        assert len(list(tmp_path.glob("*/hosts.toml"))) == 2
    assert list(tmp_path.iterdir()) == []


def test_the_manifest_contains_this_program() -> None:
    (config_map,) = of_kind(OVERLAY, "ConfigMap")
    assert config_map["data"] == {PROGRAM.name: PROGRAM.read_text()}
    pod = pods(OVERLAY)["brokenreg-node-mirror"]
    assert pod.container["command"] == ["python3", f"{pod.mounts['program']}/{PROGRAM.name}"]
    comment = (KUBERNETES / OVERLAY / "kustomization.yaml").read_text()
    assert pod.volumes["certs"]["hostPath"]["path"] in comment
    assert yaml.safe_load(comment)["configMapGenerator"][0]["files"] == [PROGRAM.name]
