"""`authorized_key`: one key that may log in as one user. See AUTHORIZED_KEYS FILE FORMAT in sshd(8)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Self

from pydantic import Field, model_validator

from fleet.kinds._spec import EnsureField, Spec, check_text
from fleet.model.change import Change, Observed, Unreadable
from fleet.model.host import Resource
from fleet.model.kind import Kind, Probe, Stage
from fleet.model.step import Outcome, Script, Step
from fleet.model.value import State

_TYPES = re.compile(
    r"(ssh-(ed25519|rsa)|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com)\Z"
)


class AuthorizedKeySpec(Spec):
    """A public key in a user's ~/.ssh/authorized_keys, named USER/COMMENT. With `ensure: absent` it
    goes from ~/.ssh/authorized_keys2 as well, which sshd also reads.

    authorized_key:
      deploy/alice@laptop:
        key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ...
        options: [no-agent-forwarding]
    """

    key: str = Field(description="Type and base64 of the public key; a comment in it is ignored.")
    options: tuple[str, ...] = Field((), description="Options before the key, such as no-pty.", strict=False)
    ensure: EnsureField = "present"

    @model_validator(mode="after")
    def _is_a_key(self) -> Self:
        words = self.key.split()
        if len(words) < 2 or not _TYPES.match(words[0]):
            raise ValueError('expected a public key such as "ssh-ed25519 AAAA..."')
        try:
            inside = base64.b64decode(words[1], validate=True)
        except binascii.Error as error:
            raise ValueError("the key's base64 is damaged") from error
        if inside[4 : 4 + len(words[0])].decode(errors="replace") != words[0]:
            raise ValueError(f"the key is not of type {words[0]}: it may be cut")
        for option in self.options:
            check_text(option, "option")
        return self


def check(name: str) -> None:
    user, slash, comment = name.partition("/")
    if not slash or not comment or not re.match(r"[A-Za-z0-9_][A-Za-z0-9_.@-]*\Z", user):
        raise ValueError("expected USER/COMMENT, such as deploy/alice@laptop")
    check_text(comment, "comment")


def _line(name: str, spec: AuthorizedKeySpec) -> str:
    key = " ".join(spec.key.split()[:2])
    return f"{','.join(spec.options)} {key} {name.partition('/')[2]}".strip()


def state(name: str, spec: AuthorizedKeySpec, content: bytes | None) -> State | None:
    return None if spec.ensure == "absent" else {"line": _line(name, spec)}


_FILES = ("authorized_keys", "authorized_keys2")
_HOMES = ("/etc/passwd", "/etc/nsswitch.conf")


# Each argument is "USER BLOB"; answers with the user's home, or that there is nobody of that name, then the lines that
# hold the blob. sshd reads two files unless it is told otherwise, and takes tabs for spaces.
_LOOK = r"""
homes() {
  if command -v getent >/dev/null 2>&1; then getent passwd "$@"; else cat /etc/passwd; fi
}
users= nl='
' t='	'
r=$(printf '\r')
for a do case " $users " in *" ${a%% *} "*) ;; *) users="$users ${a%% *}" ;; esac; done
all=$(homes $users)
case $? in 0|2) known=END ;; *) known= ;; esac  # 2: some are not known. Anything else, and nobody can tell.
all=$nl$all$nl
for a do
  u=${a%% *} blob=${a#* }
  case $all in *"$nl$u:"*) h=${all#*"$nl$u:"} ;; *) printf 'nobody\t%s\n' "$u"; continue ;; esac
  h=${h%%"$nl"*}; h=${h%:*}; h=${h##*:}
  printf 'user\t%s\t%s\n' "$u" "$h"
  for d in "$h" "$h/.ssh"; do
    if [ -d "$d" ] && ! [ -x "$d" ]; then printf 'unreadable\t%s\n' "$u"; fi
  done
  for n in authorized_keys authorized_keys2; do
    f=$h/.ssh/$n
    if [ -h "$f" ]; then printf 'link\t%s\n' "$u"; fi
    if [ -e "$f" ] && ! [ -r "$f" ]; then printf 'unreadable\t%s\n' "$u"; fi
    [ -f "$f" ] && [ -r "$f" ] || continue
    while IFS= read -r l || [ -n "$l" ]; do
      case ${l#"${l%%[! $t]*}"} in "#"*) continue ;; esac
      case $l in
        *[" $t"]"$blob"|*[" $t"]"$blob"[" $t$r"]*) printf '%s\t%s\t%s\t%s\n' "$n" "$u" "$blob" "$l" ;;
      esac
    done <"$f"
  done
done
[ -z "$known" ] || printf 'END\n'
"""


def _blob(resource: Resource) -> str:
    return str(resource.spec.key.split()[1])


def _user(resource: Resource) -> str:
    return resource.name.partition("/")[0]


def observe(resources: Sequence[Resource]) -> Probe:
    def read(outcome: Outcome) -> Mapping[str, Observed]:
        lines: dict[tuple[str, str, str], list[str]] = {}
        known: set[str] = set()
        blind: set[str] = set()
        text = outcome.output.decode(errors="surrogateescape")
        if not f"\n{text}".endswith("\nEND\n"):
            raise ValueError("the look at keys was cut short")
        for line in text.split("\n"):
            match line.split("\t", 3):
                case [file, user, blob, whole] if file in _FILES:
                    lines.setdefault((file, user, blob), []).append(whole)
                case ["user", user, _] | ["nobody", user]:
                    known.add(user)
                case ["unreadable", user]:
                    blind.add(user)
        return {r.id: _observed(r, lines, blind) for r in resources if _user(r) in known}

    def vouch(outcome: Outcome) -> Mapping[str, tuple[str, ...]]:
        """Where sshd reads, as far as that is no link, and where it says whose home is where."""
        words = [line.split("\t") for line in outcome.output.decode(errors="surrogateescape").split("\n")]
        links = {word[1] for word in words if word[0] == "link"}
        said = {word[1]: word[2] for word in words if word[0] == "user" and word[2].startswith("/")}
        homes = {user: home for user, home in said.items() if not home.startswith(("/proc", "/sys", "/dev"))}
        files = {user: tuple(f"{home}/.ssh/{file}" for file in _FILES) for user, home in homes.items()}
        return {r.id: (*_HOMES, *files[_user(r)]) for r in resources if _user(r) in files.keys() - links}

    return Probe(Script(_LOOK, tuple(f"{_user(r)} {_blob(r)}" for r in resources)), read, vouch=vouch)


def _observed(resource: Resource, lines: Mapping[tuple[str, str, str], list[str]], blind: set[str]) -> Observed:
    """`second`: what stands in the other file, which matters only to a key that must not work."""
    if _user(resource) in blind:
        return Unreadable("the user's authorized_keys cannot be read")
    one, two = ("\n".join(lines.get((file, _user(resource), _blob(resource)), ())) for file in _FILES)
    if resource.desired is None and two:
        return {"line": one, "second": two}
    return {"line": one} if one else None


def fix(changes: Sequence[Change]) -> Mapping[str, tuple[Step, ...]]:
    return {change.resource.id: _edits(change) for change in changes}


# The home comes from the host's own account database. Nothing in a home is trusted: it is its owner's, so links are
# refused, and the file keeps the owner and a mode that sshd's StrictModes accepts.
_EDIT = """\
u=$1 blob=$2 seen=$3 new=$4 f=./$5 nl='
' t='	'
r=$(printf '\\r')
if command -v getent >/dev/null 2>&1; then e=$(getent passwd "$u"); else e=$(grep "^$u:" /etc/passwd); fi
[ -n "$e" ] || { echo "there is no user $u on this host"; exit 1; }
h=${e%:*}; h=${h##*:}; e=${e#*:*:}; uid=${e%%:*}; e=${e#*:}; gid=${e%%:*}
d=$h/.ssh
if [ -L "$h" ] || [ -L "$d" ]; then echo "a symbolic link stands in the way to $d"; exit 75; fi
if ! [ -d "$h" ]; then echo "the home $h of $u is not there"; exit 1; fi
# Made and given away where only root is, then moved to its place: by its name it could be another one by now.
if ! [ -d "$d" ]; then (
  fl_room "$d" && mkdir -m 700 -- "./$n" && chown -- "$uid:$gid" "./$n" && mv -- "./$n" .. || exit
) || exit; fi
# Inside it from here on: a directory that is swapped for a link now changes nothing.
here=$(cd -P -- "$h" && pwd -P)/.ssh
cd -P -- "$d" || exit 1
if [ "$(pwd -P)" != "$here" ]; then echo "$d was replaced while it was looked at"; exit 75; fi
fl_at "$f" || exit
out= old= sum=
if [ -f "../$n" ]; then
  fl_pin || exit
  sum=$(fl_sha "$s")
  while IFS= read -r l || [ -n "$l" ]; do
    case ${l#"${l%%[! $t]*}"} in "#"*) out=$out$l$nl; continue ;; esac
    case $l in
      *[" $t"]"$blob"|*[" $t"]"$blob"[" $t$r"]*) if [ -z "$old" ]; then out=$out$new; old=$l; else old=$old$nl$l; fi ;;
      *) out=$out$l$nl ;;
    esac
  done <"$s"
fi
if [ "$old" != "$seen" ]; then echo "the key in $d/$n is no longer as it was seen"; exit 75; fi
[ -n "$old" ] || out=$out$new
want=$(printf %s "$out" | { sha256sum 2>/dev/null || shasum -a 256 || openssl dgst -sha256 -r; })
fl_put "$f" "$sum" "$uid" "$gid" 600 "${want%% *}" text "$out"
exit $?
"""


def _edits(change: Change) -> tuple[Script, ...]:
    resource, before = change.resource, change.before or {}
    who = (_user(resource), _blob(resource))
    if change.after is not None:
        return (Script(_EDIT, (*who, before.get("line", ""), f"{change.after['line']}\n", _FILES[0])),)
    stands = zip(("line", "second"), _FILES, strict=True)
    return tuple(Script(_EDIT, (*who, before[key], "", file)) for key, file in stands if before.get(key))


KIND = Kind(
    name="authorized_key",
    doc="One key that may log in as one user.",
    Spec=AuthorizedKeySpec,
    stage=Stage.SYSTEM,
    state=state,
    observe=observe,
    fix=fix,
    witness=lambda resource: None,  # where the file is, only the host knows
    check=check,
    owns=lambda name, spec: (f"authorized_key:{name.partition('/')[0]} {spec.key.split()[1]}",),
    wants=lambda name, spec: (f"user:{name.partition('/')[0]}",),
)
