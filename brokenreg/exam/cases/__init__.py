"""The cases of the exam: for each, a scenario, and what an outcome means in it.

Each kind of odd image is a case, made by `odd_images`, and so is each profile, made by `of_profiles`. All
others are files of this package.

A case is a scenario file with more keys: `summary`, `why` (why it matters), `sources`, `good` (the outcomes
that a client should have) and `is_timing_bound`. The folder is the action that it examines; the file name
before the first hyphen is its family. Two expectations have a special meaning: the one with the name
`hammered` says how many requests are too many, and the one with the name `gave up too soon` how many a client
that fails must have sent.

Which outcomes are good depends on the failure:

- It passes, and a repetition is safe: 408, 429, 5xx, a reset, a cut, no response, a lost upload or an expired
  token, once or a few times. Only `recovered` is good. The case has `gave up too soon`, which counts one
  request more than there are failures; for uploads, it counts one for each of the four blobs as well.
- It is permanent: another 4xx, or any failure that never ends. `failed cleanly` is good, and one attempt is
  enough, so the case has no `gave up too soon`. `still retrying` is good, too, if a client cannot know that
  the failure never ends: a 429 or a 5xx.
- The response is wrong or contradicts itself, even if only once: wrong bytes, or something other than HTTP. A
  client cannot know that the next response is better. Both outcomes are good, unless it can do without the
  part that is wrong.

`hammered` allows 10 attempts for each request that may loop, twice as many as common clients make: 20 for a
manifest (HEAD and GET), 10 for a configuration or a token, 30 for three layers, 10 for each page of a
list, 120 for an upload of four blobs (POST, PATCH and PUT), and 30 for a manifest that is pushed in the three
formats that clients try. If a response says when to come back, no request may come earlier instead. A case
whose rules are only for connections has no limit, because connections belong to no namespace.

Each rule must be applied, unless it is `optional`. Of several rules with one name, one is enough: some
clients log in at the ping, and so send no other request without a credential, and some send no ping at all.
If many clients never send the request that fails, such as a mount, `not examined` is good, too.

`{seed}` in `client.image` is the seed of the run, so that a client never has the content already.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from brokenreg.exam.cases import odd_images, of_profiles
from brokenreg.exam.outcomes import Outcome
from brokenreg.exam.referred import ALL_LISTED
from brokenreg.exam.referred import IMAGE as _REFERRED_IMAGE
from brokenreg.rules.scenario import Scenario, scenario_of
from brokenreg.rules.yaml_text import read_yaml

Action = Literal["pull", "pull-tls", "push", "list", "referrers"]

ACTIONS: tuple[Action, ...] = get_args(Action)
_SUFFIX = ".yaml"
_ABOUT = ("summary", "why", "sources", "good", "is_timing_bound")
SEED = "{seed}"


class About(BaseModel):
    """What a case says about itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    summary: str = Field(description="what fails, in one sentence")
    why: str = Field(description="why it matters, in one sentence")
    sources: tuple[str, ...] = Field(min_length=1, description="where it was reported")
    good: tuple[Outcome, ...] = Field(min_length=1, description="the outcomes that a client should have")
    is_timing_bound: bool = Field(False, description="whether the outcome can differ between two runs")


@dataclass(frozen=True, slots=True)
class Case:
    """A case. `document` is its scenario as it was written; `scenario` returns it for a run."""

    name: str
    action: Action
    about: About
    document: dict[str, Any]

    @property
    def family(self) -> str:
        return self.name.partition("-")[0]

    def scenario(self, seed: int) -> Scenario:
        """Return the scenario of a run. Every client may fail in it: that is judged afterwards."""
        client = {**_client_of(self.action), **(self.document.get("client") or {})}
        client["image"] = client["image"].replace(SEED, str(seed))
        return scenario_of({**self.document, "name": self.name, "client": {**client, "exit": "any"}})


def _client_of(action: Action) -> dict[str, str]:
    """Return what a case expects of its client, unless it says otherwise."""
    match action:
        case "push":
            return {"image": "exam/app:v1"}
        case "list":
            return {"image": _DEFAULT_IMAGE}
        case "referrers":
            return {"image": _REFERRED_IMAGE, "output": ALL_LISTED}
    return {"image": _DEFAULT_IMAGE, "intact": "true"}


_DEFAULT_IMAGE = f"broken/random:layers-3_size-64kib_seed-{SEED}"


def cases(*only: str) -> list[Case]:
    """Return the cases whose names match one of these globs, or all without a glob, by action and name."""
    globs = only or ("*",)
    return [each for each in _all_cases() if any(fnmatchcase(each.name, glob) for glob in globs)]


@cache
def _all_cases() -> tuple[Case, ...]:
    found = [
        _case(action, each.name.removesuffix(_SUFFIX), read_yaml(each.read_text(encoding="utf-8"))[0])
        for action in ACTIONS
        if (folder := files(__name__) / action).is_dir()
        for each in folder.iterdir()
        if each.name.endswith(_SUFFIX)
    ]
    found += (_case("pull", name, document) for name, document in odd_images.documents(SEED))
    found += (_case("pull", name, document) for name, document in of_profiles.documents())
    return tuple(sorted(found, key=lambda each: (ACTIONS.index(each.action), each.name)))


def _case(action: Action, name: str, document: dict[str, Any]) -> Case:
    about = {key: document.pop(key) for key in _ABOUT if key in document}
    return Case(name, action, About.model_validate(about), document)
