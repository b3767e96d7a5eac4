"""docs/explanation/clients.md: what real clients do, from the published results alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

from brokenreg.exam.cases import Case, odd_images, of_profiles
from brokenreg.exam.outcomes import Outcome
from brokenreg.images.catalogue import CATALOGUE
from documentation.clients.findings import findings
from documentation.clients.matrix import Matrix, listed, matrix
from documentation.clients.tables import CELLS, MEANING, cases_table, outcomes_table
from documentation.markdown import table

_HEAD = """\
# What real clients do

[The exam](../how-to/exam.md) ran {count} clients in up to {cases} cases on {when}. In each case,
something fails as it has failed in real registries, or the image is odd. This page shows what stands
out, and then what each client did in each case.

**Most of these versions are old:** they come from Debian 12. Newer ones may do better or worse. You can
[examine yours](#repeat-a-case-or-examine-your-version).
"""

_ABOUT = """\
All clients ran as root on Linux, on a machine with two processors, with a registry on 127.0.0.1. Each
case had content of its own, and a time limit of {timeout}. podman, buildah, docker and ctr stored layers
as plain copies (vfs or native). The exam fills in what is in braces:
"""

_SPECIAL = """\
- skopeo, podman and buildah use the same library, containers/image. skopeo copies layers without unpacking
  them, so it does not see what is in them.
- docker does not verify certificates on 127.0.0.1, so it was not examined over TLS.
- buildah, docker and ctr have no command that lists tags. None of the clients has one that lists referrers,
  so the cases for it are not on this page.
- oras is the Python package, not the program of that name. A script calls its method `pull`, and reports
  any exception in one line. `pull` downloads no configuration, so it does not reach what fails there.
"""

_REPEAT = """\
To repeat a case, run the client's command from above with these options. With this seed, the content is
the same:

```sh
brokenreg exam --only layer-cut --seed {seed} --timeout {timeout} -- {command}
```

Pass each of the other commands in quotes, after `--pull-tls`, `--push`, `--list` or `--cleanup`. The scripts
are in the repository.

To compare two versions, examine the older one with `--json older.json`. Then examine the newer one with
`--merge older.json --html both.html`. [How to examine a client](../how-to/exam.md) has more about it. In a
clone of the repository, `make clients` examines the clients that are installed, and writes this page again.
"""

_READ = """\
✓ means that the client recovered, and ✗ that it failed cleanly. Both can be right: a client should
refuse an image that is broken. **Bold and an exclamation mark** mean that the outcome is not good in
this case. If a cell is empty, the client was not examined there. Times of at least 2 s and numbers of
at least 30 requests are shown. The name of a case links to the fault, the image or the profile in it.

✓ for an odd image says that the client pulled it. It does not say what the content did after that.
"""

_HOSTS = """\
"Leaked" and "suspected" say what the exam observed, and no more.
"""

_SECTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Connections and TLS", ("connect", "tls", "http2")),
    ("Ping and login", ("ping", "challenge")),
    ("Tokens", ("token",)),
    ("Manifests", ("manifest",)),
    ("Configurations", ("config",)),
    ("Layers", ("layer",)),
    ("Ranges", ("range",)),
    ("Redirects", ("redirect",)),
    ("Rate limits", ("limit",)),
    ("Headers", ("headers",)),
    ("Profiles of real registries", (of_profiles.PREFIX.rstrip("-"),)),
)
"""The sections of pulls by the families of their cases. Other families have one of their own."""

_ACTIONS = {"push": "Pushes", "list": "Lists of tags", "referrers": "Lists of referrers"}


def clients_page() -> str:
    """Return the page."""
    return "\n".join(_lines(matrix())).rstrip("\n") + "\n"


def _lines(found: Matrix) -> Iterator[str]:
    first = next(iter(found.clients.values()))
    cases = max(len(found.names(each)) for each in found.clients)
    yield _HEAD.format(count=len(found.clients), cases=cases, when=_dates(found))
    yield "## What stands out\n"
    yield from findings(found)
    yield "\n## Outcomes\n\nIn how many cases each client had each outcome:\n"
    yield from outcomes_table(found)
    yield ""
    yield from table(("outcome", "in the tables below", "meaning"), _meanings(found))
    yield f"\n{_HOSTS}"
    yield "## What was run\n"
    yield from table(("client", "version", "date", "cases"), _versions(found))
    yield f"\n{_ABOUT.format(timeout=_timeout(first.timeout))}"
    yield from _commands(found)
    yield _SPECIAL
    yield "## Repeat a case, or examine your version\n"
    yield _REPEAT.format(seed=first.seed, timeout=first.timeout, command=first.commands["pull"])
    yield "## All cases\n"
    yield _READ
    for title, cases_of_section in _sections(found):
        if any(found.examined(each.name) for each in cases_of_section):
            yield f"### {title}\n"
            yield from cases_table(found, cases_of_section)
            yield ""


def _dates(found: Matrix) -> str:
    days = sorted({each.date for each in found.clients.values()})
    return listed([f"{date.fromisoformat(each):%d %B %Y}".lstrip("0") for each in days])


def _timeout(text: str) -> str:
    return f"{text.removesuffix('s')} s"


def _versions(found: Matrix) -> Iterator[Sequence[str]]:
    for name, each in found.clients.items():
        note = f" ({each.note})" if each.note else ""
        yield name, f"{each.version}{note}", each.date, str(len(found.names(name)))


def _commands(found: Matrix) -> Iterator[str]:
    yield "```text"
    for name, each in found.clients.items():
        for action, command in each.commands.items():
            yield f"{f'{name}, {action}:':18} {command}"
        if each.cleanup:
            yield f"{f'{name}, cleanup:':18} {each.cleanup}"
    yield "```\n"


def _meanings(found: Matrix) -> Iterator[Sequence[str]]:
    for outcome in Outcome:
        if any(found.count(each, outcome) for each in found.clients):
            yield str(outcome), CELLS.get(outcome, str(outcome)), MEANING.get(outcome, "")


def _sections(found: Matrix) -> Iterator[tuple[str, list[Case]]]:
    """Yield the title and the cases of each section. Every case is in one of them."""
    cases = list(found.cases.values())
    pulls = [each for each in cases if each.action in ("pull", "pull-tls")]
    odd = [each for each in pulls if each.name.startswith(odd_images.PREFIX)]
    others = [each for each in pulls if each not in odd]
    for title, families in _SECTIONS:
        yield title, [each for each in others if each.family in families]
    known = {family for _, families in _SECTIONS for family in families}
    for family in dict.fromkeys(each.family for each in others if each.family not in known):
        yield family.capitalize(), [each for each in others if each.family == family]
    for family in dict.fromkeys(kind.family() for kind in CATALOGUE.values()):
        names = [odd_images.PREFIX + name for name, kind in CATALOGUE.items() if kind.family() == family]
        yield f"Odd images: {family}", [found.cases[each] for each in names if each in found.cases]
    for action in dict.fromkeys(each.action for each in cases if each not in pulls):
        title = _ACTIONS.get(action, action.capitalize())
        yield title, [each for each in cases if each.action == action]
