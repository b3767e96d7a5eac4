"""The path door: `broken/<fault>:<params>` and `broken/with/<fault>_<params>/<image>` become rules.

A blob does not know its tag. So the image of `broken/<fault>:<params>` has the parameters mixed into its
content (`ImageSpec.salt`): its digests are that tag's alone, and lead back to the parameters.
"""

from __future__ import annotations

import difflib
from functools import partial

from pydantic import ValidationError

from brokenreg.faults.catalogue import CATALOGUE, Fault
from brokenreg.faults.rules import ENDPOINTS, Rule
from brokenreg.images.fabricator import Fabricator, TagParser
from brokenreg.images.spec import ImageSpec, spec_from
from brokenreg.oci.digests import is_digest
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.oci.params import join_params, split_params
from brokenreg.oci.target import RESERVED, Endpoint, Target

_IMAGE_DEFAULTS = {"layers": "3", "size": "1MiB", "seed": "0"}
_ALL_DEFAULTS = "latest"
_OTHER_KINDS = ("random", "prepared", "with", "in")


def image_kinds() -> dict[str, TagParser]:
    """The repositories of the path door and how their tags are read."""
    return {f"{RESERVED}{name}": partial(_image_of_tag, fault) for name, fault in CATALOGUE.items()}


class PathDoor:
    """Finds the rules that a target's path itself asks for."""

    def __init__(self, images: Fabricator) -> None:
        self._images = images

    def rules(self, target: Target, method: str) -> list[Rule]:
        """Outermost first. Raise `OCIError` for a fault that is unknown or has bad parameters.

        Faults in a prefix strike pulls and pushes; `broken/<fault>` is an image, which is only pulled.
        """
        rules = [_rule_of_prefix(spelled) for spelled in target.faults]
        if target.is_reserved and method in ("GET", "HEAD"):
            rules += self._rules_of_image(target)
        return rules

    def _rules_of_image(self, target: Target) -> list[Rule]:
        name = target.repository.removeprefix(RESERVED)
        if name == "random":
            return []
        fault = _known_fault(name)
        if target.endpoint is Endpoint.MANIFEST and not is_digest(target.reference):
            return [_rule_of_tag(fault, target.reference)]
        if target.endpoint in (Endpoint.MANIFEST, Endpoint.CONFIG, Endpoint.LAYER):
            spec = self._images.spec_of(target.repository, target.digest)
            if spec is not None:
                return [_rule_of_tag(fault, spec.salt.partition(":")[2])]
        return []


def _rule_of_prefix(spelled: str) -> Rule:
    name, _, params = spelled.partition("_")
    fault = _known_fault(name)
    try:
        values = split_params(params, [*fault.model_fields, "endpoint"])
        return _rule(fault, values)
    except ValueError as error:
        problem = f"broken/with/{spelled}/: {_first_problem(error)}"
        raise OCIError(400, ErrorCode.NAME_INVALID, problem) from None


def _rule_of_tag(fault: type[Fault], tag: str) -> Rule:
    return _of_tag(fault, tag)[0]


def _image_of_tag(fault: type[Fault], tag: str) -> ImageSpec:
    return _of_tag(fault, tag)[1]


def _of_tag(fault: type[Fault], tag: str) -> tuple[Rule, ImageSpec]:
    """What a tag of `broken/<fault>` asks for. Raise `OCIError` 400 MANIFEST_INVALID, with what is wrong."""
    try:
        values = fault.short_form(tag)
        if values is None:
            names = [*fault.model_fields, *_IMAGE_DEFAULTS, "endpoint"]
            values = split_params("" if tag == _ALL_DEFAULTS else tag, names)
        image = {name: values.pop(name, default) for name, default in _IMAGE_DEFAULTS.items()}
        rule = _rule(fault, values)
        spec = spec_from(image, salt=f"{fault.name}:{_canonical(rule)}")
    except ValueError as error:
        problem = fault.tag_problem(tag, _first_problem(error))
        raise OCIError(400, ErrorCode.MANIFEST_INVALID, problem) from None
    return rule, spec


def _rule(fault: type[Fault], values: dict[str, str]) -> Rule:
    """Raise `ValueError` for a value that is not of its parameter's kind."""
    endpoint = values.pop("endpoint", str(fault.endpoint))
    if endpoint not in ENDPOINTS:
        raise ValueError(f"endpoint {endpoint!r}: one of {', '.join(ENDPOINTS)}")
    return Rule(fault.from_text(values), endpoint)


def _canonical(rule: Rule) -> str:
    spelled = rule.fault.spelled()
    if rule.endpoint == rule.fault.endpoint:
        return spelled
    return "_".join(filter(None, (spelled, join_params({"endpoint": rule.endpoint}))))


def _known_fault(name: str) -> type[Fault]:
    """Raise `OCIError` 404 NAME_UNKNOWN that names the nearest fault."""
    fault = CATALOGUE.get(name)
    if fault is None:
        near = difflib.get_close_matches(name, [*CATALOGUE, *_OTHER_KINDS], n=1)
        hint = f"did you mean broken/{near[0]}?" if near else f"there are {', '.join(sorted(CATALOGUE))}"
        raise OCIError(404, ErrorCode.NAME_UNKNOWN, f"broken/{name} is no fault; {hint}")
    return fault


def _first_problem(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_url=False)[0]
    name = ".".join(str(part) for part in first["loc"])
    return f"{name}: {first['msg'].removeprefix('Value error, ')}"
