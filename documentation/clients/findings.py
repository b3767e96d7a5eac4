"""What stands out on the page. Every number and every name in these sentences comes from the results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from brokenreg.exam.cases import odd_images
from brokenreg.exam.outcomes import Outcome
from brokenreg.wording import counted
from documentation.clients.matrix import Matrix, listed, share
from documentation.markdown import code

PHRASES = {
    Outcome.RECOVERED: "recovered",
    Outcome.HAMMERED: "sent requests too early or too often",
    Outcome.CRASHED: "crashed",
    Outcome.RETRYING: "kept retrying until the time limit",
    Outcome.HUNG: "hung",
    Outcome.SUSPECTED: "reported success without the whole content",
    Outcome.LEAKED: "sent a credential to another host",
    Outcome.ACCEPTED: "kept wrong bytes and reported success",
    Outcome.NOT_EXAMINED: "never sent the request",
}
"""What is said of outcomes. Of all others, it is that the client ended with an error."""

_SUCCESS = (Outcome.RECOVERED, Outcome.HAMMERED, Outcome.LEAKED)
_WRONG = (Outcome.ACCEPTED, Outcome.SUSPECTED)
_REDIRECTS = ("redirect-credentials", "redirect-rejects-authorization", "profile-azure-sas-rejects-auth")
_STALLS = (
    *("connect-stall", "tls-handshake-stalls", "token-stall", "manifest-stall", "manifest-stall-midway"),
    *("config-stall", "layer-stall", "layer-stall-always", "upload-stall", "list-stall"),
)
_BYTES = (
    *("layer-corrupt", "layer-corrupt-late", "layer-corrupt-once", "layer-swap", "layer-empty", "layer-html"),
    *("layer-gzip-unlabelled", "layer-length-shorter", "config-corrupt", "config-swap", "config-empty"),
    *("manifest-corrupt", "redirect-html"),
)
_RANGES = ("range-ignored", "range-shifted", "range-wrong-header", "range-refused")
_LONG = ("list-pages", "list-pages-9000")
_CERTIFICATES = ("tls-expired", "tls-untrusted", "tls-wrong-host")


def findings(found: Matrix) -> Iterator[str]:
    """Yield the findings, each as an item of a list."""
    for topic, sentences in (
        ("One cut in a layer", _cuts(found)),
        ("Ranges", _ranges(found)),
        ("Status 500 and 503", _retries(found)),
        ("Rate limits", _limits(found)),
        ("Stalls", _stalls(found)),
        ("Wrong bytes", _wrong_bytes(found)),
        ("Credentials", _leaks(found)),
        ("Logins", _tokens(found)),
        ("Certificates", _certificates(found)),
        ("Pushes that were carried out and then failed", _processed(found)),
        ("Uploads that are lost", _uploads(found)),
        ("Lists of tags", _lists(found)),
        ("Odd images", _odd_images(found)),
        ("Most requests", _requests(found)),
        ("Messages", _messages(found)),
    ):
        text = " ".join(sentences)
        if text:
            yield f"- **{topic}.** {text}"


def said(found: Matrix, case: str) -> str:
    """Return what all clients did in a case, such as "a recovered, and the others ended with an error"."""
    groups = [(found.those(case, outcome), phrase) for outcome, phrase in PHRASES.items()]
    parts = [f"{listed(those)} {phrase}" for those, phrase in groups if those]
    failed = found.who(case, lambda result: result.outcome not in PHRASES)
    if failed:
        who = "all" if not parts else listed(failed) if len(failed) == 1 else "the others"
        parts.append(f"{who} ended with an error")
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])}, and {parts[-1]}"


def _each(found: Matrix, *cases: tuple[str, str]) -> Iterator[str]:
    """Yield a sentence for each case that has results: what fails, and what all clients did then."""
    for what, case in cases:
        if found.examined(case):
            yield f"{what} ({code(case)}), {said(found, case)}."


def _cuts(found: Matrix) -> Iterator[str]:
    for what, case in (("is closed", "layer-cut"), ("is reset", "layer-cut-reset")):
        if found.examined(case):
            yield (
                f"If the connection {what} once in the middle of a layer ({code(case)}), "
                f"{share(found, case, found.those(case, Outcome.RECOVERED))} recovered: "
                f"{listed(found.those(case, Outcome.RECOVERED))}."
            )
    yield from _each(
        found,
        ("If it is closed three times", "layer-cut-thrice"),
        ("If each response ends after 1 KiB, so that only Range helps", "layer-cut-always"),
    )


def _ranges(found: Matrix) -> Iterator[str]:
    yield from _each(found, ("If the registry ignores Range after a cut", "range-ignored"))
    cases = [each for each in _RANGES if found.examined(each)]
    wrong = _clients_with(found, cases, *_WRONG)
    if cases:
        yield f"{listed(wrong, 'No client')} accepted the bytes of a wrong range."


def _retries(found: Matrix) -> Iterator[str]:
    for what, case in (
        ("a manifest fails with 503 twice", "manifest-503"),
        ("a configuration fails with 503 twice", "config-503"),
        ("a layer fails with 500 twice", "layer-500"),
    ):
        if found.examined(case):
            those = found.those(case, Outcome.RECOVERED)
            yield f"If {what} ({code(case)}), {share(found, case, those)} recovered{_names(those)}."


def _limits(found: Matrix) -> Iterator[str]:
    yield from _each(
        found,
        ("After one 429 for the manifest, with `Retry-After: 1`", "limit-429"),
        ("After two responses with 429 for a layer", "limit-layer"),
        ("If the 429 never ends", "limit-always"),
    )


def _stalls(found: Matrix) -> Iterator[str]:
    cases = [each for each in _STALLS if found.examined(each)]
    parts: list[str] = []
    for client in found.clients:
        own = [each for each in cases if found.result(client, each) is not None]
        hung = [each for each in own if client in found.those(each, Outcome.HUNG)]
        if own:
            parts.append(f"{client} in {len(hung)} of {len(own)}")
    if cases:
        yield (
            f"In {counted(len(cases), 'case')}, something stalls and the connection stays open. These "
            f"clients hung: {listed(parts)}."
        )


def _wrong_bytes(found: Matrix) -> Iterator[str]:
    cases = [each for each in _BYTES if found.examined(each)]
    if not cases:
        return
    yield f"In {counted(len(cases), 'case')}, content does not match its digest."
    accepting = _clients_with(found, cases, *_WRONG)
    careful = [each for each in _clients_with(found, cases, *Outcome) if each not in accepting]
    if careful:
        yield f"{listed(careful)} never accepted it."
    for client in accepting:
        wrong = [each for each in cases if client in found.those(each, *_WRONG)]
        seen = [each for each in wrong if client in found.those(each, Outcome.ACCEPTED)]
        yield f"{client} reported success in {len(wrong)}, and its copy was found to be wrong in {len(seen)}."


def _leaks(found: Matrix) -> Iterator[str]:
    cases = [each for each in _REDIRECTS if found.examined(each)]
    if cases:
        who = listed(_clients_with(found, cases, Outcome.LEAKED), "no client")
        yield f"When layers are redirected to another host, {who} sent a credential there."
    for case in found.cases.values():
        those = found.those(case.name, Outcome.LEAKED)
        if those and case.name not in cases:
            summary = case.about.summary.rstrip(".")
            yield f"{listed(those)} sent a credential to another host in {code(case.name)}: {summary}."


def _tokens(found: Matrix) -> Iterator[str]:
    yield from _each(
        found,
        ("If the token service fails with 503 twice", "token-503"),
        ("If it responds once with 429", "token-429"),
        ("If the token expires before the first layer", "token-expired-midway"),
    )


def _certificates(found: Matrix) -> Iterator[str]:
    cases = [each for each in _CERTIFICATES if found.examined(each)]
    if cases:
        clients = found.examined(cases[0])
        refused = [found.those(each, Outcome.FAILED_CLEANLY) for each in cases]
        those = [each for each in clients if all(each in clients_of for clients_of in refused)]
        yield (
            f"{share(found, cases[0], those)} refused certificates that are expired, from an unknown CA, "
            f"or for another host{_names(those)}."
        )


def _processed(found: Matrix) -> Iterator[str]:
    yield from _each(
        found,
        ("If the registry stores a blob but responds with 500, once", "upload-500-processed"),
        ("If it stores the manifest but responds with 500, once", "tag-500-processed"),
    )


def _uploads(found: Matrix) -> Iterator[str]:
    yield from _each(
        found,
        ("If the registry forgets an upload, once", "upload-lost"),
        ("If the connection is reset in a blob, once", "upload-reset"),
    )


def _lists(found: Matrix) -> Iterator[str]:
    yield from _each(
        found,
        ("With five pages", "list-pages"),
        ("If the list ends after 20 bytes, once", "list-cut"),
        ("If the last page links to the first one", "list-link-cyclic"),
    )


def _odd_images(found: Matrix) -> Iterator[str]:
    names = [each for each in found.cases if each.startswith(odd_images.PREFIX) and found.examined(each)]
    pulled = [each for each in names if found.those(each, Outcome.RECOVERED) == found.examined(each)]
    refused = [each for each in names if not found.those(each, *_SUCCESS, *_WRONG)]
    rest = len(names) - len(pulled) - len(refused)
    odd = [code(each.removeprefix(odd_images.PREFIX)) for each in pulled if not _is_valid(found, each)]
    if names:
        yield (
            f"Of {counted(len(names), 'kind')}, all clients pulled {len(pulled)}, and none pulled "
            f"{len(refused)}. The clients differ about the other {rest}."
        )
    if odd:
        yield f"All pulled these, although a client may refuse them: {listed(odd)}."


def _is_valid(found: Matrix, case: str) -> bool:
    """Return whether a client must pull an image, or its summary says that it is valid."""
    about = found.cases[case].about
    return Outcome.FAILED_CLEANLY not in about.good or "valid." in about.summary


def _requests(found: Matrix) -> Iterator[str]:
    """Yield the largest number of requests of each client, apart from cases that need many."""
    parts: list[str] = []
    for client, results in found.clients.items():
        names = [each for each in found.names(client) if each not in _LONG and not _is_odd(each)]
        if names:
            name = max(names, key=lambda each: results.cases[each].requests)
            parts.append(f"{client} {results.cases[name].counted_requests} ({code(name)})")
    if parts:
        yield f"The highest number in one case, apart from odd images and long lists: {listed(parts)}."


def _messages(found: Matrix) -> Iterator[str]:
    """Yield how often the words of a client that failed named what was wrong."""
    parts: list[str] = []
    for client in found.clients:
        failed = [each for each in found.names(client) if client in found.those(each, Outcome.FAILED_CLEANLY)]
        clear = [each for each in failed if _is_clear(found, client, each)]
        if failed:
            parts.append(f"{client} in {len(clear)} of {len(failed)}")
    if parts:
        yield (
            "If a client failed cleanly, its message named the status, the error code, the digest or a cause "
            f"such as EOF: {listed(parts)}."
        )


def _is_odd(case: str) -> bool:
    return case.startswith(odd_images.PREFIX)


def _is_clear(found: Matrix, client: str, case: str) -> bool:
    result = found.result(client, case)
    return result is not None and bool(result.words) and "neither" not in result.words


def _clients_with(found: Matrix, cases: Sequence[str], *outcomes: Outcome) -> list[str]:
    """Return the clients with one of these outcomes in any of these cases."""
    return [
        client for client in found.clients if any(client in found.those(case, *outcomes) for case in cases)
    ]


def _names(those: Sequence[str]) -> str:
    return f": {listed(those)}" if those else ""
