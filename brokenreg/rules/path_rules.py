"""Path rules: turns `broken/<fault>:<params>` and `broken/with/<fault>_<params>/<image>` into rules.

The request for a blob does not contain the tag. So the parameters of `broken/<fault>:<params>` are mixed into
the content of its image (`ImageSpec.salt`). The digests are then unique to that tag, and the parameters can
be found from them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from typing import Any

from pydantic import ValidationError

from brokenreg.faults.catalogue import CATALOGUE, Fault
from brokenreg.faults.catalogue.base import ANY, BLOB, first_problem
from brokenreg.images.fabricator import TagParser
from brokenreg.images.images import Images
from brokenreg.images.spec import ImageSpec, spec_from
from brokenreg.oci.digests import is_digest
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.oci.names import is_component
from brokenreg.oci.params import join_params, split_params
from brokenreg.oci.resolution import PROFILE, RESERVED
from brokenreg.oci.target import Endpoint, Target
from brokenreg.rules.profiles import profile_of
from brokenreg.rules.rule import ALL_FAULTS, Rule
from brokenreg.rules.scenario import ScenarioError
from brokenreg.traffic.matching import Match
from brokenreg.wording import nearest, quoted

_IMAGE_DEFAULTS = {"layers": "3", "size": "1MiB", "seed": "0"}
_RULE_PARAMETERS = ("skip", "times", "probability")
_ALL_DEFAULTS = "latest"
_WITH = f"{RESERVED}with"
_OTHER_KINDS = ("random", "image", "prepared", "with", "as", "in")
_WITHOUT_FAULTS = ("random", "image")
_OTHER_FORMS = {"image": "broken/image:", "random": "broken/random:", "profile": "broken/as/"}
"""How paths that are almost right go on, by the word after `broken/`."""

_OF_IMAGES = (Endpoint.MANIFEST, Endpoint.CONFIG, Endpoint.LAYER, BLOB, ANY)
_CACHED = 4096


def fault_images() -> dict[str, TagParser]:
    """Return the parser of the tags of each repository `broken/<fault>`, by repository."""
    return {f"{RESERVED}{name}": partial(_image_of_tag, fault) for name, fault in CATALOGUE.items()}


class _NoPathError(ValueError):
    """The fault exists, but an image path of this kind cannot express it."""


@dataclass(frozen=True, slots=True)
class PathRule:
    """A rule that an image path expresses, and the part of the path that its counters belong to.

    Of the rules with the same `profile`, the path with that profile, only the first that matches is applied.
    """

    rule: Rule
    path: str
    profile: str = ""


class PathRules:
    """Finds the rules that an image path expresses."""

    def __init__(self, images: Images) -> None:
        self._images = images

    def rules(self, target: Target, method: str) -> list[PathRule]:
        """Return the rules, outermost first. Raise `OCIError` for an unknown fault or invalid parameters.

        Faults in a prefix are applied to pulls and pushes. `broken/<fault>` can only be pulled.
        """
        rules = _rules_of_prefixes(target)
        if target.is_reserved and method in ("GET", "HEAD"):
            rules += self._rules_of_image(target)
        return rules

    def _rules_of_image(self, target: Target) -> list[PathRule]:
        name = target.repository.removeprefix(RESERVED)
        if name in _WITHOUT_FAULTS:
            return []
        fault = _known_fault(name, _OTHER_KINDS, f"{RESERVED}%s")
        rule = None
        if target.endpoint is Endpoint.MANIFEST and not is_digest(target.reference):
            rule = _of_tag(fault, target.reference)[0]
        elif target.endpoint in (Endpoint.MANIFEST, Endpoint.CONFIG, Endpoint.LAYER):
            spec = self._images.spec_of(target.repository, target.digest)
            rule = None if spec is None else _of_tag(fault, spec.salt.partition(":")[2])[0]
        return [] if rule is None else [PathRule(rule, f"{target.repository}:{_canonical(rule)}")]


def check_path(target: Target) -> None:
    """Raise `OCIError` for an unknown fault or profile, or for invalid parameters of one."""
    _rules_of_prefixes(target)
    name = target.repository.removeprefix(RESERVED)
    if target.is_reserved and name not in _WITHOUT_FAULTS:
        fault = _known_fault(name, _OTHER_KINDS, f"{RESERVED}%s")
        if not is_digest(target.reference):
            _of_tag(fault, target.reference)


def _rules_of_prefixes(target: Target) -> list[PathRule]:
    rules: list[PathRule] = []
    for place, spelled in enumerate(target.faults):
        path = "/".join((_WITH, *target.faults[place:], target.repository))
        if spelled.startswith(PROFILE):
            rules += (PathRule(rule, f"{path}/{number}", path) for number, rule in _rules_of_profile(spelled))
        else:
            rules.append(PathRule(_rule_of_prefix(spelled), path))
    return rules


def prefix_of(rule: Rule) -> str:
    """Return the rule as `broken/with/<fault>_<params>/`. Raise `ValueError` if a path cannot express it."""
    plain = Rule(
        fault=rule.fault,
        match=Match(endpoint=rule.match.endpoint),
        skip=rule.skip,
        times=rule.times,
        probability=rule.probability,
    )
    if rule != plain or len(rule.fault) != 1:
        raise ValueError("a path can have only one fault, its endpoint, skip, times and probability")
    (fault,) = rule.fault
    _check_path(fault, rule)
    given = {} if rule.match.endpoint is None else {"endpoint": rule.match.endpoint}
    params = join_params({**given, **_counting(rule)})
    component = "_".join(filter(None, (fault.name, fault.spelled(), params)))
    if not is_component(component):
        raise ValueError(f"{quoted(component)} is invalid in a repository name, which is in lower case")
    try:
        read = _rule_of_prefix(component)
    except OCIError as error:
        raise ValueError(error.message) from None
    if read != rule:
        raise ValueError(f"{quoted(component)} would be read as another rule")
    return f"{RESERVED}with/{component}/"


def _rules_of_profile(spelled: str) -> Iterator[tuple[int, Rule]]:
    """Yield the rules of `broken/as/<profile>/` with their numbers, from 1.

    A path cannot reach what happens before there is a path.
    """
    try:
        profile = profile_of(spelled.removeprefix(PROFILE))
    except ScenarioError as error:
        raise OCIError(404, ErrorCode.NAME_UNKNOWN, str(error)) from None
    for number, rule in enumerate(profile.scenario.rules, start=1):
        if rule.endpoint != Endpoint.CONNECT:
            yield number, rule


@lru_cache(_CACHED)
def _rule_of_prefix(spelled: str) -> Rule:
    name, _, params = spelled.partition("_")
    fault = _known_fault(name)
    try:
        values = split_params(params, _names(fault))
        spec_from({**_IMAGE_DEFAULTS, **{key: values.pop(key) for key in _IMAGE_DEFAULTS if key in values}})
        return _rule(fault, values)
    except ValueError as error:
        raise OCIError(400, ErrorCode.NAME_INVALID, f"{RESERVED}with/{spelled}/: {error}") from None


def _image_of_tag(fault: type[Fault], tag: str) -> ImageSpec:
    return _of_tag(fault, tag)[1]


@lru_cache(_CACHED)
def _of_tag(fault: type[Fault], tag: str) -> tuple[Rule, ImageSpec]:
    """Return the rule and the image of a tag of `broken/<fault>`. Raise `OCIError` 400 MANIFEST_INVALID."""
    try:
        values = fault.short_form(tag)
        if values is None:
            values = split_params("" if tag == _ALL_DEFAULTS else tag, _names(fault))
        image = {name: values.pop(name, default) for name, default in _IMAGE_DEFAULTS.items()}
        rule = _rule(fault, values)
        _check_image(fault, rule)
        spec = spec_from(image, salt=f"{fault.name}:{_canonical(rule)}")
    except _NoPathError as error:
        raise OCIError(400, ErrorCode.MANIFEST_INVALID, f"broken/{fault.name}:{tag}: {error}") from None
    except ValueError as error:
        raise OCIError(400, ErrorCode.MANIFEST_INVALID, fault.tag_problem(tag, str(error))) from None
    return rule, spec


def _rule(fault: type[Fault], values: dict[str, str]) -> Rule:
    """Return the rule with these parameters. Raise `ValueError` with one line that names the wrong one."""
    own: dict[str, Any] = {name: values.pop(name) for name in _RULE_PARAMETERS if name in values}
    if "endpoint" in values:
        own["match"] = {"endpoint": values.pop("endpoint")}
    made = fault.of(values)
    try:
        rule = Rule(fault=(made,), **own)
    except ValidationError as error:
        raise ValueError(first_problem(error, Rule)) from None
    _check_path(made, rule)
    return rule


def _check_path(fault: Fault, rule: Rule) -> None:
    if rule.endpoint == Endpoint.CONNECT:
        raise _NoPathError(
            f"{fault.name} is applied to connections, before a request has a path: "
            f'run "brokenreg rules add {fault.name}", or use a scenario file'
        )


def _check_image(fault: type[Fault], rule: Rule) -> None:
    if rule.endpoint not in _OF_IMAGES:
        raise _NoPathError(
            f"{fault.name} is applied at endpoint {rule.endpoint}, which no pull of this image requests: "
            f"use {RESERVED}with/{fault.name}/<repository>"
        )


def _canonical(rule: Rule) -> str:
    """Return the parameters of the fault and the rule in their canonical spelling."""
    (fault,) = rule.fault
    elsewhere = {} if rule.endpoint == fault.default_endpoint else {"endpoint": rule.endpoint}
    return "_".join(filter(None, (fault.spelled(), join_params({**elsewhere, **_counting(rule)}))))


def _counting(rule: Rule) -> dict[str, str]:
    """Return `skip`, `times` and `probability` as image paths spell them."""
    counting: dict[str, str] = {}
    if rule.skip:
        counting["skip"] = str(rule.skip)
    if rule.times is not None:
        counting["times"] = str(rule.times)
    if rule.probability != 1:
        counting["probability"] = str(rule.probability)
    return counting


@cache
def _names(fault: type[Fault]) -> tuple[str, ...]:
    return (*fault.model_fields, *_IMAGE_DEFAULTS, *_RULE_PARAMETERS, "endpoint")


def _known_fault(name: str, others: tuple[str, ...] = (), form: str = f"{_WITH}/%s") -> type[Fault]:
    """Return a fault by name. Raise `OCIError` 404 NAME_UNKNOWN that suggests a fault, or one of `others`."""
    fault = CATALOGUE.get(name)
    if fault is None:
        first, slash, rest = name.partition("/")
        if slash and others and first in _OTHER_FORMS:
            hint = f"did you mean {_OTHER_FORMS[first]}{rest}?"
        else:
            hint = nearest(name, [*CATALOGUE, *others], form, otherwise=f"{ALL_FAULTS} for the list")
        raise OCIError(404, ErrorCode.NAME_UNKNOWN, f"no fault {quoted(name)}: {hint}")
    return fault
