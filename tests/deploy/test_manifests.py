"""The manifests are valid, restricted, and refer to nothing that does not exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from brokenreg.assembly.stopping import LEAD
from brokenreg.config.settings import Settings
from tests.deploy.kustomize import FLEET, KUBERNETES, OVERLAYS, Object, Pod, names, of_kind, pods, rendered

_VERSIONS = ("1.27", kubernetes_validate.latest_version())
"""The oldest and the newest Kubernetes that the manifests must fit."""

_KEYS = {"tls": {"tls.crt", "tls.key"}, "docker-registry": {".dockerconfigjson"}}
"""The keys of the Secrets that kubectl creates, by their type."""

FIELDS = {
    "namespace": "x",
    "hostIP": "10.0.0.1",
    "podIP": "10.0.1.7",
    "token": "t",
    "key": "a long and random text",
    "database": "postgresql://name@db/brokenreg",
    "blobs": "s3://bucket/prefix",
}
"""Values of fields of the pod, and of keys of Secrets."""

every_overlay = pytest.mark.parametrize("overlay", OVERLAYS)


def test_there_are_a_base_and_overlays() -> None:
    assert OVERLAYS == ["base", FLEET, "overlays/node-mirror", "overlays/team"]
    used = {path for overlay in OVERLAYS for path in _components(KUBERNETES / overlay)}
    assert used == {path.parent for path in KUBERNETES.glob("components/*/kustomization.yaml")}


@every_overlay
@pytest.mark.parametrize("version", _VERSIONS)
def test_kubernetes_knows_each_field(overlay: str, version: str) -> None:
    for each in rendered(overlay):
        kubernetes_validate.validate(each, version, strict=True)


@every_overlay
def test_services_and_network_policies_select_brokenreg_and_name_its_ports(overlay: str) -> None:
    pod = pods(overlay)["brokenreg"]
    for service in of_kind(overlay, "Service"):
        assert service["spec"]["selector"] == pod.labels
        for port in service["spec"]["ports"]:
            assert pod.ports[port["targetPort"]] == port["port"]
    for policy in of_kind(overlay, "NetworkPolicy"):
        assert policy["spec"]["podSelector"] == {"matchLabels": pod.labels}
        for rule in policy["spec"]["ingress"]:
            assert rule["from"]
            if policy["metadata"]["name"] == "brokenreg-fleet":  # replicas choose the ports of their calls
                assert rule == {"from": [{"podSelector": {"matchLabels": pod.labels}}]}
            else:
                assert {port["port"] for port in rule["ports"]} <= pod.ports.keys()
    others = [each.labels for name, each in pods(overlay).items() if name != "brokenreg"]
    assert pod.labels not in others


@every_overlay
def test_each_volume_exists_and_is_mounted(overlay: str) -> None:
    secrets = _documented_secrets(overlay)
    for pod in pods(overlay).values():
        assert pod.mounts.keys() == pod.volumes.keys()
        for volume in pod.volumes.values():
            match volume:
                case {"persistentVolumeClaim": {"claimName": name}}:
                    assert name in names(overlay, "PersistentVolumeClaim")
                case {"configMap": {"name": name}}:
                    assert name in names(overlay, "ConfigMap")
                case {"secret": {"secretName": name, **more}}:
                    assert {item["key"] for item in more.get("items", ())} <= secrets[name]
                case {"hostPath": _}:
                    assert overlay == "overlays/node-mirror"
                case {"emptyDir": {"sizeLimit": _}}:
                    assert overlay == FLEET
                    assert names(overlay, "PersistentVolumeClaim") == set()
                case _:
                    pytest.fail(f"unexpected volume: {volume}")


@every_overlay
def test_each_path_in_the_environment_is_in_a_volume(overlay: str) -> None:
    secrets = _documented_secrets(overlay)
    for pod in pods(overlay).values():
        environment = pod.environment(**FIELDS)
        for value in filter(lambda value: value.startswith("/"), environment.values()):
            volume = _volume_of(pod, value)
            if "secret" in volume and value not in pod.mounts.values():
                assert Path(value).name in secrets[volume["secret"]["secretName"]]


@every_overlay
def test_pods_are_restricted(overlay: str) -> None:
    for name, pod in pods(overlay).items():
        context = pod.container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert pod.spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod.spec["automountServiceAccountToken"] is False
        assert pod.spec["enableServiceLinks"] is False
        assert {"requests", "limits"} <= pod.container["resources"].keys()
        assert not pod.spec.keys() & {"hostNetwork", "hostPID", "hostIPC"}
        host_paths = [each["hostPath"]["path"] for each in pod.volumes.values() if "hostPath" in each]
        if name == "brokenreg":
            assert pod.spec["securityContext"]["runAsNonRoot"] is True
            assert pod.spec["securityContext"]["fsGroup"] == 1000
            assert host_paths == []
        else:
            assert host_paths == ["/etc/containerd/certs.d"]


@every_overlay
def test_the_control_api_is_exposed_only_with_a_token(overlay: str) -> None:
    pod = pods(overlay)["brokenreg"]
    variables = {each["name"]: each for each in pod.container["env"]}
    exposed = {
        "variable": "BROKENREG_CONTROL" in variables,
        "port": "control" in pod.ports or 8081 in pod.ports.values(),
        "service": "brokenreg-control" in names(overlay, "Service"),
        "token": "BROKENREG_CONTROL_TOKEN" in variables,
    }
    assert set(exposed.values()) == {overlay == "overlays/team"}
    if exposed["token"]:
        source = variables["BROKENREG_CONTROL_TOKEN"]["valueFrom"]["secretKeyRef"]
        assert source["key"] in _documented_secrets(overlay)[source["name"]]
        assert "optional" not in source


@every_overlay
def test_each_secret_of_the_environment_has_a_command_that_creates_it(overlay: str) -> None:
    documented = _documented_secrets(overlay)
    for pod in pods(overlay).values():
        for name, keys in pod.secrets.items():
            assert documented[name] >= keys
            assert keys or documented[name]


def test_the_replicas_of_a_fleet_are_replaced_one_by_one_while_others_serve() -> None:
    (deployment,) = of_kind(FLEET, "Deployment")
    (budget,) = of_kind(FLEET, "PodDisruptionBudget")
    (autoscaler,) = of_kind(FLEET, "HorizontalPodAutoscaler")
    spec, scaled = deployment["spec"], autoscaler["spec"]
    assert spec["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1},
    }
    assert budget["spec"]["selector"]["matchLabels"] == pods(FLEET)["brokenreg"].labels
    assert scaled["scaleTargetRef"] == {
        "apiVersion": deployment["apiVersion"],
        "kind": "Deployment",
        "name": deployment["metadata"]["name"],
    }
    assert scaled["minReplicas"] == 3
    assert budget["spec"]["maxUnavailable"] < scaled["minReplicas"] < scaled["maxReplicas"]
    assert "replicas" not in spec, "applying the manifests would undo what the autoscaler has done"
    assert "cpu" in pods(FLEET)["brokenreg"].container["resources"]["requests"]
    (constraint,) = spec["template"]["spec"]["topologySpreadConstraints"]
    assert constraint["labelSelector"]["matchLabels"] == pods(FLEET)["brokenreg"].labels


def test_a_pod_of_a_fleet_ends_after_the_nodes_know_it() -> None:
    pod = pods(FLEET)["brokenreg"]
    settings = Settings.model_validate({"stop_timeout": pod.environment(**FIELDS)["BROKENREG_STOP_TIMEOUT"]})
    assert settings.stop_timeout > 2 * LEAD
    assert settings.stop_timeout + 2 <= pod.spec["terminationGracePeriodSeconds"]
    readiness, startup = (pod.container[f"{name}Probe"] for name in ("readiness", "startup"))
    assert readiness["httpGet"] == startup["httpGet"]


def test_the_settings_of_a_fleet_are_valid() -> None:
    environment = pods(FLEET)["brokenreg"].environment(**FIELDS)
    given = {
        name: environment[f"BROKENREG_{name.upper()}"]
        for name in ("fleet_key", "fleet_network", "database", "blobs", "max_data", "cache_max_size")
    }
    settings = Settings.model_validate(given)
    assert str(settings.fleet_network) == "10.0.0.0/8"
    (volume,) = (each["emptyDir"] for each in pods(FLEET)["brokenreg"].volumes.values() if "emptyDir" in each)
    assert settings.max_data is not None
    assert settings.max_data < int(volume["sizeLimit"].removesuffix("Gi")) * 2**30


def test_no_secret_is_in_the_repository() -> None:
    for overlay in OVERLAYS:
        assert names(overlay, "Secret") == set()
    for path in (path for path in KUBERNETES.rglob("*") if path.is_file()):
        assert "PRIVATE KEY" not in path.read_text()


def test_the_data_fits_the_volume() -> None:
    (claim,) = of_kind("base", "PersistentVolumeClaim")
    environment = pods("base")["brokenreg"].environment(namespace="x")
    volume = int(claim["spec"]["resources"]["requests"]["storage"].removesuffix("Gi"))
    data, cache = (
        int(environment[f"BROKENREG_{name}"].removesuffix("GiB")) for name in ("MAX_DATA", "CACHE_MAX_SIZE")
    )
    assert cache < data < volume


def _components(folder: Path) -> list[Path]:
    listed: list[str] = _kustomization(folder).get("components", [])
    return [(folder / name).resolve() for name in listed]


def _kustomization(folder: Path) -> dict[str, Any]:
    document = yaml.safe_load((folder / "kustomization.yaml").read_text())
    assert isinstance(document, dict)
    return document


def _documented_secrets(overlay: str) -> dict[str, set[str]]:
    """The keys of each Secret whose command is in a comment of the overlay or of a component."""
    found = {}
    for folder in (KUBERNETES / overlay, *_components(KUBERNETES / overlay)):
        comments = (folder / "kustomization.yaml").read_text().replace("\\\n#", "")
        for kind, name, options in re.findall(r"kubectl create secret (\S+) (\S+) (.*)", comments):
            found[name] = _KEYS.get(kind) or set(re.findall(r"--from-literal (\w+)=", options))
    return found


def _volume_of(pod: Pod, path: str) -> Object:
    (name,) = (name for name, mount in pod.mounts.items() if Path(path).is_relative_to(mount))
    return pod.volumes[name]
