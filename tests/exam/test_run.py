"""`brokenreg run` as a command: verdicts, exit status, placeholders, and what is left at the end."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

from brokenreg.exam.registry_variables import with_variables
from tests.exam.running import GET, MANIFEST, assert_nothing_left, run, start
from tests.process import run_here
from tests.server import brokenreg

pytestmark = pytest.mark.slow

TWICE = """
name: fails twice
seed: 7
rules:
  - {name: twice, fault: {type: error, status: 503}, match: {endpoint: manifest, method: GET}, times: 2}
expect:
  - {name: gets it, filter: "endpoint:manifest method:GET status:200", count: 1}
"""
_PATIENT = (
    "import sys, urllib.request, urllib.error\n"
    "for attempt in range(3):\n"
    "    try: print(urllib.request.urlopen(sys.argv[1]).status); break\n"
    "    except urllib.error.HTTPError as error: print(error.code)\n"
)
RETRIES = (sys.executable, "-c", _PATIENT)


def write(tmp_path: Path, text: str, name: str = "scenario.yaml") -> str:
    (tmp_path / name).write_text(text)
    return name


def test_a_client_that_retries(tmp_path: Path) -> None:
    done = run(tmp_path, "--scenario", write(tmp_path, TWICE), "--", *RETRIES, MANIFEST)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("503\n503\n200\n\n✓ fails twice  (")
    assert "✓ twice: applied  got 2, want at least 2" in done.stdout
    assert "repeat" not in done.stdout


def test_a_client_that_gives_up(tmp_path: Path) -> None:
    done = run(tmp_path, "--scenario", write(tmp_path, TWICE), "--junit", "j.xml", "--har", "e.har", "--",
               *GET, MANIFEST)  # fmt: skip
    assert done.returncode == 1
    assert "✗ gets it: endpoint:manifest method:GET status:200  got 0, want exactly 1\n" in done.stdout
    assert "503     GET /v2/broken/in/run-" in done.stdout
    assert "✗ twice: applied  got 1: no other request matched, want at least 2" in done.stdout
    assert "✗ the client's exit status  got exit status 1, want exit status 0" in done.stdout
    repeat = "    BROKENREG_OFFLINE=1 brokenreg run --scenario scenario.yaml --seed 7 "
    assert f"  seed 7; to repeat this run:\n{repeat}" in done.stdout

    suite = ElementTree.parse(tmp_path / "j.xml").getroot()[0]
    assert suite.attrib["name"] == "fails twice"
    assert (suite.attrib["tests"], suite.attrib["failures"]) == ("4", "3")
    failures = list(suite.iter("failure"))
    assert [each.attrib["type"] for each in failures] == ["filter", "rule", "client-exit"]
    assert "--seed 7" in str(failures[0].text)
    entries = json.loads((tmp_path / "e.har").read_text())["log"]["entries"]
    assert [each["response"]["status"] for each in entries] == [503]


def test_the_line_that_repeats_a_run_works(tmp_path: Path) -> None:
    text = TWICE.replace("seed: 7\n", "").replace("times: 2", "times: 2, probability: 0.5")
    text += '  - {name: never met, filter: "status:418"}\n'  # whatever is drawn
    first = run(tmp_path, "--scenario", write(tmp_path, text), "--", *RETRIES, MANIFEST)
    assert first.returncode == 1
    seed = first.stdout.split("  seed ")[1].split(";")[0]
    again = run(tmp_path, "--scenario", "scenario.yaml", "--seed", seed, "--", *RETRIES, MANIFEST)
    assert again.stdout.split("\n\n")[0] == first.stdout.split("\n\n")[0]
    assert again.returncode == 1


def test_the_line_that_repeats_a_run_has_the_variables_of_its_registry(tmp_path: Path) -> None:
    variables = {
        "BROKENREG_AUTH": "token",
        "BROKENREG_AUTH_USER": "joe:hunter2 eve:pw",
        "CERT_FILE": "a b.pem",
    }
    for_others = {
        "BROKENREG_LISTEN": "127.0.0.1:1",
        "BROKENREG_CONTROL_TOKEN": "t0ken",
        "BROKENREG_IMAGE": "x",
    }
    line = with_variables("brokenreg run", {**variables, **for_others, "HOME": "/root", "BROKENREG_TLS": ""})
    users = "BROKENREG_AUTH_USER='joe:*** eve:***'"
    assert line == f"CERT_FILE='a b.pem' BROKENREG_AUTH=token {users} brokenreg run"

    done = run(tmp_path, "--junit", "j.xml", "--", "false", BROKENREG_TLS="self-signed")
    says = "BROKENREG_TLS=self-signed BROKENREG_OFFLINE=1 brokenreg run --seed "
    assert f"    {says}" in done.stdout
    assert says in (tmp_path / "j.xml").read_text()
    with brokenreg(tmp_path / "data") as running:
        done = run(tmp_path, "--url", running.control, "--", "false")
    assert "    brokenreg run --seed " in done.stdout


def test_several_scenarios_are_one_run_each(tmp_path: Path) -> None:
    write(tmp_path, "name: works", "other.yaml")
    done = run(tmp_path, "--scenario", write(tmp_path, TWICE), "--scenario", "other.yaml", "--junit", "j.xml",
               "--", *GET, MANIFEST)  # fmt: skip
    assert done.returncode == 1
    assert "✗ fails twice" in done.stdout
    assert "✓ works" in done.stdout
    assert done.stdout.endswith("\n1 of 2 scenarios as expected\n")
    names = [each.attrib["name"] for each in ElementTree.parse(tmp_path / "j.xml").getroot()]
    assert names == ["fails twice", "works"]


def test_a_client_that_sends_nothing(tmp_path: Path) -> None:
    done = run(tmp_path, "--", "true")
    assert done.returncode == 1
    assert "✗ the client sends requests  got no request in its namespace" in done.stdout
    allowed = run(tmp_path, "--scenario", write(tmp_path, "requests: none"), "--", "true")
    assert allowed.returncode == 0


def test_a_client_that_should_send_nothing(tmp_path: Path) -> None:
    done = run(tmp_path, "--scenario", write(tmp_path, "requests: none"), "--", *GET, MANIFEST)
    assert done.returncode == 1


def test_a_client_that_should_send_nothing_and_asks_for_something_else(tmp_path: Path) -> None:
    done = run(tmp_path, "--scenario", write(tmp_path, "requests: none"), "--", *GET, "{registry_url}/v2/")
    assert done.returncode == 1
    got = "1 request outside of its namespace: /v2/"
    assert f"✗ the client sends no request  got {got}, want none" in done.stdout


def test_a_client_that_ignores_its_namespace(tmp_path: Path) -> None:
    url = "{registry_url}/v2/broken/random/manifests/layers-1_size-1"
    done = run(tmp_path, "--", *GET, url)
    assert done.returncode == 1
    assert "but for /v2/broken/random/manifests/layers-1_size-1: use {image}" in done.stdout
    assert ", 1 exchange, 0 in its namespace)\n" in done.stdout


def test_a_client_that_ignores_its_namespace_on_a_shared_server(tmp_path: Path) -> None:
    url = "{registry_url}/v2/broken/random/manifests/layers-1_size-1"
    with brokenreg(tmp_path / "data") as running:
        done = run(tmp_path, "--url", running.control, "--", *GET, url)
        good = run(tmp_path, "--url", running.control, "--", *GET, MANIFEST)
    assert done.returncode == 1
    assert "the client never asked" in done.stdout
    assert good.returncode == 0, good.stdout


def test_a_typo_in_a_glob(tmp_path: Path) -> None:
    text = "rules: [{name: cut, fault: reset, match: {repository: brken/*}}]"
    done = run(tmp_path, "--scenario", write(tmp_path, text), "--", *GET, MANIFEST)
    assert done.returncode == 1
    near = "endpoint manifest is not layer, repository is broken/random, not brken/*"
    reason = f"no request matched (nearest: {near})"
    assert f"✗ cut: applied  got 0: {reason}, want at least 1" in done.stdout


def test_rules_for_connections(tmp_path: Path) -> None:
    text = "rules: [{name: refused, fault: {type: accept, form: reset}, times: 1}]\nclient: {exit: failure}"
    done = run(tmp_path, "--scenario", write(tmp_path, text), "--", *GET, MANIFEST)
    assert done.returncode == 0, done.stdout + done.stderr
    shared = run(tmp_path, "--scenario", "scenario.yaml", "--url", "127.0.0.1:1", "--", *GET, MANIFEST)
    assert shared.returncode in (2, 3)
    with brokenreg(tmp_path / "data") as running:
        shared = run(tmp_path, "--scenario", "scenario.yaml", "--url", running.control, "--", *GET, MANIFEST)
    assert shared.returncode == 2
    assert "scenario.yaml has rules at endpoint connect, ping or catalog" in shared.stderr


def test_placeholders_and_environment(tmp_path: Path) -> None:
    script = "import json, os, sys; print(json.dumps([sys.argv[1:], dict(os.environ)]))"
    names = "registry registry_url control_url image repository tag digest "
    names += "workdir username password auth_file ca_file"
    words = [f"{{{name}}}" for name in names.split()]
    done = run(tmp_path, "--scenario", write(tmp_path, "requests: none"), "--",
               sys.executable, "-c", script, *words, "{http_code} $HOME;x")  # fmt: skip
    assert done.returncode == 0, done.stderr
    values, seen = json.loads(done.stdout.splitlines()[0])
    assert values.pop() == "{http_code} $HOME;x"
    found = dict(zip(names.split(), values, strict=True))
    assert all(seen[f"BROKENREG_{name.upper()}"] == value for name, value in found.items())
    assert found["image"] == f"{found['registry']}/{found['repository']}:{found['tag']}"
    assert found["repository"].startswith("broken/in/run-")
    assert found["digest"].startswith("sha256:")
    assert seen["REGISTRY_AUTH_FILE"] == found["auth_file"] == f"{seen['DOCKER_CONFIG']}/config.json"
    assert seen["SSL_CERT_FILE"] == found["ca_file"]
    assert seen["BROKENREG_URL"] == found["control_url"]
    assert found["password"] not in done.stdout.split("\n", 1)[1]


def test_a_placeholder_with_a_typo(tmp_path: Path) -> None:
    write(tmp_path, "requests: none")
    client = ("--", "echo", "{imag}", "{{image}}", "{Image}", "{name} {user}", "{tags}/{work_dir}", "{image}")
    done = run(tmp_path, "--scenario", "scenario.yaml", *client)
    assert done.returncode == 0
    assert done.stdout.startswith("{imag} ")
    assert done.stderr == "".join(
        f"Warning: {{{name}}} is not a placeholder: did you mean {{{meant}}}?\n"
        for name, meant in (("imag", "image"), ("tags", "tag"), ("work_dir", "workdir"))
    )


def test_a_proxy_for_the_internet_is_not_asked(tmp_path: Path) -> None:
    proxy = {"http_proxy": "http://127.0.0.1:1", "HTTP_PROXY": "http://127.0.0.1:1"}
    done = run(tmp_path, "--", *GET, MANIFEST, **proxy, no_proxy="example.org")
    assert done.returncode == 0, done.stdout + done.stderr
    script = "import os; print(os.environ['no_proxy'], os.environ['NO_PROXY'])"
    text = write(tmp_path, "requests: none")
    done = run(tmp_path, "--scenario", text, "--", sys.executable, "-c", script, no_proxy="example.org")
    assert done.stdout.splitlines()[0] == "example.org,127.0.0.1,localhost 127.0.0.1,localhost"


@pytest.mark.parametrize(
    ("expected", "command", "status"),
    [
        ("exit: 3", "import sys; sys.exit(3)", 0),
        ("exit: 3", "import sys; sys.exit(4)", 1),
        ("exit: failure", "import os; os.abort()", 1),
        ("exit: any", "import os; os.abort()", 0),
        ("exit: failure", "", 1),
        ("exit: any", "import sys; sys.exit(9)", 0),
        ("output: '*manifest unknown*'", "print('a\\nmanifest unknown\\nb')", 0),
        ("output: '*manifest unknown*'", "print('ok')", 1),
        ("within: 1ms", "", 1),
        ("within: 20s", "", 0),
    ],
)
def test_what_is_expected_of_the_client(tmp_path: Path, expected: str, command: str, status: int) -> None:
    write(tmp_path, f"requests: none\nclient: {{{expected}}}")
    done = run(tmp_path, "--scenario", "scenario.yaml", "--", sys.executable, "-c", command)
    assert done.returncode == status, done.stdout


def test_a_registry_with_tls(tmp_path: Path) -> None:
    """Python's ssl reads SSL_CERT_FILE."""
    done = run(tmp_path, "--", *GET, MANIFEST, BROKENREG_TLS="self-signed")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_machine_s_own_cas_do_not_hide_that_of_the_registry(tmp_path: Path) -> None:
    variables = ("CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
    (tmp_path / "own.pem").write_text("# a CA of this machine\n")
    own = dict.fromkeys(variables, str(tmp_path / "own.pem"))
    script = f"import os; print(*(open(os.environ[each]).read() for each in {variables}))"
    done = run(tmp_path, "--", sys.executable, "-c", script, BROKENREG_TLS="self-signed", **own)
    assert done.stdout.count("# a CA of this machine") == len(variables)
    assert done.stdout.count("BEGIN CERTIFICATE") >= len(variables)


def test_a_client_that_does_not_trust_the_certificate(tmp_path: Path) -> None:
    trusts_nothing = GET[2].replace(
        "urlopen(url", "urlopen(url, context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)"
    )
    client = (GET[0], "-c", f"import ssl; {trusts_nothing}")
    done = run(tmp_path, "--", *client, MANIFEST, BROKENREG_TLS="self-signed")
    assert done.returncode == 1
    says = "got 1 connection, no request: the client may not trust the certificate, see {ca_file}"
    assert says in done.stdout
    done = run(tmp_path, "--", *GET, "https://{registry}/v2/")
    assert "got 1 connection, no request: the client may use https://, but" in done.stdout


def test_a_registry_with_a_login(tmp_path: Path) -> None:
    script = (
        "import json, os, sys, urllib.request\n"
        "auths = json.load(open(os.environ['REGISTRY_AUTH_FILE']))['auths']\n"
        "auth = 'Basic ' + auths[sys.argv[2]]['auth']\n"
        "request = urllib.request.Request(sys.argv[1], headers={'Authorization': auth})\n"
        "print(urllib.request.urlopen(request).status, sys.argv[3])\n"
    )
    command = [sys.executable, "-c", script, MANIFEST, "{registry}", "{password}"]
    login = {"BROKENREG_AUTH": "basic", "BROKENREG_AUTH_USER": "joe:hunter2"}
    done = run(tmp_path, "--junit", "j.xml", "--", *command, **login)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "hunter2" not in (tmp_path / "j.xml").read_text()
    assert run(tmp_path, "--", *GET, MANIFEST, **login).returncode == 1


def test_out_of_time(tmp_path: Path) -> None:
    script = "import subprocess, sys, time; subprocess.Popen(['sleep', '60']); time.sleep(60)"
    done = run(tmp_path, "--timeout", "500ms", "--", sys.executable, "-c", script)
    assert done.returncode == 124
    assert "✗ the client ends in time  got still running after" in done.stdout


def test_what_a_client_leaves_running_ends(tmp_path: Path) -> None:
    script = "import subprocess; subprocess.Popen(['sleep', '60'])"
    write(tmp_path, "requests: none")
    started = time.monotonic()
    done = run(tmp_path, "--scenario", "scenario.yaml", "--", sys.executable, "-c", script)
    assert done.returncode == 0, done.stdout
    assert time.monotonic() - started < 20


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals(tmp_path: Path, number: signal.Signals) -> None:
    process = start(
        tmp_path, "--", sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    os.kill(process.pid, number)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 3
    assert errors == f"Error: stopped by {number.name}, without a verdict\n"
    assert_nothing_left(tmp_path)


@pytest.mark.parametrize("given", ["scenarios", "scen*/*.yaml"])
def test_a_folder_or_a_glob_is_all_its_scenarios(tmp_path: Path, given: str) -> None:
    folder = tmp_path / "scenarios"
    folder.mkdir()
    for name in ("second", "first"):
        write(folder, f"name: {name}\nrequests: none", f"{name}.yaml")
    (folder / "notes.txt").write_text("no scenario")
    done = run(tmp_path, "--scenario", given, "--", "true")
    assert done.returncode == 0, done.stderr
    names = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("✓")]
    assert names == ["first", "second"]


@pytest.mark.parametrize("delay", [0.05, 0.3, 0.6])
def test_a_signal_while_it_starts(tmp_path: Path, delay: float) -> None:
    process = start(tmp_path, "--", "sleep", "60")
    time.sleep(delay)
    process.terminate()
    process.communicate(timeout=20)
    assert process.returncode in (3, -signal.SIGTERM)
    assert_nothing_left(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["--"], 2, "is missing"),
        (["--timeout", "x", "--", "true"], 2, "--timeout"),
        (["--timeout", "0s", "--", "true"], 2, "use more than 0s"),
        (["--scenario", "none.yaml", "--", "true"], 3, "none.yaml: No such file"),
        (["--scenario", "bad.yaml", "--", "true"], 2, "bad.yaml:1: "),
        (["--junit", "none/j.xml", "--", "true"], 3, "the folder does not exist"),
        (["--scenario", "ghcr-hangs", "--", "true"], 3, "directory: did you mean profile:ghcr-hangs?"),
        (["--scenario", "profile:x", "--", "true"], 2, 'Error: --scenario profile:x: no profile "x": run'),
        (["--", "no-such-command"], 3, "cannot run no-such-command: No such file or directory\n"),
        (["--", "true a"], 3, "cannot run true a: No such file or directory (the command is one quoted"),
        (["--url", "127.0.0.1:1", "--", "true"], 3, "no control API responds"),
        (
            ["--scenario", "a.yaml", "b.yaml", "c.yaml", "--", "true"],
            2,
            'unexpected argument "b.yaml" before "--"',
        ),
        (
            ["--scenario", "bad.yaml", "curl", "-s", "x"],
            2,
            'no option "-s": if it is one of the client, write "--"',
        ),
        (["--scenario", "tmp", "--", "true"], 2, 'no .yaml file in the folder "tmp"'),
        (["--scenario", "none*.yaml", "--", "true"], 2, 'no file matches "none*.yaml"'),
    ],
)
def test_errors(tmp_path: Path, arguments: list[str], status: int, says: str) -> None:
    write(tmp_path, "rule: []", "bad.yaml")
    done = run(tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (status, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_registry_that_cannot_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKENREG_TLS", "nonsense")
    done = run_here("run", "--", "true", BROKENREG_TLS="nonsense")
    assert done.returncode == 3
    assert "the registry did not start: BROKENREG_TLS" in done.stderr
