"""Somebody who owns the directory around a file swaps things while root writes there: nothing of root's is touched.

The file's own validator stands for that somebody: it runs in the very middle, each time at the same moment.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from fleet.kinds import _path_steps
from fleet.model.step import Put, Script, Status
from tests.transports.shells import apply, in_each_shell, needs_rooms, session_in, writer
from tests.transports.test_put import names, put

pytestmark = [needs_rooms, pytest.mark.hosts, pytest.mark.anyio]
THEIRS = 1234


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A directory of theirs beside one of root's."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "f").write_bytes(b"root's")
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, THEIRS, THEIRS)
    return home


def untouched(home: Path) -> bool:
    etc = home.parent / "etc"
    return {path.name: path.read_bytes() for path in etc.iterdir()} == {"f": b"root's"}


@in_each_shell
@pytest.mark.parametrize("name", ["f", "g"])
async def test_the_room_is_swapped_for_a_link(shell: str, home: Path, name: str) -> None:
    swap = f"cd '{home}' && for t in .fleet.*; do mv $t mine && ln -s '{home.parent}/etc' $t; done"
    async with session_in(shell) as session:
        outcome = await put(session, home / name, b"ours", validate=("sh", "-c", swap, "{path}"))
    assert outcome.status is Status.OK, outcome.output
    assert (home / name).read_bytes() == b"ours" and untouched(home)


@in_each_shell
async def test_the_place_becomes_a_link_to_a_directory(shell: str, home: Path) -> None:
    async with session_in(shell) as session:
        link = ("ln", "-s", str(home.parent / "etc"), str(home / "g"), "{path}")
        outcome = await put(session, home / "g", b"ours", validate=("sh", "-c", '"$@"', "sh", *link[:-1]))
    assert outcome.status is Status.OK and not (home / "g").is_symlink() and (home / "g").read_bytes() == b"ours"
    assert untouched(home)


@in_each_shell
async def test_a_link_of_theirs_on_the_way_leads_only_to_what_is_theirs(shell: str, home: Path) -> None:
    (home / "releases").mkdir()
    os.chown(home / "releases", THEIRS, THEIRS)
    for name, target in (("current", "releases"), ("elsewhere", "../etc")):
        (home / name).symlink_to(target)
        os.lchown(home / name, THEIRS, THEIRS)
    (home / "roots").symlink_to("../etc")
    async with session_in(shell) as session:
        assert (await put(session, home / "current" / "f", b"ours")).status is Status.OK
        refused = await put(session, home / "elsewhere" / "f", b"ours", b"root's")
        assert refused.status is Status.CONFLICT and b"symbolic link of another user" in refused.output
        for step in _path_steps.own_directory(str(home / "elsewhere"), "1234", None, None):
            assert (await apply(session, step)).status is Status.CONFLICT
        assert (await apply(session, _path_steps.remove(str(home / "elsewhere" / "f")))).status is Status.CONFLICT
        # Root's own link, but they can put another in its place at any moment.
        assert (await put(session, home / "roots" / "f", b"ours", b"root's")).status is Status.CONFLICT
        assert untouched(home)
    assert (home / "releases" / "f").read_bytes() == b"ours"


@in_each_shell
async def test_owner_and_mode_reach_the_very_file_and_no_link(shell: str, home: Path) -> None:
    (home / "f").write_bytes(b"x")
    (home / "link").symlink_to("../etc/f")
    before = (home.parent / "etc" / "f").stat()
    async with session_in(shell) as session:
        for step in _path_steps.own_file(str(home / "f"), "77", "88", "4750"):
            assert (await apply(session, step)).status is Status.OK
        for step in _path_steps.own_file(str(home / "link"), "77", "88", "4750"):
            assert (await apply(session, step)).status is Status.CONFLICT
    now, after = (home / "f").stat(), (home.parent / "etc" / "f").stat()
    assert (stat.S_IMODE(now.st_mode), now.st_uid, now.st_gid, now.st_nlink) == (0o4750, 77, 88, 1)
    assert (after.st_mode, after.st_uid) == (before.st_mode, before.st_uid)


@in_each_shell
async def test_every_mention_of_the_path_is_the_new_file_under_its_own_name(shell: str, home: Path) -> None:
    async with session_in(shell) as session:
        words = ("sh", "-c", 'echo "$1"; cat "$2"', "sh", "{path}:{path}", "{path}")
        outcome = await put(session, home / "a.conf", b"new\n", validate=words)
    first, rest = outcome.output.decode().split("\n", 1)
    one, two = first.split(":")
    assert outcome.status is Status.OK and one == two and Path(one).name == "a.conf" and rest.startswith("new\n")


@in_each_shell
async def test_what_a_cut_attempt_left_goes_with_the_next(shell: str, home: Path) -> None:
    async with session_in(shell) as session:
        cut = Script('fl_room "$1" && : >"$n" && trap - EXIT\n', (str(home / "f"),))
        assert (await apply(session, cut)).status is Status.OK
        assert [name[:7] for name in names(home)] == [".fleet."]
        step = Put(str(home / "f"), b"ours", "")
        assert (await apply(session, step, write=writer(attempt="a2"))).status is Status.OK
    assert names(home) == ["f"]


@in_each_shell
async def test_tidying_up_removes_nothing_that_is_not_ours(shell: str, home: Path) -> None:
    """What is left in the journal as ours was swapped for a link to a directory of root's, and for one of theirs."""
    (home.parent / "etc").chmod(0o700)
    async with session_in(shell) as session:
        for attempt, swap in (("a1", f"ln -s '{home.parent}/etc' \"$r\""), ("a2", 'mkdir "$r" && : >"$r/x"')):
            cut = Script(f'fl_room "$1" && trap - EXIT && r=$PWD && rmdir "$r" && {swap}\n', (str(home / "f"),))
            assert (await apply(session, cut, write=writer(attempt=attempt))).status is Status.OK
        left = [name for name in names(home) if name.startswith(".fleet.")]
        assert len(left) == 2
        step = Put(str(home / "f"), b"ours", "")
        assert (await apply(session, step, write=writer(attempt="a3"))).status is Status.OK
    assert untouched(home) and set(names(home)) >= {"f", *left}


