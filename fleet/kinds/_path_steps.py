"""Steps on paths for every kind that has any: guards, removal, owner and mode.

Somebody else may own the directory around a path, and swap what stands there at any moment. So nothing is changed
through a name that was looked at before: fl_enter and fl_at (transports/prelude.py) give a place that stays put.
"""

from __future__ import annotations

from fleet.model.step import Guard, Script, Step


def same(path: str, digest: str) -> Guard:
    """Still the regular file that was seen. fl_sha is the session's own."""
    return Guard(_SAME, (path, digest))


def in_the_way(path: str, what: str) -> Guard:
    """Never replaces a thing of another type: that is for a person to decide."""
    return Guard("printf '%s\\n' \"a $2 stands at $1: remove it first\"; return 1\n", (path, what))


def remove(path: str) -> Script:
    """A file or a link; a directory is never removed so."""
    return Script(_REMOVE, (path,))


def own_file(path: str, owner: str | None, group: str | None, mode: str | None) -> tuple[Step, ...]:
    """Owner, group and mode of a regular file; what is None stays."""
    return _own(_OWN_FILE, path, owner, group, mode)


def own_directory(path: str, owner: str | None, group: str | None, mode: str | None) -> tuple[Step, ...]:
    """Owner, group and mode of a directory; what is None stays."""
    return _own(_OWN_DIRECTORY, path, owner, group, mode)


def _own(text: str, path: str, owner: str | None, group: str | None, mode: str | None) -> tuple[Step, ...]:
    """Five digits: with fewer, GNU's chmod would leave a directory's setgid bit as it is."""
    if not (owner or group or mode):
        return ()
    who = f"{owner or ''}{':' + group if group else ''}"
    return (Script(text, (path, who, mode.zfill(5) if mode else "")),)


_SAME = """\
[ -f "$1" ] && ! [ -L "$1" ] && [ "$(fl_sha "$1")" = "$2" ] && return
printf '%s\\n' "$1 is no longer as it was seen"; return 1
"""
_REMOVE = """\
dir=${1%/*}; fl_enter "${dir:-/}" && rm -f -- "./${1##*/}"
"""
# Owner first: chown clears the setuid bit that chmod sets.
_OWN_FILE = """\
fl_at "$1" && fl_pin || return
if [ -n "$2" ]; then chown -h -- "$2" "$s" || return; fi
if [ -n "$3" ]; then chmod -- "$3" "$s" || return; fi
"""
_OWN_DIRECTORY = """\
fl_enter "$1" || return
if [ -n "$2" ]; then chown -- "$2" . || return; fi
if [ -n "$3" ]; then chmod -- "$3" . || return; fi
"""
