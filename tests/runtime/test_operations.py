"""Operations have the same effects and errors in the control API and in the panel."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest

from brokenreg.assembly.server import Server
from brokenreg.config.settings import Settings
from brokenreg.diagnostics import Diagnostics
from brokenreg.gate.edits import EditableHead
from brokenreg.gate.passage import Resume
from brokenreg.oci.digests import Digest
from brokenreg.oci.mediatypes import OCI_MANIFEST, manifest_facts
from brokenreg.rules.rule import rule_of
from brokenreg.rules.rule_books import MAX_NAMESPACES
from brokenreg.rules.scenario_text import load_scenario
from brokenreg.runtime.errors import (
    FailedError,
    InvalidError,
    NotFoundError,
    OperationError,
    RefusedError,
)
from brokenreg.runtime.lookups import waiting_head
from brokenreg.runtime.operations import Access, Operations
from brokenreg.runtime.runtime import ALL_NAMESPACES, Runtime
from brokenreg.storage.errors import StorageClosedError
from brokenreg.storage.index import Index
from brokenreg.storage.records import Manifest, RepositoryKey
from brokenreg.tui.blobs.changes import delete, toggle_corruption
from brokenreg.tui.blobs.survey import Blob, Kind, survey

PUSHED = ("", "team/web")
CACHED = ("@quay.io", "org/app")

STATUSES: dict[type[OperationError], int] = {
    InvalidError: 400,
    NotFoundError: 404,
    RefusedError: 409,
    FailedError: 500,
}


@dataclass(frozen=True)
class Outcome:
    """The HTTP status (or the one that corresponds to the error of an operation), and the error."""

    status: int
    error: str = ""
    document: Any = field(default=None, compare=False)


class API:
    """Operations through the control API."""

    def __init__(self, runtime: Runtime, http: httpx.AsyncClient) -> None:
        self.runtime = runtime
        self._http = http

    async def _ask(self, method: str, path: str, **more: Any) -> Outcome:
        response = await self._http.request(method, path, **more)
        document: Any = response.json() if response.content else None
        if response.is_error:
            assert response.headers["content-type"] == "application/problem+json"
            return Outcome(response.status_code, document["detail"])
        return Outcome(200, document=document)

    async def delete_blob(self, digest: Digest, namespace: str = ALL_NAMESPACES) -> Outcome:
        return await self._ask("DELETE", f"/v1/blobs/{digest}", params={"namespace": namespace})

    async def evict(self, digest: Digest) -> Outcome:
        return await self._ask("POST", f"/v1/blobs/{digest}/evict")

    async def verify(self, digest: Digest) -> Outcome:
        return await self._ask("POST", f"/v1/blobs/{digest}/verify")

    async def corrupt(self, digest: Digest) -> Outcome:
        return await self._ask("POST", f"/v1/blobs/{digest}/corrupt")

    async def stop_corrupting(self, digest: Digest) -> Outcome:
        return await self._ask("DELETE", f"/v1/blobs/{digest}/corrupt")

    async def tag(self, key: RepositoryKey, digest: Digest, tag: str) -> Outcome:
        path = f"/v1/repositories/{key[1]}/tags/{tag}"
        return await self._ask("PUT", path, params={"namespace": key[0]}, json={"digest": digest})

    async def delete_tag(self, key: RepositoryKey, tag: str) -> Outcome:
        path = f"/v1/repositories/{key[1]}/tags/{tag}"
        return await self._ask("DELETE", path, params={"namespace": key[0]})

    async def delete_manifest(self, key: RepositoryKey, reference: str) -> Outcome:
        path = f"/v1/repositories/{key[1]}/manifests/{reference}"
        return await self._ask("DELETE", path, params={"namespace": key[0]})

    async def add_rule(self, namespace: str, rule: dict[str, Any]) -> Outcome:
        return await self._ask("POST", "/v1/rules", params={"namespace": namespace}, json=rule)

    async def replace_rule(self, rule_id: int, rule: dict[str, Any]) -> Outcome:
        return await self._ask("PUT", f"/v1/rules/{rule_id}", json=rule)

    async def remove_rule(self, rule_id: int) -> Outcome:
        return await self._ask("DELETE", f"/v1/rules/{rule_id}")

    async def load(self, path: Path, namespace: str = "") -> Outcome:
        yaml = {"content-type": "application/yaml", "accept": "application/json"}
        params = {"namespace": namespace}
        return await self._ask("PUT", "/v1/scenario", params=params, content=path.read_bytes(), headers=yaml)

    async def add_breakpoint(self, expression: str) -> Outcome:
        return await self._ask("POST", "/v1/breakpoints", json={"expression": expression})

    async def remove_breakpoint(self, breakpoint_id: int) -> Outcome:
        return await self._ask("DELETE", f"/v1/breakpoints/{breakpoint_id}")

    async def hold(self, exchange_id: int) -> Outcome:
        return await self._ask("POST", f"/v1/exchanges/{exchange_id}/hold")

    async def resume(self, exchange_id: int) -> Outcome:
        return await self._ask("POST", f"/v1/exchanges/{exchange_id}/resume")

    async def edit(self, exchange_id: int, status: int) -> Outcome:
        return await self._ask("POST", f"/v1/exchanges/{exchange_id}/edit", json={"status": status})


class Panel:
    """The same operations, as the panel calls them."""

    def __init__(self, runtime: Runtime, http: httpx.AsyncClient) -> None:
        del http
        self.runtime = runtime
        self._operations = Operations(runtime, Access.FULL)

    async def _blob(self, digest: Digest) -> Blob:
        blobs = [blob for blob in await survey(self.runtime) if blob.digest == digest]
        return blobs[0] if blobs else Blob(digest, Kind.UNKNOWN, 0, None, (), (), (), None)

    async def delete_blob(self, digest: Digest, namespace: str = ALL_NAMESPACES) -> Outcome:
        if namespace != ALL_NAMESPACES:  # which the panel does not offer
            return await _outcome(lambda: self._operations.delete_blob(digest, namespace))
        blob = await self._blob(digest)
        return await _outcome(lambda: delete(self._operations, blob))

    async def evict(self, digest: Digest) -> Outcome:
        return await _outcome(lambda: self._operations.evict_blob(digest))

    async def verify(self, digest: Digest) -> Outcome:
        async def verify() -> dict[str, Any]:
            finding = await self._operations.verify(digest)
            return {
                "digest": finding.digest,
                "size": finding.size,
                "found": finding.found,
                "intact": finding.is_intact,
            }

        return await _outcome(verify)

    async def corrupt(self, digest: Digest) -> Outcome:
        blob = await self._blob(digest)
        return await _outcome(lambda: toggle_corruption(self.runtime, self._operations, blob))

    async def stop_corrupting(self, digest: Digest) -> Outcome:
        return await _outcome(lambda: self._operations.stop_corrupting(digest))

    async def tag(self, key: RepositoryKey, digest: Digest, tag: str) -> Outcome:
        return await _outcome(lambda: self._operations.tag_manifest(key, digest, tag))

    async def delete_tag(self, key: RepositoryKey, tag: str) -> Outcome:
        return await _outcome(lambda: self._operations.delete_tag(key, tag))

    async def delete_manifest(self, key: RepositoryKey, reference: str) -> Outcome:
        return await _outcome(lambda: self._operations.delete_manifest(key, reference))

    async def add_rule(self, namespace: str, rule: dict[str, Any]) -> Outcome:
        return await _outcome(lambda: self._operations.add_rule(namespace, rule_of(rule), "panel"))

    async def replace_rule(self, rule_id: int, rule: dict[str, Any]) -> Outcome:
        return await _outcome(lambda: self._operations.replace_rule("", rule_id, rule_of(rule), "panel"))

    async def remove_rule(self, rule_id: int) -> Outcome:
        return await _outcome(lambda: self._operations.remove_rule("", rule_id))

    async def load(self, path: Path, namespace: str = "") -> Outcome:
        return await _outcome(
            lambda: self._operations.load_scenario(namespace, lambda: load_scenario(path), str(path))
        )

    async def add_breakpoint(self, expression: str) -> Outcome:
        return await _outcome(lambda: self._operations.add_breakpoint(expression))

    async def remove_breakpoint(self, breakpoint_id: int) -> Outcome:
        return await _outcome(lambda: self._operations.remove_breakpoint(breakpoint_id))

    async def hold(self, exchange_id: int) -> Outcome:
        return await _outcome(lambda: self._operations.hold(exchange_id, "hand"))

    async def resume(self, exchange_id: int) -> Outcome:
        return await _outcome(lambda: self._operations.carry_out(exchange_id, Resume()))

    async def edit(self, exchange_id: int, status: int) -> Outcome:
        def edit() -> None:
            waiting = waiting_head(self.runtime, exchange_id)
            self._operations.edit(exchange_id, EditableHead(status, waiting.headers))

        return await _outcome(edit)


async def _outcome(operation: Callable[[], Any]) -> Outcome:
    try:
        done = operation()
        if isinstance(done, Awaitable):
            done = await done
    except OperationError as error:
        return Outcome(STATUSES[type(error)], str(error))
    return Outcome(200, document=done)


@pytest.fixture(params=[API, Panel])
async def by(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[API | Panel]:
    settings = Settings(listen=["127.0.0.1:0"], control="127.0.0.1:0", data=tmp_path / "data", offline=True)
    async with Server.running(settings, Diagnostics()) as server:
        assert server.control_url is not None
        async with httpx.AsyncClient(base_url=server.control_url, timeout=30) as http:
            yield request.param(server.runtime, http)


async def store_blob(runtime: Runtime, key: RepositoryKey, content: bytes) -> Digest:
    """Store a blob as a push or a pull does."""
    digest = Digest.of(content)
    runtime.store.folder.blob(digest).write_bytes(content)
    await runtime.store.index.link_blob(key, digest, time.time())
    if key[0]:
        runtime.store.cache.used(digest, len(content))
    return digest


async def store_manifest(runtime: Runtime, key: RepositoryKey, layer: Digest, *tags: str) -> Digest:
    body = json.dumps({"schemaVersion": 2, "layers": [{"digest": layer, "size": 1}]}).encode()
    manifest = Manifest(Digest.of(body), OCI_MANIFEST, len(body), manifest_facts(body))
    await runtime.store.index.put_manifest(key, manifest, body, tags)
    return manifest.digest


def is_linked(runtime: Runtime, key: RepositoryKey, digest: Digest) -> bool:
    repository = runtime.store.index.repository(key)
    return repository is not None and digest in repository.links


@pytest.mark.parametrize("operation", ["delete_blob", "evict"])
async def test_a_cached_blob_is_evicted_unless_a_client_reads_it(
    by: API | Panel, operation: Literal["delete_blob", "evict"]
) -> None:
    digest = await store_blob(by.runtime, CACHED, b"cached")
    evict = getattr(by, operation)
    with by.runtime.store.blobs.pin(digest):
        assert await evict(digest) == Outcome(409, "the blob is in use: a client is reading it")
        assert is_linked(by.runtime, CACHED, digest)
    assert (await evict(digest)).status == 200
    assert by.runtime.store.blobs.size(digest) is None
    assert not is_linked(by.runtime, CACHED, digest)
    gone = await evict(digest)
    assert gone.status == 404
    assert gone.error.startswith(f'no {"cached " if operation == "evict" else ""}blob "{digest}"')


async def test_a_blob_that_is_cached_and_pushed_is_deleted_from_both(by: API | Panel) -> None:
    for key in (CACHED, PUSHED):
        digest = await store_blob(by.runtime, key, b"both")
    with by.runtime.store.blobs.pin(digest):
        assert (await by.delete_blob(digest)).status == 200
    assert not by.runtime.store.index.is_linked(digest)


async def test_a_blob_that_two_upstreams_have_is_deleted_from_one(by: API | Panel) -> None:
    other = ("@docker.io", "library/app")
    for key in (CACHED, other):
        digest = await store_blob(by.runtime, key, b"both")
    for key, size in ((CACHED, 4), (other, None)):
        assert (await by.delete_blob(digest, key[0])).status == 200
        assert not is_linked(by.runtime, key, digest)
        assert by.runtime.store.blobs.size(digest) == size


async def test_a_pushed_blob_stays_when_it_is_evicted(by: API | Panel) -> None:
    for key in (CACHED, PUSHED):
        digest = await store_blob(by.runtime, key, b"both")
    assert (await by.evict(digest)).status == 200
    assert is_linked(by.runtime, PUSHED, digest)
    assert not is_linked(by.runtime, CACHED, digest)
    assert by.runtime.store.blobs.size(digest) == 4


async def test_blobs_manifests_and_fabricated_layers_are_verified(by: API | Panel) -> None:
    blob = await store_blob(by.runtime, PUSHED, b"right")
    manifest = await store_manifest(by.runtime, PUSHED, blob, "v1")
    image = await by.runtime.images.image("broken/random", "layers-1_size-3145728")
    for digest in (blob, manifest, image.digest, image.config_digest, Digest(image.layers[0].sums.digest)):
        verified = (await by.verify(digest)).document
        assert (verified["digest"], verified["found"], verified["intact"]) == (digest, digest, True)
        assert verified["size"] > 0
    by.runtime.store.folder.blob(blob).write_bytes(b"wrong")
    verified = (await by.verify(blob)).document
    assert verified == {"digest": blob, "size": 5, "found": Digest.of(b"wrong"), "intact": False}
    why = "it was corrupt on disk and is no longer served; push it again"
    for operation in (by.verify, by.corrupt):
        assert await operation(blob) == Outcome(404, f'no blob "{blob}": {why}')
    assert (await by.verify(Digest.of(b"other"))).error.startswith(f'no blob "{Digest.of(b"other")}"')


async def test_a_blob_is_corrupted_in_all_its_namespaces_and_no_longer(by: API | Panel) -> None:
    for key in (CACHED, PUSHED, ("a", "x"), ("a", "y")):
        digest = await store_blob(by.runtime, key, b"blob")
    assert (await by.corrupt(digest)).status == 200
    rules = by.runtime.rules
    found = [(name, each.rule.match.reference) for name in ("", "a") for each in rules.book(name)]
    assert found == [("", digest), ("a", digest)]
    assert (await by.stop_corrupting(digest)).status == 200
    assert len(rules) == 0
    assert (await by.stop_corrupting(digest)).status == 404


async def test_nothing_is_corrupted_if_one_namespace_has_too_many_rules(by: API | Panel) -> None:
    rules = by.runtime.rules
    for number in range(MAX_NAMESPACES - len(rules.namespaces())):
        rules.book(f"n{number}").add(rule_of({"fault": "error"}), "test")
    digest = await store_blob(by.runtime, PUSHED, b"blob")
    await store_blob(by.runtime, ("one-more", "x"), b"blob")
    before = len(rules)
    outcome = await by.corrupt(digest)
    assert outcome.status == 400
    assert "namespaces have rules" in outcome.error
    assert len(rules) == before


async def test_tags_are_pointed_at_manifests_of_the_same_repository(by: API | Panel) -> None:
    first = await store_manifest(by.runtime, PUSHED, Digest.of(b"1"), "v1")
    second = await store_manifest(by.runtime, PUSHED, Digest.of(b"2"), "v2")
    cached = await store_manifest(by.runtime, CACHED, Digest.of(b"3"), "v3")
    assert (await by.tag(PUSHED, first, "v2")).status == 200
    assert dict(by.runtime.store.index.repositories[PUSHED].tags) == {"v1": first, "v2": first}
    assert second in by.runtime.store.index.repositories[PUSHED].manifests
    outcomes = [
        (await by.tag(PUSHED, cached, "v4"), Outcome(404, f'no manifest "{cached}" in team/web')),
        (
            await by.tag(CACHED, cached, "v4"),
            Outcome(409, "cached tags belong to the upstream; push the image to this registry to tag it"),
        ),
    ]
    for outcome, expected in outcomes:
        assert outcome == expected
    invalid = await by.tag(PUSHED, first, "-")
    assert (invalid.status, "invalid tag" in invalid.error) == (400, True)
    assert (await by.tag(("", "none"), first, "v1")).error.startswith('no repository "none"')


async def test_what_is_missing_cannot_be_deleted(by: API | Panel) -> None:
    await store_manifest(by.runtime, PUSHED, Digest.of(b"1"), "v1")
    assert await by.delete_tag(PUSHED, "v2") == Outcome(404, 'no tag "v2" in team/web')
    assert await by.delete_manifest(PUSHED, "v2") == Outcome(404, 'no manifest "v2" in team/web')
    assert (await by.delete_tag(("", "none"), "v1")).error.startswith('no repository "none"')
    assert (await by.delete_tag(PUSHED, "v1")).status == 200


async def test_a_storage_that_fails_is_reported(by: API | Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    await store_manifest(by.runtime, PUSHED, Digest.of(b"1"), "v1")

    async def fail(*_: object) -> bool:
        raise StorageClosedError

    monkeypatch.setattr(Index, "delete_tag", fail)
    assert await by.delete_tag(PUSHED, "v1") == Outcome(500, str(StorageClosedError()))


async def test_rules_are_replaced_and_removed(by: API | Panel) -> None:
    assert (await by.add_rule("", {"fault": "error"})).status == 200
    (active,) = by.runtime.rules.book("")
    active.matched = active.applied = 3
    assert (await by.replace_rule(active.id, {"fault": "error", "times": 2})).status == 200
    (replaced,) = by.runtime.rules.book("")
    assert (replaced.id, replaced.matched, replaced.applied, replaced.rule.times) == (active.id, 0, 0, 2)
    assert (await by.remove_rule(active.id)).status == 200
    for outcome in (
        await by.replace_rule(active.id, {"fault": "error"}),
        await by.remove_rule(active.id),
    ):
        assert outcome.status == 404
        assert outcome.error.startswith(f'no rule "{active.id}"')
    refused = await by.add_rule("a", {"fault": "accept"})
    assert refused.status == 400
    assert refused.error.startswith("fault: accept")


async def test_an_invalid_scenario_changes_nothing(by: API | Panel, tmp_path: Path) -> None:
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text("rules:\n- fault: error\n- fault: reset\n")
    assert (await by.load(scenario)).status == 200
    scenario.write_text("rules:\n- fault: {type: truncate, after: much}\n")
    invalid = await by.load(scenario)
    assert invalid.status == 400
    assert '2: rules[0].fault.after: invalid size "much"' in invalid.error
    assert [each.rule.fault[0].name for each in by.runtime.rules.book("")] == ["error", "reset"]
    scenario.write_text("rules:\n- fault: error\n- fault: accept\n")
    invalid = await by.load(scenario, "a")
    where = f"{scenario}: " if isinstance(by, Panel) else ""
    assert invalid.status == 400
    assert invalid.error.startswith(f"{where}rules[1].fault: accept")
    assert not len(by.runtime.rules.book("a"))


async def test_breakpoints_are_added_and_removed(by: API | Panel) -> None:
    assert (await by.add_breakpoint("status:5xx")).status == 200
    invalid = await by.add_breakpoint("staus:5xx")
    assert invalid.status == 400
    assert invalid.error.startswith("expression: ")
    (added,) = by.runtime.gate.breakpoints
    assert (await by.remove_breakpoint(added.id)).status == 200
    missing = await by.remove_breakpoint(added.id)
    assert missing.status == 404
    assert missing.error.startswith(f'no breakpoint "{added.id}"')


async def test_only_what_is_held_is_resumed_and_edited(by: API | Panel) -> None:
    await by.add_rule("", {"fault": "error"})
    address = by.runtime.status().registry[0]
    async with httpx.AsyncClient(base_url=address) as client:
        assert (await client.get("/v2/x/manifests/v1")).is_error
    exchange = by.runtime.log[by.runtime.log.end - 1]
    ended = await by.hold(exchange.id)
    assert (ended.status, "not in flight" in ended.error) == (409, True)
    for outcome in (await by.resume(exchange.id), await by.edit(exchange.id, 418)):
        assert (outcome.status, "not held" in outcome.error) == (409, True)
