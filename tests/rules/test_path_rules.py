"""Path rules: a spelled rule is parsed back, and an invalid path is an error."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Any, get_args

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from brokenreg.faults.catalogue import CATALOGUE
from brokenreg.oci.target import Target, parse_target
from brokenreg.rules.path_rules import PathRules, fault_images, prefix_of
from brokenreg.rules.rule import Rule, rule_of
from brokenreg.rules.scenario import Scenario
from brokenreg.rules.scenario_text import read_scenario, write_scenario
from brokenreg.traffic.matching import EndpointName
from tests.server import Brokenreg

HOST = "127.0.0.1:65535/"
# The grammar of github.com/distribution/reference, by which containers/image reads `docker://` names.
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(rf"(?P<name>[\w.:]+(?:/{_COMPONENT})+)(?::(?P<tag>\w[\w.-]{{0,127}}))?", re.ASCII)

_VALUES = st.one_of(
    st.integers(0, 10**10),
    st.floats(0, 1),
    st.booleans(),
    st.sampled_from(["64KiB", "50%", "1m30s", "1us", "headers", "fin", "rst", "html", "TOO_MANY", "x-odd"]),
    st.text("abcXYZ019._- /", max_size=12),
)


def _values(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    words = [word for each in (schema, *schema.get("anyOf", ())) for word in each.get("enum", ())]
    small = st.integers(max(0, schema.get("minimum", 0)), min(schema.get("maximum", 10**6), 10**6))
    return st.one_of(st.sampled_from(words), _VALUES) if words else small | _VALUES


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    """Draw a rule with one fault of any kind, using those drawn parameters that the fault accepts."""
    kind = draw(st.sampled_from(list(CATALOGUE.values())))
    given: dict[str, Any] = {}
    schema = kind.model_json_schema().get("properties", {})
    for name, field in kind.model_fields.items():
        if field.is_required() or draw(st.booleans()):
            given[name] = draw(_values(schema[name]))
            try:
                kind.model_validate({**({"dur": "1s"} if kind.name == "timeout" else {}), **given})
            except ValidationError:
                del given[name]
    if kind.name == "timeout":
        given.setdefault("dur", "1s")
    document: dict[str, Any] = {"fault": {"type": kind.name, **given}}
    for name, values in {
        "match": st.fixed_dictionaries({"endpoint": st.sampled_from(get_args(EndpointName))}),
        "skip": st.integers(0, 100),
        "times": st.integers(0, 100),
        "probability": st.floats(0, 1),
    }.items():
        if draw(st.integers(0, 3)) == 0:
            document[name] = draw(values)
    try:
        return rule_of(document)
    except ValueError:
        return rule_of({"fault": document["fault"]})


def _is_reference(text: str) -> bool:
    match = _REFERENCE.fullmatch(text)
    return match is not None and len(match["name"]) <= 255


@pytest.fixture(scope="module")
def path_rules() -> PathRules:
    images: Any = None  # prefixes are read without
    return PathRules(images)


def _read(path_rules: PathRules, target: Target) -> list[Rule]:
    assert target.error is None, target.error
    return [each.rule for each in path_rules.rules(target, "GET")]


@given(rules())
def test_a_rule_written_as_a_prefix_reads_back_as_the_same_rule(path_rules: PathRules, rule: Rule) -> None:
    try:
        prefix = prefix_of(rule)
    except ValueError:
        return
    assert _read(path_rules, parse_target(f"/v2/{prefix}library/app/manifests/v1")) == [rule]
    assert len(HOST + prefix) > 200 or _is_reference(f"{HOST}{prefix}library/app:v1")


@given(rules(), st.integers(1, 127), st.integers(0, 2**40), st.integers(-(2**63), 2**63 - 1))
def test_a_rule_written_as_a_tag_reads_back_as_the_same_rule(
    path_rules: PathRules, rule: Rule, layers: int, size: int, seed: int
) -> None:
    """Its image is as the tag says, regardless of the prefix."""
    try:
        _, _, params = prefix_of(rule).removeprefix("broken/with/").rstrip("/").partition("_")
    except ValueError:
        return
    name = rule.fault[0].name
    tag = "_".join(filter(None, (params, f"layers-{layers}_size-{size}_seed-{seed}")))
    target = parse_target(f"/v2/broken/{name}/manifests/{tag}")
    if rule.endpoint not in ("manifest", "config", "layer", "blob", "any") or len(tag) > 128:
        return
    assert _read(path_rules, target) == [rule]
    image = fault_images()[f"broken/{name}"](tag)
    assert (image.layers, image.size, image.seed) == (layers, size, seed)


@given(rules(), rules())
def test_prefixes_nest_outermost_first(path_rules: PathRules, outer: Rule, inner: Rule) -> None:
    try:
        prefix = prefix_of(outer) + prefix_of(inner)
    except ValueError:
        return
    target = parse_target(f"/v2/broken/in/t1/{prefix}app/tags/list")
    if target.error is None:
        assert target.namespace == "t1"
        assert _read(path_rules, target) == [outer, inner]


@given(rules())
def test_a_rule_written_as_yaml_reads_back_as_the_same_rule(rule: Rule) -> None:
    text = write_scenario(Scenario(rules=(rule,)))
    (read,) = read_scenario(text, "x").scenario.rules
    assert read == rule
    assert read.written() == rule.written()
    assert rule_of(rule.written()) == rule


@given(st.from_regex(r"/v2/(?:[a-zA-Z0-9._/-]{1,80})/manifests/[a-zA-Z0-9._-]{1,140}", fullmatch=True))
def test_what_is_accepted_is_a_reference(path: str) -> None:
    target = parse_target(path)
    if target.error is None:
        assert _is_reference(f"{HOST}{target.name}:{target.reference}")


@pytest.mark.parametrize("kind", sorted(CATALOGUE))
def test_every_fault_has_a_path_or_says_how_to_use_it(path_rules: PathRules, kind: str) -> None:
    fault = CATALOGUE[kind]
    rule = rule_of({"fault": {"type": kind, **({"dur": "1s"} if kind == "timeout" else {})}})
    if fault.default_endpoint == "connect":
        with pytest.raises(ValueError, match="scenario file"):
            prefix_of(rule)
    else:
        assert _read(path_rules, parse_target(f"/v2/{prefix_of(rule)}a/manifests/v1")) == [rule]


@pytest.mark.parametrize(
    ("name", "tag", "status", "told"),
    [
        ("broken/eror", "404", 404, "did you mean broken/error?"),
        ("broken/with/truncat/app", "v1", 404, "did you mean broken/with/truncate?"),
        ("broken/error/deeper", "404", 404, "no fault "),
        ("broken/error", "99", 400, "status"),
        ("broken/error", "status-404_status-405", 400, "twice"),
        ("broken/error", "stats-404", 400, "unknown parameter"),
        ("broken/error", "status-", 400, "no value"),
        ("broken/error", "status-404_layers-128", 400, "layers"),
        ("broken/error", "status-404_layers-many", 400, "layers"),
        ("broken/truncate", "after-lots", 400, "after"),
        ("broken/truncate", "after-101pct", 400, "101"),
        ("broken/truncate", "probability-2", 400, "probability"),
        ("broken/truncate", "times-x", 400, "times"),
        ("broken/truncate", "endpoint-kitchen", 400, "kitchen"),
        ("broken/truncate", "endpoint-tags", 400, "broken/with/truncate"),
        ("broken/tag-pages", "latest", 400, "broken/with/tag-pages"),
        ("broken/accept", "latest", 400, "rules add accept"),
        ("broken/with/tls_form-expired/app", "v1", 400, "rules add tls"),
        ("broken/with/error_endpoint-connect/app", "v1", 400, "connect"),
        ("broken/with/truncate__after-1/app", "v1", 400, "unknown parameter"),
        ("broken/with/error_status-600/app", "v1", 400, "status"),
        ("broken/with/error_seed-x/app", "v1", 400, "seed"),
        ("broken/with/error", "v1", 400, "names no image"),
        ("broken/with/error/broken/in/a/app", "v1", 400, "put broken/in/<namespace>/ first"),
        ("broken/in/a", "v1", 400, "names no image"),
    ],
)
def test_a_bad_path_says_what_is_wrong(
    registry: Brokenreg, name: str, tag: str, status: int, told: str
) -> None:
    for method in ("GET", "HEAD"):
        answer = httpx.request(method, f"{registry.url}/v2/{name}/manifests/{tag}")
        assert answer.status_code == status, answer.text
    (error,) = httpx.get(f"{registry.url}/v2/{name}/manifests/{tag}").json()["errors"]
    assert told in error["message"]
    assert error["code"] == "NAME_UNKNOWN" if status == 404 else error["code"] in (
        "NAME_INVALID",
        "MANIFEST_INVALID",
    )  # fmt: skip


@pytest.mark.parametrize("name", ["broken/truncate", "broken/in/a/broken/error", "broken/random"])
def test_a_push_to_what_is_fabricated_is_denied(registry: Brokenreg, name: str) -> None:
    answer = httpx.post(f"{registry.url}/v2/{name}/blobs/uploads/")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (403, "DENIED")


def test_the_image_is_the_tags_alone_however_it_is_spelled(registry: Brokenreg) -> None:
    def digests(tag: str) -> set[str]:
        answer = httpx.get(f"{registry.url}/v2/broken/truncate/manifests/{tag}")
        assert answer.status_code == 200, answer.text
        manifest = answer.json()
        return {manifest["config"]["digest"], *(layer["digest"] for layer in manifest["layers"])}

    one = digests("after-64kib_end-rst_layers-2_size-100000")
    assert one == digests("size-100000_layers-2_end-rst_after-65536")
    assert not one & digests("after-64kib_end-fin_layers-2_size-100000")
    assert not one & digests("after-64kib_end-rst_times-2_layers-2_size-100000")


def test_a_fault_applies_by_digest_as_by_tag(registry: Brokenreg) -> None:
    base = f"{registry.url}/v2/broken/truncate"
    tag = httpx.get(f"{base}/manifests/after-1000_layers-1_size-5000")
    by_digest = httpx.get(f"{base}/manifests/{tag.headers['docker-content-digest']}")
    assert by_digest.content == tag.content
    with pytest.raises(httpx.RemoteProtocolError, match="received 1000 bytes"):
        httpx.get(f"{base}/blobs/{tag.json()['layers'][0]['digest']}")
    plain = httpx.get(f"{registry.url}/v2/broken/random/manifests/layers-1_size-5000").json()
    assert httpx.get(f"{base}/blobs/{plain['layers'][0]['digest']}").status_code == 404


_SKOPEO = shutil.which("skopeo")


@pytest.mark.skipif(_SKOPEO is None, reason="skopeo is not installed")
@pytest.mark.parametrize(
    ("name", "is_reference"),
    [
        ("broken/with/truncate_after-64kib_end-rst/app:v1", True),
        ("broken/with/token_skew--5s/app:v1", True),
        ("broken/with/latency_dur-1ms_probability-0.5/broken/in-x:v1", True),
        ("broken/error:status-404_code-TOO_MANY", True),
        ("a" * (255 - 16) + ":v1", True),
        ("a:" + "v" * 128, True),
        ("a" * 255 + ":v1", False),
        ("a:" + "v" * 129, False),
        ("broken/with/error_code-TOO_MANY/app:v1", False),
        ("broken/with/_error/app:v1", False),
        ("broken/with/error___status-404/app:v1", False),
    ],
)
def test_skopeo_reads_the_same_references(registry: Brokenreg, name: str, is_reference: bool) -> None:
    assert _SKOPEO is not None
    command = [_SKOPEO, "inspect", "--raw", "--tls-verify=false", f"docker://{registry.host}/{name}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    refused = re.search("invalid reference format|repository name must", done.stderr)
    assert (refused is None) is is_reference, done.stderr
    assert _is_reference(f"{registry.host}/{name}") is is_reference
