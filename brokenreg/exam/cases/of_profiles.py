"""A case for each profile: the failures of a real registry, as a client meets them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from brokenreg.exam.outcomes import Outcome
from brokenreg.rules.profiles import profile_text
from brokenreg.rules.yaml_text import read_yaml

PREFIX = "profile-"
"""Their names are those of the profiles with this prefix, so that they are a family."""

_WHY = "A real registry has failed like this, without a warning to its users."
_RECOVER = (Outcome.RECOVERED,)
_FAIL = (Outcome.FAILED_CLEANLY,)
_EITHER = (Outcome.RECOVERED, Outcome.FAILED_CLEANLY)
_FAIL_OR_WAIT = (Outcome.FAILED_CLEANLY, Outcome.RETRYING)
"""A limit can pass in minutes or hours, so a client may wait long before it tries again."""


_PULLS: dict[str, tuple[Outcome, ...]] = {
    "artifactory-anonymous": _EITHER,
    "artifactory-html-login": _FAIL,
    "azure-sas-rejects-auth": _RECOVER,
    "corporate-proxy": _EITHER,
    "docker-hub-abuse-limited": _FAIL_OR_WAIT,
    "docker-hub-auth-down": _EITHER,
    "docker-hub-blobs-500": _FAIL,
    "docker-hub-rate-limited": _FAIL_OR_WAIT,
    "ecr-token-expired": _FAIL,
    "ghcr-hangs": _EITHER,
    "quay-flapping": _RECOVER,
    "schema1-only": _EITHER,
    "signed-url-expired": _EITHER,
    "waf-html": _FAIL,
}
"""The profiles that one pull meets, and the good outcomes."""

_LOGIN = {"fault": {"type": "challenge", "form": "bearer"}}
"""So that clients without a ping meet the token service, too."""

_HAMMERED = {"name": "hammered", "filter": "endpoint:manifest | endpoint:blob", "at_most": 60}
_PERSISTS = {"name": "gave up too soon", "filter": "endpoint:blob attempt:>2", "at_least": 1}
"""Each reference fails twice, so a client that never requests a blob a third time gave up."""

_TIMING_BOUND = ("ghcr-hangs",)


def documents() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and the document of each case."""
    for name, good in _PULLS.items():
        yield f"{PREFIX}{name}", _document(name, good)


def _document(name: str, good: tuple[Outcome, ...]) -> dict[str, Any]:
    profile = read_yaml(profile_text(name))[0]
    # With one name for all rules, it is enough that the client meets one of them.
    more = [_LOGIN] if name == "ghcr-hangs" else []
    rules = [{**each, "name": name, "optional": "false"} for each in [*profile["rules"], *more]]
    return {
        "summary": profile["summary"],
        "why": _WHY,
        "sources": profile["sources"],
        "good": good,
        "is_timing_bound": name in _TIMING_BOUND,
        "rules": rules,
        "expect": [_HAMMERED, _PERSISTS] if good == _RECOVER and name == "quay-flapping" else [_HAMMERED],
    }
