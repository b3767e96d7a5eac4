"""Keeps the rules and breakpoints of all replicas equal, by documents in the database that they share.

A change is made here first, and then published: only if no other replica has published since. Otherwise this
replica adopts the other's document and makes the change again. The change is complete once all live replicas
have adopted it.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from brokenreg.gate.breakpoints import Breakpoints, BreakpointsState
from brokenreg.rules.book_state import BookState
from brokenreg.rules.rule_books import RuleBooks
from brokenreg.rules.shared_evaluation import SharedEvaluation
from brokenreg.runtime.errors import OperationError, RefusedError, UnacknowledgedError, operation_errors
from brokenreg.runtime.preparation import expects_repetitions
from brokenreg.storage.errors import StorageError
from brokenreg.storage.index import Index
from brokenreg.storage.shared.shared_states import Publication, StateConflictError
from brokenreg.traffic.filters import needs_repetitions
from brokenreg.traffic.log import TrafficLog
from brokenreg.wording import quoted

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

Missing = Callable[[int], Awaitable[Sequence[object]]]
"""Waits until all live replicas have adopted a revision, and returns those that have not."""

_ATTEMPTS = 3
_BREAKPOINTS = "breakpoints"
_RULES = "rules:"
"""The beginning of the names of documents with rules, which is followed by the namespace."""


class SharedRules:
    """The rules and breakpoints of this replica, as part of those of the fleet. Call `start` first."""

    def __init__(
        self,
        rules: RuleBooks,
        breakpoints: Breakpoints,
        log: TrafficLog,
        index: Index,
        missing: Missing,
        evaluation: SharedEvaluation,
    ) -> None:
        self.evaluation = evaluation
        """Evaluates rules whose counts decide."""
        self._log = log
        self._rules = rules
        self._breakpoints = breakpoints
        self._index = index
        self._missing = missing
        self._lock = asyncio.Lock()
        self._shared: dict[str, int] = {}
        """The local version of each document that was published or adopted last."""
        self._publishing: dict[str, str | None] = {}
        self._overwritten: set[str] = set()
        """Documents with a change that was lost, because another replica's document was adopted."""
        self._failed: dict[str, int] = {}
        """Documents that cannot be adopted, with their revisions."""
        self._counted: dict[str, set[str]] = {}
        """The identities of the counts of each document's rules."""
        self._is_changing = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Adopt what the fleet has. Publish the initial rules if it has none. Raise `StorageError`."""
        await self._index.catch_up()
        self._index.states.changed = self._follow
        for name in [*self._index.states]:
            self._adopt(name)
        while await self._published() is None:
            pass

    async def adopt(self, revision: int) -> bool:
        """Catch up, and return whether this replica has adopted a revision. Raise `StorageError`."""
        if self._index.states.revision < revision:
            await self._index.catch_up()
        return self._index.states.revision >= revision and all(
            failed > revision for failed in self._failed.values()
        )

    async def change(self, change: Callable[[], Awaitable[Result]]) -> Result:
        """Make a change that calls operations, and publish it. It may be made again.

        Raise what it raises. Raise `OperationError` if it cannot be published, or if it is not acknowledged
        by all replicas.
        """
        async with self._lock:
            self._is_changing = True
            try:
                with operation_errors():
                    result, revision = await self._changed(change)
            finally:
                self._is_changing = False
                self.note_change()
        await self._acknowledged(revision)
        return result

    def note_change(self) -> None:
        """Publish soon what was changed without `change`: by a panel, or at this moment."""
        has_changed = any(map(self._is_dirty, self._names())) or self.evaluation.has_reset_paths
        if has_changed and not self._is_changing:
            task = asyncio.create_task(self._publish_later())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _changed(self, change: Callable[[], Awaitable[Result]]) -> tuple[Result, int]:
        for _ in range(_ATTEMPTS):
            await self._index.catch_up()
            self._overwritten.clear()
            try:
                result = await change()
            except Exception:
                await self._published()  # what was changed before the error
                raise
            if (revision := await self._published()) is not None:
                return result, revision
        raise RefusedError("other replicas change the same rules at the same time: try again")

    async def _publish_later(self) -> None:
        async with self._lock:
            try:
                revision = await self._published()
            except StorageError as error:
                logger.warning("a change of rules or breakpoints was undone: %s", error)
                return
        if revision is None:
            logger.warning(
                "a change of rules or breakpoints was undone: another replica changed the same ones at the "
                "same time"
            )
            return
        try:
            await self._acknowledged(revision)
        except OperationError as error:
            logger.warning("%s", error)

    async def _acknowledged(self, revision: int) -> None:
        with operation_errors():
            missing = await self._missing(revision) if revision else ()
        if missing:
            raise UnacknowledgedError([str(each) for each in missing])

    async def _published(self) -> int | None:
        """Publish what has changed. Return the new revision, or 0 if nothing has changed.

        Return None if another replica was faster. Its documents were adopted then. Raise `StorageError`.
        """
        if self._overwritten:
            self._overwritten.clear()
            return None
        try:
            return await self._publish()
        except StateConflictError:
            await self._index.catch_up()
            self._restore()
            return None
        except StorageError:
            self._restore()
            raise

    async def _publish(self) -> int:
        await self.evaluation.forget_reset_paths()
        versions = {name: self._version(name) for name in self._names() if self._is_dirty(name)}
        known = {name: self._index.states.get(name) for name in versions}
        publications = []
        for name, state in known.items():
            body = self._body(name)
            if body != (None if state is None else state.body):
                publications.append(Publication(name, 0 if state is None else state.revision, body))
        revision = 0
        if publications:
            self._publishing = {each.name: each.body for each in publications}
            try:
                revision = await self._index.publish(publications)
            finally:
                self._publishing = {}
        self._shared |= versions
        for name in versions:
            self._note_counts(name, forget=True)
        return revision

    def _restore(self) -> None:
        """Adopt the documents of the fleet in place of all changes that were not published."""
        for name in self._names():
            if self._is_dirty(name):
                self._adopt(name)

    def _follow(self, name: str) -> None:
        """Adopt a document that was published or deleted, unless this replica has just published it."""
        state = self._index.states.get(name)
        body = None if state is None else state.body
        if name in self._publishing and self._publishing[name] == body:
            return
        if self._is_dirty(name):
            self._overwritten.add(name)
        self._adopt(name)

    def _adopt(self, name: str) -> None:
        state = self._index.states.get(name)
        self._failed.pop(name, None)
        try:
            self._take(name, None if state is None else json.loads(state.body))
        except (ValueError, LookupError, TypeError) as error:
            revision = 0 if state is None else state.revision
            self._failed[name] = revision
            message = "cannot adopt the shared document %s (revision %d): %s: upgrade this replica"
            logger.error(message, quoted(name), revision, error)  # noqa: TRY400 - another version has caused it
        self._shared[name] = self._version(name)
        self._note_counts(name)

    def _note_counts(self, name: str, *, forget: bool = False) -> None:
        """Note which counts a document's rules have. Forget those of rules that this replica removed."""
        if name.startswith(_RULES):
            now = self.evaluation.counted(name.removeprefix(_RULES))
            if forget:
                self.evaluation.forget(self._counted.get(name, set()) - now)
            self._counted[name] = now

    # The two kinds of documents

    def _names(self) -> list[str]:
        local = [f"{_RULES}{namespace}" for namespace in self._rules.namespaces()]
        return [*{_BREAKPOINTS: None, **dict.fromkeys(local), **dict.fromkeys(self._shared)}]

    def _is_dirty(self, name: str) -> bool:
        return self._version(name) != self._shared.get(name, 0)

    def _version(self, name: str) -> int:
        if name == _BREAKPOINTS:
            return self._breakpoints.version
        return self._rules.version_of(name.removeprefix(_RULES))

    def _body(self, name: str) -> str | None:
        """Return the document, or None for one that equals that of a new fleet."""
        document: dict[str, Any]
        if name == _BREAKPOINTS:
            document = self._breakpoints.state().document()
        else:
            namespace = name.removeprefix(_RULES)
            # That of the default namespace stays: a new replica would load its initial scenario otherwise.
            if namespace and self._rules.is_blank(namespace):
                return None
            document = self._rules.state(namespace).document()
        return json.dumps(document, separators=(",", ":"))

    def _take(self, name: str, document: dict[str, Any] | None) -> None:
        if name == _BREAKPOINTS:
            state = BreakpointsState.of(document) if document else Breakpoints().state()
            self._breakpoints.adopt(state)
            if any(needs_repetitions(expression) for _, expression in state.entries):
                self._log.keep_repetitions()
        elif name.startswith(_RULES):
            book = BookState.of(document) if document else None
            self._rules.adopt(name.removeprefix(_RULES), book)
            if book is not None and expects_repetitions([book.scenario]):
                self._log.keep_repetitions()
