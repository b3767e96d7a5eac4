"""`intact: true`: copies whose bytes do not match their digests are found, in each of the four forms."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from brokenreg.client.documents import Exchange
from brokenreg.exam.intact import copies_in, intact_verdict
from brokenreg.exam.outcomes import Outcome, outcome_of
from brokenreg.exam.report import Verdict
from tests.clients import layouts
from tests.exam.reports import exchange as full_exchange
from tests.exam.reports import report
from tests.exam.running import run


def layout(folder: Path) -> Path:
    layouts.write_layout(folder / "copy", layouts.image("intact", layers=2, size=2000))
    return max((folder / "copy/blobs/sha256").iterdir(), key=lambda each: each.stat().st_size)


def plain_folder(folder: Path) -> Path:
    """A `dir:` copy."""
    layer = layout(folder)
    for blob in layer.parent.iterdir():
        is_manifest = b'"layers":' in blob.read_bytes()
        blob.rename(folder / ("manifest.json" if is_manifest else blob.name))
    for each in ("index.json", "oci-layout"):
        (folder / "copy" / each).unlink()
    return folder / layer.name


@pytest.mark.parametrize("make", [layout, plain_folder])
def test_folders(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    blob = make(tmp_path)
    found = copies_in(tmp_path)
    assert (found.good, found.problems) == (1, [])

    content = blob.read_bytes()
    blob.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert f"sha256:{blob.name} has other bytes" in copies_in(tmp_path).problems[0]
    blob.unlink()
    assert copies_in(tmp_path).problems[0].endswith(f"sha256:{blob.name} is missing")


def test_a_layout_without_an_image(tmp_path: Path) -> None:
    layout(tmp_path)
    (tmp_path / "copy/index.json").write_text('{"manifests": []}')
    assert copies_in(tmp_path).problems == ["copy: index.json names no image"]
    (tmp_path / "copy/index.json").unlink()
    assert copies_in(tmp_path).problems == ["copy: index.json is missing"]


def sparse_copy(folder: Path, form: str) -> layouts.Index:
    """Write a copy of an index that has only the first of its two images."""
    index = layouts.index("sparse")
    other = index.images[1]
    layouts.write_layout(folder / "copy", index)
    store = folder / "copy/blobs/sha256"
    for each in (*other.blobs, *other.manifests):
        (store / each.hex).unlink()
    if form == "folder":
        (store / index.manifest.hex).rename(folder / "copy/manifest.json")
        child = index.images[0].manifest.hex
        (store / child).rename(folder / f"copy/{child}.manifest.json")
        for path in store.iterdir():
            path.rename(folder / "copy" / path.name)
        for name in ("index.json", "oci-layout"):
            (folder / "copy" / name).unlink()
    elif form == "archive":
        layouts.pack_layout(folder / "copy", folder / "image.tar")
        shutil.rmtree(folder / "copy")
    return index


@pytest.mark.parametrize("form", ["layout", "folder", "archive"])
def test_a_copy_of_one_platform(tmp_path: Path, form: str) -> None:
    index = sparse_copy(tmp_path, form)
    kept, other = (each.digest for each in index.images)
    assert (copies_in(tmp_path).good, copies_in(tmp_path).problems) == (1, [])
    assert copies_in(tmp_path, {index.digest, kept}).good == 1
    (problem,) = copies_in(tmp_path, {index.digest, kept, other}).problems
    assert problem.endswith(f"{other} is missing")


@pytest.mark.parametrize("kind", ["manifest", "layer"])
def test_an_index_without_a_complete_image(tmp_path: Path, kind: str) -> None:
    image = sparse_copy(tmp_path, "layout").images[0]
    blob = image.manifest if kind == "manifest" else image.layers[1]
    (tmp_path / "copy/blobs/sha256" / blob.hex).unlink()
    assert copies_in(tmp_path).problems == [f"copy: {blob.digest} is missing"]


def test_an_index_that_names_itself(tmp_path: Path) -> None:
    """No bytes have a digest that they contain, so the copy is wrong. To look for more must end."""
    layout(tmp_path)
    digest = f"sha256:{'0' * 64}"
    (tmp_path / "copy/blobs/sha256" / ("0" * 64)).write_text(json.dumps({"manifests": [{"digest": digest}]}))
    (tmp_path / "copy/index.json").write_text(json.dumps({"manifests": [{"digest": digest}]}))
    (problem,) = copies_in(tmp_path).problems
    assert f"{digest} has other bytes" in problem


def test_oci_archive(tmp_path: Path) -> None:
    blob = layout(tmp_path / "source")
    for name in ("good.tar", "bad.tar"):
        with tarfile.open(tmp_path / name, "w") as archive:
            archive.add(tmp_path / "source/copy", ".")
        blob.write_bytes(b"something else")
    for each in (tmp_path / "source").rglob("*.json"):
        each.unlink()
    (tmp_path / "source/copy/oci-layout").unlink()
    found = copies_in(tmp_path)
    assert found.good == 1
    assert [each.partition(" ")[0] for each in found.problems] == ["bad.tar:"]


def docker_archive(path: Path, layer: bytes, promised: bytes) -> None:
    config = json.dumps({"rootfs": {"diff_ids": [f"sha256:{hashlib.sha256(promised).hexdigest()}"]}}).encode()
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = json.dumps([{"Config": name, "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(path, "w") as archive:
        for each, content in ((name, config), ("layer.tar", layer), ("manifest.json", manifest)):
            info = tarfile.TarInfo(each)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def test_docker_archive(tmp_path: Path) -> None:
    docker_archive(tmp_path / "good.tar", b"layer", b"layer")
    assert (copies_in(tmp_path).good, copies_in(tmp_path).problems) == (1, [])
    docker_archive(tmp_path / "good.tar", b"lAyer", b"layer")
    assert "has other bytes" in copies_in(tmp_path).problems[0]


def test_a_cut_archive(tmp_path: Path) -> None:
    docker_archive(tmp_path / "image.tar", b"layer" * 1000, b"layer" * 1000)
    content = (tmp_path / "image.tar").read_bytes()
    (tmp_path / "image.tar").write_bytes(content[:3000])
    assert copies_in(tmp_path).problems


def test_other_files_are_no_copies(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "link").symlink_to("/etc/hostname")
    assert (copies_in(tmp_path).good, copies_in(tmp_path).problems) == (0, [])


def test_documents_that_name_nothing_are_no_copies(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"name": "an extension"}')
    assert (copies_in(tmp_path).good, copies_in(tmp_path).problems) == (0, [])
    (tmp_path / "manifest.json").write_text("[]")
    assert (copies_in(tmp_path).good, copies_in(tmp_path).problems) == (0, [])
    with tarfile.open(tmp_path / "empty.tar", "w") as archive:
        archive.add(tmp_path / "manifest.json", "manifest.json")
    (tmp_path / "manifest.json").write_text('[1, {"Config": [], "Layers": 3}]')
    with tarfile.open(tmp_path / "strange.tar", "w") as archive:
        archive.add(tmp_path / "manifest.json", "manifest.json")
    (tmp_path / "manifest.json").unlink()
    problem = "manifest.json names no image"
    assert copies_in(tmp_path).problems == [f"empty.tar: {problem}", f"strange.tar: {problem}"]


def exchange(number: int, reference: str) -> Exchange:
    return cast("Exchange", {"id": number, "reference": reference, "status": 200, "ended": "complete"})


@pytest.mark.parametrize("make", [layout, plain_folder])
def test_a_client_that_fails_may_leave_an_incomplete_copy(
    tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    blob = make(tmp_path)
    content = blob.read_bytes()
    blob.unlink()
    digest = f"sha256:{blob.name}"
    found = [exchange(1, "sha256:another"), exchange(2, digest)]

    allowed = intact_verdict(tmp_path, 1, found, found[:1], may_fail=True)
    assert allowed.met
    assert allowed.got.endswith(f"{digest} is missing, because the client failed")
    assert not allowed.nearest

    for status, may_fail in ((0, True), (1, False), (None, True)):
        unmet = intact_verdict(tmp_path, status, found, found[:1], may_fail=may_fail)
        assert (unmet.met, unmet.is_incomplete, unmet.has_wrong_bytes) == (False, True, False)
        assert unmet.nearest == (2,)

    blob.write_bytes(content[:-1])
    wrong = intact_verdict(tmp_path, 1, found, found, may_fail=True)
    assert (wrong.met, wrong.is_incomplete, wrong.has_wrong_bytes) == (False, False, True)
    assert wrong.nearest == (2,)


def test_a_client_that_exits_with_0_and_left_an_incomplete_copy_has_not_accepted_wrong_bytes() -> None:
    copy = Verdict("the client's copy", "client-intact", "intact", "missing", met=False, is_incomplete=True)
    assert outcome_of(report("it", copy, exchanges=[full_exchange(1)])) is Outcome.SUSPECTED
    assert outcome_of(report("it", copy, exchanges=[full_exchange(1)], status=1)) is Outcome.FAILED_CLEANLY


def test_wrong_bytes_are_found_although_another_blob_is_missing(tmp_path: Path) -> None:
    layer = plain_folder(tmp_path)
    config = next(
        each for each in tmp_path.iterdir() if each.name not in (layer.name, "manifest.json", "copy")
    )
    config.unlink()
    assert copies_in(tmp_path).problems[0].endswith(" is missing")
    layer.write_bytes(b"wrong")
    assert f"sha256:{layer.name} has other bytes" in copies_in(tmp_path).problems[0]
    verdict = intact_verdict(tmp_path, 1, [], [], may_fail=True)
    assert (verdict.met, verdict.has_wrong_bytes) == (False, True)


_ACCEPTS_ANYTHING = """
import json, sys, urllib.request
base = sys.argv[1]
manifest = json.load(urllib.request.urlopen(f"{base}/manifests/{sys.argv[2]}"))
for each in manifest["layers"]:
    urllib.request.urlopen(f"{base}/blobs/{each['digest']}").read()
"""
_WRONG = "rules: [{name: wrong bytes, fault: corrupt}]\nclient: {intact: true}"


@pytest.mark.slow
def test_a_client_that_accepts_wrong_bytes_and_leaves_nothing_is_suspected(tmp_path: Path) -> None:
    (tmp_path / "scenario.yaml").write_text(_WRONG)
    command = [sys.executable, "-c", _ACCEPTS_ANYTHING, "{registry_url}/v2/{repository}", "{tag}"]
    done = run(tmp_path, "--scenario", "scenario.yaml", "--", *command)
    assert done.returncode == 1, done.stdout
    assert "✓ the client's exit status" in done.stdout
    assert "? the client's copy  got suspected: " in done.stdout
    assert "only with wrong bytes" in done.stdout
