"""The command line: its output and its errors."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.process import brokenreg_process, launch, run_here
from tests.server import clean_environment


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "brokenreg", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        stdin=subprocess.DEVNULL,
        env=clean_environment(**environment),
    )


@pytest.mark.slow
def test_the_ready_line_comes_first_and_the_registry_answers(tmp_path: Path) -> None:
    ready_file = tmp_path / "ready.json"
    with brokenreg_process(tmp_path / "data", "--ready-file", str(ready_file)) as running:
        assert running.ready["event"] == "ready"
        assert running.ready["registry"] == f"http://{running.ready['host']}"
        assert running.ready["pid"] == running.process.pid
        assert json.loads(ready_file.read_text()) == running.ready
        assert ready_file.stat().st_mode & 0o777 == 0o600
        assert httpx.get(f"{running.url}/v2/").json() == {}
        status = httpx.get(f"{running.control}/v1/status").json()
        assert status["version"] == running.ready["version"]
        assert status["registry"] == [running.url]
        assert running.stop() == 0
    assert [line["path"] for line in running.lines if line["event"] == "exchange"] == ["/v2/"]


def test_control_off(tmp_path: Path) -> None:
    with brokenreg_process(tmp_path / "data", "--control", "off") as running:
        assert running.ready["control"] is None


def test_several_listeners(tmp_path: Path) -> None:
    with brokenreg_process(tmp_path / "data", "--listen", "127.0.0.1:0", "--listen", "[::1]:0") as running:
        urls = httpx.get(f"{running.control}/v1/status").json()["registry"]
        assert [httpx.get(f"{url}/v2/").status_code for url in urls] == [200, 200]
        assert urls[1].startswith("http://[::1]:")


@pytest.mark.slow
def test_serve_alone_prints_a_readable_log(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "brokenreg", "serve", "--listen", "127.0.0.1:0", "--control", "off"],
        stdout=subprocess.PIPE,
        text=True,
        env=clean_environment(BROKENREG_DATA=str(tmp_path), PYTHONUNBUFFERED="1"),
    )
    try:
        assert process.stdout is not None
        greeting = process.stdout.readline()
        url = next(word for word in greeting.replace(",", "").split() if word.startswith("http://"))
        assert "docker pull" in process.stdout.readline()
        httpx.get(f"{url}/v2/a%1b[31mb/tags/list")
        assert "\x1b" not in process.stdout.readline()
        httpx.get(f"{url}/v2/broken/error/manifests/503")
        line = process.stdout.readline()
        assert "✗ 503" in line
        assert "GET /v2/broken/error/manifests/503" in line
        assert "fault error" in line
        assert "\x1b" not in line
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=5) == 0
    finally:
        process.kill()
        process.wait(timeout=5)
        if process.stdout is not None:
            process.stdout.close()


@pytest.mark.slow
def test_the_output_need_not_be_read(tmp_path: Path) -> None:
    """A full pipe must not stop the registry or its shutdown."""
    with brokenreg_process(tmp_path / "data") as running:
        agent = {"user-agent": "x" * 4000}
        with httpx.Client(base_url=running.url, headers=agent, timeout=10) as client:
            for _ in range(60):  # some four times what a pipe holds
                assert client.get("/v2/").status_code == 200
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(timeout=3) == 0


@pytest.mark.slow
def test_the_log_file_takes_each_exchange(tmp_path: Path) -> None:
    log = tmp_path / "exchanges.jsonl"
    with brokenreg_process(tmp_path / "data", "--log", str(log)) as running:
        httpx.get(f"{running.url}/v2/")
        running.stop()
    assert [json.loads(line)["path"] for line in log.read_text().splitlines()] == ["/v2/"]
    assert log.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--listen", "nowhere"], '--listen: invalid address "nowhere": use nowhere:PORT'),
        (["--listen", "127.0.0.1:99999"], '--listen: invalid port "99999": use 1 to 65535'),
        (["--control", "0.0.0.0:0"], "add --control-token TOKEN"),
        (["--control-token", ""], "--control-token: no client can send this token"),
        (["--control-token", "t\n"], "--control-token: no client can send this token"),
        (["--control-token", " t"], "--control-token: no client can send this token"),
        (["--control-read-token", " t"], "--control-read-token: no client can send this token"),
        (["--control-read-token", "r"], "--control-read-token requires --control-token"),
        (["--control-read-token", "t", "--control-token", "t"], "use two different tokens"),
        (["--cert", "x.pem"], "--cert and --key (CERT_FILE and KEY_FILE) require each other"),
        (["--tls", "magic"], "self-signed"),
        (["--fabricate-limit", "much"], '--fabricate-limit: invalid size "much"'),
        (["--v2-catalog-delay", "soon"], '--v2-catalog-delay: invalid duration "soon"'),
        (["--no-such-option"], "--no-such-option"),
        (
            ["--upstream", "a.b=127.0.0.1:5000"],
            "--upstream: a.b: the URL does not begin with http:// or https://: ",
        ),
        (
            ["--upstream", "a.b=ftp://c"],
            '--upstream: a.b: the URL begins with "ftp", not http:// or https://',
        ),
        (
            ["--upstream", "a.b=http://c:99999"],
            "--upstream: a.b: the URL has an invalid port or address",
        ),
        (["--upstream", "a.b=http://c:0"], "--upstream: a.b: the URL has port 0"),
        (
            ["--upstream", "a.b=http://c/v2/"],
            "--upstream: a.b: the URL has something after its host and port",
        ),
        (
            ["--upstream", "a.b=http://u:p@c"],
            "--upstream: a.b: the URL has a user or a password before its host",
        ),
        (
            ["--upstream", "a.b=http://"],
            "--upstream: a.b: the URL has no host: use one such as https://mirror.",
        ),
        (
            ["--upstream", "a.b=http://0177.0.0.1:5000"],
            "--upstream: a.b: the URL has a host that is neither a name nor an address",
        ),
        (["--upstream", f"a.b=http://{'a' * 64}.c"], "--upstream: a.b: the URL has a host that is neither"),
        (
            ["--upstream-realm", "https://auth.example"],
            '--upstream-realm: invalid value "https://auth.example": use NAME=URL, such as quay.io=https://auth.',
        ),
        (
            ["--default-upstream", "0177.0.0.1"],
            '--default-upstream: invalid upstream "0177.0.0.1": use a host name, an IPv4 address of four ',
        ),
        (
            ["--listen", "127.0.0.1:0=127.1.2.300:5000"],
            '--listen: invalid upstream "127.1.2.300:5000": use a host name, an IPv4 address of four ',
        ),
        (
            ["--log-memory", "1023KiB"],
            '--log-memory: invalid value "1023KiB": use a size from 1MiB to 1TiB, for example 64MiB',
        ),
        (["--log-memory", "much"], '--log-memory: invalid size "much"'),
        (
            ["--verify-interval", "0s"],
            '--verify-interval: invalid value "0": use a duration of 1s or more, for example 24h',
        ),
        (["--upstream", "a.b=http://c d"], "--upstream: a.b: the URL has an invalid host"),
        (
            ["--allow-upstream", ""],
            '--allow-upstream: invalid glob "": use one for names of registries, such as quay.io',
        ),
        (["--allow-upstream", "[x"], '--allow-upstream: invalid glob "[x"'),
        (
            ["--allow-upstream", "quay.io", "--default-upstream", "docker.io"],
            "--default-upstream docker.io is not allowed by --allow-upstream quay.io: add --allow-upstream ",
        ),
        (
            ["--upstream-proxy", "socks5://robot:s3cret@h:1080"],
            "--upstream-proxy: unsupported kind of web proxy 'socks5': use http:// or https:// (CONNECT)",
        ),
        (
            ["--upstream-proxy", "http://robot:s3cret@h:99999"],
            "--upstream-proxy: the URL has an invalid port or address",
        ),
        (["--upstream-proxy", "http://"], "--upstream-proxy: the URL has no host: use one "),
        (
            ["--upstream-proxy", "http://robot:s3cret@h:3128", "--listen", "0.0.0.0:0"],
            "--upstream-proxy requires --allow-upstream if other machines can reach --listen",
        ),
        (
            ["--upstream-timeout", "0s"],
            '--upstream-timeout: invalid value "0s": use a duration from 1ms to 1h, for example 60s',
        ),
        (
            ["--upstream-timeout", "2h"],
            '--upstream-timeout: invalid value "2h": use a duration from 1ms to 1h',
        ),
        (
            ["--tag-ttl", "-1s"],
            '--tag-ttl: invalid value "-1s": use a duration of 0s or more, for example 60s',
        ),
        (["--max-data", "0"], '--max-data: invalid value "0": use a size of more than 0, for example 50GiB'),
    ],
)
def test_bad_usage_is_one_line_and_status_2(tmp_path: Path, arguments: list[str], problem: str) -> None:
    result = run_here("serve", "--data", str(tmp_path / "data"), *arguments)
    assert result.returncode == 2
    assert result.stdout == ""
    assert problem in result.stderr
    assert "s3cret" not in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "data").exists()


def test_bad_usage_of_a_process_of_its_own(tmp_path: Path) -> None:
    arguments = ("serve", "--data", str(tmp_path / "data"), "--upstream", "a.b=http://u:s3cret@c")
    result, here = run(*arguments), run_here(*arguments)
    assert (result.returncode, result.stdout) == (here.returncode, here.stdout) == (2, "")
    assert result.stderr.splitlines()[-1] == here.stderr.splitlines()[-1]
    assert "s3cret" not in result.stderr


@pytest.mark.slow
def test_a_busy_port_is_one_line_and_status_1(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("serve", "--data", str(tmp_path), "--listen", f"127.0.0.1:{port}", "--control", "off")
    assert result.returncode == 3
    assert result.stderr.count("\n") == 1
    in_use = f"--listen 127.0.0.1:{port}: address already in use by another program: choose another port"
    assert result.stderr == f"brokenreg: {in_use} (0: any free port)\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("data", "problem"),
    [("/proc/nowhere", "cannot use the data folder"), ("/dev/null/x", "cannot use the data folder")],
)
def test_an_unusable_data_folder_is_one_line_and_status_1(data: str, problem: str) -> None:
    result = run("serve", "--data", data, "--listen", "127.0.0.1:0", "--control", "off")
    assert (result.returncode, result.stderr.count("\n")) == (3, 1)
    assert problem in result.stderr


@pytest.mark.slow
def test_bad_certificates_are_one_line_and_status_1(tmp_path: Path) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_text("nothing")
    for certificate in (bad, tmp_path / "missing.pem"):
        result = run("serve", "--data", str(tmp_path / "data"), "--listen", "127.0.0.1:0", "--control", "off",
                     "--cert", str(certificate), "--key", str(bad))  # fmt: skip
        assert (result.returncode, result.stderr.count("\n")) == (3, 1)
        assert f"cannot use certificate {certificate} with key {bad}: " in result.stderr


@pytest.mark.slow
def test_there_is_no_prompt_for_a_passphrase(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    secret = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"hunter2"),
    )
    key.write_bytes(secret)
    chain = tmp_path / "chain.pem"
    chain.write_bytes(trustme.CA().issue_cert("localhost").cert_chain_pems[0].bytes())
    result = run("serve", "--data", str(tmp_path / "data"), "--listen", "127.0.0.1:0", "--control", "off",
                 "--cert", str(chain), "--key", str(key))  # fmt: skip
    assert (result.returncode, result.stderr.count("\n")) == (3, 1)
    assert "the key is encrypted" in result.stderr


@pytest.mark.slow
def test_flag_before_environment_before_file_before_default(tmp_path: Path) -> None:
    config = tmp_path / "brokenreg.toml"
    config.write_text(
        f'[serve]\nlisten = ["127.0.0.1:0"]\ncontrol = "off"\ndata = "{tmp_path}/file"\n'
        "v2-catalog-num-repos = 1\n"
    )
    command = [sys.executable, "-m", "brokenreg", "--config", str(config), "serve", "--headless"]
    environment = clean_environment(BROKENREG_DATA=str(tmp_path / "environment"), V2_CATALOG_NUM_REPOS="2")
    with subprocess.Popen(
        [*command, "--v2-catalog-num-repos", "3"], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        names = httpx.get(f"{ready['registry']}/v2/_catalog").json()["repositories"]
        process.terminate()
    assert len(names) == 3
    assert ready["control"] is None
    assert (tmp_path / "environment").is_dir()
    assert not (tmp_path / "file").exists()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("listen", "invalid TOML"),
        ("[srve]", 'unknown table "srve": did you mean serve?'),
        ("[serve]\nlsten = 1", '[serve] unknown option "lsten": did you mean listen?'),
        ("[serve]\nport = 5000", '[serve] unknown option "port": did you mean listen?'),
        ("[serve]\nconfig = 'x'", 'unknown option "config"'),
        ("[serve]\nlisten = 5", "[serve] listen: use a list of HOST:PORT[=UPSTREAM], or one, in quotes"),
        ("[serve]\nlisten = [5]", "[serve] listen: use a list of HOST:PORT"),
        ("[serve]\ndata = 5", "[serve] data: use one DIR, in quotes"),
        ("[serve]\nseed = {a = 1}", "[serve] seed: use a whole number"),
        ("[serve]\nheadless = 'maybe'", "[serve] headless: use true or false"),
    ],
)
def test_a_bad_configuration_file_is_reported(tmp_path: Path, text: str, problem: str) -> None:
    config = tmp_path / "brokenreg.toml"
    config.write_text(text)
    for arguments in (["--config", str(config), "serve"], ["serve", "--config", str(config)]):
        result = run_here(*arguments)
        assert result.returncode == 2
        assert problem in result.stderr
        assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_a_configuration_file_is_named_before_the_command_or_after_it(tmp_path: Path) -> None:
    config = tmp_path / "brokenreg.toml"
    # One listener, without a list, and a file that cannot be written: it ends as soon as it listens.
    config.write_text(
        f'[serve]\nlisten = "127.0.0.1:0"\ncontrol = "off"\ndata = "{tmp_path}/data"\n'
        f'fabricate-limit = 1048576\nready-file = "{tmp_path}/nowhere/ready"\n'
    )
    other = tmp_path / "other.toml"
    other.write_text("[serve]\nseed = 'x'\n")
    ways = [["--config", str(config), "serve"], ["serve", "--config", str(config)], ["serve"]]
    for way in ways:
        result = run(*way, **({"BROKENREG_CONFIG": str(config)} if way == ["serve"] else {}))
        assert (result.returncode, result.stderr.count("\n")) == (3, 1)
        assert f"{tmp_path}/nowhere/ready" in result.stderr
    # The flag before the command goes before the environment.
    result = run(*ways[0], BROKENREG_CONFIG=str(other))
    assert f"{tmp_path}/nowhere/ready" in result.stderr


def test_a_configuration_file_that_cannot_be_read_is_status_3(tmp_path: Path) -> None:
    done = run_here("--config", str(tmp_path / "none.toml"), "serve")
    assert (done.returncode, done.stderr) == (
        3,
        f"Error: --config {tmp_path}/none.toml: No such file or directory\n",
    )


@pytest.mark.slow
def test_the_predecessors_variables_work(tmp_path: Path) -> None:
    process = launch(
        tmp_path / "unused", "--listen", "127.0.0.1:0", V2_CATALOG_DELAY="200ms", V2_CATALOG_NUM_REPOS="5"
    )
    try:
        response = httpx.get(f"{process.url}/v2/_catalog")
        assert len(response.json()["repositories"]) == 5
        assert response.elapsed.total_seconds() >= 0.2
    finally:
        process.stop()
    port = free_port()
    with subprocess.Popen(
        [sys.executable, "-m", "brokenreg", "serve", "--headless", "--control", "off"],
        stdout=subprocess.PIPE,
        text=True,
        env=clean_environment(BIND_HOST="127.0.0.2", BIND_PORT=str(port), BLOB_DIR=str(tmp_path / "blobs")),
    ) as predecessor:
        assert predecessor.stdout is not None
        assert json.loads(predecessor.stdout.readline())["registry"] == f"http://127.0.0.2:{port}"
        predecessor.terminate()
    assert (tmp_path / "blobs").is_dir()


@pytest.mark.slow
def test_a_second_brokenreg_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    with brokenreg_process(tmp_path / "data"):
        result = run("serve", "--data", str(tmp_path / "data"), "--listen", "127.0.0.1:0", "--control", "off")
    assert (result.returncode, result.stderr.count("\n")) == (3, 1)
    assert "in use by another brokenreg" in result.stderr


def test_the_panel_needs_a_terminal(tmp_path: Path) -> None:
    result = run("tui", "--data", str(tmp_path))
    assert result.returncode == 2
    assert "brokenreg serve" in result.stderr


def test_invalid_keys_and_filters_of_the_panel_are_reported_in_one_line(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    for keys, told in (
        (
            'traffic.follow = "hyperspace"',
            'Error: [keys] traffic.follow: unknown key "hyperspace": use, for example',
        ),
        ('traffic.folow = "f"', 'Error: [keys] unknown command "traffic.folow": did you mean traffic.'),
        (
            '"traffic.follow" = "q"',
            'Error: [keys] key "q" is used by both traffic.follow and panel.quit: change',
        ),
        ('panel.help = "f1"', "Error: the panel needs a terminal"),
    ):
        config.write_text(f"[keys]\n{keys}\n[tui]\ntheme = 'light'\n")
        result = run_here("--config", str(config), "tui", "--data", str(tmp_path))
        assert result.returncode == 2
        assert result.stderr.splitlines()[-1].startswith(told)
    for filters, told in (
        ('lost = "status:5xxx"', "Error: [filters] lost: "),
        ("lost = 3", "Error: [filters] lost: write a filter in quotes, for example"),
        ('"not found" = "status:404"', 'Error: [filters] invalid name "not found": use up to 30'),
        ('lost = "body:denied status:404"', "Error: the panel needs a terminal"),
    ):
        config.write_text(f"[filters]\n{filters}\n")
        result = run_here("--config", str(config), "tui", "--data", str(tmp_path))
        assert result.stderr.splitlines()[-1].startswith(told)
    config.write_text("keys = 3\n")
    assert 'unknown table "keys": ' in run_here("--config", str(config), "tui").stderr
    assert (
        '--theme: invalid value "pink": use dark, light or ansi' in run_here("tui", "--theme", "pink").stderr
    )


def test_help_tells_the_variables() -> None:
    assert "BROKENREG_DATA, BLOB_DIR" in " ".join(run_here("serve", "--help").stdout.split())
    told = " ".join(run_here("rules", "list", "--help").stdout.split())
    assert "env var: BROKENREG_URL; default: ($BROKENREG_CONTROL, or http://127.0.0.1:8081)" in told
    assert "BROKENREG_CONTROL_TOKEN" in told


def free_port() -> int:
    """A port that the kernel gives to nobody by chance: those are above 32768."""
    while True:
        port = random.SystemRandom().randint(20_000, 32_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
