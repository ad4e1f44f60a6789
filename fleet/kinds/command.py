"""`command`: a program run when something is not so yet. The last resort: prefer a kind that can be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

from pydantic import Field, field_validator, model_validator

from fleet.kinds._spec import Spec, check_path, check_text
from fleet.model.change import Change, Observed, Unreadable
from fleet.model.host import Resource
from fleet.model.kind import Kind, Probe, Stage
from fleet.model.step import Command, Outcome, Script, Step
from fleet.model.value import State


class CommandSpec(Spec):
    """A command. Say when it is needed: `unless`, `creates`, or `only_on` (after a change of other resources).
    What it leaves in the background may end with the session it ran in: that wants `setsid` or, better, a service.

    command:
      initialise the database:
        argv: [/usr/bin/initdb, --pwfile=/root/pw]
        creates: /var/lib/db/PG_VERSION
        timeout: 60
    """

    secrets: ClassVar[frozenset[str]] = frozenset({"stdin"})

    argv: tuple[str, ...] | None = Field(None, strict=False, description="Program and words, as they are: no shell.")
    shell: str | None = Field(None, description="Text for sh instead.")
    unless: str | None = Field(None, description="Text for sh; when it exits 0 there is nothing to do.")
    creates: str | None = Field(None, description="A path; while it exists there is nothing to do.")
    timeout: int = Field(300, ge=1, le=86400, description="Seconds it may take; then it and its children are killed.")
    cwd: str | None = Field(None, description="Where it runs.")
    environment: Mapping[str, str] = Field(default_factory=dict, description="Variables it gets besides the usual.")
    stdin: str = Field("", description="Text for its standard input; the place for a secret, which others cannot see.")

    @field_validator("creates", "cwd")
    @classmethod
    def _paths(cls, value: str | None) -> str | None:
        if value is not None:
            check_path(value)
        return value

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.argv is None) == (self.shell is None):
            raise ValueError("expected exactly one of argv and shell")
        if self.argv is not None and (not self.argv or not self.argv[0]):
            raise ValueError("argv names no program")
        for text in (*(self.argv or ()), self.shell or "", self.unless or "", self.stdin):
            if "\0" in text:
                raise ValueError("a command cannot hold NUL")
        for name in self.environment:
            if not name.isidentifier() or not name.isascii():
                raise ValueError(f"{name!r} is not the name of a variable")
        return self


def state(name: str, spec: CommandSpec, content: bytes | None) -> State | None:
    """Without unless and creates nothing can be compared: it runs only when due."""
    return {"done": True} if spec.unless is not None or spec.creates is not None else {}


# Pairs: an index and `unless` text or a path. The text reaches a shell of its own by a pipe, never by argv.
# Each that hangs halves the time of those after it: however many hang, the rest of the host is still seen.
_LOOK = """\
t=30 y=
command -v timeout >/dev/null 2>&1 || y=none
for a do
  i=${a%% *} a=${a#* }; w=${a%% *} a=${a#* }; r=yes
  case $w in
    creates) if [ -e "$a" ] || [ -L "$a" ]; then r=yes; else r=no; fi ;;
    unless) if [ -n "$y" ]; then r=$y; else
      printf %s "$a" | { timeout -s KILL "$t" sh -c 'eval "$(cat <&3)"' 3<&0 </dev/null; } >/dev/null 2>&1 || r=$?
      if [ "$r" = 137 ] && [ "$t" -gt 3 ]; then t=$((t / 2)); fi; fi ;;
  esac
  printf '%s %s %s\\n' "$i" "$w" "$r"
done
"""


def observe(resources: Sequence[Resource]) -> Probe:
    args: list[str] = []
    for number, resource in enumerate(resources):
        spec: CommandSpec = resource.spec
        if spec.creates is not None:
            args.append(f"{number} creates {spec.creates}")
        if spec.unless is not None:
            args.append(f"{number} unless {spec.unless}")

    def read(outcome: Outcome) -> Mapping[str, Observed]:
        answers: dict[int, list[str]] = {}
        for line in outcome.output.decode(errors="backslashreplace").splitlines():
            words = line.split(" ")
            if len(words) == 3 and words[0].isdecimal():
                answers.setdefault(int(words[0]), []).append(words[2])
        return {r.id: _observed(r.spec, answers.get(number, [])) for number, r in enumerate(resources)}

    return Probe(Script(_LOOK, tuple(args)), read)


def _observed(spec: CommandSpec, answers: Sequence[str]) -> Observed:
    asked = (spec.creates is not None) + (spec.unless is not None)
    if len(answers) != asked:
        return Unreadable("what it asks first was not answered")
    if "none" in answers:
        return Unreadable("this host has no timeout(1), without which `unless` is not tried")
    if "137" in answers:
        return Unreadable("`unless` was killed, or took too long: 30 s, and less after others that did")
    # Either is enough: `creates` that exists, or `unless` that succeeds.
    return {"done": "yes" in answers} if asked else {}


def fix(changes: Sequence[Change]) -> Mapping[str, tuple[Step, ...]]:
    return {change.resource.id: (_command(change.resource.spec),) for change in changes}


def _command(spec: CommandSpec) -> Step:
    return Command(
        argv=spec.argv or (),
        shell=spec.shell or "",
        stdin=spec.stdin.encode(),
        cwd=spec.cwd or "",
        environment=spec.environment,
        timeout=spec.timeout,
    )


def _witness(resource: Resource) -> tuple[str, ...] | None:
    spec: CommandSpec = resource.spec
    if spec.unless is not None:
        return None
    return (spec.creates,) if spec.creates is not None else ()


def _idle(spec: CommandSpec) -> str:
    if spec.unless is not None or spec.creates is not None:
        return ""
    return "one of `unless`, `creates` and `only_on`, which say when it is to run"


KIND = Kind(
    name="command",
    doc="A program run when something is not so yet.",
    Spec=CommandSpec,
    stage=Stage.COMMAND,
    state=state,
    observe=observe,
    fix=fix,
    witness=_witness,
    check=check_text,
    owns=lambda name, spec: (f"command:{name}",),
    wants=lambda name, spec: (),
    foreseeable=False,
    idle=_idle,
)
