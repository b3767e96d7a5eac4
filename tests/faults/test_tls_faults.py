"""`tls`: certificates with exactly one flaw each, and handshakes that fail."""

from __future__ import annotations

import hashlib
import re
import ssl
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import trustme

from brokenreg.rules.scenario import ScenarioError
from brokenreg.rules.scenario_text import read_scenario
from tests.connections import connects, dial, in_turn, read_all, rules_file, timelines, until_idle
from tests.server import Brokenreg, brokenreg
from tests.tls_client import (
    EXPIRED,
    NO_ISSUER,
    SELF_SIGNED_ROOT,
    SERVED,
    WRONG_ADDRESS,
    WRONG_NAME,
    ping,
    tls_registry,
    trusting,
)  # fmt: skip

NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME."""

FLAWS = [
    ("expired", "127.0.0.1", EXPIRED),
    ("expired", "localhost", EXPIRED),
    ("wrong-host", "127.0.0.1", WRONG_ADDRESS),
    ("wrong-host", "localhost", WRONG_NAME),
    ("wrong-host", "registry.test", WRONG_NAME),
    ("untrusted", "localhost", NO_ISSUER),
]


def test_certificates_with_one_flaw_each(tmp_path: Path) -> None:
    rules = in_turn(*(f"tls, form: {form}" for form, _, _ in FLAWS))
    with tls_registry(tmp_path, rules, "--allow-host", "registry.test") as running:
        for form, name, code in FLAWS:
            assert ping(running, trusting(running), name) == code, (form, name)
        assert ping(running, trusting(running), "registry.test") == SERVED
        until_idle(running)
        alerts = ["certificate_expired"] * 2 + ["bad_certificate"] * 3 + ["unknown_ca"]
        assert timelines(running) == [
            ["fault applied: tls", f"TLS handshake failed: the client sent alert {alert}", "ended"]
            for alert in alerts
        ]
        running.stop()
    events = connects(running)
    assert [event["rule"] for event in events] == [f"rule {number}" for number in range(1, len(FLAWS) + 1)]
    assert {(*event["faults"], event["ended"]) for event in events} == {("tls", "disconnected")}


def test_nothing_else_is_wrong(tmp_path: Path) -> None:
    """A client that ignores the flaw finds a good certificate."""
    with tls_registry(tmp_path, in_turn("tls, form: expired", "tls, form: wrong-host")) as running:
        context = trusting(running)
        context.verify_flags |= ssl.VerifyFlags(NO_CHECK_TIME)
        assert ping(running, context) == SERVED
        context = trusting(running)
        context.check_hostname = False
        assert ping(running, context) == SERVED
        assert len(timelines(running)) == 2


def test_a_client_that_does_not_verify_is_served(tmp_path: Path) -> None:
    rules = in_turn(*(f"tls, form: {form}" for form in ("expired", "wrong-host", "untrusted") for _ in "123"))
    with tls_registry(tmp_path, rules) as running:
        for _ in range(3):
            for http2 in (False, True):
                with httpx.Client(base_url=running.url, verify=False, http2=http2, timeout=30) as client:
                    push_and_pull(client)
                    assert client.get("/v2/").http_version == ("HTTP/2" if http2 else "HTTP/1.1")
            command = ["curl", "-sS", "-k", f"{running.url}/v2/"]
            assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "{}"
        until_idle(running)
        running.stop()
    assert [(event["faults"], event["ended"]) for event in connects(running)] == [(["tls"], "complete")] * 9


def push_and_pull(client: httpx.Client) -> None:
    content = b"x" * 1_000_000
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    location = client.post("/v2/tls/blobs/uploads/").headers["location"]
    assert client.put(location, params={"digest": digest}, content=content).status_code == 201
    assert client.get(f"/v2/tls/blobs/{digest}").content == content


def test_an_alert_in_place_of_a_hello(tmp_path: Path) -> None:
    rules = in_turn(*(f"tls, form: {form}" for form in ("handshake-fails", "old-protocol") for _ in "12"))
    with tls_registry(tmp_path, rules) as running:
        for reason, description in (
            ("SSLV3_ALERT_HANDSHAKE_FAILURE", 40),
            ("TLSV1_ALERT_PROTOCOL_VERSION", 70),
        ):
            assert ping(running, trusting(running)) == reason
            with dial(running) as connection:
                connection.sendall(b"\x16\x03\x01\x00\x05hello")
                assert read_all(connection) == bytes([21, 3, 3, 0, 2, 2, description])
        assert ping(running, trusting(running)) == SERVED
        until_idle(running)
        assert timelines(running) == [["fault applied: tls", "sent 7 bytes", "cut (fin)", "ended"]] * 4
        running.stop()
    assert [event["ended"] for event in connects(running)] == ["aborted"] * 4


def test_a_handshake_that_stalls(tmp_path: Path) -> None:
    rules = "- {fault: {type: tls, form: handshake-stalls}, times: 1}"
    with tls_registry(tmp_path, rules) as running:
        with dial(running) as connection:
            connection.settimeout(0.5)
            secured = trusting(running).wrap_socket(
                connection, server_hostname="localhost", do_handshake_on_connect=False
            )
            with pytest.raises(TimeoutError):
                secured.do_handshake()
            secured.close()
        until_idle(running)
        assert ping(running, trusting(running)) == SERVED
        running.stop()
    (event,) = connects(running)
    assert (event["faults"], event["ended"]) == (["tls"], "disconnected")
    assert event["duration"] > 0.4


def test_a_handshake_that_stalls_for_a_while(tmp_path: Path) -> None:
    rules = "- {fault: {type: tls, form: handshake-stalls, dur: 300ms}, times: 1}"
    with tls_registry(tmp_path, rules) as running:
        began = time.monotonic()
        assert "EOF" in str(ping(running, trusting(running))).upper()
        assert time.monotonic() - began >= 0.3
        until_idle(running)
        running.stop()
    (event,) = connects(running)
    assert event["ended"] == "aborted"


def test_a_plain_listener_has_no_handshake_to_spoil(tmp_path: Path) -> None:
    scenario = rules_file(
        tmp_path, "- fault: {type: tls, form: expired}\n- fault: {type: accept, form: close}\n  skip: 1"
    )
    with brokenreg(tmp_path / "data", "--scenario", str(scenario)) as running:
        assert httpx.get(f"{running.url}/v2/").status_code == 200
        with pytest.raises(httpx.TransportError):  # the next rule was asked, both times
            httpx.get(f"{running.url}/v2/")
        until_idle(running)
        said = "tls: not applicable: plain HTTP has no handshake"
        assert [timeline[0] for timeline in timelines(running)] == [said, said]
        running.stop()
    passed_over, closed = connects(running)
    assert (passed_over["faults"], passed_over["rule"], passed_over["ended"]) == ([], None, "complete")
    assert (closed["faults"], closed["rule"]) == (["accept"], "rule 2")


def test_twenty_at_once_each_get_their_own(tmp_path: Path) -> None:
    """80 handshakes, 20 at a time, alternate between three rules and no fault, and all counters are exact."""
    rules = "\n".join(
        f"- {{fault: {{type: tls, form: {form}}}, times: 20}}"
        for form in ("expired", "wrong-host", "untrusted")
    )
    with tls_registry(tmp_path, rules) as running:
        context = trusting(running)
        with ThreadPoolExecutor(20) as pool:
            seen = list(pool.map(lambda _: ping(running, context), range(80)))
        until_idle(running)
        running.stop()
    assert {each: seen.count(each) for each in set(seen)} == {
        EXPIRED: 20, WRONG_ADDRESS: 20, NO_ISSUER: 20, SERVED: 20,
    }  # fmt: skip
    rule_of = {event["client"]: event["rule"] for event in connects(running)}
    assert len(rule_of) == 60


def test_a_verdict_is_for_one_connection_alone(tmp_path: Path) -> None:
    """For each client port, the log names the rule of the certificate that the client saw."""
    rules = """
