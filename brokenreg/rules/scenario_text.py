"""Reads and writes scenarios as YAML (JSON is a subset of YAML)."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import yaml

from brokenreg.oci.errors import OCIError
from brokenreg.oci.resolution import RESERVED
from brokenreg.rules.body_files import read_body_files
from brokenreg.rules.profiles import PREFIX, profile_names, profile_of
from brokenreg.rules.rule import FieldError
from brokenreg.rules.scenario import (
    Scenario,
    ScenarioError,
    SourcedScenario,
    UnreadableScenarioError,
    scenario_of,
    written,
)
from brokenreg.rules.yaml_text import MAX_TEXT, Lines, YAMLTextError, read_yaml

_BREAKS = "\x85\u2028\u2029"
"""Line breaks that PyYAML writes unchanged, but reads as spaces."""


def read_scenario(text: str, source: str, folder: Path | None = None) -> SourcedScenario:
    """Return the scenario in a YAML text; error messages call it `source`. Raise `ScenarioError`.

    Bodies may come from files only if the `folder` to which their paths are relative is given.
    """
    try:
        document, lines = read_yaml(text)
    except YAMLTextError as error:
        raise ScenarioError(f"{source}:{error.line}: {error}") from None
    try:
        has_files = folder is not None and read_body_files(document, folder)
        scenario = scenario_of(document)
        _check_image_of_client(scenario)
    except FieldError as error:
        where = f"{source}:{_line(lines, error.field)}"
        raise ScenarioError(f"{where}: {error}", error.where) from None
    return SourcedScenario(
        scenario,
        tuple(f"{source}:{lines.get(('rules', place), 1)}" for place in range(len(scenario.rules))),
        has_files,
    )


def load_scenario(path: Path) -> SourcedScenario:
    """Return the scenario in a file, or that of a profile for `profile:NAME`. Raise `ScenarioError`."""
    if str(path).startswith(PREFIX):
        try:
            scenario = profile_of(str(path).removeprefix(PREFIX)).scenario
        except ScenarioError as error:
            raise ScenarioError(f"{path}: {error}") from None
        return SourcedScenario(scenario, (str(path),) * len(scenario.rules))
    try:
        return decode_scenario(_content(path), str(path), path.parent)
    except OSError as error:
        hint = f": did you mean {PREFIX}{path}?" if str(path) in profile_names() else ""
        raise UnreadableScenarioError(f"{path}: {error.strerror}{hint}") from None


def decode_scenario(content: bytes, source: str, folder: Path | None = None) -> SourcedScenario:
    """Return the scenario in the bytes of a YAML text. Otherwise like `read_scenario`."""
    if len(content) > MAX_TEXT:
        raise ScenarioError(f"{source}:1: the file is too long: use at most {MAX_TEXT} bytes")
    try:
        return read_scenario(content.decode(), source, folder)
    except UnicodeDecodeError as error:
        line = 1 + content.count(b"\n", 0, error.start)
        raise ScenarioError(
            f"{source}:{line}: byte {error.start} is not UTF-8: save the file as UTF-8"
        ) from None


def _content(path: Path) -> bytes:
    """Return the content of a file, up to one byte more than allowed. Raise `OSError`, `ScenarioError`."""
    # Without O_NONBLOCK, opening a FIFO that has no writer would block.
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise UnreadableScenarioError(f"{path}: is not a regular file")
        return file.read(MAX_TEXT + 1)


def write_scenario(scenario: Scenario) -> str:
    """Return the scenario as YAML for `read_scenario`. Raise `ScenarioError` if it is too long."""
    document = written(scenario)
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)
    if any(character in text for character in _BREAKS):
        text = yaml.safe_dump(document, sort_keys=False, width=110)
    if len(text.encode()) > MAX_TEXT:
        raise ScenarioError(f"the scenario is too long: at most {MAX_TEXT} bytes can be read again")
    return text


def _check_image_of_client(scenario: Scenario) -> None:
    """Raise `FieldError` if the image for the client cannot exist: a run would fail for the wrong reason."""
    image = scenario.client.image if scenario.client is not None else None
    if image is None or not image.startswith(RESERVED):
        return
    from brokenreg.rules.client_image import check_image  # with the catalogue of images, which takes 20 ms

    try:
        check_image(image)
    except OCIError as error:
        raise FieldError(("client", "image"), error.message) from None


def _line(lines: Lines, field: tuple[str | int, ...]) -> int:
    """Return the line of a field, or of the mapping that lacks it."""
    while field and field not in lines:
        field = field[:-1]
    return lines.get(field, 1)
