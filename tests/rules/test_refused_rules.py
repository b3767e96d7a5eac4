"""Rules that could never be applied are refused with one line that says what is valid."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import jwt
import pytest

from brokenreg.faults.catalogue import CATALOGUE
from brokenreg.rules.rule import FieldError, rule_of
from brokenreg.rules.scenario import ScenarioError
from brokenreg.rules.scenario_text import read_scenario
from brokenreg.traffic.redaction import user_of
from brokenreg.tui.faults.form import fields_of, rule_from
from tests.server import Brokenreg

SECRET = "Y2FzZXk6aHVudGVyMg=="
PAIRS = (("match", "header", f"authorization: Basic {SECRET}"), ("", "times", "0"))


def basic(user: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:hunter2'.encode()).decode()}"


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"fault": "error", "times": 0},
         'times: invalid value "0": use 1 or more; to switch a rule off, disable or remove it'),
        ({"fault": "error", "times": -1},
         'times: invalid value "-1": use 1 or more; to switch a rule off, disable or remove it'),
        ({"fault": "error", "probability": 0}, 'probability: invalid value "0": use more than 0; to switch'),
        ({"fault": "error", "match": {"header": {"Authorization": "Basic Y2FzZXk6*"}}},
         "use the field user for a user"),
        ({"fault": "error", "match": {"header": {"authorization": SECRET}}},
         '"Basic *" or "Bearer *" for a scheme'),
        ({"fault": "error", "match": {"header": {"cookie": "session=1*"}}},
         'secrets are not kept, so no rule can match header "cookie"'),
        ({"fault": "error", "match": {"header": {"x-auth-token": "abc"}}}, '"*" for any value'),
        ({"fault": "error", "match": {"header": {"referer": "*token=abc*"}}},
         'secrets are not kept, so no rule can match header "referer"'),
        ({"fault": "error", "match": {"header": {"x-any": "Bearer abc"}}},
         'secrets are not kept, so no rule can match header "x-any"'),
        ({"fault": "error", "match": {"header": {"user agent": "*"}}},
         'invalid header name "user agent"'),
        (
            {"fault": "truncate", "match": {"method": "HEAD"}},
            "truncate applies only to GET, and match.method is HEAD",
        ),
        ({"fault": "head-differs", "match": {"method": "P*"}},
         "head-differs applies only to HEAD, and match.method is P*"),
        ({"fault": "tag-pages", "match": {"endpoint": "manifest"}},
         "tag-pages applies only at tags, and the"),
        ({"fault": "swap", "match": {"endpoint": "upload"}}, "swap applies only at config, layer, and the"),
        ({"fault": {"type": "token", "lifetime": "2s"}, "match": {"endpoint": "tags"}},
         "applies only at token"),
        ({"fault": "challenge", "match": {"endpoint": "token"}}, "challenge applies only at"),
        ({"fault": "challenge", "match": {"user": "casey"}}, "add always: true"),
        ({"fault": "challenge", "match": {"header": {"Authorization": "*"}}}, "add always: true"),
        ({"fault": "mount-refused", "match": {"endpoint": "layer"}}, "mount-refused applies only at upload"),
        ({"fault": "upload-range", "match": {"method": "GET"}}, "only PATCH and PUT are refused"),
        ({"fault": "no-digest", "match": {"endpoint": "tags"}}, "no-digest applies only at config, layer"),
        ({"fault": "read-after-write", "match": {"method": "GET"}}, "must see PUT as well as GET or HEAD"),
        ({"fault": "read-after-write", "match": {"endpoint": "tags"}},
         "read-after-write applies only at config, layer, manifest"),
        ({"fault": "read-after-write", "match": {"endpoint": "blob", "method": "PUT"}},
         "must see GET or HEAD"),
        ({"fault": {"type": "error", "processed": True}, "match": {"method": "GET"}},
         "processed needs POST, PUT, PATCH or DELETE, and match.method is GET"),
        ({"name": "a", "after": "a", "fault": "error"}, 'after names the rule "a" itself'),
        ({"fault": {"type": "stall", "at": "1KiB"}, "match": {"method": "HEAD"}},
         "HEAD has no body; use at=headers"),
        ({"fault": ["error", "latency"]}, "put latency before error"),
        ({"fault": ["truncate", "not-found", "corrupt"]}, "not-found responds itself, so corrupt after it"),
        ({"fault": "error", "match": {"endpoint": "tags", "layer": 1}},
         "a layer number needs endpoint layer, not tags: set the endpoint to layer"),
        ({"fault": "error", "match": {"endpoint": "ping", "repository": "a/b"}},
         "requests at endpoint ping have no repository"),
        ({"fault": "error", "match": {"reference": "v1|sha256:0123abc"}},
         'match.reference "sha256:0123abc" is neither a tag nor a digest'),
        ({"fault": "error", "match": {"reference": "v1 "}}, 'match.reference "v1 " is neither a tag nor'),
        ({"fault": "error", "match": {"endpoint": "tags", "reference": "v1"}},
         "requests at endpoint tags have no tag or digest"),
        ({"fault": "error", "match": {"endpoint": "layer", "reference": "v1"}},
         '"v1" is not a digest, and endpoint layer is'),
        ({"fault": "error", "match": {"repository": "a/b:v1"}},
         '"a/b:v1" has a tag: put the tag into match.reference, which is --reference on the command line'),
        ({"fault": "error", "match": {"repository": "a|broken/in/job/team/app"}},
         'match.repository "broken/in/job/team/app" has a prefix, and rules match names without it: '
         'use "team/app", and add the rule to namespace "job"'),
        ({"fault": "error", "match": {"repository": "broken/with/throttle/team/*"}},
         'has a prefix, and rules match names without it: use "team/*"'),
        ({"fault": "error", "match": {"repository": "broken/as/*"}}, 'names without it: use "*"'),
        ({"fault": "error", "match": {"repository": "Library/*"}},
         "has capital letters, which a name cannot"),
        ({"fault": "error", "match": {"repository": "/a"}}, "begins or ends with a slash"),
    ],
)  # fmt: skip
def test_a_rule_that_could_never_be_applied(rule: dict[str, Any], told: str) -> None:
    with pytest.raises(FieldError) as caught:
        rule_of(rule)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "rule",
    [
        *({"fault": {"type": name}}
          for name in CATALOGUE if name not in ("timeout", "token", "tls", "accept")),
        *({"fault": "error", "match": {"header": {"authorization": glob}}}
          for glob in ("*", "Basic *", "bearer*")),
        {"fault": "error", "match": {"header": {"x-auth-token": "*", "user-agent": "docker/*"}}},
        {"fault": "error", "match": {"header": {"x-auth": "true", "x-session": "1"}}},
        {"fault": "error", "match": {"header": {"x-forwarded-uri": "*n=1&key=*", "accept": "*json*"}}},
        {"fault": {"type": "challenge", "always": True}, "match": {"user": "casey"}},
        {"fault": ["latency", "truncate", "error"]},
        {"fault": ["head-differs", "truncate"], "match": {"method": "*"}},
        {"fault": "truncate", "match": {"method": "G*", "endpoint": "any", "layer": 2}},
        {"fault": "swap", "override": True},
        {"fault": "error", "match": {"endpoint": "layer", "reference": "sha256:0*"}},
        {"fault": "error", "match": {"endpoint": "tags", "repository": "localhost:5000/*", "reference": "*"}},
        {"fault": "error", "match": {"repository": "127.0.0.1:5000/a"}, "times": 1, "skip": 10**6},
    ],
)  # fmt: skip
def test_a_rule_that_can_be_applied(rule: dict[str, Any]) -> None:
    assert rule_of(rule).endpoints()


def test_every_interface_refuses_them(registry: Brokenreg) -> None:
    """Scenario files, the control API (and thus the command line) and the panel report the same error."""
    secret = {"fault": "error", "match": {"header": {"authorization": f"Basic {SECRET}"}}}
    refused = httpx.post(f"{registry.control}/v1/rules", json=secret)
    assert refused.status_code == 400
    assert refused.json()["field"] == "match.header"
    detail = refused.json()["detail"]
    assert "use the field user for a user" in detail
    assert SECRET not in refused.text
    assert httpx.post(f"{registry.control}/v1/rules", json={"fault": "error", "times": 0}).status_code == 400
    with pytest.raises(ScenarioError, match="the field user"):
        read_scenario(
            f"rules:\n- fault: error\n  match: {{header: {{authorization: Basic {SECRET}}}}}\n", "x.yaml"
        )
    with pytest.raises(ScenarioError, match="use 1 or more"):
        read_scenario("rules:\n- {fault: error, times: 0}\n", "x.yaml")
    kind = CATALOGUE["error"]
    for group, name, text in PAIRS:
        field = next(each for each in fields_of(kind) if (each.group, each.name) == (group, name))
        with pytest.raises(FieldError, match=r"the field user|use 1 or more"):
            rule_from(kind, {field: text}, enabled=True, override=False)


def test_a_rule_for_one_user(registry: Brokenreg) -> None:
    """The rule matches Basic credentials and the subject of a token; all other clients are served."""
    rule = {"fault": {"type": "error", "status": 418}, "match": {"user": "casey", "endpoint": "ping"}}
    httpx.post(f"{registry.control}/v1/rules", json=rule).raise_for_status()
    token = jwt.encode({"sub": "casey"}, "k" * 32)
    expected = {basic("casey"): 418, f"Bearer {token}": 418, basic("robin"): 200, "Bearer x": 200, "": 200}
    for authorization, status in expected.items():
        headers = {"authorization": authorization} if authorization else {}
        assert httpx.get(f"{registry.url}/v2/", headers=headers).status_code == status
    assert "casey" not in httpx.get(f"{registry.control}/v1/exchanges").text


def test_a_rule_for_one_user_at_the_token_service(registry: Brokenreg) -> None:
    rule = {"fault": {"type": "error", "status": 418}, "match": {"user": "ca*", "endpoint": "token"}}
    httpx.post(f"{registry.control}/v1/rules", json=rule).raise_for_status()
    for user, status in (("casey", 418), ("robin", 200)):
        form = {"grant_type": "password", "username": user, "password": "hunter2"}
        assert httpx.post(f"{registry.url}/token", data=form).status_code == status


@pytest.mark.parametrize(
    "authorization",
    ["", "Basic", "Basic ", "Basic =", "Basic \xff", "Basic ////", "Bearer a.b.c", "Bearer a.W10.c",
     "Bearer e30.e30.",
     "Bearer " + "[" * 40_000, "Digest username=casey", "Basic " + "A" * 100_000],
)  # fmt: skip
def test_what_names_no_user(authorization: str) -> None:
    assert user_of(authorization) == ""


def test_the_name_of_a_user_is_bounded() -> None:
    assert user_of(basic("c" * 1000)) == "c" * 256
