"""Which exchanges belong to one pull or push."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from exchanges import DOCKER, answer, digest, end, exchange, small_pull
from hypothesis import given
from hypothesis import strategies as st

from brokenreg.oci.mediatypes import ManifestFacts
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.log import TrafficLog
from brokenreg.tui.traffic.grouping import Transfers
from brokenreg.tui.traffic.summary import summarise
from brokenreg.tui.traffic.transfer import IDLE, MEMBERS, Kind, Transfer

SESSION = f"blobs/uploads/{1:032x}"
A, B, C = digest("aa"), digest("bb"), digest("cc")


def nothing(exchange: Exchange) -> ManifestFacts:
    return ManifestFacts()


def grouped(exchanges: Iterable[Exchange], transfers: Transfers | None = None) -> list[Transfer | None]:
    transfers = transfers or Transfers(nothing)
    return [transfers.assign(each) for each in exchanges]


def asked(
    log: TrafficLog,
    what: str,
    at: float,
    method: str = "GET",
    agent: str = DOCKER,
    client: str = "127.0.0.1:9",
) -> Exchange:
    made = exchange(log, f"/v2/library/app/{what}", method=method, at=at, agent=agent, client=client)
    answer(log, made, 200, size=10)
    end(log, made)
    return made


def test_a_pull_is_one_transfer_without_others() -> None:
    log = TrafficLog()
    small_pull(log)
    found = grouped(log)
    assert found[0] is None, "a ping belongs to none"
    pull = found[1]
    assert pull is not None
    assert found[1:6] == [pull] * 5
    assert (pull.kind, pull.tag, pull.size) == (Kind.PULL, "1.2", 5)
    others = [each for each in found[6:] if each is not None]
    assert pull not in others
    assert len(set(others)) == len(others), "another client, another repository, a pause"


def test_a_push_is_one_transfer_until_its_tag_is_pushed() -> None:
    log = TrafficLog()
    asks = [
        ("blobs/" + A, "HEAD"),
        ("blobs/uploads/", "POST"),
        (SESSION, "PATCH"),
    ]
    asks += [
        (SESSION, "PUT"),
        ("manifests/1.0", "PUT"),
        ("manifests/1.0", "PUT"),
    ]
    first = grouped(asked(log, what, number / 10, method) for number, (what, method) in enumerate(asks))
    assert len(set(first)) == 1
    assert first[0] is not None
    assert (first[0].kind, first[0].tag) == (Kind.PUSH, "1.0")
    transfers = Transfers(nothing)
    both = grouped((asked(log, what, 1, method) for what, method in [*asks, *asks[:5]]), transfers)
    assert len(set(both)) == 2


def test_a_manifest_claims_its_blobs() -> None:
    log = TrafficLog()
    one, two = asked(log, "manifests/1", 0), asked(log, "manifests/2", 0.1)
    facts = {
        one: ManifestFacts(names=(A, C), config=C, layers=(A,)),
        two: ManifestFacts(names=(B,), layers=(B,)),
    }
    transfers = Transfers(lambda each: facts.get(each, ManifestFacts()))
    first, second, *rest = grouped([one, two], transfers)
    blobs = [asked(log, f"blobs/{each}", 0.2) for each in (A, B, C)]
    assert first is not second
    assert grouped(blobs, transfers) == [first, second, first]
    assert first is not None
    assert first.blobs == {A, C}
    assert not rest
    assert grouped([asked(log, f"manifests/{digest('ff')}", 0.3)], transfers)[0] not in (first, second)


def test_a_pause_splits_transfers_but_not_a_long_download() -> None:
    log = TrafficLog()
    transfers = Transfers(nothing)
    slow = exchange(log, f"/v2/library/app/blobs/{A}", at=0.0)
    (pull,) = grouped([slow], transfers)
    assert grouped([asked(log, f"blobs/{B}", IDLE * 5)], transfers) == [pull]
    end(log, slow, after=IDLE * 8)
    assert grouped([asked(log, f"blobs/{C}", IDLE * 9 - 1)], transfers) == [pull]
    assert grouped([asked(log, f"blobs/{C}", IDLE * 10 + 1)], transfers) != [pull]


def test_retries_are_counted() -> None:
    log = TrafficLog()
    token, failed, good, other = (
        exchange(log, f"/v2/library/app/blobs/{each}", at=0.0) for each in (A, A, A, B)
    )
    (pull, *_) = grouped([token, failed, good, other])
    assert pull is not None
    for each, status in ((token, 401), (failed, 503), (good, 200), (other, 200)):
        answer(log, each, status, size=100)
        end(log, each)
    assert [pull.retry(each) for each in (token, failed, good, other)] == [0, 0, 1, 0]
    summary = summarise(pull)
    assert (summary.failed, summary.blobs_done, summary.sent, summary.in_flight) == (0, 2, 200, 0)


def test_a_blob_is_complete_after_its_201() -> None:
    log = TrafficLog()
    uploads, more = "/v2/library/app/blobs/uploads/", f"/v2/library/app/{SESSION}"
    asks = [
        ("POST", uploads, "", 202, (0, 0)),
        ("PATCH", more, "", 202, (0, 1)),
        ("PUT", more, f"digest={A}", 201, (1, 1)),
        ("POST", uploads, f"mount={B}&from=library/base", 201, (2, 2)),
        ("POST", uploads, f"digest={C}", 201, (3, 3)),
    ]
    transfers = Transfers(nothing)
    for method, path, query, status, expected in asks:
        each = exchange(log, path, method=method, query=query)
        push = transfers.assign(each)
        answer(log, each, status)
        end(log, each)
        assert push is not None
        summary = summarise(push)
        assert (summary.blobs_done, summary.blobs) == expected


def test_one_transfer_is_never_too_large() -> None:
    log = TrafficLog()
    found = grouped(asked(log, f"blobs/{A}", 0.0) for _ in range(MEMBERS + 1))
    assert found[0] is not found[-1]


events = st.lists(
    st.tuples(
        st.sampled_from(["manifests/1", "manifests/2", f"manifests/{A}", f"blobs/{A}", f"blobs/{B}"]),
        st.sampled_from(["GET", "HEAD", "PUT"]),
        st.sampled_from([DOCKER, "skopeo/1"]),
        st.sampled_from(["10.0.0.1:1", "10.0.0.1:2", "10.0.0.2:1"]),
        st.sampled_from([0.0, 0.1, IDLE - 1, IDLE + 1]),
    ),
    max_size=40,
)


@given(events)
def test_each_exchange_belongs_to_a_transfer_of_its_client(
    events: list[tuple[str, str, str, str, float]],
) -> None:
    log, transfers, now = TrafficLog(), Transfers(nothing), 0.0
    found: dict[Transfer, list[Exchange]] = {}
    for what, method, agent, client, pause in events:
        now += pause
        made = asked(log, what, now, method, agent, client)
        transfer = transfers.assign(made)
        assert transfer is not None
        found.setdefault(transfer, []).append(made)
    for transfer, members in found.items():
        assert list(transfer.members) == members, "in order of arrival"
        assert len({each.user_agent for each in members}) == 1
        assert len({each.client.partition(":")[0] for each in members}) == 1
        tags = {each.target.reference for each in members if each.target.reference in ("1", "2")}
        assert tags <= {transfer.tag}
        writes = {each.method == "PUT" for each in members if each.method != "HEAD"}
        assert len(writes) <= 1, "nothing is pulled and pushed"
        gaps = [after.started - before.started for before, after in itertools.pairwise(members)]
        assert all(gap <= IDLE + 0.01 for gap in gaps)
        for _ in members:
            summarise(transfer)
            transfer.drop_first()
        assert not list(transfer.last_attempts())


def test_what_is_pulled_again_is_another_pull() -> None:
    """Ten seconds later, and without a pause once all has come; not a manifest that is asked for twice."""
    log = TrafficLog()
    facts = ManifestFacts(names=(A, C), config=C, layers=(A,))
    transfers = Transfers(lambda each: facts if each.method == "GET" else ManifestFacts())
    own = digest("ee")

    def pull(at: float, *blobs: str) -> list[Transfer | None]:
        asks = [("manifests/1", "HEAD"), (f"manifests/{own}", "GET"), (f"manifests/{own}", "GET")]
        asks += [(f"blobs/{each}", "GET") for each in blobs]
        found = []
        for what, method in asks:
            each = exchange(log, f"/v2/library/app/{what}", method=method, at=at)
            found += grouped([each], transfers)
            answer(log, each, 200, size=10)
            each.response_headers += (("docker-content-digest", own),)
            end(log, each)
        assert len(set(found)) == 1
        return found

    heads = [pull(at, *blobs)[0] for at, blobs in ((0, (A, C)), (0.5, ()), (10.5, (A,)), (20.5, (A, C)))]
    assert len(set(heads)) == 4
    assert grouped([asked(log, f"manifests/{own}", 31)], transfers)[0] not in heads, "by digest as well"
    busy = exchange(log, f"/v2/library/app/blobs/{B}", at=31.1)
    (going,) = grouped([busy], transfers)
    assert grouped([asked(log, f"manifests/{own}", 60)], transfers) == [going], "it is not over"


def test_a_pull_may_request_no_manifest_that_the_client_has_kept() -> None:
    """It sends HEAD for the tag, and then requests the blobs that it has removed."""
    log = TrafficLog()
    facts = ManifestFacts(names=(A, B, C), config=C, layers=(A, B))
    transfers = Transfers(lambda each: facts if each.method == "GET" else ManifestFacts())

    def pull(at: float, own: str, *asks: tuple[str, str]) -> Transfer:
        found = []
        for what, method in (("manifests/1", "HEAD"), *asks):
            each = exchange(log, f"/v2/library/app/{what}", method=method, at=at)
            found += grouped([each], transfers)
            answer(log, each, 200, size=10)
            each.response_headers += (("docker-content-digest", own),)
            end(log, each)
        assert found[0] is not None
        assert len(set(found)) == 1
        return found[0]

    first, other = digest("ee"), digest("ff")
    blobs = [(f"blobs/{each}", "GET") for each in (A, B, C)]
    one = pull(0, first, (f"manifests/{first}", "GET"), *blobs)
    two = pull(10, first, *blobs[:2])
    assert two is not one
    assert two.blobs == {A, B, C}
    assert pull(16, first, *blobs) not in (one, two), "the second one was not complete"
    assert pull(22, other, (f"manifests/{other}", "GET"), *blobs) not in (one, two)


def test_what_several_attempts_sent_counts_once() -> None:
    log = TrafficLog()
    transfers = Transfers(nothing)

    def ask(status: int, size: int, of: int, begin: int | None = None) -> tuple[int, int]:
        each = exchange(log, f"/v2/library/app/blobs/{A}")
        pull = transfers.assign(each)
        answer(log, each, status, size=size, of=of)
        if begin is not None:
            each.response_headers += (("content-range", f"bytes {begin}-{begin + of - 1}/100"),)
        end(log, each)
        assert pull is not None
        summary = summarise(pull)
        return summary.sent, summary.announced

    assert ask(200, 30, 100) == (30, 100)
    assert ask(503, 67, 67) == (30, 100), "an error is no part of the blob"
    assert ask(206, 20, 70, begin=30) == (50, 100)
    assert ask(206, 10, 20, begin=80) == (60, 100), "with a gap"
    assert ask(200, 100, 100) == (100, 100)


def test_a_new_transfer_begins_after_a_push() -> None:
    log, transfers = TrafficLog(), Transfers(nothing)
    push, same, later = grouped(
        (asked(log, "manifests/1", at, method) for at, method in ((0, "PUT"), (1, "HEAD"), (11, "HEAD"))),
        transfers,
    )
    assert push is same
    assert later is not push
    again = grouped((asked(log, "manifests/2", at, "PUT") for at in (20, 30)), transfers)
    assert again[0] is not again[1]


def test_missing_blobs_of_a_push_are_not_failures() -> None:
    log, transfers = TrafficLog(), Transfers(nothing)
    asks = [
        ("manifests/1", "HEAD"),
        (f"blobs/{A}", "HEAD"),
        (f"blobs/{A}", "HEAD"),
        ("blobs/uploads/", "POST"),
    ]
    asks += [(f"blobs/{A}", "HEAD")]
    pushed = []
    for what, method in asks:
        each = exchange(log, f"/v2/library/app/{what}", method=method)
        push = transfers.assign(each)
        answer(log, each, 202 if method == "POST" else 404)
        end(log, each, fault="error" if len(pushed) == 4 else "")
        pushed.append(each)
    assert push is not None
    assert [push.is_failure(each) for each in pushed] == [False, False, False, False, True]
    assert not any(map(push.retry, pushed))
    (missing,) = [exchange(log, "/v2/library/app/manifests/nope", method="HEAD", agent="crane/1")]
    pull = transfers.assign(missing)
    answer(log, missing, 404)
    end(log, missing)
    assert pull is not None
    assert pull.is_failure(missing), "of a pull it is one"
