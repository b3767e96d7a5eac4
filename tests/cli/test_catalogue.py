"""`brokenreg faults`, `images` and `profiles`: the whole catalogue in every form."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result
from pydantic import ValidationError

from brokenreg.cli.main import main
from brokenreg.faults.catalogue import CATALOGUE
from brokenreg.images.catalogue import CATALOGUE as KINDS
from brokenreg.oci.names import check_name, check_tag
from brokenreg.parameter_descriptions import parameter_names, parameters_of
from brokenreg.rules.path_rules import fault_images
from brokenreg.rules.profiles import profile_names
from brokenreg.rules.rule import rule_of
from brokenreg.rules.scenario_text import read_scenario


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["faults", *arguments])


def test_the_list_names_every_fault() -> None:
    result = run()
    assert result.exit_code == 0
    listed = {line.split()[0] for line in result.output.splitlines() if line.startswith("  ")}
    assert set(CATALOGUE) <= listed


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_each_fault_tells_all_of_itself(name: str) -> None:
    kind = CATALOGUE[name]
    (told,) = json.loads(run(name, "--json").output)
    assert told["summary"].endswith(".")
    assert told["clients"]
    assert [each["name"] for each in told["parameters"]] == parameter_names(kind)
    assert all(each["description"] for each in told["parameters"])
    text = " ".join(run(name).output.split())
    assert told["examples"]["command"] in text
    for each in told["parameters"]:
        assert each["name"] in text


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_the_examples_of_a_fault_are_one_rule(name: str) -> None:
    (told,) = json.loads(run(name, "--json").output)
    examples = told["examples"]
    rule = rule_of(examples["rule"])
    assert read_scenario(examples["scenario"], "x").scenario.rules == (rule,)
    assert examples["command"].split()[:4] == ["brokenreg", "rules", "add", name]
    if examples["path"] is not None:
        repository, _, tag = examples["path"].rpartition(":")
        check_name(repository)
        check_tag(tag)
    if examples["image"] is not None:
        repository, _, tag = examples["image"].rpartition(":")
        fault_images()[repository](tag)


def test_one_that_does_not_exist() -> None:
    result = run("truncat")
    assert result.exit_code == 2
    assert "did you mean truncate?" in result.output


@pytest.mark.parametrize("name", profile_names())
def test_the_commands_of_a_profile_are_one_line_each(name: str) -> None:
    lines = CliRunner().invoke(main, ["profiles", name]).output.splitlines()
    assert f"all requests  brokenreg serve --scenario profile:{name}" in lines
    pull = f"docker pull 127.0.0.1:8080/broken/as/{name}/broken/random:layers-3_size-64kib"
    assert f"one image     {pull}" in lines


@pytest.mark.parametrize("command", ["images", "profiles"])
def test_a_page_begins_with_a_table_of_its_sections(command: str) -> None:
    page = CliRunner().invoke(main, [command, "--markdown"]).output
    contents = page[: page.index("\n## ")]
    listed = json.loads(CliRunner().invoke(main, [command, "--json"]).output)
    assert listed
    for each in listed:
        assert f"| [{each['name']}](#{each['name']}) | {each['summary']} |" in contents
        assert f"# {each['name']}\n" in page


def test_the_limits_of_numbers_are_shown() -> None:
    assert "number of members (2 to 200)" in CliRunner().invoke(main, ["images", "layer-gzip-members"]).output
    page = CliRunner().invoke(main, ["images", "--markdown"]).output
    assert "| `depth` | 2 | number of indexes, including the outermost (2 to 1,000) |" in page
    assert "| HTTP status (400 to 599) |" in run("--markdown").output, "not twice"


def test_the_page_of_profiles_shows_a_pull_of_each() -> None:
    page = CliRunner().invoke(main, ["profiles", "--markdown"]).output
    for name in profile_names():
        assert f"\ndocker pull 127.0.0.1:8080/broken/as/{name}/broken/random:layers-3_size-64kib\n" in page


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("images layer-gzip", "did you mean layer-gzip-as-tar, layer-gzip-members, layer-gzip-trailing, "),
        ("images layer-gzip-*", "did you mean layer-gzip-as-tar, layer-gzip-members, layer-gzip-trailing, "),
        ("images layer-*", "layer-tar, layer-tar-as-gzip or 7 more?"),
        ("images layer-gzip-trailng", "did you mean layer-gzip-trailing?"),
        ("images zz*", 'run "brokenreg images" for the list'),
        ("profiles docker-hub", "did you mean docker-hub-abuse-limited, docker-hub-auth-down, "),
    ],
)
def test_a_part_of_a_name_suggests_all_that_contain_it(arguments: str, words: str) -> None:
    result = CliRunner().invoke(main, arguments.split())
    assert (result.exit_code, words in result.output) == (2, True), result.output


def test_the_limits_of_sizes_are_shown() -> None:
    sizes = 0
    for kind in KINDS.values():
        for each in parameters_of(kind):
            if "size of the " in each.description:
                sizes += 1
                with pytest.raises(ValidationError) as error:
                    kind.model_validate({each.name: 2**60})
                limits = error.value.errors()[0]["msg"].partition("use ")[2]
                assert limits
                assert each.description.endswith(limits)
    assert sizes >= 6
