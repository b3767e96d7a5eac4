"""Prints the tags of REPOSITORY with the Python package oras: `oras_list.py HOST/REPOSITORY`."""

import os
import sys

from oras.client import OrasClient


def main() -> None:
    """Use the credentials in the file that podman and skopeo use, too."""
    (repository,) = sys.argv[1:]
    client = OrasClient(insecure=True)
    container = client.get_container(repository)
    client.auth.load_configs(container, configs=[os.environ["REGISTRY_AUTH_FILE"]])
    print("\n".join(client.get_tags(repository)))


if __name__ == "__main__":
    try:
        main()
    except Exception as error:  # noqa: BLE001 - a user sees one line, whatever it is
        sys.exit(f"oras: {type(error).__name__}: {error}")
