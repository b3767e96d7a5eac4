"""`brokenreg.client`, sync and async, against a running registry."""

from __future__ import annotations

import inspect
import json
import socket
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest

from brokenreg.client import (
    AddressError,
    AsyncClient,
    Client,
    MissingError,
    NotControlAPIError,
    UnauthorizedError,
    UnreachableError,
    UsageError,
    WaitTimeoutError,
    calls,
)
from brokenreg.client.event_stream import EventReader
from brokenreg.client.operations import Operations
from tests.server import Brokenreg, brokenreg

SCENARIO = """
rules:
  - {fault: {type: error, status: 503}, times: 1}
expect:
  - {name: it retries, filter: "endpoint:manifest status:200"}
"""
IMAGE = "broken/random/manifests/layers-1_size-10"


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_every_call_is_a_method_of_both_clients() -> None:
    built = {
        name
        for name, each in inspect.getmembers(calls, inspect.isfunction)
        if each.__module__ == calls.__name__ and not name.startswith("_")
    }
    assert built == {name for name in vars(Operations) if not name.startswith("_")}
    assert Client.status.__doc__ == AsyncClient.status.__doc__ == calls.status.__doc__


def test_a_scenario_in_a_namespace(registry: Brokenreg) -> None:
    with Client(registry.control, namespace="job-1") as control, Client(registry.control) as default:
        assert "status: 503" in control.load_scenario(SCENARIO)
        url = f"{registry.url}/v2/broken/in/job-1/{IMAGE}"
        assert [httpx.get(url).status_code for _ in range(2)] == [503, 200]
        assert [each["met"] for each in control.verdicts()] == [True, True]
        assert [each["applied"] for each in control.rules()] == [1]
        first, second = control.exchanges()
        assert (first["status"], first["faults"], second["status"]) == (503, ["error"], 200)
        assert control.exchanges("status:503") == [first]
        assert control.exchanges(after=first["id"]) == [second]
        assert control.exchange(first["id"])["timeline"]
        assert len(control.har("status:200")["log"]["entries"]) == 1
        assert (default.exchanges("status:503"), default.verdicts()) == ([], [])
        assert len(default.verdicts("job-1")) == 2
        control.reset()
        assert (control.exchanges(), control.rules()) == ([], [])


def test_rules_and_breakpoints(own_registry: Brokenreg) -> None:
    with Client(own_registry.control.removeprefix("http://")) as control:
        rule = control.add_rule({"fault": {"type": "error", "status": 404}, "name": "gone"})
        assert [each.get("name") for each in control.rules()] == ["gone"]
        assert "gone" in control.scenario()
        control.remove_rule(rule["id"])
        assert control.rules() == []
        added = control.add_breakpoint("endpoint:manifest")
        assert control.breakpoints() == {"on": True, "breakpoints": [added]}
        control.remove_breakpoint(added["id"])
        control.add_breakpoint("status:404")
        control.clear_breakpoints()
        assert control.breakpoints()["breakpoints"] == []


def test_holding(own_registry: Brokenreg) -> None:
    with Client(own_registry.control) as control, control.events() as events:
        control.add_rule({"fault": {"type": "hold"}, "times": 1})
        pull = threading.Thread(target=httpx.get, args=[f"{own_registry.url}/v2/{IMAGE}"])
        pull.start()
        held = next(each["exchange"] for each in events if each["event"] == "held")
        assert held is not None
        assert held["held"]
        assert control.resume_all("method:PUT") == {"exchanges": [], "skipped": []}
        assert control.resume(held["id"])["id"] == held["id"]
        ended = next(each["exchange"] for each in events if each["event"] == "ended")
        assert ended is not None
        assert (ended["id"], ended["status"]) == (held["id"], 200)
        pull.join()


def test_errors_of_a_block_stay_what_they_are_while_events_are_read(own_registry: Brokenreg) -> None:
    """Those of the client under test are often errors of httpx, too."""
    url = f"http://127.0.0.1:{closed_port()}"
    with Client(own_registry.control) as control, pytest.raises(httpx.ConnectError), control.events():
        httpx.get(url)
    with Client(url) as closed, pytest.raises(UnreachableError), closed.events():
        pass


async def test_so_they_do_with_asyncio(own_registry: Brokenreg) -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    async with AsyncClient(own_registry.control) as control, httpx.AsyncClient() as http:
        with pytest.raises(httpx.ConnectError):
            async with control.events():
                await http.get(url)
    async with AsyncClient(url) as closed:
        with pytest.raises(UnreachableError):
            async with closed.events():
                pass


