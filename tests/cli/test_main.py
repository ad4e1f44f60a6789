"""The command as a whole: it starts at once, teaches by example, and ends with the code that the table promises."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from fleet.cli import main
from fleet.cli.exit_codes import MEANINGS, PRECEDENCE, ExitCode, exit_code
from fleet.cli.failure import describe
from fleet.errors import (
    ConfigError,
    Failure,
    FleetError,
    GitError,
    HistoryError,
    IdentityError,
    Origin,
    Problem,
    RewrittenError,
    SandboxError,
    TransportError,
    UsageError,
)
from fleet.model.change import Verdict

COMMANDS = [name for names in main.SECTIONS.values() for name in names]
HEAVY = ("pydantic", "asyncssh", "rich", "asyncio", "yaml", "jinja2", "opentelemetry", "aiosqlite", "uvloop")


def fleet(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The real command in its own process."""
    call = [sys.executable, "-m", "fleet.cli.main", *arguments]
    return subprocess.run(call, cwd=cwd, capture_output=True, text=True, check=False, timeout=60)


def test_help_starts_at_once() -> None:
    """At most 0.3 s of processor time, the best of three: what others do on this machine does not count."""
    taken = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert fleet("--help").returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    assert min(taken) <= 0.3


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from fleet.cli.main import run; run(['--help']); "
        f"print('LOADED', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "LOADED []"


def test_every_file_in_commands_is_a_command_and_the_other_way_round() -> None:
    """Names with an underscore are commands of commands: hosts_enroll is `fleet hosts enroll`."""
    folder = Path(main.__file__).parent / "commands"
    files = {path.stem for path in folder.glob("*.py") if "_" not in path.stem}
    assert files == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_teaches_by_example_and_takes_the_common_options(name: str) -> None:
    shown = CliRunner().invoke(main.root, [name, "--help"]).output
    assert "Examples:" in shown
    for option in ("--repository", "--revision", "--working-tree", "--json", "--no-color", "--trace"):
        assert option in shown
    assert max(map(len, shown.splitlines())) <= 100


def test_the_exit_codes_stand_in_the_help() -> None:
    shown = " ".join(CliRunner().invoke(main.root, ["--help"]).output.split())
    for code, meaning in MEANINGS.items():
        assert f"{code.value} {meaning}" in shown
    assert "130, 1, 5, 3, 4, 2, 0" in shown


CODES = [
    ([], False, 0),
    ([Verdict.IN_SYNC, Verdict.CHANGED], False, 0),
    ([Verdict.IN_SYNC, Verdict.PENDING], False, 2),
    ([Verdict.DRIFTED], False, 2),
    ([Verdict.PENDING, Verdict.UNREACHABLE], False, 4),
    ([Verdict.CHANGED, Verdict.UNKNOWN], False, 4),
    ([Verdict.UNREACHABLE, Verdict.FAILED], False, 3),
    ([Verdict.FAILED, Verdict.CONFLICT, Verdict.UNREACHABLE], False, 5),
    ([Verdict.CONFLICT], True, 130),
    ([], True, 130),
]


@pytest.mark.parametrize(("verdicts", "interrupted", "code"), CODES)
def test_a_run_ends_with_the_code_of_what_matters_most(verdicts: list[Verdict], interrupted: bool, code: int) -> None:
    assert exit_code(verdicts, interrupted) == code


def test_every_verdict_and_code_has_its_place() -> None:
    for verdict in Verdict:
        assert exit_code([verdict]) in ExitCode
    assert set(PRECEDENCE) == set(MEANINGS) == set(ExitCode)


