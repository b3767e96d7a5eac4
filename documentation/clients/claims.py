"""What the help of an odd image says of real clients: which pull it, and which do not."""

from __future__ import annotations

import re

from documentation.clients.matrix import ORDER

_CODE = re.compile(r"`[^`]*`")
_NAME = rf"(?:{'|'.join(ORDER)}|[Aa]ll|[Nn]o client)(?: [\d.]+)?(?: \(Python\))?"
_NAMES = rf"(?:{_NAME}(?:, which [^,]*,|, | and |,? but )?)+"
_PULLS = re.compile(rf"^(?:Only )?({_NAMES}) ?(?:pulls?|copies|downloads?) (?:it|the image|nothing)\b")
_DOES_NOT = re.compile(rf"(?:^|\. |, but )({_NAMES}) ?(?:do|does)(?: not)(?: pull it)?(?=[:,.]|$| on )")
_NOR = re.compile(rf"^Nor (?:do|does) ({_NAMES})")


def claims(text: str) -> dict[str, bool]:
    """Return for each client whether it pulls the image with the parameters that it has by default.

    Sentences about other parameters, and what this cannot read, are left out.
    """
    found: dict[str, bool] = {}
    for sentence in re.split(r"(?<=[.:]) (?=[A-Za-z])", _CODE.sub("`", text)):
        if sentence.startswith(("With ", "Otherwise", "They ")):
            break
        is_only = sentence.startswith("Only ")
        if match := _PULLS.match(sentence):
            pulled = not match[0].startswith("No client") and not match[0].endswith("nothing")
            found |= dict.fromkeys(ORDER, False) if is_only else {}
            found |= dict.fromkeys(_clients(match[1]), pulled)
        for match in (*_DOES_NOT.finditer(sentence), *_NOR.finditer(sentence)):
            found |= dict.fromkeys(_clients(match[1]), False)
    return found


def _clients(names: str) -> list[str]:
    if re.search("all|no client", names, re.IGNORECASE):
        return list(ORDER)
    return [each for each in ORDER if re.search(rf"\b{each}\b", re.sub(r"which [^,]*,", "", names))]
