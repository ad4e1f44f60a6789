"""`block`: some lines of ours, between markers, in a file that is not wholly ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

from pydantic import Field, field_validator, model_validator

from fleet.kinds import _paths
from fleet.kinds._paths_answer import Seen
from fleet.kinds._spec import CLOSED, EnsureField, Spec, check_path, check_text, parents
from fleet.model import sealed
from fleet.model.change import Change, Observed, Unreadable
from fleet.model.host import Resource
from fleet.model.kind import Kind, Probe, Stage
from fleet.model.step import Script, Step
from fleet.model.value import State


class BlockSpec(Spec):
    """Lines between two marker lines, named PATH#MARKER. The rest of the file is left as it is.

    block:
      /etc/hosts#fleet:
        content: |
          10.0.0.1 db-1
    """

    secrets: ClassVar[frozenset[str]] = frozenset({"content"})

    content: str | None = Field(None, description="The lines themselves.")
    template: str | None = Field(None, description="A file below files/, rendered with Jinja2.")
    comment: str = Field("#", description="What begins a comment in this file.")
    create: bool = Field(False, description="Make the file, 0644 (0640 with a secret), when there is none.")
    ensure: EnsureField = "present"

    @field_validator("comment")
    @classmethod
    def _short(cls, value: str) -> str:
        check_text(value, "comment sign")
        return value

    @model_validator(mode="after")
    def _one_content(self) -> Self:
        given = [name for name in ("content", "template") if getattr(self, name) is not None]
        if self.ensure == "present" and len(given) != 1:
            raise ValueError("expected exactly one of content and template")
        if self.ensure == "absent" and given:
            raise ValueError(f"a block that is absent has no {given[0]}")
        return self


def check(name: str) -> None:
    path, sign, marker = name.partition("#")
    if not sign or not marker:
        raise ValueError("expected PATH#MARKER, such as /etc/hosts#fleet")
    check_path(path)
    check_text(marker, "marker")


def _markers(name: str, spec: BlockSpec) -> tuple[str, str, str]:
    path, _, marker = name.partition("#")
    return path, f"{spec.comment} BEGIN fleet: {marker}", f"{spec.comment} END fleet: {marker}"


def state(name: str, spec: BlockSpec, content: bytes | None) -> State | None:
    if spec.ensure == "absent":
        return None
    text = (content or b"").decode(errors="surrogateescape")
    if {*_markers(name, spec)[1:]} & {*text.split("\n")}:
        raise ValueError("a line of its content is one of its markers: the block ends there")
    return {"block": text if text.endswith("\n") or not text else text + "\n"}


def observe(resources: Sequence[Resource]) -> Probe:
    """The whole file comes along (64 kB at most): where the block is, is found here."""

    def path(resource: Resource) -> str:
        return resource.name.partition("#")[0]

    return _paths.observe(resources, path, lambda r: _paths.want(path(r), content=True), _observed)


def _observed(resource: Resource, seen: Seen | Unreadable | None) -> Observed:
    path, begin, end = _markers(resource.name, resource.spec)
    if not isinstance(seen, Seen):
        # Without `create` the file must be there first: then the block is absent, and the step will say so.
        return seen
    if seen.type != "file" or seen.content is None:
        return Unreadable(f"{path} is not a regular file that can be read")
    if seen.size > _paths.CONTENT_LIMIT or b"\0" in seen.content:
        return Unreadable(f"{path} is no text file of at most 64 kB")
    lines = seen.content.decode(errors="surrogateescape").split("\n")
    if begin not in lines:
        return None
    start = lines.index(begin)
    if end not in lines[start:]:
        return Unreadable(f"{path} has the line {begin!r} without its end; mend it by hand")
    stop = lines.index(end, start)
    return {"block": "".join(line + "\n" for line in lines[start + 1 : stop])}


def fix(changes: Sequence[Change]) -> Mapping[str, tuple[Step, ...]]:
    return {change.resource.id: (_edit(change),) for change in changes}


# create: "" or "1", or the mode that a new file gets.
# Edits the file as it is now, so that two blocks of one file do not stand in each other's way; only its own block must
# still be as it was seen. fl_put then replaces the whole file atomically.
_EDIT = """\
p=$1 begin=$2 end=$3 seen=$4 new=$5 create=$6 nl='
'
if ! [ -e "$p" ] && [ -z "$create" ]; then echo "$p is absent: say create: true, or let a package bring it"; exit 1; fi
out= old= in= found= sum= mode=
fl_at "$p" || exit
if [ -f "../$n" ]; then
  fl_pin || exit
  sum=$(fl_sha "$s")
  while IFS= read -r l || [ -n "$l" ]; do
    if [ -z "$in" ] && [ "$l" = "$begin" ]; then in=1 found=1; out=$out$new
    elif [ -n "$in" ] && [ "$l" = "$end" ]; then in=
    elif [ -n "$in" ]; then old=$old$l$nl
    else out=$out$l$nl; fi
  done <"$s"
else mode=${create#1}; fi
[ -n "$found" ] || { out=$out$new; old=-; }
if [ -n "$in" ] || [ "$old" != "$seen" ]; then echo "the block in $p is no longer as it was seen"; exit 75; fi
want=$(printf %s "$out" | { sha256sum 2>/dev/null || shasum -a 256 || openssl dgst -sha256 -r; })
fl_put "$p" "$sum" "" "" "$mode" "${want%% *}" text "$out"
exit $?
"""


def _edit(change: Change) -> Script:
    path, begin, end = _markers(change.resource.name, change.resource.spec)
    # "-" cannot be the text of a block: those end in a newline.
    seen = change.before["block"] if change.before is not None else "-"
    new = f"{begin}\n{change.after['block']}{end}\n" if change.after is not None else ""
    create = "" if not change.resource.spec.create else CLOSED if sealed.holds(new) else "1"
    return Script(_EDIT, (path, begin, end, seen, new, create))


KIND = Kind(
    name="block",
    doc="Some lines of ours, between markers, in a file that is not wholly ours.",
    Spec=BlockSpec,
    stage=Stage.FILE,
    state=state,
    observe=observe,
    fix=fix,
    witness=lambda resource: (resource.name.partition("#")[0],),
    check=check,
    owns=lambda name, spec: (f"block:{name}",),
    wants=lambda name, spec: (*parents(name.partition("#")[0]), "path:" + name.partition("#")[0]),
)
