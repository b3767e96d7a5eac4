"""Profiles: scenarios that show how real registries fail, each in a file of this package.

A profile is a scenario with `summary`, `facts` (what was seen on the wire), `sources`, and `beyond_paths`
(what of it an image path cannot reach). To add one, write a file: its name is that of the profile.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from brokenreg.rules.scenario import Scenario, ScenarioError, scenario_of, written
from brokenreg.wording import all_near, quoted

PREFIX = "profile:"
"""Before the name of a profile, where the path of a scenario file is expected."""

_EXAMPLE = "broken/random:layers-3_size-64kib"
_SUFFIX = ".yaml"
_ABOUT = ("summary", "facts", "sources", "beyond_paths")


class Profile(BaseModel):
    """A scenario that shows how a real registry fails."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    summary: str = Field(description="what fails, in one sentence")
    facts: str = Field(description="what was seen on the wire")
    sources: tuple[str, ...] = Field(min_length=1, description="where it was reported")
    beyond_paths: str | None = Field(None, description="what an image path cannot reach")
    scenario: Scenario

    def image_path(self, image: str = _EXAMPLE) -> str:
        """Return the path that pulls an image as the registry of this profile serves it."""
        return f"broken/as/{self.name}/{image}"


@cache
def profile_names() -> list[str]:
    """Return the names of all profiles, in order."""
    found = (each.name for each in files(__name__).iterdir())
    return sorted(name.removesuffix(_SUFFIX) for name in found if name.endswith(_SUFFIX))


@cache
def profile_of(name: str) -> Profile:
    """Return a profile. Raise `ScenarioError` with a suggestion if there is no such profile."""
    if name not in profile_names():
        raise ScenarioError(unknown_profile(name))
    from brokenreg.rules.yaml_text import read_yaml  # not at the start, which is not to wait for it

    document: dict[str, Any] = read_yaml(profile_text(name))[0]
    about = {key: document.pop(key) for key in _ABOUT if key in document}
    return Profile(name=name, scenario=scenario_of(document), **about)


def profile_document(profile: Profile) -> dict[str, Any]:
    """Return a profile as JSON."""
    return {**profile.model_dump(mode="json", exclude={"scenario"}), "scenario": written(profile.scenario)}


def profile_text(name: str) -> str:
    """Return the file of an existing profile."""
    return (files(__name__) / f"{name}{_SUFFIX}").read_text(encoding="utf-8")


def unknown_profile(name: str) -> str:
    """Return that there is no profile of that name, and which one is probably meant."""
    hint = all_near(name, profile_names(), otherwise='run "brokenreg profiles" for the list')
    return f"no profile {quoted(name)}: {hint}"
