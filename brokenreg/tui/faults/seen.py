"""What recent exchanges had in the fields of a rule, to suggest it in forms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from textual.suggester import Suggester

from brokenreg.traffic.filter_keys import HEADER_KEY
from brokenreg.traffic.log import TrafficLog
from brokenreg.traffic.matching import network_of
from brokenreg.tui.traffic.completion import LOOKED_AT, values_of

Seen = Mapping[str, Sequence[str]]
"""By id of a field, the likeliest first."""

_MOST = 12
"""Maximum number of values of one field."""


def seen_in(log: TrafficLog) -> Seen:
    """Return what the newest exchanges of a log had. It takes some milliseconds."""
    values = values_of(log.newest(LOOKED_AT))
    clients = (each if network_of(each) is not None else f"{each}*" for each in values["client"])
    found = {
        "match-repository": values["repository"],
        "match-reference": values["reference"],
        "match-method": values["method"],
        "match-client": tuple(clients),
        "match-header": values[HEADER_KEY],
    }
    return {name: each[:_MOST] for name, each in found.items()}


class Suggestions(Suggester):
    """Suggests words that begin with what was typed, or with what was typed after the last comma."""

    def __init__(self, words: Sequence[str]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._words = words

    async def get_suggestion(self, value: str) -> str | None:
        start = max(value.rfind(","), value.rfind("|")) + 1
        start += len(value[start:]) - len(value[start:].lstrip())
        begun = value[start:].lower()
        found = (each for each in self._words if begun and each.lower().startswith(begun))
        word = next(found, None)
        return None if word is None else value[:start] + value[start:] + word[len(begun) :]
