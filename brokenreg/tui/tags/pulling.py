"""The commands that pull an image from here."""

from __future__ import annotations

from collections.abc import Mapping

from brokenreg.tui.addresses import reachable

_INSECURE = {"podman": "--tls-verify=false ", "skopeo": "--src-tls-verify=false "}

CLIENTS: Mapping[str, str] = {
    "docker": "docker pull {image}",
    "podman": "podman pull {insecure}{image}",
    "skopeo": "skopeo copy {insecure}docker://{image} dir:{folder}",
}
"""By client. `dir:` keeps the layers as they come."""


def pull_command(client: str, address: str, name: str, reference: str, *, is_trusted: bool) -> str:
    """What pulls a tag or a digest of `name` from the listener at `address` (a URL).

    `is_trusted` says whether clients trust its certificate; without they are told not to ask.
    """
    between = "@" if ":" in reference else ":"
    return CLIENTS[client].format(
        image=f"{reachable(address)}/{name}{between}{reference}",
        insecure="" if is_trusted else _INSECURE.get(client, ""),
        folder=name.rpartition("/")[2],
    )
