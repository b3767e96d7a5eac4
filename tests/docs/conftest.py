"""What documented commands run with: a network of their own, and real clients in it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest

from bench import postgresql
from tests.clients import private
from tests.clients.private import PROGRAMS, Client
from tests.clients.programs import need
from tests.docs.own_network import busy_port, own_network
from tests.docs.pages import ROOT, Page
from tests.docs.shell import Shell

_OTHERS = ("curl", "jq", "node", "oras", "tmux", "umoci", "docker-registry")
"""Programs that are needed, if a page uses them, and that need no store."""

ShellFor = Callable[[Page], AbstractContextManager[Shell]]
"""Makes the shell of a page."""


@pytest.fixture(scope="session")
def network() -> Iterator[tuple[str, ...]]:
    """The words that begin a command in a network of its own; none if this machine's is used."""
    with own_network() as prefix:
        if not prefix and (port := busy_port()):
            reason = f"port {port} is in use, and a network of its own needs Linux and more rights"
            if os.environ.get("BROKENREG_REQUIRE_CLIENTS") == "1":
                pytest.fail(reason, pytrace=False)
            pytest.skip(reason)
        yield prefix


@pytest.fixture(scope="session")
def docs_docker(network: tuple[str, ...]) -> Iterator[Client]:
    """The docker command, on a daemon in that network."""
    need(*PROGRAMS["docker"], root=True)
    with private.short_folder() as folder:
        env = private.client_environment(folder)
        with private.docker_client(folder, env, prefix=network) as client:
            yield client


@pytest.fixture
def shell_for(network: tuple[str, ...], request: pytest.FixtureRequest) -> ShellFor:
    """Make the shell of a page. Skip if a client that it uses is missing."""

    @contextmanager
    def shell(page: Page) -> Iterator[Shell]:
        used = _words(page)
        need(*(name for name in _OTHERS if name in used))
        if any(block.order("terminal") for block in page.blocks):
            need("tmux")
        with private.short_folder() as folder, ExitStack() as stack:
            env = _environment(folder)
            stack.callback(_end_terminal, env)
            if used & {"docker", "dockerd"}:
                docker = request.getfixturevalue("docs_docker")
                env["DOCKER_HOST"] = docker.words[-1]
                stack.callback(_forget_images, docker)
            for name in used & PROGRAMS.keys() - {"docker"}:
                _wrap(name, folder, env, network, stack)
            if page.name.startswith("examples/"):
                shutil.copytree((ROOT / page.name).parent, env["HOME"], dirs_exist_ok=True)
            if "postgresql-server" in used:
                _wrap_server(folder)
            if "make" in used:
                _clone(Path(env["HOME"]))
            files = folder / "files"
            files.mkdir()
            with Shell(network, env, Path(env["HOME"]), files) as running:
                yield running

    return shell


def _words(page: Page) -> set[str]:
    """All words of what a page runs."""
    texts = [
        block.text for block in page.blocks if block.language == "console" and not block.order("not run")
    ]
    texts += [step.text for step in page.steps if step not in page.blocks]
    return set(re.findall(r"[\w-]+", "\n".join(texts)))


def _environment(folder: Path) -> dict[str, str]:
    env = private.client_environment(folder)
    wrappers = folder / "bin"
    wrappers.mkdir()
    for name in (
        "COLUMNS",
        "LINES",
        "DOCKER_CONFIG",
        "PYTHONDONTWRITEBYTECODE",
        "SSL_CERT_FILE",
        "PYTEST_CURRENT_TEST",
    ):
        env.pop(name, None)
    own = {name: value for name, value in env.items() if not name.startswith(("BROKENREG_", "PYTEST_"))}
    path = os.pathsep.join([str(wrappers), str(Path(sys.executable).parent), env["PATH"]])
    return {
        **own,
        "TMUX_TMPDIR": str(folder),
        "PATH": path,
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "USER": "you",
    }


def _wrap(name: str, folder: Path, env: dict[str, str], network: tuple[str, ...], stack: ExitStack) -> None:
    """Put a client on the path that has a store of its own."""
    need(*PROGRAMS[name], root=name not in ("skopeo",))
    if name == "skopeo":
        return
    if name == "ctr":
        client = stack.enter_context(private.ctr_client(folder, env, prefix=network))
    elif name == "podman":
        client = stack.enter_context(private.podman_client(folder, env))
    else:
        client = stack.enter_context(private.buildah_client(folder, env))
    program, *options = client.words
    script = folder / "bin" / name
    path = f'PATH="{env["PATH"].split(os.pathsep, 1)[1]}"'
    script.write_text(f'#!/bin/sh\n{path} exec {program} {" ".join(options)} "$@"\n')
    script.chmod(0o755)


def _wrap_server(folder: Path) -> None:
    """Put a command on the path that runs a PostgreSQL server with an empty database."""
    try:
        postgresql.programs()
    except FileNotFoundError:
        need("postgresql")
    script = folder / "bin" / "postgresql-server"
    script.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -P -m bench.postgresql 5432\n')
    script.chmod(0o755)


def _clone(home: Path) -> None:
    """Make the working folder one in which `make serve` works, with an environment that is made already."""
    environment = home / ".venv"
    environment.mkdir()
    (environment / "bin").symlink_to(Path(sys.executable).parent)
    for name in ("Makefile", "pyproject.toml"):
        (home / name).symlink_to(ROOT / name)
    (environment / "made").touch()


def _end_terminal(env: dict[str, str]) -> None:
    """End tmux, which does not end with the shell that started it."""
    if any(Path(env["TMUX_TMPDIR"]).glob("tmux-*/*")):
        subprocess.run(["tmux", "-L", "docs", "kill-server"], env=env, check=False, capture_output=True)


def _forget_images(docker: Client) -> None:
    """Forget all images: a client does not pull again what it has."""
    if images := docker("image", "ls", "--all", "--quiet", "--no-trunc").split():
        docker("image", "rm", "--force", *sorted(set(images)))
