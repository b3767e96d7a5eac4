"""Random requests made from the OpenAPI document: no 5xx, and each response is as documented."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import allow_header_conformance, not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from brokenreg.control.app import ROUTES
from tests.server import Brokenreg, brokenreg

CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    allow_header_conformance,
)
ENDLESS = ("/v1/events",)
"""The route whose response does not end; the tests of exchanges read it."""

Fuzzed = tuple[Brokenreg, Any]


@schemathesis.serializer("application/yaml")
def _as_yaml(context: schemathesis.SerializationContext, value: object) -> bytes:
    return yaml.safe_dump(value).encode()


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    """A registry with content, and the document of its control API."""
    with brokenreg(tmp_path_factory.mktemp("fuzzed") / "data") as running:
        for name in ("x", "in/a/x"):
            httpx.put(f"{running.url}/v2/{name}/manifests/v1", content=b"{}").raise_for_status()
        yield running, schemathesis.openapi.from_url(f"{running.control}/openapi.json")


@pytest.mark.slow
@pytest.mark.parametrize("method_path", [(r.method, r.template) for r in ROUTES if r.template not in ENDLESS])
def test_no_question_breaks_it(fuzzed: Fuzzed, method_path: tuple[str, str]) -> None:
    running, schema = fuzzed
    method, path = method_path
    operation = schema[path][method]

    @settings(
        max_examples=12,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def ask(data: st.DataObject) -> None:
        mode = data.draw(st.sampled_from(GenerationMode))
        case = data.draw(operation.as_strategy(generation_mode=mode))
        case.call_and_validate(base_url=running.control, checks=CHECKS, timeout=20)

    ask()
    assert running.is_running
