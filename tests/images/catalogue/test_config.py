"""Configurations that are odd."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import datetime
from typing import Any

import pytest

from tests.images.catalogue.reading import Reader, diff_id, image_of, read

MIB = 1024**2


def raw(image: Reader) -> bytes:
    """Return the bytes of the configuration, whose size is right."""
    descriptor = image.root["config"]
    data = image.blob(descriptor)
    assert len(data) == descriptor["size"]
    return data


def right(image: Reader) -> list[str]:
    """Return the digests of the unpacked layers."""
    return [diff_id(tar) for tar in image.tars()]


def pairs(data: bytes) -> list[tuple[str, Any]]:
    """Return the members of an object, also if a key occurs several times."""
    members: list[tuple[str, Any]] = json.loads(data, object_pairs_hook=lambda found: found)
    return members


@pytest.mark.parametrize("form", ["few", "many", "none", "wrong", "swapped", "sha512"])
def test_diff_ids(form: str) -> None:
    image = read(f"config-diff-ids_form-{form}")
    first, second = right(image)
    found = image.config["rootfs"]["diff_ids"]
    assert found != [first, second]
    if form == "sha512":
        assert found == [f"sha512:{hashlib.sha512(tar).hexdigest()}" for tar in image.tars()]
        return
    fixed = {"few": [first], "none": [], "swapped": [second, first]}
    if form in fixed:
        assert found == fixed[form]
        return
    *before, other = found
    assert before == {"many": [first, second], "wrong": [first]}[form]
    assert re.fullmatch("sha256:[0-9a-f]{64}", other)
    assert other not in (first, second)


@pytest.mark.parametrize("steps", [3, 20])
def test_history_too_long(steps: int) -> None:
    image = read(f"config-history-too-long_steps-{steps}")
    assert len(image.config["history"]) == len(image.root["layers"]) + steps
    assert not any(step.get("empty_layer") for step in image.config["history"])
    assert image.config["rootfs"]["diff_ids"] == right(image)


@pytest.mark.parametrize(
    ("form", "value"),
    [("null", None), ("empty", {}), ("diff-ids-null", {"type": "layers", "diff_ids": None})],
)
def test_rootfs(form: str, value: Any) -> None:
    config = read(f"config-rootfs_form-{form}").config
    assert config.get("rootfs", "absent") == value


def test_rootfs_absent_or_of_another_type() -> None:
    assert "rootfs" not in read("config-rootfs").config
    image = read("config-rootfs_form-other-type")
    assert image.config["rootfs"] == {"type": "other", "diff_ids": right(image)}


def test_created_absent() -> None:
    image = read("config-created_form-absent")
    assert "created" not in image.config
    assert image.config["rootfs"]["diff_ids"] == right(image)


@pytest.mark.parametrize("form", ["null", "empty", "date", "no-zone", "number", "year-10000"])
def test_created(form: str) -> None:
    image = read(f"config-created_form-{form}")
    created = image.config["created"]
    assert not is_rfc3339(created)
    assert image.config["rootfs"]["diff_ids"] == right(image)
    kinds = {"null": type(None), "number": int}
    assert isinstance(created, kinds.get(form, str))
    if form in ("date", "no-zone"):
        assert datetime.fromisoformat(str(created)).tzinfo is None


def is_rfc3339(value: Any) -> bool:
    pattern = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"
    return isinstance(value, str) and re.fullmatch(pattern, value) is not None


def test_a_date_of_another_kind_is_rfc3339() -> None:
    assert is_rfc3339(read("config-rootfs").config["created"])


@pytest.mark.parametrize("member", ["architecture", "os"])
@pytest.mark.parametrize("form", ["unknown", "other", "empty", "absent"])
def test_platform(member: str, form: str) -> None:
    config = read(f"config-platform_member-{member}_form-{form}").config
    other = {"architecture": "s390x", "os": "windows"}[member]
    expected = {"unknown": "unknown", "other": other, "empty": "", "absent": None}[form]
    assert config.get(member) == expected
    assert (member in config) == (form != "absent")
    assert len(config.keys() & {"architecture", "os"}) == 2 - (form == "absent")


@pytest.mark.parametrize("size", [4096, 9 * MIB, 20 * MIB])
def test_large(size: int) -> None:
    image = read(f"config-large_size-{size}")
    assert len(raw(image)) == size
    assert set(image.config["config"]["Labels"]["padding"]) == {"x"}
    assert image.config["rootfs"]["diff_ids"] == right(image)


@pytest.mark.parametrize("form", ["text", "truncated", "trailing", "bom", "utf-16"])
def test_not_json(form: str) -> None:
    data = raw(read(f"config-not-json_form-{form}"))
    with pytest.raises((json.JSONDecodeError, UnicodeDecodeError)):
        json.loads(data.decode("utf-8"))
    readable = {"trailing": (data[:-2], "utf-8"), "bom": (data, "utf-8-sig"), "utf-16": (data, "utf-16")}
    if form in readable:
        part, encoding = readable[form]
        assert json.loads(part.decode(encoding))["os"] == "linux"
    if form == "truncated":
        assert data.startswith(b'{"architecture":"amd64"')


def test_a_list_instead_of_an_object() -> None:
    (config,) = json.loads(raw(read("config-not-json_form-list")))
    assert config["os"] == "linux"


@pytest.mark.parametrize("where", ["first", "last"])
@pytest.mark.parametrize(("form", "key"), [("same", "rootfs"), ("case", "Rootfs")])
def test_duplicate_keys(where: str, form: str, key: str) -> None:
    image = read(f"config-duplicate-keys_right-{where}_form-{form}")
    found = [(name, dict(value)) for name, value in pairs(raw(image)) if name.lower() == "rootfs"]
    assert [name for name, _ in found] == ["rootfs", key]
    matching = [value["diff_ids"] == right(image) for _, value in found]
    assert matching == [where == "first", where == "last"]


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("config-user", {"User": "no-such-user"}),
        ("config-user_form-number", {"User": str(2**32)}),
        ("config-user_form-negative", {"User": "-1"}),
        ("config-user_form-colon", {"User": ":"}),
        ("config-user_form-newline", {"User": "root\nroot"}),
        ("config-user_form-not-text", {"User": 0}),
        ("config-env", {"Env": ["VARIABLE"]}),
        ("config-env_form-no-name", {"Env": ["=value"]}),
        ("config-env_form-twice", {"Env": ["VARIABLE=first", "VARIABLE=second"]}),
        ("config-env_form-newline", {"Env": ["VARIABLE=two\nlines"]}),
        ("config-env_form-nul", {"Env": ["VARIABLE=before\0after"]}),
        ("config-env_form-surrogate", {"Env": ["VARIABLE=\ud800"]}),
        ("config-env_form-not-text", {"Env": [1]}),
        ("config-env_form-object", {"Env": {"VARIABLE": "value"}}),
        ("config-entrypoint", {"Entrypoint": ["/no-such-program"]}),
        ("config-entrypoint_form-empty", {"Entrypoint": []}),
        ("config-entrypoint_form-empty-text", {"Entrypoint": [""]}),
        ("config-entrypoint_form-nul", {"Entrypoint": ["/before\0after"]}),
        ("config-entrypoint_form-not-text", {"Entrypoint": [1]}),
        ("config-entrypoint_form-text", {"Entrypoint": "/bin/sh -c true"}),
    ],
)
def test_settings(tag: str, expected: dict[str, Any]) -> None:
    image = read(tag)
    assert image.config["config"] == expected
    assert image.config["rootfs"]["diff_ids"] == right(image)


def test_the_registry_knows_configurations_that_are_not_json() -> None:
    image = image_of("config-not-json")
    assert image.configs == {Reader(image).root["config"]["digest"]}
