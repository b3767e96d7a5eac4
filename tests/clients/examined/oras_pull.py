"""Pulls IMAGE into FOLDER with the Python package oras: `oras_pull.py [--tls] IMAGE FOLDER`.

`pull` unpacks layers in OCI's format, and names those with a title after it. It keeps the others as they are,
under their digests. So that the exam can verify these, they get the names that a `dir:` copy of skopeo has.
"""

import json
import os
import sys
from pathlib import Path

from oras.client import OrasClient


def main() -> None:
    """Use the credentials in the file that podman and skopeo use, too."""
    *options, image, folder = sys.argv[1:]
    client = OrasClient(insecure="--tls" not in options)
    files = client.pull(target=image, outdir=folder, config_path=os.environ["REGISTRY_AUTH_FILE"])
    kept = [each for each in map(Path, files) if each.is_file() and each.name.startswith("sha256:")]
    if kept:
        layers = [{"digest": each.name} for each in kept]
        Path(folder, "manifest.json").write_text(json.dumps({"layers": layers}))
    for each in kept:
        each.rename(each.with_name(each.name.partition(":")[2]))


if __name__ == "__main__":
    try:
        main()
    except Exception as error:  # noqa: BLE001 - a user sees one line, whatever it is
        sys.exit(f"oras: {type(error).__name__}: {error}")
