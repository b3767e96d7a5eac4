"""Each setting is an option of `serve` and `tui`, with its default and its environment variable."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from brokenreg.cli.commands import WHOLE_NUMBER
from brokenreg.cli.options import ServerCommand
from brokenreg.cli.serve import serve, settings_from, tui
from brokenreg.config.settings import Settings


def options_of(command: click.Command) -> dict[str, click.Option]:
    found = command.get_params(click.Context(command))
    return {str(each.name): each for each in found if isinstance(each, click.Option)}


@pytest.mark.parametrize("command", [serve, tui])
def test_each_setting_is_an_option(command: ServerCommand) -> None:
    options = options_of(command)
    assert list(Settings.model_fields) == [name for name in options if name in Settings.model_fields]
    for name, field in Settings.model_fields.items():
        option = options[name]
        assert option.opts == [f"--{name.replace('_', '-')}"]
        assert isinstance(option.envvar, list)
        assert option.envvar[0] == f"BROKENREG_{name.upper()}"
        assert option.help == field.description
    assert len(options_of(command)) == len(options), "they are added once"


def test_the_predecessors_variables_set_options_too() -> None:
    legacy = {name: option.envvar[1:] for name, option in options_of(serve).items() if option.envvar}
    assert {name: found[0] for name, found in legacy.items() if found} == {
        "data": "BLOB_DIR",
        "cert": "CERT_FILE",
        "key": "KEY_FILE",
        "v2_catalog_delay": "V2_CATALOG_DELAY",
        "v2_catalog_num_repos": "V2_CATALOG_NUM_REPOS",
    }


def test_kinds_of_options() -> None:
    options = options_of(serve)
    assert {name for name, option in options.items() if option.is_flag} >= {
        "offline",
        "keep_gone",
        "headless",
    }
    assert {name for name, option in options.items() if option.multiple} == {
        *("listen", "scenario", "allow_host", "auth_user"),
        *("upstream", "allow_upstream", "upstream_realm", "upstream_ca"),
    }
    auth = options["auth"].type
    assert isinstance(auth, click.Choice)
    assert list(auth.choices) == ["none", "basic", "token"]
    assert isinstance(options["ready_file"].type, click.Path)
    assert options["seed"].type is WHOLE_NUMBER


def test_without_options_settings_have_their_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BIND_HOST", raising=False)
    monkeypatch.delenv("BIND_PORT", raising=False)
    monkeypatch.setenv("HOME", "/home/somebody")
    with serve.make_context("serve", []) as context:
        settings = settings_from({name: context.params[name] for name in Settings.model_fields})
    assert settings == Settings()
    assert [str(address) for address in settings.listen] == ["127.0.0.1:8080"]
    assert str(settings.control) == "127.0.0.1:8081"
    assert settings.data == Path("/home/somebody/broken-reg")
    assert (settings.tag_ttl, settings.cache_max_size, settings.verify_interval) == (60.0, 20 * 1024**3, None)


def test_the_predecessors_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIND_HOST", "127.0.0.2")
    monkeypatch.setenv("BIND_PORT", "5000")
    assert [str(address) for address in Settings().listen] == ["127.0.0.2:5000"]
