"""The witness rule against a real file system and the real `stat`: everything that tries to fool it."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fleet.converge.memory import Memory
from fleet.converge.witness import Witnesses, read_witnesses, witness_task
from fleet.model.host import Resource, Target
from fleet.model.step import Batch, Outcome, Status, Witness
from fleet.transports.local import LocalTransport
from tests.converge.world import KINDS, resource


def look(resources: list[Resource], root: Path) -> Witnesses:
    """Ask a real shell; the fake witness of "file:x" is the path /file:x, here moved below root."""
    task = witness_task(Memory().paths(resources, KINDS))
    (step,) = task.steps
    assert isinstance(step, Witness)
    moved = replace(task, steps=(replace(step, paths=tuple(f"{root}{path}" for path in step.paths)),))
    found = read_witnesses(task, asyncio.run(ask(Batch((moved,)))))
    assert found is not None
    identities = {name.removeprefix(str(root)): what for name, what in found.identities.items()}
    return replace(found, identities=identities)


def remembered(resources: list[Resource], then: Witnesses) -> Memory:
    """They were looked at after those witnesses were taken."""
    memory = Memory()
    memory.keep(resources, {one.id: {} for one in resources}, {one.id: (f"/{one.id}",) for one in resources}, then)
    return memory


async def ask(batch: Batch) -> Outcome:
    session = await LocalTransport().connect(Target("here", "lab", type="local"))
    try:
        return (await session.perform(batch))[batch.tasks[0].id]
    finally:
        await session.aclose()


def settled(now: Witnesses) -> Witnesses:
    """The same look, had it happened an hour later: nothing in it is racy."""
    return replace(now, second=now.second + 3600)


def same_size(path: Path) -> None:
    path.write_bytes(b"b" * len(path.read_bytes()))


def touched_back(path: Path) -> None:
    """Edit, then put the old times back, as `touch -d` does: only ctime tells."""
    before = path.stat()
    path.write_bytes(b"c" * before.st_size)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def new_inode(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    other.rename(path)


def gone(path: Path) -> None:
    path.unlink()


def mode_only(path: Path) -> None:
    path.chmod(0o600)


def owner_only(path: Path) -> None:
    os.chown(path, 12345, -1)


def turned_into_a_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/passwd")


FOOLS = [same_size, touched_back, new_inode, gone, mode_only, turned_into_a_link]


@pytest.mark.parametrize("fool", FOOLS, ids=lambda f: f.__name__)
def test_no_edit_goes_unseen_even_within_the_same_second(fool: Callable[[Path], None], tmp_path: Path) -> None:
    """The look and the edit happen in one second: the racy rule alone must already refuse to trust the first look."""
    one = resource("file:x")
    (tmp_path / "file:x").write_bytes(b"a" * 10)
    memory = remembered([one], look([one], tmp_path))
    fool(tmp_path / "file:x")
    assert memory.recall([one], look([one], tmp_path)) == {}


def test_no_edit_goes_unseen_later_and_what_was_not_edited_is_trusted(tmp_path: Path) -> None:
    """Without the racy rule's help: all files are older than the look, so only their identity can tell."""
    files = [resource(f"file:{fool.__name__}") for fool in FOOLS]
    untouched = resource("file:untouched")
    for one in (*files, untouched):
        (tmp_path / one.id).write_bytes(b"a" * 10)
    then = look([*files, untouched], tmp_path)
    while any(int(identity[0]) >= then.second for identity in then.identities.values()):
        then = look([*files, untouched], tmp_path)  # until the host's clock has moved on by a second
    memory = remembered([*files, untouched], then)
    for fool, one in zip(FOOLS, files, strict=True):
        fool(tmp_path / one.id)
    assert memory.recall([*files, untouched], look([*files, untouched], tmp_path)) == {untouched.id: {}}


@pytest.mark.skipif(os.geteuid() != 0, reason="chown and mount need root")
def test_owner_and_a_mount_over_the_file_are_seen(tmp_path: Path) -> None:
    one = resource("file:x")
    path = tmp_path / "file:x"
    path.write_bytes(b"a")
    before = settled(look([one], tmp_path))
    owner_only(path)
    memory = remembered([one], before)
    assert memory.recall([one], look([one], tmp_path)) == {}
    other = tmp_path / "elsewhere"
    other.write_bytes(b"a")
    before = settled(look([one], tmp_path))
    memory = remembered([one], before)
    if subprocess.run(["mount", "--bind", other, path], capture_output=True, check=False).returncode != 0:
        pytest.skip("no CAP_SYS_ADMIN: nothing can be mounted here")
    try:
        assert memory.recall([one], look([one], tmp_path)) == {}
    finally:
        subprocess.run(["umount", path], check=True)


def test_a_file_that_was_absent_holds_until_it_appears(tmp_path: Path) -> None:
    one = resource("file:x")
    memory = remembered([one], look([one], tmp_path))
    assert memory.recall([one], look([one], tmp_path)) == {one.id: {}}
    (tmp_path / "file:x").touch()
    assert memory.recall([one], look([one], tmp_path)) == {}


def test_another_revision_of_the_resource_is_looked_at_again(tmp_path: Path) -> None:
    memory = remembered([resource("file:x")], look([resource("file:x")], tmp_path))
    newer = resource("file:x", {"v": 2})
    assert memory.recall([newer], look([newer], tmp_path)) == {}


def test_a_host_without_a_clock_is_never_trusted(tmp_path: Path) -> None:
    (tmp_path / "file:x").touch()
    one = resource("file:x")
    blind = replace(look([one], tmp_path), second=0)
    memory = remembered([one], blind)
    assert memory.recall([one], blind) == {}


def test_a_file_of_the_kernel_is_known_by_all_that_it_says() -> None:
    """Its identity is made up whenever it is asked for; its content is read each time, so it is never too young."""
    setting = replace(resource("file:x"), id="proc/sys/net/x")

    def said(*lines: str) -> Witnesses:
        head = "1000 0 0 0 0 0 0 0 /proc/self/"
        found = read_witnesses(
            witness_task(["/proc/sys/net/x"]),
            Outcome("", Status.OK, 0, "".join(f"{line}\n" for line in (head, *lines)).encode()),
        )
        assert found is not None
        return found

    one, other = "/proc/sys/net/x:4096 16384", "/proc/sys/net/x:a:b"
    memory = remembered([setting], said(one, other))
    for now in ([one], [other], [other, one], [one, other, one], [one, "/proc/sys/net/x:a:c"], []):
        assert memory.recall([setting], said(*now)) == {}
    assert memory.recall([setting], said(one, other)) == {setting.id: {}}


def test_what_only_the_look_can_name_proves_it_from_the_second_look_on(tmp_path: Path) -> None:
    """At the first nobody knew what to ask for; that it was not there then would prove nothing."""
    one = resource("file:x")
    then = look([], tmp_path)
    memory = remembered([one], then)
    assert memory.unproven([one]) == [one]
    assert memory.recall([one], then) == {}
    assert memory.paths([one], KINDS) == ("/file:x",)
    memory = remembered([one], look([one], tmp_path))
    assert memory.unproven([one]) == []
    assert memory.recall([one], then) == {}, "and nothing is proven by an answer to another question"
    assert memory.recall([one], look([one], tmp_path)) == {one.id: {}}