- {name: "10", fault: {type: tls, form: expired}, probability: 0.3}
- {name: "64", fault: {type: tls, form: wrong-host}, probability: 0.4}
- {name: "20", fault: {type: tls, form: untrusted}, probability: 0.5}
"""

    def one(_: int) -> tuple[str, str]:
        with dial(running) as connection:
            client = "{}:{}".format(*connection.getsockname())
            time.sleep(0.01)  # so that handshakes overlap
            try:
                context.wrap_socket(connection, server_hostname="127.0.0.1").close()
            except ssl.SSLCertVerificationError as error:
                return client, str(error.verify_code)
            return client, "None"

    with tls_registry(tmp_path, rules) as running:
        context = trusting(running)
        with ThreadPoolExecutor(20) as pool:
            seen = dict(pool.map(one, range(100)))
        until_idle(running)
        running.stop()
    logged = {event["client"]: str(event["rule"]) for event in connects(running)}
    assert logged == seen
    assert set(seen.values()) == {"10", "64", "20", "None"}


def test_a_session_that_was_good_does_not_hide_a_bad_certificate(tmp_path: Path) -> None:
    """A resumed session has no certificate, so a connection with a fault does not resume one."""
    with tls_registry(tmp_path, "- {fault: {type: tls, form: expired}, skip: 1, times: 1}") as running:
        context = trusting(running)
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # its tickets come within the handshake
        with dial(running) as connection:
            secured = context.wrap_socket(connection, server_hostname="localhost")
            session = secured.session
            secured.close()
        assert ping(running, context, "localhost", session=session) == EXPIRED
        with dial(running) as connection:
            resumed = context.wrap_socket(connection, server_hostname="localhost", session=session)
            assert resumed.session_reused
            resumed.close()


def test_beside_a_given_certificate_an_authority_of_our_own_signs(tmp_path: Path) -> None:
    theirs = trustme.CA()
    issued = theirs.issue_cert("*.registry.test", "127.0.0.1", key_type=trustme.KeyType.RSA)
    chain, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    issued.cert_chain_pems[0].write_to_path(chain)
    issued.private_key_pem.write_to_path(key)
    forms = ("expired", "expired", "wrong-host", "untrusted")
    rules = in_turn(*(f"tls, form: {form}" for form in forms))
    arguments = ["--cert", str(chain), "--key", str(key), "--scenario", str(rules_file(tmp_path, rules))]
    context = ssl.create_default_context()
    theirs.configure_trust(context)
    with brokenreg(tmp_path / "data", *arguments) as running:
        folder = running.data / "tls" / "given"
        assert not folder.exists()
        assert ping(running, context) == SELF_SIGNED_ROOT
        context.load_verify_locations(cafile=folder / "ca.pem")
        assert ping(running, context) == EXPIRED
        assert ping(running, context, "a.registry.test") == WRONG_NAME
        assert ping(running, context) == NO_ISSUER
        assert ping(running, context) == SERVED
        authority = (folder / "ca.pem").read_bytes()
        assert not [path for path in folder.iterdir() if b"PRIVATE KEY" in path.read_bytes()]
    with brokenreg(tmp_path / "data", *arguments) as running:
        assert ping(running, context, "b.registry.test") == EXPIRED
        assert (folder / "ca.pem").read_bytes() == authority


CURL_SAYS = {
    "expired": "certificate has expired",
    "wrong-host": "no alternative certificate subject name",
    "untrusted": "unable to get local issuer",
    "handshake-fails": "handshake failure",
    "old-protocol": "protocol version",
}


def test_what_curl_says(tmp_path: Path) -> None:
    with tls_registry(tmp_path, in_turn(*(f"tls, form: {form}" for form in CURL_SAYS))) as running:
        command = ["curl", "-sS", "--cacert", str(running.data / "tls" / "ca.pem"), f"{running.url}/v2/"]
        for says in CURL_SAYS.values():
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode in (35, 60)
            assert says in done.stderr


@pytest.mark.parametrize("fault", ["tls", "accept"])
@pytest.mark.parametrize("path", ["broken/{}/manifests/times-1", "broken/with/{}_times-1/app/manifests/v1"])
def test_no_path_can_carry_it(registry: Brokenreg, fault: str, path: str) -> None:
    answer = httpx.get(f"{registry.url}/v2/{path.format(fault)}")
    assert answer.status_code == 400
    message = answer.json()["errors"][0]["message"]
    assert re.search(rf"before a request has a path: .*brokenreg rules add {fault}", message)


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ("{fault: tls, match: {client: docker/*}}", "match.client is for requests"),
        ("{fault: accept, match: {repository: app}}", "match.repository is for requests"),
        (
            "{fault: tls, match: {endpoint: layer}}",
            "tls is only for endpoint connect, not for layer",
        ),
        (
            "{fault: error, match: {endpoint: connect}}",
            "fault error needs a request, and endpoint connect has none",
        ),
        ("{fault: [tls, accept]}", "only one fault"),
        ("{fault: {type: tls, form: old}}", "fault.form"),
    ],
)
def test_rules_that_could_never_be_applied_are_refused(rule: str, problem: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        read_scenario(f"rules:\n- {rule}\n", "rules.yaml")
    assert str(caught.value).startswith("rules.yaml:2: ")
    assert problem in str(caught.value)
