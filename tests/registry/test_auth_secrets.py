"""Credentials and tokens never appear in output, in logs or in responses of the control API."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import sys
from pathlib import Path

import httpx

from tests.process import brokenreg_process
from tests.server import clean_environment

USER, PASSWORD, WRONG = "casey", "hunter2", "swordfish"
FAULTY = "broken/with/token_lifetime-1m/broken/with/challenge_form-basic-and-bearer/app"


def use_all_of_it(url: str) -> list[str]:
    """Log in in all ways, correctly and wrongly, and return the secrets that were sent or received."""
    secrets = [PASSWORD, WRONG]
    with httpx.Client(base_url=url, timeout=30) as http:
        for password in (PASSWORD, WRONG):
            secrets.append(base64.b64encode(f"{USER}:{password}".encode()).decode())
            for name in ("app", FAULTY):
                query = {
                    "scope": f"repository:{name}:pull,push",
                    "offline_token": "true",
                    "password": password,
                }
                login = {
                    "grant_type": "password",
                    "username": USER,
                    "password": password,
                    "access_type": "offline",
                }
                answers = [
                    http.get("/token", params=query, auth=(USER, password)),
                    http.post("/token", data={**login, "scope": query["scope"]}),
                    http.post("/token", params={"password": password}, data={"password": password}),
                ]
                tokens = {each.json().get("token", "") for each in answers} - {""}
                refresh = [each.json().get("refresh_token", password) for each in answers]
                form = {"grant_type": "refresh_token", "refresh_token": refresh[0], "scope": query["scope"]}
                tokens |= {http.post("/token", data=form).json().get("token", "x" + password)}
                for token in tokens:
                    headers = {"authorization": f"Bearer {token}"}
                    http.get(f"/v2/{name}/tags/list", headers=headers)
                    http.get(f"/v2/{name}/tags/list", params={"access_token": token})
                    http.post(f"/v2/{name}/blobs/uploads/", headers=headers)
                http.get("/v2/", auth=(USER, password))
                secrets += [*tokens, *refresh]
    return secrets


def test_no_output_contains_a_secret(tmp_path: Path) -> None:
    log = tmp_path / "exchanges.jsonl"
    options = ("--auth", "token", "--auth-user", f"{USER}:{PASSWORD}", "--log", str(log))
    with brokenreg_process(tmp_path / "data", *options) as running:
        secrets = use_all_of_it(running.url)
        paths = ["/v1/status", "/v1/faults", "/v1/rules", "/v1/exchanges"]
        with httpx.Client(base_url=running.control) as control:
            answers = [control.get(each) for each in (*paths, *(f"/v1/exchanges/{n}" for n in range(1, 30)))]
        running.stop()
    assert {answer.status_code for answer in answers} == {200}
    said = [answer.text for answer in answers]
    assert any("Basic ***" in text for text in said)
    said += [json.dumps(running.lines), log.read_text()]
    assert len(running.lines) > 20
    for secret in {*secrets, *(secret.rpartition(".")[2] for secret in secrets)}:
        assert len(secret) > 5
        assert not [text for text in said if secret in text]


def test_the_readable_log_and_diagnostics_contain_no_secret(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "brokenreg", "serve", "--listen", "127.0.0.1:0", "--control", "off"]
    environment = clean_environment(
        BROKENREG_DATA=str(tmp_path / "data"),
        BROKENREG_AUTH="basic",
        BROKENREG_AUTH_USER=f"{USER}:{PASSWORD}",
        BROKENREG_READY_FILE=str(tmp_path / "ready"),
        PYTHONUNBUFFERED="1",
    )
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            secrets = use_all_of_it(json.loads((tmp_path / "ready").read_text())["registry"])
            process.send_signal(signal.SIGTERM)
            said = "".join(process.communicate(timeout=10))
        finally:
            process.kill()
    assert said.count("/token") > 10
    assert not [secret for secret in secrets if secret in said]