ERRORS: list[tuple[BaseException, int, str]] = [
    (UsageError("no host"), 1, "usage"),
    (ConfigError([Problem(Origin("a.yaml", 1, 1), "wrong")]), 1, "config"),
    (TransportError(Failure.DNS, "no such name"), 4, "transport"),
    (IdentityError("not ours"), 5, "identity"),
    (GitError("no answer"), 1, "git"),
    (RewrittenError("ops.git", "1" * 40, "2" * 40), 1, "rewritten"),
    (HistoryError("disk full"), 1, "history"),
    (SandboxError("no root"), 1, "sandbox"),
    (FleetError("other"), 1, "fleet"),
    (click.UsageError("no such option"), 1, "usage"),
    (KeyboardInterrupt(), 130, "interrupted"),
    (ValueError("surprise"), 1, "internal"),
    (ExceptionGroup("one", [UsageError("no host")]), 1, "usage"),
]


@pytest.mark.parametrize(("error", "code", "kind"), ERRORS)
def test_every_error_has_its_code_and_its_name_for_programs(error: BaseException, code: int, kind: str) -> None:
    answer = describe(error)
    assert answer.exit_code == code
    assert answer.document["error"]["type"] == kind


def test_all_problems_of_a_repository_are_told_with_a_count() -> None:
    problems = [Problem(Origin(f"{f}.yaml", line, 1), "wrong", hint="mend it") for f in "ab" for line in (1, 2)]
    answer = describe(ConfigError(problems))
    assert answer.text.count("hint: mend it") == 4
    assert click.unstyle(answer.text).endswith("4 problems in 2 files; nothing was changed")
    assert [p["line"] for p in answer.document["error"]["problems"]] == [1, 2, 1, 2]


def test_what_nobody_foresaw_asks_to_be_reported_and_hides_its_traceback() -> None:
    try:
        raise ValueError("surprise\x1b[2J")
    except ValueError as error:
        short, long = describe(error), describe(error, verbose=3)
    assert "please report it" in short.text
    assert "Traceback" not in short.text
    assert "Traceback" in long.text
    assert "\x1b[2J" not in long.text


USAGE = [
    (["plam"], "did you mean plan"),
    (["plan", "--nonsense"], "--nonsense"),
    (["plan", "--label", "x"], "is not KEY=VALUE"),
    (["show"], "HOST"),
    (["plan"], "no environments/ directory"),
    (["plan", "-C", "/nowhere"], "/nowhere is not a directory"),
    (["apply"], "--yes"),
    (["kinds", "fiel"], "did you mean file"),
]


@pytest.mark.parametrize(("arguments", "said"), USAGE)
def test_a_mistake_on_the_command_line_is_exit_1_with_the_next_step(
    arguments: list[str], said: str, tmp_path: Path
) -> None:
    done = fleet(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    again = fleet(*arguments, "--json", cwd=tmp_path)
    document = json.loads(again.stdout)
    assert (again.returncode, document["exit_code"], document["error"]["type"]) == (1, 1, "usage")
    assert said in document["error"]["message"]


def test_options_stand_before_or_after_the_command() -> None:
    before = fleet("--json", "completion", "bash")
    after = fleet("completion", "bash", "--json")
    assert json.loads(before.stdout) == json.loads(after.stdout)
    assert json.loads(before.stdout)["command"] == "completion"


def test_a_document_names_its_command_whatever_stands_before_it(tmp_path: Path) -> None:
    """The first word may be an option's: a directory, a revision."""
    (tmp_path / "environments").mkdir()
    said = fleet("-C", str(tmp_path), "--json", "validate")
    assert json.loads(said.stdout)["command"] == "validate"
    assert json.loads(fleet("--json", "nope").stdout)["command"] == "fleet"


def test_a_reader_that_goes_away_is_no_mistake() -> None:
    code = f"{sys.executable} -m fleet.cli.main completion bash | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_code_is_what_the_shell_understands(shell: str) -> None:
    done = fleet("completion", shell)
    assert done.returncode == 0
    assert "_FLEET_COMPLETE" in done.stdout


def test_every_command_says_what_its_document_holds() -> None:
    documented = (Path(main.__file__).parent / "json_output.md").read_text()
    rows = set(re.findall(r"^\| `([a-z]+)` \|", documented, re.MULTILINE)) | {"plan", "apply"}
    assert set(COMMANDS) <= rows
