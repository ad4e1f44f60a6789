"""Commands that contact no host, each in its own process on a real repository."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

from tests.cli.conftest import Fleet, Repository

ROLE = "base/roles/common.yaml"


def test_what_init_writes_is_valid_and_overwrites_nothing(fleet: Fleet, tmp_path: Path) -> None:
    first = fleet("init", "mine")
    assert first.code == 0
    assert "environments/dev/hosts.yaml" in first.out
    good = fleet("validate", "--working-tree", cwd=tmp_path / "mine")
    assert (good.code, good.out.strip()) == (
        0, "valid: 1 host in 1 environment, 1 resource, at working tree (uncommitted)",
    )  # fmt: skip
    again = fleet("init", "mine")
    assert again.code == 1
    assert "already there; nothing was written" in again.err


def test_where_git_refuses_init_leaves_nothing_behind(fleet: Fleet, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file\n")
    refused = fleet("init", "taken")
    assert refused.code == 1 and "git init failed; nothing was written" in refused.err


def test_without_git_init_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = request.getfixturevalue("fleet")("init", "mine")
    assert done.code == 1 and "there is no git on this machine: install it; nothing was written" in done.err
    assert not [*tmp_path.iterdir()]


def test_the_whole_example_is_valid(fleet: Fleet, tmp_path: Path) -> None:
    assert fleet("init", "mine", "--example").code == 0
    done = fleet("validate", "--working-tree", "--json", cwd=tmp_path / "mine")
    assert done.code == 0, done.out
    assert done.json["environments"] == ["dev", "production", "staging"]


def test_all_mistakes_are_told_at_once(repository: Repository) -> None:
    repository.write(
        {"base/roles/common.yaml": "resources:\n  fiel:\n    /x: {}\n  file:\n    /y: {tempalte: x}\n"}, "two"
    )
    done = repository("validate")
    assert done.code == 1
    assert "base/roles/common.yaml:2:3" in done.err
    assert "base/roles/common.yaml:5:10" in done.err
    assert "problems in 1 file; nothing was changed" in done.err
    problems = repository("validate", "--json").json["error"]["problems"]
    assert [(p["line"], p["column"]) for p in problems[:2]] == [(2, 3), (5, 10)]
    assert "template" in problems[1]["hint"]


def test_what_is_edited_but_not_committed_is_said_to_be_unread(repository: Repository) -> None:
    assert "note:" not in repository("validate").err
    repository.write({"base/roles/new.yaml": "vars: {}\n", ROLE: "vars: {}\n"})
    said = "note: 2 files below environments/ changed since the last commit and not read; --working-tree reads them\n"
    assert repository("validate").err == said
    assert repository("validate", "--working-tree").err == repository("validate", "--json").err == ""
    assert repository("validate", "-r", "HEAD~0").err == ""


def test_a_host_of_another_environment_is_said_to_be_there(repository: Repository) -> None:
    repository.write(
        {"production/environment.yaml": "vars: {}\n", "production/hosts.yaml": "hosts: {p-1: {}}\n"}, "two"
    )
    done = repository("plan", "-e", "production", "--host", "web-1")
    assert (done.code, "web-1 is in dev, not in production" in done.err) == (1, True), done.err


def test_a_role_that_reaches_nobody_is_warned_of_and_is_no_mistake(repository: Repository) -> None:
    repository.write({"dev/roles/idle.yaml": "vars: {}\n"}, "two")
    done = repository("validate")
    assert done.code == 0, done.err
    assert "dev/roles/idle.yaml:1:1: warning: no environment assigns role `idle`" in done.out
    assert done.out.strip().endswith("; 1 warning")
    said = repository("validate", "--json").json
    assert (said["valid"], [(w["file"], w["line"]) for w in said["warnings"]]) == (True, [("dev/roles/idle.yaml", 1)])
    assert repository("hosts").code == 0


def test_show_is_the_full_desired_state_as_yaml(repository: Repository) -> None:
    done = repository("show", "web-1")
    assert done.code == 0
    shown = YAML(typ="safe", pure=True).load(done.out)
    assert shown["resources"]["file"]["/etc/motd"]["content"].startswith("Example: web-1 (dev).")
    assert repository("show", "dev/web-1", "--json").json["resources"]["file"]["/etc/motd"]["from"] == f"{ROLE}:4:5"
    wrong = repository("show", "web-2")
    assert (wrong.code, "did you mean web-1" in wrong.err) == (1, True)


def test_explain_names_every_layer_with_who_wrote_it_and_impact_is_the_reverse(repository: Repository) -> None:
    repository.write({"dev/roles/common.yaml": 'resources:\n  file:\n    /etc/motd: {mode: "0600"}\n'}, "Close it")
    done = repository("explain", "web-1", "file:/etc/motd", "mode")
    lines = done.out.splitlines()
    assert lines[1] == "mode  0600"
    assert lines[2].startswith("  → dev/roles/common.yaml:3:23  0600  ")
    assert lines[2].endswith("  Ann: Close it")
    assert lines[3].startswith(f"    {ROLE}:7:13  0644  ")
    assert lines[3].endswith("  overruled")
    (value,) = repository("explain", "web-1", "file:/etc/motd", "mode", "--json").json["values"]
    assert [(one["layer"], one["author"], one["won"]) for one in value["layers"]] == [
        ("dev", "Ann", True), ("base", "Ann", False),
    ]  # fmt: skip
    reached = repository("impact", "environments/dev/roles/common.yaml:3", "--json").json["hosts"]
    assert reached == [{"host": "web-1", "environment": "dev", "resources": ["file:/etc/motd"]}]
    assert "reaches 0 hosts" in repository("impact", f"{ROLE}:7").out


def test_a_file_that_is_not_there_has_near_misses(repository: Repository) -> None:
    done = repository("impact", "base/roles/comon.yaml")
    assert (done.code, "did you mean base/roles/common.yaml" in done.err) == (1, True)
    assert "there is no file environments/ at HEAD" in repository("impact", "").err


@pytest.mark.parametrize("line", [0, 999])
def test_a_line_that_is_not_there_reaches_nobody_and_is_named(repository: Repository, line: int) -> None:
    done = repository("impact", f"{ROLE}:{line}")
    assert (done.code, f"there is no line {line} in environments/{ROLE} at HEAD" in done.err) == (1, True)


def test_diff_says_which_hosts_a_change_touches(repository: Repository) -> None:
    text = (repository.path / "environments" / ROLE).read_text()
    repository.write({ROLE: text.replace("0644", "0640") + "# a comment\n"})
    done = repository("diff", "HEAD", "--working-tree")
    assert done.code == 0
    assert "mode 0644 → 0640" in done.out
    assert done.out.strip().endswith("→ working tree (uncommitted): 1 host would change, 0 stay as they are")
    repository.write({}, "two")
    (group,) = repository("diff", "HEAD~..HEAD", "--json").json["groups"]
    assert (group["hosts"], group["changes"][0]["attributes"]) == (["web-1"], ["mode"])
    assert "0 hosts would change, 1 stay" in repository("diff", "HEAD..HEAD").out


def test_a_diff_that_differs_only_in_the_lines_around_is_said_once(repository: Repository) -> None:
    role = "resources:\n  file:\n    /etc/x:\n      content: |\n        name {{ host.name }}\n        level WORD\n"
    repository.write({ROLE: role, "dev/hosts.yaml": "hosts: {'web-[1:3]': {labels: {tier: web}}}\n"}, "two")
    repository.write({ROLE: role.replace("WORD", "new")}, "three")
    done = repository("diff", "HEAD~..HEAD")
    assert done.out.startswith("3 hosts, same change: would change\n  dev: web-[1:3]\n"), done
    assert done.out.count("+level new") == 1
    assert len(repository("diff", "HEAD~..HEAD", "--json").json["groups"]) == 3


def test_hosts_are_selected_alike_everywhere_and_nothing_is_an_error(repository: Repository) -> None:
    assert [h["host"] for h in repository("hosts", "-e", "dev", "--label", "tier=web", "--json").json["hosts"]] == [
        "web-1"
    ]
    for words, said in [
        (("-e", "dve"), "did you mean 'dev'"),
        (("--host", "db-*"), "no host matches 'db-*'"),
        (("--role", "comon"), "did you mean 'common'"),
        (("--label", "tier=db"), "no label 'tier=db'"),
    ]:
        for name in ("hosts", "plan", "status"):
            done = repository(name, *words)
            assert (done.code, said in done.err) == (1, True), (name, words, done)


def test_status_and_history_before_anything_happened(repository: Repository) -> None:
    done = repository("status")
    assert (done.code, "1 never looked at" in done.out) == (4, True)
    assert "nothing yet" in repository("history").out
    assert repository("history", "--json").json["runs"] == []
    assert "there is no run 7" in repository("history", "7").err


def test_the_schema_is_one_and_takes_what_init_writes(repository: Repository) -> None:
    schema = json.loads(repository("schema").out)
    jsonschema.Draft202012Validator.check_schema(schema)
    for path in (repository.path / "environments").rglob("*.yaml"):
        jsonschema.validate(YAML(typ="safe", pure=True).load(path.read_text()), schema)


def test_apply_without_a_terminal_wants_a_yes_before_it_does_anything(repository: Repository) -> None:
    done = repository("apply")
    assert (done.code, "fleet apply --yes" in done.err) == (1, True)
    assert repository("history", "--json").json["runs"] == []
