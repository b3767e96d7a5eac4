"""What `docs/how-to/cluster.md` says about `deploy/kubernetes`."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import kubernetes_validate
import yaml

from tests.deploy.kustomize import KUBERNETES, Object, names, render

_PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "cluster.md").read_text()


def _blocks(kind: str) -> list[Object]:
    documents = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", _PAGE, re.DOTALL)]
    return [each for each in documents if each.get("kind") == kind]


def test_a_kustomization_of_your_own(tmp_path: Path) -> None:
    (kustomization,) = _blocks("Kustomization")
    shutil.copytree(KUBERNETES, tmp_path / "kubernetes")
    folder = tmp_path / "kubernetes/overlays/mine"
    folder.mkdir()
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    (deployment,) = (each for each in render(folder) if each["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry.example.com/brokenreg:dev"


def test_the_daemon_set_of_the_page_is_valid() -> None:
    (daemon_set,) = _blocks("DaemonSet")
    kubernetes_validate.validate(daemon_set, kubernetes_validate.latest_version(), strict=True)


def test_its_names_exist() -> None:
    for component in re.findall(r"`components/([a-z-]+)`", _PAGE):
        assert (KUBERNETES / "components" / component / "kustomization.yaml").exists()
    used = {
        (kind, name) for kind, name in re.findall(r"(deployment|daemonset|service)/(brokenreg[a-z-]*)", _PAGE)
    }
    assert {name for kind, name in used if kind == "deployment"} == names("base", "Deployment")
    # `daemonset/brokenreg` is the one on the page itself
    assert {name for kind, name in used if kind == "daemonset"} - {"brokenreg"} == names(
        "overlays/node-mirror", "DaemonSet"
    )
    assert {name for kind, name in used if kind == "service"} <= names("overlays/team", "Service")
