"""A fleet needs blobs that all replicas share, or says that it has none."""

from __future__ import annotations

import click
import pytest

from brokenreg.cli.serve import serve, settings_from
from brokenreg.config.settings import Settings

FLEET = {"database": "postgresql://127.0.0.1/x", "fleet_key": "a long and random text"}


def test_a_fleet_without_an_object_store_is_refused() -> None:
    with pytest.raises(ValueError, match="--fleet-key requires blobs that all brokenregs share: add --blobs"):
        Settings.model_validate(FLEET)


@pytest.mark.parametrize("blobs", ["file:", "s3://bucket/prefix"])
def test_a_fleet_that_says_where_its_blobs_are(blobs: str) -> None:
    assert str(Settings.model_validate({**FLEET, "blobs": blobs}).blobs) == blobs


@pytest.mark.parametrize("blobs", [(), ("--blobs", "file:")])
def test_the_default_of_the_option_says_nothing(
    blobs: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BROKENREG_BLOBS", raising=False)
    arguments = ["--database", FLEET["database"], "--fleet-key", FLEET["fleet_key"], *blobs]
    with serve.make_context("serve", arguments) as context:
        options = {name: context.params[name] for name in Settings.model_fields}
        if blobs:
            assert settings_from(options).blobs.is_folder
        else:
            with pytest.raises(
                click.UsageError, match="--fleet-key requires blobs that all brokenregs share"
            ):
                settings_from(options)
