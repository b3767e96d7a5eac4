"""What all clients did: the results of each case side by side, and what can be said of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from brokenreg.exam.cases import Case, cases
from brokenreg.exam.outcomes import Outcome
from documentation.clients.results import CaseResult, ClientResults, read_results

ORDER = ("skopeo", "podman", "buildah", "docker", "ctr", "oras")
"""The columns. Clients that are not among them follow by name."""


@dataclass(frozen=True)
class Matrix:
    """The results of all clients, without cases that the exam no longer has."""

    clients: Mapping[str, ClientResults]
    cases: Mapping[str, Case]

    def result(self, client: str, case: str) -> CaseResult | None:
        return self.clients[client].cases.get(case)

    def is_good(self, client: str, case: str) -> bool:
        """Return whether a client did in a case what it should."""
        found = self.result(client, case)
        return found is not None and found.outcome in self.cases[case].about.good

    def examined(self, case: str) -> list[str]:
        """Return the clients that have a result."""
        return [each for each in self.clients if self.result(each, case) is not None]

    def those(self, case: str, *outcomes: Outcome) -> list[str]:
        """Return the clients with one of these outcomes."""
        return self.who(case, lambda found: found.outcome in outcomes)

    def who(self, case: str, is_one: Callable[[CaseResult], bool]) -> list[str]:
        return [each for each in self.clients if (found := self.result(each, case)) and is_one(found)]

    def count(self, client: str, outcome: Outcome) -> int:
        return sum(self.clients[client].cases[each].outcome is outcome for each in self.names(client))

    def names(self, client: str) -> list[str]:
        """Return the names of the cases in which a client was examined."""
        return [each for each in self.cases if each in self.clients[client].cases]


def matrix() -> Matrix:
    """Return the published results."""
    found = read_results()
    order = [*(each for each in ORDER if each in found), *(each for each in found if each not in ORDER)]
    return Matrix({each: found[each] for each in order}, {each.name: each for each in cases()})


def listed(names: Sequence[str], nothing: str = "none") -> str:
    """Return names as a list in a sentence."""
    if len(names) < 2:
        return "".join(names) or nothing
    return f"{', '.join(names[:-1])} and {names[-1]}"


def share(found: Matrix, case: str, those: Iterable[str]) -> str:
    """Return how many these are of the clients that met what fails, such as "2 of 6 clients"."""
    met = found.who(case, lambda result: result.outcome is not Outcome.NOT_EXAMINED)
    return f"{len(list(those))} of {len(met)} clients"
