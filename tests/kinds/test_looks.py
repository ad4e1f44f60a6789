"""A look whose own tools fail on the host says so: what could not be asked is never absent."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from fleet.kinds import _accounts, _paths, authorized_key, sysctl
from fleet.kinds._paths_answer import Seen, read_answer
from fleet.model.step import Outcome, Status
from tests.describe import resource
from tests.transports.shells import SHELLS

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJA4YAtEp07M6bnBFsyNXNIL3blTBVnTk1yo9djwUMGO"
in_each_shell = pytest.mark.parametrize("shell", SHELLS)


def said(shell: str, text: str, *args: str) -> bytes:
    """What a script prints, with the functions before it in the place of the host's programs."""
    words = [*SHELLS[shell], "-c", text, "sh", *args]
    return subprocess.run(words, capture_output=True, check=False, timeout=20).stdout


@in_each_shell
@pytest.mark.parametrize("code", [126, 127, 137])
@pytest.mark.parametrize("call", ["%f", "''"])
def test_a_stat_that_was_ended_leaves_nothing_absent(shell: str, code: int, call: str, tmp_path: Path) -> None:
    """The first asks about all paths, the second about those that seem not to be there."""
    args = (_paths.want("/etc/passwd"), _paths.want(str(tmp_path / "none")))
    assert isinstance(read_answer(said(shell, _paths.TEXT, *args))["/etc/passwd"], Seen)
    word = "*%f*" if call == "%f" else '"-c  --"*'
    broken = f'stat() {{ case $* in {word}) return {code} ;; esac; command stat "$@"; }}\n'
    with pytest.raises(ValueError, match="was ended on this host"):
        read_answer(said(shell, broken + _paths.TEXT, *args))


@in_each_shell
@pytest.mark.parametrize(
    ("text", "asked"),
    [("passwd: files systemd\ngroup: files\n", False), ("passwd: files ldap\n", True), ("passwd:files ldap\n", True),
     ("passwd:\tfiles\tsss\n", True), ("  passwd : files ldap\n", True), ("passwd: files\ngroup: files ldap", True),
     ("passwd: files # ldap\n", True), ("# passwd: ldap\nshadow: files ldap\n", False), ("", False)],
)  # fmt: skip
def test_accounts_are_read_from_files_only_where_there_is_nothing_else(
    shell: str, text: str, asked: bool, tmp_path: Path
) -> None:
    """nsswitch.conf(5) in every way that glibc reads it. A comment too many costs a getent, no more."""
    switch = tmp_path / "nsswitch.conf"
    switch.write_text(text)
    stub = "getent() { echo asked; }\n"
    answer = said(shell, stub + _accounts.TEXT.replace("/etc/nsswitch.conf", str(switch)), "u:daemon")
    assert (b"asked" in answer) is asked


@in_each_shell
@pytest.mark.parametrize("linked", [False, True])
def test_a_key_is_proven_by_the_files_that_sshd_reads_unless_they_stand_elsewhere(
    shell: str, linked: bool, tmp_path: Path
) -> None:
    files = tuple(str(tmp_path / ".ssh" / name) for name in ("authorized_keys", "authorized_keys2"))
    (tmp_path / ".ssh").mkdir()
    if linked:
        (tmp_path / "elsewhere").touch()
        Path(files[1]).symlink_to("../elsewhere")
    keys = [resource("authorized_key", f"{user}/x", key=KEY) for user in ("ann", "nobody-here")]
    probe = authorized_key.KIND.observe(keys)
    stub = f"getent() {{ printf 'ann:x:1:1::{tmp_path}:/bin/sh\\n'; return 2; }}\n"
    output = said(shell, stub + probe.script.text, *probe.script.args)
    vouched = probe.vouch(Outcome("look:0", Status.OK, 0, output))
    assert vouched == ({} if linked else {keys[0].id: ("/etc/passwd", "/etc/nsswitch.conf", *files)})


@in_each_shell
def test_a_setting_of_an_interface_with_a_dot_is_where_the_kernel_has_it(shell: str, tmp_path: Path) -> None:
    """sysctl.d(5): after a dot as the first separator, dots and slashes change places."""
    one = resource("sysctl", "net.ipv4.conf.bond0/10.forwarding", value=1)
    live = tmp_path / "proc/sys/net/ipv4/conf/bond0.10/forwarding"
    file = tmp_path / "etc/sysctl.d/99-zz-fleet-net.ipv4.conf.bond0.10.forwarding.conf"
    for path, text in ((live, "0\n"), (file, "net.ipv4.conf.bond0/10.forwarding = 1\n")):
        path.parent.mkdir(parents=True)
        path.write_text(text)
    probe = sysctl.KIND.observe([one])
    text = probe.script.text.replace("/proc/", f"{tmp_path}/proc/").replace("/etc/", f"{tmp_path}/etc/")
    output = said(shell, text, *probe.script.args).replace(f"{tmp_path}/".encode(), b"/")
    (found,) = probe.read(Outcome("look:0", Status.OK, 0, output)).values()
    assert isinstance(found, Mapping) and (found["live"], found["persistent"]) == ("0", "1")
    assert sysctl.KIND.witness(one) == tuple(f"/{path.relative_to(tmp_path)}" for path in (file, live))