async def test_the_async_client_has_the_same_results(own_registry: Brokenreg) -> None:
    async with AsyncClient(own_registry.control, namespace="job-2") as control:
        assert (await control.wait())["version"]
        await control.load_scenario(SCENARIO)
        async with control.events("status:503") as events, httpx.AsyncClient() as http:
            assert (await http.get(f"{own_registry.url}/v2/broken/in/job-2/{IMAGE}")).status_code == 503
            async for each in events:
                if each["event"] == "ended":
                    break
        assert [each["status"] for each in await control.exchanges()] == [503]
        assert [each["met"] for each in await control.verdicts()] == [False, True]
        with pytest.raises(MissingError):
            await control.remove_rule(99)


def test_errors_say_what_went_wrong_in_members(own_registry: Brokenreg, tmp_path: Path) -> None:
    with Client(own_registry.control) as control:
        with pytest.raises(UsageError) as usage:
            control.add_rule({"fault": {"type": "error", "status": 999}})
        assert usage.value.field == "fault.status"
        with pytest.raises(MissingError) as missing:
            control.exchange(999)
        assert (missing.value.missing, missing.value.status) == ("exchange", 404)
        with pytest.raises(UsageError) as wrong_filter, control.events("staus:500"):
            pass
        assert wrong_filter.value.field == "filter"
    with Client(own_registry.url) as control, pytest.raises(NotControlAPIError) as registry:
        control.status()
    assert registry.value.is_registry
    with Client(f"127.0.0.1:{closed_port()}") as control:
        with pytest.raises(UnreachableError):
            control.status()
        with pytest.raises(WaitTimeoutError):
            control.wait(timeout=0.1)
    with pytest.raises(AddressError) as address:
        Client("ftp://127.0.0.1")
    assert address.value.argument == "url"
    with pytest.raises(AddressError) as token:
        Client(token="a\nb")
    assert (token.value.argument, "a\nb" in str(token.value)) == ("token", False)
    with brokenreg(tmp_path / "guarded", "--control-token", "s3cret") as guarded:
        for sent in (None, "other"):
            with Client(guarded.control, token=sent) as control, pytest.raises(UnauthorizedError) as refused:
                control.rules()
            assert refused.value.has_token == (sent is not None)
        with Client(guarded.control, token="s3cret") as control:
            assert control.rules() == []


async def test_waiting_ends_in_time_although_a_server_is_silent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"127.0.0.1:{silent.getsockname()[1]}"
        with Client(url) as control, pytest.raises(WaitTimeoutError) as late:
            control.wait(timeout=0.3)
        async with AsyncClient(url) as other:
            with pytest.raises(WaitTimeoutError):
                await other.wait(timeout=0.3)
    assert late.value.reason == "timed out"


def test_waiting_does_not_help_against_a_wrong_url(registry: Brokenreg) -> None:
    with Client(registry.control.replace("http:", "https:")) as control:
        with pytest.raises(UnreachableError) as plain:
            control.wait(timeout=60)
        assert plain.value.has_no_tls


def test_events_end_when_the_server_stops(tmp_path: Path) -> None:
    with (
        brokenreg(tmp_path / "data") as running,
        Client(running.control) as control,
        control.events() as events,
    ):
        httpx.get(f"{running.url}/v2/")
        assert next(events)["event"] == "opened"
        running.stop()
        assert {each["event"] for each in events} <= {"ended"}


def test_events_arrive_in_any_pieces() -> None:
    whole = b': hello\n\nevent: ended\nid: 1\ndata: {"id":1}\n\nevent: dropped\ndata: {"events":3}\n\n'
    for size in (1, 7, len(whole)):
        reader = EventReader()
        pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
        found = [event for piece in pieces for event in reader.feed(piece)]
        assert json.loads(json.dumps(found)) == [
            {"event": "ended", "exchange": {"id": 1}, "dropped": 0},
            {"event": "dropped", "exchange": None, "dropped": 3},
        ]


@pytest.mark.slow
def test_the_client_imports_nothing_of_the_server() -> None:
    script = "import sys, brokenreg.client; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"quart", "hypercorn", "textual", "pydantic", "brokenreg.runtime", "brokenreg.rules"}
    script = "import sys, brokenreg.cli.main; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "httpx" not in done.stdout.split()
