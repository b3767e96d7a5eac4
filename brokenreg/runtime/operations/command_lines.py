"""The command line that does the same as an operation, for a POSIX shell.

Most are `brokenreg` commands. What has no command is a request to the control API with curl. `BROKENREG_URL`
has the address of the API, also for the commands. No command line contains a token or another secret.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote, urlencode

from brokenreg.gate.passage import HEADERS, STEP, Abort, Order, Resume, Step
from brokenreg.oci.sizes import written_size
from brokenreg.rules.rule import Rule

_COUNTS = ("skip", "times", "probability", "per")


def rule_added(namespace: str, rule: Rule, *, first: bool = False) -> str:
    """Return `brokenreg rules add FAULT ...`."""
    if _is_nested(rule):
        return _request("POST", "/v1/rules", namespace, rule.written())
    flags = ["--first"] if first else []
    return _line(["rules", "add"], _fault_words(rule), [*_rule_options(rule), *flags], namespace)


def rule_replaced(namespace: str, rule_id: int, rule: Rule) -> str:
    """Return `brokenreg rules replace ID FAULT ...`."""
    if _is_nested(rule):
        return _request("PUT", f"/v1/rules/{rule_id}", namespace, rule.written())
    return _line(["rules", "replace"], [str(rule_id), *_fault_words(rule)], [*_rule_options(rule)], namespace)


def rules_enabled(namespace: str, ids: Iterable[int], *, enabled: bool) -> str:
    """Return `brokenreg rules enable IDS` or `brokenreg rules disable IDS`."""
    return _line(["rules", "enable" if enabled else "disable"], map(str, ids), [], namespace)


def rule_moved(namespace: str, rule_id: int, by: int) -> str:
    """Return `brokenreg rules move ID --up N`, or `--down N`."""
    way = "--up" if by < 0 else "--down"
    return _line(["rules", "move"], [str(rule_id)], [way, str(abs(by))], namespace)


def rule_removed(namespace: str, rule_id: int) -> str:
    """Return `brokenreg rules remove ID`."""
    return _line(["rules", "remove"], [str(rule_id)], [], namespace)


def rules_cleared(namespace: str) -> str:
    """Return `brokenreg rules clear`."""
    return _line(["rules", "clear"], [], [], namespace)


def scenario_loaded(namespace: str, file: str) -> str:
    """Return `brokenreg scenario load FILE`; `-`, standard input, if the file is unknown."""
    return _line(["scenario", "load"], [file or "-"], [], namespace)


def held(exchange_id: int, at: int | None, replica: str = "") -> str:
    """Return `brokenreg hold ID`, with `--at` and `--replica` if they are given."""
    where = [] if at is None else ["--at", "headers" if at == HEADERS else written_size(at)]
    return _line(["hold"], [str(exchange_id)], [*where, *_at(replica)])


def ordered(order: Order, exchange_id: int | None = None, replica: str = "") -> str:
    """Return `brokenreg resume`, `step` or `abort`, for one exchange or for all that are held.

    `replica` is the replica of the fleet that has them.
    """
    match order:
        case Resume():
            words, options = ["resume"], []
        case Step(size):
            words, options = ["step"], [] if size == STEP else ["--bytes", written_size(size)]
        case Abort(status):
            words, options = ["abort"], [] if status is None else ["--status", str(status)]
    return _line(words, [] if exchange_id is None else [str(exchange_id)], [*options, *_at(replica)])


def _at(replica: str) -> list[str]:
    return ["--replica", replica] if replica else []


def head_edited(exchange_id: int) -> str:
    """Return a comment: the values of headers may be secrets."""
    return f"# edited the status or headers of exchange {exchange_id}: POST /v1/exchanges/{exchange_id}/edit"


def breakpoint_added(expression: str) -> str:
    """Return `brokenreg breakpoints add EXPRESSION`."""
    return _line(["breakpoints", "add"], [expression], [])


def breakpoint_removed(breakpoint_id: int) -> str:
    """Return `brokenreg breakpoints remove ID`."""
    return _line(["breakpoints", "remove"], [str(breakpoint_id)], [])


def breakpoints_enabled(*, enabled: bool) -> str:
    """Return `brokenreg breakpoints enable` or `disable`."""
    return _line(["breakpoints", "enable" if enabled else "disable"], [], [])


def breakpoints_cleared() -> str:
    """Return the request that removes all breakpoints."""
    return _request("DELETE", "/v1/breakpoints")


def was_reset(namespace: str) -> str:
    """Return `brokenreg reset`."""
    return _line(["reset"], [], [], namespace)


def blob_changed(method: str, digest: str, action: str = "", namespace: str = "") -> str:
    """Return a request for a blob: delete it, or an action such as `verify`."""
    return _request(method, f"/v1/blobs/{digest}{action and f'/{action}'}", namespace)


def repository_changed(
    method: str, namespace: str, repository: str, path: str = "", body: dict[str, str] | None = None
) -> str:
    """Return a request for a repository, or for a tag or manifest in it, `/tags/v1`."""
    return _request(method, f"/v1/repositories/{repository}{path}", namespace, body)


def _line(words: list[str], operands: Iterable[str], options: Iterable[str], namespace: str = "") -> str:
    operands, options = list(operands), list(options)
    options += ["--namespace", namespace] if namespace else []
    if any(each.startswith("-") and each != "-" for each in operands):
        return shlex.join(["brokenreg", *words, *options, "--", *operands])
    return shlex.join(["brokenreg", *words, *operands, *options])


def _request(method: str, path: str, namespace: str = "", body: Any = None) -> str:
    query = f"?{urlencode({'namespace': namespace})}" if namespace else ""
    url = f'"$BROKENREG_URL{quote(path, safe="/:+")}{query}"'
    data = f" --data {shlex.quote(json.dumps(body, ensure_ascii=False))}" if body is not None else ""
    return f"curl -sS --fail -X {method} {url}{data}"


def _is_nested(rule: Rule) -> bool:
    """Return whether a parameter of a fault is a list or a mapping, which `rules add` cannot express."""
    values = (value for fault in rule.fault for value in fault.parameters().values())
    return any(isinstance(value, list | dict) for value in values)


def _fault_words(rule: Rule) -> Iterator[str]:
    for place, fault in enumerate(rule.fault):
        yield from ("+",) if place else ()
        yield fault.name
        for name, value in fault.parameters().items():
            if value is not None:
                yield f"{name}={str(value).lower() if isinstance(value, bool) else value}"


def _rule_options(rule: Rule) -> Iterator[str]:
    written = rule.written()
    match = written.get("match", {})
    for name in ("name", *match, *_COUNTS):
        if name == "header":
            for header, glob in match["header"].items():
                yield from ("--header", f"{header}={glob}")
        elif (value := match[name] if name in match else written.get(name)) is not None:
            yield from (f"--{name}", str(value))
    yield from () if rule.after is None else ("--after-rule", rule.after)
    for flag in ("override", "optional"):
        yield from (f"--{flag}",) if written.get(flag) else ()
    yield from ("--disabled",) if not rule.enabled else ()
