"""Put replaces a file atomically or not at all, in every shell; what stops it is named, and nothing is left behind."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fleet.model.port import Session
from fleet.model.step import Outcome, Put, Script, Status
from tests.transports.shells import apply, in_each_shell, needs_rooms, session_in

pytestmark = [needs_rooms, pytest.mark.hosts, pytest.mark.anyio]

NAMES = [
    "a b",
    "a'b",
    'a"b',
    "$(touch canary)",
    "`touch canary`",
    "-rf",
    "--",
    "*",
    "ä€",
    "\udcff",
    "a\\b",
    "%s",
    "a|b;c&",
    "~",
    "#x",
]
CONTENTS = {
    "empty": b"",
    "no newline at the end": b"x",
    "newlines at the end": b"x\n\n\n",
    "NUL": b"a\0b\0",
    "not UTF-8": b"\xff\xfe\x80\n",
    "shell": b"'; touch canary; $(touch canary) `touch canary`\n\\",
    "CRLF": b"a\r\nb\r\n",
    "5 MB of text": b"0123456789abcde\n" * 327_680,
    "5 MB with NUL": bytes(range(256)) * 20_480,
}


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


async def put(session: Session, path: Path, content: bytes, seen: bytes | None = None, **more: Any) -> Outcome:
    step = Put(str(path), content, "" if seen is None else digest(seen))
    return await apply(session, replace(step, **more))


def names(where: Path) -> list[str]:
    return sorted(path.name for path in where.iterdir())


def leftovers(where: Path) -> list[str]:
    return [name for name in names(where) if name.startswith(".fleet.")]


def canary() -> bool:
    """Where the shells run."""
    return Path("canary").exists()


@in_each_shell
async def test_any_content_arrives_byte_for_byte(shell: str, tmp_path: Path) -> None:
    async with session_in(shell) as session:
        for name, content in CONTENTS.items():
            outcome = await put(session, tmp_path / name, content)
            assert outcome.status is Status.OK, (name, outcome.output)
            assert (tmp_path / name).read_bytes() == content, name
    assert names(tmp_path) == sorted(CONTENTS) and not canary()


@in_each_shell
async def test_any_name_is_only_a_name(shell: str, tmp_path: Path) -> None:
    async with session_in(shell) as session:
        for name in NAMES:
            outcome = await put(session, tmp_path / name, name.encode("utf-8", "surrogateescape"))
            assert outcome.status is Status.OK, (name, outcome.output)
    assert names(tmp_path) == sorted(NAMES) and not canary()


@in_each_shell
async def test_a_new_file_gets_0644_or_what_is_asked(shell: str, tmp_path: Path) -> None:
    async with session_in(shell) as session:
        await put(session, tmp_path / "plain", b"x")
        await put(session, tmp_path / "asked", b"x", owner="1234", group="2345", mode="4750")
    plain, asked = (tmp_path / "plain").stat(), (tmp_path / "asked").stat()
    assert (stat.S_IMODE(plain.st_mode), plain.st_uid, plain.st_gid) == (0o644, os.getuid(), os.getgid())
    assert (stat.S_IMODE(asked.st_mode), asked.st_uid, asked.st_gid) == (0o4750, 1234, 2345)


@in_each_shell
async def test_what_is_not_asked_stays_as_it_was(shell: str, tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"old")
    os.chown(path, 77, 88)
    path.chmod(0o4711)
    async with session_in(shell) as session:
        assert (await put(session, path, b"new", b"old")).status is Status.OK
        now = path.stat()
        assert (stat.S_IMODE(now.st_mode), now.st_uid, now.st_gid) == (0o4711, 77, 88)
        assert (await put(session, path, b"newer", b"new", group="99")).status is Status.OK
    now = path.stat()
    assert (stat.S_IMODE(now.st_mode), now.st_uid, now.st_gid) == (0o4711, 77, 99)


@in_each_shell
async def test_what_changed_since_it_was_seen_is_a_conflict(shell: str, tmp_path: Path) -> None:
    changed, appeared, vanished = tmp_path / "changed", tmp_path / "appeared", tmp_path / "vanished"
    changed.write_bytes(b"theirs")
    appeared.write_bytes(b"theirs")
    (tmp_path / "link").symlink_to(changed)
    (tmp_path / "directory").mkdir()
    async with session_in(shell) as session:
        for path, seen in ((changed, b"old"), (appeared, None), (vanished, b"old")):
            outcome = await put(session, path, b"ours", seen)
            assert outcome.status is Status.CONFLICT and b"no longer as it was seen" in outcome.output
        for name, word in (("link", b"symbolic link"), ("directory", b"not a regular file")):
            for seen in (None, b"theirs"):
                outcome = await put(session, tmp_path / name, b"ours", seen)
                assert outcome.status is Status.CONFLICT and word in outcome.output
    assert changed.read_bytes() == appeared.read_bytes() == b"theirs"
    assert (tmp_path / "link").is_symlink() and not vanished.exists()
    assert leftovers(tmp_path) == []


@in_each_shell
async def test_the_validator_sees_the_new_file_and_may_refuse_it(shell: str, tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"good old\n")
    path.chmod(0o600)
    check = ("sh", "-c", 'stat -c %a "$1"; grep good "$1"', "sh", "{path}")
    async with session_in(shell) as session:
        refused = await put(session, path, b"bad\n", b"good old\n", mode="640", validate=check)
        assert refused.status is Status.FAILED and refused.code == 1
        assert refused.output.startswith(b"640\n") and b"validation failed" in refused.output
        assert path.read_bytes() == b"good old\n" and leftovers(tmp_path) == []
        taken = await put(session, path, b"good new\n", b"good old\n", validate=check)
        assert taken.status is Status.OK and b"good new" in taken.output
        missing = await put(session, path, b"x", b"good new\n", validate=("no-such-program", "{path}"))
        assert missing.status is Status.FAILED and b"not found" in missing.output
    assert path.read_bytes() == b"good new\n" and leftovers(tmp_path) == []


@in_each_shell
async def test_a_full_disk_is_named_and_leaves_the_old_file(shell: str, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    prepare = f"mount -t tmpfs -o size=64k none '{small}' && printf old >'{small}/f'"
    async with session_in(shell, prepare) as session:
        for content in (b"x" * 200_000, b"\0" * 200_000):
            outcome = await put(session, small / "f", content, b"old")
            assert outcome.status is Status.FAILED
            assert b"no space left" in outcome.output.lower()
        outcome = await put(session, small / "f", b"still possible", b"old")
        assert outcome.status is Status.OK, outcome.output


@in_each_shell
async def test_a_read_only_place_is_named(shell: str, tmp_path: Path) -> None:
    place = tmp_path / "ro"
    place.mkdir()
    (place / "f").write_bytes(b"old")
    prepare = f"mount --bind '{place}' '{place}' && mount -o remount,ro,bind '{place}'"
    async with session_in(shell, prepare) as session:
        outcome = await put(session, place / "f", b"new", b"old")
    assert outcome.status is Status.FAILED and b"Read-only file system" in outcome.output
    assert (place / "f").read_bytes() == b"old"


@in_each_shell
async def test_a_mount_point_is_named_and_stays(shell: str, tmp_path: Path) -> None:
    (tmp_path / "below").write_bytes(b"old")
    (tmp_path / "f").write_bytes(b"hidden")
    prepare = f"mount --bind '{tmp_path}/below' '{tmp_path}/f'"
    async with session_in(shell, prepare) as session:
        outcome = await put(session, tmp_path / "f", b"new", b"old")
    assert outcome.status is Status.FAILED and b"is it a mount point" in outcome.output
    assert (tmp_path / "below").read_bytes() == b"old" and leftovers(tmp_path) == []


@in_each_shell
async def test_a_missing_directory_and_an_unknown_owner_are_named(shell: str, tmp_path: Path) -> None:
    async with session_in(shell) as session:
        nowhere = await put(session, tmp_path / "no" / "f", b"x")
        assert nowhere.status is Status.FAILED and b"No such file or directory" in nowhere.output
        nobody = await put(session, tmp_path / "f", b"x", owner="no-such-user")
        assert nobody.status is Status.FAILED and b"no-such-user" in nobody.output
    assert names(tmp_path) == []


# What a mount of vfat shows, which this kernel may not have: modes are the mount's, whatever chmod says.
_SHOWS_755 = """\
stat() { command stat "$@" | sed '1s/ 2*700$/ 755/'; }
fl_put "$1" "$2" "" "" "" "$3" text "$4"
"""


@in_each_shell
async def test_where_modes_cannot_be_set_the_directory_around_must_keep_others_out(shell: str, tmp_path: Path) -> None:
    """As on the EFI system partition. Where others may write, a room that shows another mode is not ours."""
    digest = hashlib.sha256(b"ours").hexdigest()
    step = Script(_SHOWS_755, (str(tmp_path / "a"), "", digest, "ours"))
    async with session_in(shell) as session:
        assert (await apply(session, step)).status is Status.OK
        assert names(tmp_path) == ["a"]
        assert (await apply(session, Script('chmod 777 "$1"\n', (str(tmp_path),)))).status is Status.OK
        step = Script(_SHOWS_755, (str(tmp_path / "b"), "", digest, "ours"))
        refused = await apply(session, step)
    assert refused.status is Status.CONFLICT and b"somebody changes" in refused.output
    assert (tmp_path / "a").read_bytes() == b"ours" and not (tmp_path / "b").exists()
