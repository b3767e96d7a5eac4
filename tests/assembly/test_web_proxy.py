"""`--upstream-proxy`: upstreams are reached through a web proxy, whose password never appears."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest

from tests.process import brokenreg_process
from tests.proxy.chain import PLAIN, Chain, Start, chain, last
from tests.proxy.web_proxy import web_proxy
from tests.server import Brokenreg, brokenreg

LOGIN = "robot:s3cret"
NOWHERE = f"http://{LOGIN}@127.0.0.1:1"
"""An address without a listener; requests to it would fail."""


def through(
    folder: Path, *options: str, start: Start = brokenreg, **environment: str
) -> AbstractContextManager[Brokenreg]:
    """A brokenreg whose quay.io only a web proxy can resolve."""
    upstream = (
        "--upstream",
        "quay.io=http://registry.test",
        "--upstream",
        "lab.test=http://registry.lab.test",
    )
    return start(folder / "proxy", *upstream, *options, **environment)


def everything(running: Brokenreg) -> str:
    """Return everything that the control API shows."""
    paths = ("status", "exchanges", "exchanges.har", "exchanges/1", "rules")
    return "".join(httpx.get(f"{running.control}/v1/{path}", verify=PLAIN).text for path in paths)


@pytest.mark.slow
def test_all_requests_use_it_and_its_password_never_appears(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """This is true whether the web proxy accepts or refuses the password."""
    told = ""
    with brokenreg(tmp_path / "upstream", "--offline", "--allow-host", "registry.test") as upstream:
        routes = {"registry.test:80": upstream.host}
        with web_proxy(routes, LOGIN) as good, web_proxy(routes, "other:login") as bad:
            urls = (good.url, f"http://{LOGIN}@{bad.place}")
            for number, url in enumerate(urls):
                log = tmp_path / f"log{number}"
                options = ("--upstream-proxy", url, "--log", str(log))
                with through(tmp_path / str(number), *options, start=brokenreg_process) as proxy:
                    both = Chain(upstream, proxy)
                    manifest = both.push_image("org/app", b"layer")
                    response = both.get("/v2/org/app/manifests/v1")
                    told += response.text + everything(proxy)
                    timeline = json.dumps(last(proxy, "endpoint:manifest")["timeline"])
                    proxy.stop()
                    told += json.dumps(proxy.lines) + log.read_text()
                if url == good.url:
                    assert response.content == manifest
                    assert (
                        f"registry.test/v2/org/app/manifests/v1: 200 (through the web proxy {good.place})"
                        in timeline
                    )
                else:
                    assert response.status_code == 502
        assert set(good.asked) == {"CONNECT registry.test:80 HTTP/1.1"}
    told += "".join(capfd.readouterr())
    assert f"the web proxy {bad.place} responded with 407 (Proxy Authentication Required)" in told
    for secret in ("robot", "s3cret", "cm9ib3Q6czNjcmV0"):
        assert secret not in told


def test_the_environment_is_used_if_that_is_wanted(tmp_path: Path) -> None:
    with brokenreg(tmp_path / "upstream", "--offline", "--allow-host", "registry.test") as upstream:
        with web_proxy({"registry.test:80": upstream.host}) as web:
            environment = {"http_proxy": web.url, "NO_PROXY": "lab.test"}
            with through(tmp_path, "--upstream-proxy", "env", **environment) as proxy:
                both = Chain(upstream, proxy)
                manifest = both.push_image("org/app", b"layer")
                assert both.get("/v2/org/app/manifests/v1").content == manifest
                assert both.get("/v2/lab.test/org/app/manifests/v1").status_code == 502
        assert web.asked == ["CONNECT registry.test:80 HTTP/1.1"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("environment", "told"),
    [
        (
            {"HTTPS_PROXY": f"socks5://{LOGIN}@h"},
            "HTTPS_PROXY: unsupported kind of web proxy 'socks5': use http://",
        ),
        (
            {"HTTPS_PROXY": f"http://{LOGIN}@h/x"},
            "HTTPS_PROXY: the URL has something after its host and port",
        ),
    ],
)
def test_a_variable_that_is_not_valid_is_one_line(
    tmp_path: Path, environment: dict[str, str], told: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with (
        pytest.raises(AssertionError, match="ended with 3"),
        through(tmp_path, "--upstream-proxy", "env", start=brokenreg_process, **environment),
    ):
        pass
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"brokenreg: --upstream-proxy env: {told}")
    assert "s3cret" not in line


@pytest.mark.parametrize("names", [("HTTPS_PROXY",), ("http_proxy", "all_proxy")])
def test_direct_connections_to_upstreams_are_reported(tmp_path: Path, names: tuple[str, ...]) -> None:
    with chain(tmp_path, **dict.fromkeys(names, NOWHERE)) as both:
        manifest = both.push_image("org/app", b"layer")
        assert both.get("/v2/org/app/manifests/v1").content == manifest
        told = [line for line in both.proxy.warnings.splitlines() if "web proxy" in line]
    assert told == [
        f"upstreams are reached without a web proxy; not used: {', '.join(names)}; "
        "add --upstream-proxy env to use it"
    ]


def test_an_environment_without_a_web_proxy_is_reported(tmp_path: Path) -> None:
    with through(tmp_path, "--upstream-proxy", "env") as proxy:
        assert "neither HTTPS_PROXY nor HTTP_PROXY is set" in proxy.warnings


@pytest.mark.parametrize("option", [("--offline",), ("--upstream", "quay.io=http://127.0.0.1:1")])
def test_nothing_is_reported_for_finished_work(tmp_path: Path, option: tuple[str, ...]) -> None:
    variables = {"HTTPS_PROXY": NOWHERE} if "--offline" in option else {"HTTPS_PROXY": "", "NO_PROXY": "*"}
    with brokenreg(tmp_path / "data", *option, **variables) as proxy:
        assert "web proxy" not in proxy.warnings
