"""Makes brokenreg the mirror of this node's containerd until SIGTERM, then removes what it wrote.

Environment: REGISTRIES (names, separated by spaces), NODE and PORT (the address of brokenreg), and FOLDER
(containerd's config_path). If one of the files exists and was not written by this program, the program writes
nothing, and fails.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

_MARK = "# Written by brokenreg's node mirror, which removes it when it stops.\n"

# With `server`, containerd does not use the real registry if brokenreg fails. The certificate of brokenreg
# does not name the nodes, so containerd does not verify it.
_HOSTS = """\
server = "{mirror}"

[host."{mirror}"]
  capabilities = ["pull", "resolve"]
  skip_verify = true
"""


def main() -> int:
    """Write the files, wait for SIGTERM or SIGINT, and remove them."""
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    folder = Path(os.environ["FOLDER"])
    files = [folder / name / "hosts.toml" for name in os.environ["REGISTRIES"].split()]
    if foreign := [file for file in files if file.exists() and not _is_ours(file)]:
        for file in foreign:
            print(f"{file} exists: remove it, or its registry from REGISTRIES", file=sys.stderr)
        return 1
    node, port = os.environ["NODE"], os.environ["PORT"]
    mirror = f"https://[{node}]:{port}" if ":" in node else f"https://{node}:{port}"
    try:
        for file in files:
            _write(file, _MARK + _HOSTS.format(mirror=mirror))
        print("wrote", *files, flush=True)
        signal.sigwait(signals)
    finally:
        for file in files:
            _remove(file)
    print("removed", *files, flush=True)
    return 0


def _is_ours(file: Path) -> bool:
    return file.read_bytes().startswith(_MARK.encode())


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(exist_ok=True)
    new = file.with_name("hosts.toml.new")
    new.write_text(text)
    new.replace(file)  # containerd never reads half of it


def _remove(file: Path) -> None:
    if file.exists() and _is_ours(file):
        file.unlink()
        try:
            file.parent.rmdir()
        except OSError:  # it has other files
            return


if __name__ == "__main__":
    sys.exit(main())
