"""The authentication options: contradictions are reported in one line, without passwords."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result

from brokenreg.cli.main import main
from brokenreg.config.settings import Settings
from tests.server import brokenreg


def serve(data: Path, *arguments: str, **environment: str) -> Result:
    """Run the command itself, which checks its usage before anything starts."""
    return CliRunner().invoke(main, ["serve", "--data", str(data), *arguments], env=environment)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--auth", "magic"], "--auth"),
        (["--auth-user", "a:b"], "--auth-user requires a login: add --auth basic or --auth token"),
        (["--auth", "basic", "--token-lifetime", "1m"], "--token-lifetime requires tokens: add --auth token"),
        (
            ["--auth", "token", "--token-lifetime", "0s"],
            '--token-lifetime: invalid value "0s": use more than 0',
        ),
        (["--auth", "token", "--token-lifetime", "soon"], '--token-lifetime: invalid duration "soon"'),
        (
            ["--auth", "token", "--auth-user", "casey"],
            "--auth-user: use NAME:PASSWORD, both printable and not empty",
        ),
        (
            ["--auth", "token", "--auth-user", "a:b", "--auth-user", "a:c"],
            'user "a" is given twice: remove one of them',
        ),
        (["--public-url", "registry.example"], "--public-url: the URL does not begin with http://"),
        (["--public-url", "https://a/b"], "--public-url: the URL has something after its host"),
        (["--public-url", "https://a:b@c"], "--public-url: the URL has a user or a password"),
        (["--public-url", "https://a?b"], "--public-url: the URL has something after its host"),
        (["--public-url", "https://a:99999"], "--public-url: the URL has an invalid port or address"),
        (["--public-url", "ftp://a"], '--public-url: the URL begins with "ftp", not http:// or https://'),
        (
            ["--public-url", "https://[::1"],
            "--public-url: the URL has an invalid port or address",
        ),
    ],
)
def test_contradictory_options_are_refused(tmp_path: Path, arguments: list[str], problem: str) -> None:
    result = serve(tmp_path / "data", *arguments)
    assert result.exit_code == 2
    assert result.stderr.count("Error: ") == 1
    assert problem in result.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (["--auth-user", "hunter2"], {}),
        (["--auth-user", ":hunter2"], {}),
        (["--auth-user", "casey:hunter2"], {}),
        (["--auth", "basic", "--auth-user", "casey:hunter2", "--auth-user", "casey:hunter2"], {}),
        (["--auth", "basic", "--auth-user", "casey:hunter2", "--public-url", "x"], {}),
        (["--auth", "basic"], {"BROKENREG_AUTH_USER": "casey:x hunter2"}),
        (["--help"], {"BROKENREG_AUTH_USER": "casey:hunter2"}),
    ],
)
def test_no_problem_tells_a_password(
    tmp_path: Path, arguments: list[str], environment: dict[str, str]
) -> None:
    result = serve(tmp_path / "data", *arguments, **environment)
    assert result.exit_code == (0 if "--help" in arguments else 2)
    assert "hunter2" not in result.output + result.stderr


def test_users_in_the_environment(tmp_path: Path) -> None:
    users = {"BROKENREG_AUTH_USER": "casey:hunter2 other:secret", "BROKENREG_AUTH": "basic"}
    with brokenreg(tmp_path / "data", **users) as running:
        for user, status in [(("casey", "hunter2"), 200), (("other", "secret"), 200), (("casey", "x"), 401)]:
            assert httpx.get(f"{running.url}/v2/", auth=user).status_code == status


@pytest.mark.parametrize(
    "url", ["http://a", "https://Registry.example:5000/", "http://[::1]:80", "http://10.0.0.1"]
)
def test_a_public_url_may_be(tmp_path: Path, url: str) -> None:
    settings = Settings.model_validate(
        {"listen": ("127.0.0.1:0",), "data": tmp_path, "fabricate_limit": 1, "public_url": url}
    )
    assert settings.public_url == url.rstrip("/")