@in_each_shell
async def test_a_link_of_theirs_behind_a_link_of_root_leads_only_to_what_is_theirs(shell: str, home: Path) -> None:
    """As releases are laid out: root's `current` leads into their directory, and what stands there is theirs to say."""
    root = home.parent
    (home / "releases").mkdir()
    (home / "releases/2").mkdir()
    for path in (home / "releases", home / "releases/2"):
        os.chown(path, THEIRS, THEIRS)
    for name, target in (("1", root / "etc"), ("3", "2")):
        (home / "releases" / name).symlink_to(target)
        os.lchown(home / "releases" / name, THEIRS, THEIRS)
    for name in ("1", "2", "3"):
        (root / f"to-{name}").symlink_to(f"home/releases/{name}")
    async with session_in(shell) as session:
        refused = await put(session, root / "to-1" / "f", b"ours", b"root's")
        assert refused.status is Status.CONFLICT and b"symbolic link of another user" in refused.output
        for step in _path_steps.own_directory(str(root / "to-1"), "1234", None, None):
            assert (await apply(session, step)).status is Status.CONFLICT
        assert (await apply(session, _path_steps.remove(str(root / "to-1" / "f")))).status is Status.CONFLICT
        assert untouched(home)
        for name in ("2", "3"):
            assert (await put(session, root / f"to-{name}" / f"f{name}", b"ours")).status is Status.OK
    assert names(home / "releases/2") == ["f2", "f3"]


@in_each_shell
async def test_where_anybody_can_change_a_link_it_is_nobody_s_word(shell: str, home: Path) -> None:
    """A directory that its group or all may write in, without the sticky bit; and links that go round in a circle."""
    shared, sticky, root = home.parent / "shared", home.parent / "sticky", home.parent
    for path, mode in ((shared, 0o777), (sticky, 0o1777)):
        path.mkdir()
        path.chmod(mode)
        (path / "link").symlink_to("../etc")
    (root / "round").symlink_to("round")
    async with session_in(shell) as session:
        assert (await put(session, shared / "link" / "f", b"ours", b"root's")).status is Status.CONFLICT
        assert untouched(home)
        assert (await put(session, sticky / "link" / "f", b"ours", b"root's")).status is Status.OK
        assert (await put(session, root / "round" / "f", b"ours")).status is Status.FAILED


@in_each_shell
async def test_a_file_with_too_many_names_is_not_changed_by_its_name(shell: str, home: Path) -> None:
    """What cannot be held by a second name could be another file by the time that root changes it."""
    (home / "f").write_bytes(b"x")
    os.chown(home / "f", THEIRS, THEIRS)
    no_links = 'ln() { case $* in *../f*) return 1 ;; esac; command ln "$@"; }\n'
    async with session_in(shell) as session:
        for step in _path_steps.own_file(str(home / "f"), None, None, "644"):
            assert isinstance(step, Script)
            outcome = await apply(session, Script(no_links + step.text, step.args))
            assert outcome.status is Status.CONFLICT and b"cannot be held" in outcome.output
    assert stat.S_IMODE((home / "f").stat().st_mode) != 0o666 and names(home) == ["f"]
