"""How clients react if a connection fails before its first request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.clients.private import Client
from tests.clients.storages import brokenreg
from tests.connections import connects, in_turn, rules_file, until_idle
from tests.server import Brokenreg

FORMS = {
    "tls, form: expired": "certificate has expired",
    "tls, form: wrong-host": "it doesn't contain any IP SANs",
    "tls, form: untrusted": "certificate signed by unknown authority",
    "tls, form: handshake-fails": "remote error: tls: handshake failure",
    "tls, form: old-protocol": "remote error: tls: protocol version not supported",
    "accept, form: garbage": "first record does not look like a TLS handshake",
    "accept, form: reset": "connection reset by peer",
    "accept, form: close": "EOF",
}
"""What Go says of each."""

IMAGE = "broken/random:layers-1_size-10"


@contextmanager
def failing(tmp_path: Path) -> Iterator[Brokenreg]:
    """A registry that lets two connections fail in each form, in this order, and then serves."""
    rules = in_turn(*(form for form in FORMS for _ in range(2)))
    arguments = ["--tls", "self-signed", "--scenario", str(rules_file(tmp_path, rules))]
    with brokenreg(tmp_path / "data", *arguments) as running:
        yield running


def applied(running: Brokenreg) -> list[dict[str, Any]]:
    """Return the connections to which a rule was applied. Go opens some in advance and never uses them."""
    return [each for each in connects(running) if each["faults"]]


@pytest.mark.one_replica
def test_skopeo_dials_twice(tmp_path: Path, skopeo: Client) -> None:
    """It pings `/v2/`, then `/v1/`; as it is to verify, it does not try plain HTTP."""
    with failing(tmp_path) as running:
        (tmp_path / "certs").mkdir()
        (tmp_path / "certs" / "ca.crt").write_bytes((running.data / "tls" / "ca.pem").read_bytes())
        inspect = ("inspect", f"--cert-dir={tmp_path}/certs", f"docker://{running.host}/{IMAGE}")
        for form, says in FORMS.items():
            assert says in skopeo.refused(*inspect), form
        skopeo(*inspect)
        until_idle(running)
        running.stop()
    assert len(applied(running)) == 2 * len(FORMS)


@pytest.mark.one_replica
def test_containerd_dials_each_of_its_hosts_once(tmp_path: Path, ctr: Client) -> None:
    """The first host and the last resort, `server`, are one registry here."""
    with failing(tmp_path) as running:
        hosts = tmp_path / "hosts" / running.host
        hosts.mkdir(parents=True)
        (hosts / "hosts.toml").write_text(
            f"""
            server = "{running.url}"
            ca = "{running.data}/tls/ca.pem"
            [host."{running.url}"]
            ca = "{running.data}/tls/ca.pem"
            """
        )
        image = f"{running.host}/{IMAGE}"
        pull = ("images", "pull", "--snapshotter=native", f"--hosts-dir={tmp_path}/hosts", image)
        for form, says in FORMS.items():
            assert says in ctr.refused(*pull), form
        ctr(*pull)
        ctr("images", "rm", "--sync", image)
        until_idle(running)
        running.stop()
    assert len(applied(running)) == 2 * len(FORMS)


@pytest.mark.parametrize("image", ["broken/tls:form-expired", "broken/with/accept_form-close/app:v1"])
def test_docker_gets_an_error_that_names_alternatives(
    registry: Brokenreg, docker: Client, image: str
) -> None:
    assert 'run "brokenreg rules add ' in docker.refused("pull", f"{registry.host}/{image}")
