"""`brokenreg rules`, `hold`, `step`, `resume`, `abort` against a running registry, end to end."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.process import run_here
from tests.server import Brokenreg, brokenreg, clean_environment

TOKEN = "s3cret"
IMAGE = "/v2/broken/random/manifests/layers-1_size-10"


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "brokenreg", *arguments],
        capture_output=True,
        text=True,
        env=clean_environment(**environment),
        timeout=60,
    )


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokenreg]:
    """A registry whose control API requires a token."""
    with brokenreg(tmp_path_factory.mktemp("guarded") / "data", "--control-token", TOKEN) as running:
        yield running


def told(running: Brokenreg, *arguments: str) -> str:
    """Return the output of a command, which must succeed."""
    done = run_here(*arguments, BROKENREG_URL=running.control, BROKENREG_CONTROL_TOKEN=TOKEN)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_life_of_rules(guarded: Brokenreg, tmp_path: Path) -> None:
    added = told(guarded, "rules", "add", "error", "status=503", "--repository", "cli/*", "--times", "2")
    number = added.split()[1].rstrip(":")
    assert added == f"rule {number}: error status=503 when repository=cli/* times=2\n"
    assert [httpx.get(f"{guarded.url}/v2/cli/x/manifests/v1").status_code for _ in range(3)] == [
        503,
        503,
        404,
    ]
    both = told(guarded, "rules", "add", "latency", "dur=1ms", "+", "truncate", "after=64KiB", "--override")
    assert "latency dur=1ms + truncate after=65536 (override)" in both
    lines = told(guarded, "rules", "list").splitlines()
    assert lines[0].split() == ["id", "rule", "matched", "applied", "from"]
    assert lines[1].split()[0] == number
    assert lines[1].split()[-4:] == ["3", "2", "control", "API"]
    text = told(guarded, "scenario", "show")
    saved = tmp_path / "saved.yaml"
    saved.write_text(text)
    with brokenreg(tmp_path / "data", "--scenario", str(saved)) as another:
        assert httpx.get(f"{another.control}/v1/scenario").text == text
    told(guarded, "rules", "remove", number)
    assert number not in [line.split()[0] for line in told(guarded, "rules", "list").splitlines()[1:]]
    told(guarded, "rules", "clear")
    assert told(guarded, "rules", "list").startswith("no rules")


def held(running: Brokenreg, count: int) -> list[int]:
    """Return the ids of held exchanges, once there are that many."""
    headers = {"authorization": f"Bearer {TOKEN}"}
    with httpx.Client(base_url=running.control, headers=headers) as control:
        deadline = time.monotonic() + 10
        while True:
            found = control.get("/v1/exchanges", params={"filter": "held:true"}).json()
            if len(found) == count:
                return [each["id"] for each in found]
            assert time.monotonic() < deadline, found
            time.sleep(0.02)


def test_holding(guarded: Brokenreg) -> None:
    assert "holds" in told(guarded, "hold", "--endpoint", "manifest")
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(httpx.get, guarded.url + IMAGE, timeout=60) for _ in range(4)]
        first, second, *_ = held(guarded, 4)
        told(guarded, "abort", str(first))
        told(guarded, "abort", str(second), "--status", "504")
        held(guarded, 2)
        assert told(guarded, "step", "--bytes", "5", "--filter", "method:GET") == "2 exchanges\n"
        held(guarded, 2)
        assert told(guarded, "resume") == "2 exchanges\n"
        ends = sorted(str((a.exception() and "reset") or a.result().status_code) for a in answers)
    assert ends == ["200", "200", "504", "reset"]
    told(guarded, "rules", "clear")


def test_the_hint_after_holding_in_a_namespace_works(guarded: Brokenreg) -> None:
    hint = told(guarded, "hold", "--namespace", "job", "--endpoint", "manifest").split('"')[1]
    assert told(guarded, *hint.split()[1:]) == ""
    assert "no rules" in told(guarded, "rules", "list", "--namespace", "job")


@pytest.mark.slow
def test_no_status_after_the_headers(guarded: Brokenreg) -> None:
    def abort() -> tuple[int, str, str]:
        done = run("abort", "--status", "503", BROKENREG_URL=guarded.control, BROKENREG_CONTROL_TOKEN=TOKEN)
        return done.returncode, done.stdout, done.stderr

    with ThreadPoolExecutor(3) as pool:
        told(guarded, "hold", "--endpoint", "manifest", "--at", "5")
        late = [pool.submit(httpx.get, guarded.url + IMAGE, timeout=60)]
        held(guarded, 1)
        one = "1 exchange skipped: its headers are sent; leave out --status to reset it\n"
        assert abort() == (1, "", one)
        late.append(pool.submit(httpx.get, guarded.url + IMAGE, timeout=60))
        held(guarded, 2)
        two = "2 exchanges skipped: their headers are sent; leave out --status to reset them\n"
        assert abort() == (1, "", two)
        told(guarded, "rules", "clear")
        told(guarded, "hold", "--endpoint", "manifest")
        early = pool.submit(httpx.get, guarded.url + IMAGE, timeout=60)
        held(guarded, 3)
        assert abort() == (0, "1 exchange\n", two)
        assert early.result().status_code == 503
        assert told(guarded, "abort") == "2 exchanges\n"
        assert all(isinstance(each.exception(), httpx.HTTPError) for each in late)
    assert told(guarded, "abort") == "0 exchanges\n"
    told(guarded, "rules", "clear")


def test_a_namespace_of_its_own(guarded: Brokenreg) -> None:
    told(guarded, "rules", "add", "error", "--namespace", "team")
    assert told(guarded, "rules", "list").startswith("no rules")
    assert httpx.get(f"{guarded.url}/v2/broken/in/team/x/manifests/v1").status_code == 500
    told(guarded, "rules", "clear", "--namespace", "team")


@pytest.mark.slow
def test_where_the_control_api_is(guarded: Brokenreg) -> None:
    host = guarded.control.removeprefix("http://")
    closed = "127.0.0.1:9"
    for environment in (
        {"BROKENREG_CONTROL": host},
        {"BROKENREG_URL": guarded.control, "BROKENREG_CONTROL": closed},
        {"BROKENREG_URL": host, "BROKENREG_CONTROL": "off"},
    ):
        done = run("rules", "list", BROKENREG_CONTROL_TOKEN=TOKEN, **environment)
        assert (done.returncode, done.stderr) == (0, "")
    done = run("rules", "list", "--url", host, BROKENREG_CONTROL_TOKEN=TOKEN, BROKENREG_URL=closed)
    assert (done.returncode, done.stderr) == (0, "")
    elsewhere = run("rules", "list", BROKENREG_CONTROL=closed)
    assert elsewhere.returncode == 3
    assert f"no control API responds at http://{closed}" in elsewhere.stderr


def test_with_the_control_api_off_the_default_is_asked() -> None:
    # Whoever answers there, if anybody, has no such rule.
    done = run("rules", "remove", "999999999", BROKENREG_CONTROL="off")
    assert done.returncode in (1, 3)
    assert "//off" not in done.stderr


def test_a_terminal_obeys_no_name(guarded: Brokenreg) -> None:
    name = "a\nb\x1b[31m"
    added = told(guarded, "rules", "add", "error", "--name", name)
    assert added.count("\n") == 1
    assert r"a\nb\x1b[31m: error" in added
    listed = told(guarded, "rules", "list")
    assert listed.count("\n") == 2
    assert r"a\nb\x1b[31m: error" in listed
    assert "\x1b" not in added + listed + told(guarded, "scenario", "show")
    told(guarded, "rules", "clear")


def test_a_profile_is_loaded_like_a_file(guarded: Brokenreg) -> None:
    assert told(guarded, "scenario", "load", "profile:ecr-max-results").startswith("loaded 1 rule and ")
    assert "refusal=ecr" in told(guarded, "rules", "list")
    told(guarded, "rules", "clear")


@pytest.mark.parametrize(
    ("client", "warning"),
    [
        (
            "skopeo",
            'Warning: --client skopeo is only for the User-Agent "skopeo": '
            'write "skopeo/*" for any version\n',
        ),
        ("skopeo/*", ""),
        ("skopeo/1.9.3", ""),
        ("127.0.0.1", ""),
        ("10.0.0.0/8", ""),
        ("::1", ""),
    ],
)
def test_a_client_without_a_version(guarded: Brokenreg, client: str, warning: str) -> None:
    variables = {"BROKENREG_URL": guarded.control, "BROKENREG_CONTROL_TOKEN": TOKEN}
    done = run_here("rules", "add", "error", "--client", client, **variables)
    assert (done.returncode, done.stderr) == (0, warning)
    told(guarded, "rules", "clear")


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ("scenario load ecr-max-results", 3, "directory: did you mean profile:ecr-max-results?"),
        ("scenario load profile:ecr-max-result", 2, 'Error: profile:ecr-max-result: no profile "ecr-max-res'),
        ("rules add error --repository broken/in/job/team/app", 2, 'add the rule to namespace "job"'),
        ("rules add error --repository a/b:v1", 2, "which is --reference on the command line"),
        ("rules add truncat", 2, 'no fault "truncat": did you mean truncate?'),
        ("rules add truncate after=lots", 2, 'after: invalid size "lots"'),
        ("rules add error status", 2, "write NAME=VALUE, such as status=VALUE"),
        ("rules add error +", 2, "a fault is missing"),
        ("rules add error --times x", 2, '--times: invalid value "x": use a whole number'),
        ("rules add error --header foo", 2, "such as user-agent='docker/*'"),
        ("rules add error --endpoint nowhere", 2, '--endpoint: invalid value "nowhere": use any, '),
        ("rules add error --times -1", 2, "--times: "),
        ("rules add error --probability 2", 2, "probability: "),
        ("rules add error --probability nan", 2, "probability: "),
        ("rules add error --probability inf", 2, "probability: "),
        ("rules remove 999999", 1, 'no rule "999999": run "brokenreg rules list"'),
        ("rules remove", 2, 'IDS is missing: run "brokenreg rules list" for the IDs'),
        ("rules remove all", 2, 'IDS: invalid value "all": use a whole number'),
        ("hold 999999", 1, 'no exchange "999999": run "brokenreg log"'),
        ("abort 999999 --status 503", 1, 'no exchange "999999": run "brokenreg log"'),
        ("log --filter staus:500", 2, '--filter: unknown key "staus": did you mean status?'),
        (
            "rules add truncate after:64KiB",
            2,
            'invalid parameter "after:64KiB": write NAME=VALUE, such as after=64KiB',
        ),
        ("rules add error 503", 2, 'invalid parameter "503": write NAME=VALUE, such as status=503'),
        ("rules add latency 2s", 2, 'invalid parameter "2s": write NAME=VALUE, such as dur=2s'),
        ("rules add truncate after=64K", 2, 'Error: after: invalid size "64K": did you mean 64KiB?'),
        (
            "rules add latency + truncate after=64K",
            2,
            'Error: after: invalid size "64K": did you mean 64KiB?',
        ),
        ("rules add throttle rate=64KiB/s", 2, "did you mean 64KiB?"),
        ("rules add latency dur=2", 2, 'Error: dur: invalid duration "2": did you mean 2s or 2ms?'),
        ("rules add latency dur=2sec", 2, "did you mean 2s?"),
        ("rules add latency delay=2s", 2, "Error: delay: unknown field: did you mean dur?"),
        ("rules add timeout", 2, "Error: dur: required, such as 2s"),
        (
            "rules add error --probability 50",
            2,
            '--probability: invalid value "50": did you mean 0.5 or 50%?',
        ),
        ("rules add error --endpoint layers", 2, '--endpoint: invalid value "layers": did you mean layer?'),
        ("rules add error --protocol http2", 2, "did you mean h2?"),
        (
            "rules add error --method get,head",
            2,
            '--method: invalid value "get,head": did you mean GET|HEAD?',
        ),
        ("rules add tls fault=expired", 2, "Error: fault: unknown field: use dur or form"),
        ("rules add error --times 0", 2, '--times: invalid value "0": use 1 or more; to switch'),
        ("rules add error --header User-Agent:curl", 2, "such as user-agent='docker/*'"),
        ("rules list --namespace a/b", 2, 'invalid namespace "a/b"'),
        ("resume 999999", 1, 'no exchange "999999"'),
        ("resume 1 --filter a", 2, "IDs exclude --filter"),
        ("step --bytes much", 2, '--bytes: invalid size "much"'),
        ("abort --status 200", 2, '--status: invalid value "200": use 400 to 599'),
        ("rules add error --probability 200%", 2, "probability: "),
        ("abort --filter staus:500", 2, "did you mean status?"),
        ("rules list --token wrong", 3, "refuses the token: pass its --control-token to --token"),
        ("rules list --token é", 2, "--token: use printable ASCII"),
        ("rules list --token LINE", 2, "--token: use printable ASCII"),
        ("rules add error message=BYTE", 2, r'"message=\udcff" is not UTF-8'),
        ("rules add error --name BYTE", 2, r'"\udcff" is not UTF-8'),
        ("abort --filter client:BYTE", 2, "is not UTF-8"),
        ("rules list --url http://127.0.0.1:CLOSED", 3, "no control API responds at"),
        ("rules list --url 127.0.0.1:CLOSED", 3, "no control API responds at http://127.0.0.1:"),
        ("rules list --url http://[::1", 2, "use HOST:PORT or an http or https URL"),
        ("rules list --url ftp://127.0.0.1", 2, "use HOST:PORT or an http or https URL"),
        ("rules list --url 127.0.0.1:99999", 2, "use HOST:PORT or an http or https URL"),
        ("rules list --url http://name:word@127.0.0.1:8081", 2, "a token goes to --token"),
        (
            "rules list --url REGISTRY",
            3,
            "is a registry, not a control API: pass the address of the control API",
        ),
        ("rules list --url CONTROL/v1/rules", 2, "did you mean CONTROL?"),
        ("rules list --url CONTROL/docs", 2, "did you mean CONTROL?"),
        ("rules list --url 8081", 2, '--url: invalid URL "8081": did you mean 127.0.0.1:8081?'),
        (
            "rules list --url http://[",
            2,
            '--url: invalid URL "http://[": use HOST:PORT or an http or https URL',
        ),
        ("rules list --url :8081", 2, '--url: invalid URL ":8081": did you mean 127.0.0.1:8081?'),
        ("rules list --url SECURE", 3, "does not use TLS: use CONTROL as --url"),
    ],
)
def test_what_goes_wrong_is_one_line(guarded: Brokenreg, arguments: str, status: int, words: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    names = {
        "CLOSED": str(port),
        "REGISTRY": guarded.url,
        "CONTROL": guarded.control,
        "SECURE": guarded.control.replace("http:", "https:"),
    }
    written = arguments
    for name, place in names.items():
        written, words = written.replace(name, place), words.replace(name, place)
    words_of = [each.replace("LINE", f"{TOKEN}\n").replace("BYTE", "\udcff") for each in written.split()]
    done = run_here(*words_of, BROKENREG_URL=guarded.control, BROKENREG_CONTROL_TOKEN=TOKEN)
    assert (done.returncode, done.stdout) == (status, "")
    lines = [line for line in done.stderr.splitlines() if line and not line.startswith(("Usage:", "Try "))]
    assert len(lines) == 1, done.stderr
    assert words in lines[0]


def test_rules_are_replaced_enabled_and_moved(guarded: Brokenreg) -> None:
    told(guarded, "rules", "clear")
    one, two, first = (
        told(guarded, "rules", "add", "error", "--name", name, *more).split()[1].rstrip(":")
        for name, more in (
            ("one", ()),
            ("two", ("--after-rule", "one", "--optional")),
            ("first", ("--first",)),
        )
    )

    def listed() -> str:
        return told(guarded, "rules", "list")

    assert [line.split()[0] for line in listed().splitlines()[1:]] == [first, one, two]
    told(guarded, "rules", "move", first, "--down", "1")
    told(guarded, "rules", "disable", one, two)
    assert [line.split()[0] for line in listed().splitlines()[1:]] == [one, first, two]
    assert listed().count("(off)") == 2
    told(guarded, "rules", "enable", one)
    assert listed().count("(off)") == 1
    assert told(guarded, "rules", "replace", two, "latency", "dur=1s") == f"rule {two}: latency dur=1s\n"
    assert "latency dur=1s" in listed()
    told(guarded, "rules", "clear")
    done = run_here("rules", "move", "1", BROKENREG_URL=guarded.control)
    assert (done.returncode, "use --up N or --down N, with 1 to 1000" in done.stderr) == (2, True)


def test_breakpoints_are_disabled_and_enabled(guarded: Brokenreg) -> None:
    told(guarded, "breakpoints", "add", "status:418")
    told(guarded, "breakpoints", "disable")
    assert "(off)" in told(guarded, "breakpoints", "list")
    told(guarded, "breakpoints", "enable")
    listed = told(guarded, "breakpoints", "list")
    assert "(off)" not in listed
    told(guarded, "breakpoints", "remove", listed.split()[0])
