"""The objects that `kubectl kustomize` renders from `deploy/kubernetes`."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

KUBERNETES = Path(__file__).parents[2] / "deploy" / "kubernetes"
OVERLAYS = sorted(
    str(path.parent.relative_to(KUBERNETES))
    for path in KUBERNETES.rglob("kustomization.yaml")
    if "components" not in path.parts
)
"""What can be applied: the base and each overlay."""

FLEET = "overlays/fleet"

Object = dict[str, Any]


@cache
def rendered(overlay: str) -> tuple[Object, ...]:
    """Render the base or an overlay, without any warning."""
    return render(KUBERNETES / overlay)


def render(folder: Path) -> tuple[Object, ...]:
    """Render a folder with a kustomization, without any warning."""
    kubectl = Path(sys.executable).with_name("kubectl")
    done = subprocess.run(
        [kubectl, "kustomize", folder], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return tuple(yaml.safe_load_all(done.stdout))


def of_kind(overlay: str, *kinds: str) -> list[Object]:
    return [each for each in rendered(overlay) if each["kind"] in kinds]


def names(overlay: str, kind: str) -> set[str]:
    return {each["metadata"]["name"] for each in of_kind(overlay, kind)}


@dataclass(frozen=True)
class Pod:
    """The pod of a workload, and its only container."""

    labels: dict[str, str]
    spec: Object

    @property
    def container(self) -> Object:
        (container,) = self.spec["containers"]
        assert isinstance(container, dict)
        return container

    @property
    def ports(self) -> dict[str, int]:
        return {each["name"]: each["containerPort"] for each in self.container.get("ports", ())}

    @property
    def volumes(self) -> dict[str, Object]:
        return {each["name"]: each for each in self.spec["volumes"]}

    @property
    def mounts(self) -> dict[str, str]:
        """The path of each volume in the container."""
        return {each["name"]: each["mountPath"] for each in self.container["volumeMounts"]}

    def environment(self, **fields: str) -> dict[str, str]:
        """The variables as the kubelet sets them, with these values of fields and of keys of Secrets."""
        found: dict[str, str] = {}
        for each in self.container["env"]:
            match each:
                case {"name": name, "value": value}:
                    for known, its_value in found.items():
                        value = value.replace(f"$({known})", its_value)
                    assert "$(" not in value, f"{name} uses a variable that comes later"
                    found[name] = value
                case {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}:
                    found[name] = fields[path.rpartition(".")[2]]
                case {"name": name, "valueFrom": {"secretKeyRef": {"key": key}}}:
                    found[name] = fields[key]
        assert len(found) == len(self.container["env"])
        return found

    @property
    def secrets(self) -> dict[str, set[str]]:
        """The keys of each Secret that its environment needs; none if it takes all keys."""
        found: dict[str, set[str]] = {
            each["secretRef"]["name"]: set() for each in self.container.get("envFrom", ())
        }
        for each in self.container["env"]:
            match each:
                case {"valueFrom": {"secretKeyRef": {"name": name, "key": key}}}:
                    found.setdefault(name, set()).add(key)
        return found


def pods(overlay: str) -> dict[str, Pod]:
    """The pods of all workloads, by the name of the workload."""
    found = {}
    for workload in of_kind(overlay, "Deployment", "DaemonSet"):
        template = workload["spec"]["template"]
        labels = template["metadata"]["labels"]
        assert workload["spec"]["selector"]["matchLabels"] == labels
        found[workload["metadata"]["name"]] = Pod(labels, template["spec"])
    return found
