"""Where in a repository the fleet is. A laptop stands somewhere: the nearest directory upwards with environments/.
A mirror stands nowhere: the top, else the only directory that holds it; several are told apart by a setting."""

from __future__ import annotations

from pathlib import Path

from fleet.desired import git
from fleet.errors import UsageError

ROOT = "environments"
MOST = 200_000  # directories that are looked at


def checkout(directory: Path) -> tuple[Path, str]:
    """The repository that holds this directory, and the directory in it: "" its top. Raises UsageError: none does."""
    inside = git.run(directory, "rev-parse", "--show-prefix").decode().removesuffix("\n").strip("/")
    if not inside:
        return directory, ""
    return Path(git.run(directory, "rev-parse", "--show-toplevel").decode().removesuffix("\n")), inside


def only_place(repository: Path, commit: str) -> str:
    """The directory that holds environments/ in a bare repository's commit; "" where none does, or where the repository
    has a working tree, which says it itself. Raises UsageError: there are several.

    environments/ below another environments/ is a part of that one."""
    if git.run(repository, "rev-parse", "--is-bare-repository").strip() != b"true":
        return ""
    found: list[str] = []
    with git.streaming(repository, "ls-tree", "-r", "-d", "-z", "--name-only", "--full-tree", commit) as (_, output):
        for raw in output.read(MOST * 100).split(b"\0"):
            *above, last = raw.decode(errors="backslashreplace").split("/")
            if last == ROOT and ROOT not in above and "".join(above).isprintable():
                found.append("/".join(above))
    if len(found) > 1:
        shown = ", ".join(repr(one) for one in found[:5])
        raise UsageError(f"several directories hold {ROOT}/: {shown}; say which one is the fleet's (directory)")
    return found[0] if found else ""
