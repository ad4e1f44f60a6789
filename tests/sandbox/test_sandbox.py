"""Throw-away hosts for real: started, logged in to with the real client, crashed, and gone without a trace."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.errors import SandboxError
from fleet.sandbox import HostRequest, Sandbox, SandboxHost, processes, rooms

pytestmark = pytest.mark.hosts
THREE = [HostRequest(f"web-{n}", "dev") for n in (1, 2, 3)]


def flavours() -> list[str]:
    """Those that this machine allows."""
    found = []
    for flavour in ("plain", "systemd", "copied", "busybox"):
        try:
            found.append(rooms.check(flavour))
        except SandboxError:
            continue
    return list(dict.fromkeys(found))


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    sandbox = Sandbox(tmp_path / "hosts")
    yield sandbox
    sandbox.down()


def on(sandbox: Sandbox, host: SandboxHost, script: str) -> str:
    words = [*sandbox.ssh_words(host), script]
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=30).stdout.strip()


def left(directory: Path) -> list[str]:
    """Everything that a sandbox could leave behind."""
    there = [f"process {pid}" for pid in processes.below(directory)]
    there += [line for line in Path("/proc/self/mounts").read_text().splitlines() if str(directory) in line]
    cgroup = re.sub(r"[^A-Za-z0-9]", "-", str(directory).strip("/"))[-60:]
    # os.walk: other tests take theirs away meanwhile.
    there += [folder for folder, _, _ in os.walk("/sys/fs/cgroup") if cgroup in Path(folder).name]
    return there + ([str(directory)] if directory.exists() else [])


@pytest.mark.parametrize("flavour", flavours())
def test_hosts_are_reached_with_the_real_client_and_leave_nothing(sandbox: Sandbox, flavour: str) -> None:
    """Each host has files of its own; down leaves no process, mount, cgroup or file, and can be repeated."""
    hosts = sandbox.up(THREE, flavour)
    for host in hosts:
        on(sandbox, host, f"echo {host.name} > /etc/who; mkdir -p /var/lib/fleet")
    assert [on(sandbox, host, "cat /etc/who /etc/hostname") for host in hosts] == [f"{h.name}\n{h.name}" for h in hosts]
    assert not Path("/etc/who").exists()
    session = subprocess.Popen([*sandbox.ssh_words(hosts[0]), "sleep 600 & echo in; sleep 600"], stdout=subprocess.PIPE)
    assert session.stdout is not None and session.stdout.readline() == b"in\n"
    assert sandbox.down() == 3
    session.communicate(timeout=10)
    assert left(sandbox.directory) == []
    assert sandbox.down() == 0


def test_a_kernel_setting_of_a_host_is_not_the_machine_s(sandbox: Sandbox) -> None:
    (host,) = sandbox.up(THREE[:1])
    before = Path("/proc/sys/vm/swappiness").read_text().strip()
    assert on(sandbox, host, "cat /proc/sys/vm/swappiness") == before
    assert on(sandbox, host, "echo 61 >/proc/sys/vm/swappiness; cat /proc/sys/vm/swappiness") == "61"
    assert Path("/proc/sys/vm/swappiness").read_text().strip() == before


def test_the_user_s_own_ssh_finds_the_hosts(sandbox: Sandbox) -> None:
    """ssh_config and known_hosts are enough; a login needs no question answered."""
    sandbox.up(THREE[:1])
    words = ["ssh", "-F", str(sandbox.directory / "ssh_config"), "-o", "BatchMode=yes", "web-1", "echo in"]
    assert subprocess.run(words, capture_output=True, text=True, timeout=30, check=True).stdout == "in\n"
    (line,) = (sandbox.directory / "known_hosts").read_text().splitlines()
    assert line == sandbox.find("dev/web-1").known_hosts_line
    assert line.startswith("[127.9.") and "]:2222 ssh-ed25519 " in line
    assert sandbox.key_file.stat().st_mode & 0o777 == 0o600


def test_a_second_up_adds_what_is_missing(sandbox: Sandbox) -> None:
    """What runs stays as it is, also its files; what died is started anew."""
    first, second = sandbox.up(THREE[:2])
    on(sandbox, first, "touch /etc/mine")
    processes.end(second.pid, sandbox.directory)
    os.waitid(os.P_PID, second.pid, os.WEXITED | os.WNOWAIT)  # the signal is sent; its end may come later
    started = sandbox.up(THREE)
    assert [host.name for host in started] == ["web-2", "web-3"]
    assert len(sandbox.hosts) == 3 and all(host.running for host in sandbox.hosts)
    on(sandbox, first, "test -e /etc/mine")
    on(sandbox, sandbox.find("web-2"), "true")


def test_a_failed_up_ends_what_it_began_and_nothing_else(sandbox: Sandbox) -> None:
    (first,) = sandbox.up(THREE[:1])
    stolen = HostRequest("web-9", "dev", first.address)
    with pytest.raises(SandboxError, match=rf"{first.address}:2222, of web-9, is in use"):
        sandbox.up([THREE[1], stolen])
    assert sandbox.hosts == (first,)
    on(sandbox, first, "true")


def test_down_after_a_crash_of_up(tmp_path: Path) -> None:
    """SIGKILL in the middle of `up`, at several moments: down finds all that was started."""
    directory = tmp_path / "hosts"
    code = (
        "import sys; from pathlib import Path; from fleet.sandbox import *\n"
        "Sandbox(Path(sys.argv[1])).up([HostRequest(f'h-{n}') for n in range(8)], sys.argv[2])\n"
    )
    for flavour in flavours():
        for moment in (1, 6):
            process = subprocess.Popen([sys.executable, "-c", code, str(directory), flavour], stderr=subprocess.PIPE)
            while process.poll() is None and len(list(processes.below(directory))) < moment:
                pass
            process.send_signal(signal.SIGKILL)
            process.communicate()
            assert left(directory) != []
            assert Sandbox(directory).down() == 8
            assert left(directory) == []


def test_a_process_that_only_has_the_same_number_is_left_alone(sandbox: Sandbox) -> None:
    """The written ids are of processes of other people: down ends none of them, and up says that no host runs."""
    sandbox.up(THREE[:1])
    sandbox.down()
    sandbox.directory.mkdir()
    stranger = subprocess.Popen(["sleep", "60"])
    host = SandboxHost("web-1", "dev", "127.9.130.1", 2222, "plain", stranger.pid, 1, "ssh-ed25519 AAAA")
    state = [{name: getattr(host, name) for name in host.__dataclass_fields__}]
    (sandbox.directory / "sandbox.json").write_text(json.dumps(state))
    assert not sandbox.hosts[0].running
    assert sandbox.down() == 1
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_files_of_others_are_never_removed(tmp_path: Path) -> None:
    """A directory with other things in it is refused; what somebody puts beside the hosts stays."""
    (tmp_path / "thesis.txt").write_text("years of work")
    for act in (lambda: Sandbox(tmp_path).up(THREE), lambda: Sandbox(tmp_path).down()):
        with pytest.raises(SandboxError, match="has other files in it"):
            act()
    sandbox = Sandbox(tmp_path / "hosts")
    sandbox.up(THREE[:1])
    (sandbox.directory / "notes").write_text("mine")
    sandbox.down()
    assert [path.name for path in sandbox.directory.iterdir()] == ["notes"]
    shutil.rmtree(sandbox.directory)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ([HostRequest("web-1", address="10.0.0.1")], "throw-away hosts live on 127.0.0.0/8 only"),
        ([HostRequest("../../etc")], "expected names of letters, digits, dots, dashes"),
        ([HostRequest("-o")], "expected names of letters"),
        ([HostRequest("a"), HostRequest("a")], "asked for twice"),
    ],
)
def test_what_cannot_be_is_said_before_anything_starts(
    sandbox: Sandbox, wanted: list[HostRequest], message: str
) -> None:
    with pytest.raises(SandboxError, match=message):
        sandbox.up(wanted)
    assert left(sandbox.directory) == []


def test_an_unknown_host_names_those_that_there_are(sandbox: Sandbox) -> None:
    sandbox.up(THREE[:1])
    with pytest.raises(SandboxError, match=r"no throw-away host 'db-1' \(did you mean web-1\?\); there are: dev/web-1"):
        sandbox.find("db-1")


@pytest.mark.skipif("systemd" not in flavours(), reason="systemd as process 1 needs CAP_SYS_ADMIN")
def test_a_systemd_host_manages_services(sandbox: Sandbox) -> None:
    """It reaches `running` or says which units of this machine's own failed; ours start, stop and are enabled."""
    (host,) = sandbox.up(THREE[:1], "systemd")
    assert on(sandbox, host, "systemctl is-system-running --wait || :") in ("running", "degraded")
    unit = "[Service]\nExecStart=/bin/sleep 600\n[Install]\nWantedBy=multi-user.target\n"
    on(sandbox, host, f"printf '{unit}' >/etc/systemd/system/nap.service; systemctl daemon-reload")
    on(sandbox, host, "systemctl enable --now nap.service")
    assert on(sandbox, host, "systemctl is-active nap; systemctl is-enabled nap") == "active\nenabled"
    on(sandbox, host, "systemctl restart nap && systemctl stop nap")
    assert on(sandbox, host, "systemctl is-active nap || :") == "inactive"
    assert on(sandbox, host, "ps -o comm= 1") == "systemd"


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("capsh") is None, reason="drops capabilities of root")
@pytest.mark.parametrize(
    ("drop", "flavour", "said"),
    [
        ("cap_sys_admin", "plain", "copied"),
        ("cap_sys_admin", "systemd", "error: a host with systemd needs CAP_SYS_ADMIN; plain hosts do without"),
        ("cap_sys_admin,cap_mknod", "plain", "copied"),
        ("cap_sys_admin,cap_sys_chroot", "plain", "error: throw-away hosts need CAP_SYS_ADMIN, or at least"),
    ],
)
def test_root_with_less(tmp_path: Path, drop: str, flavour: str, said: str) -> None:
    """Without CAP_SYS_ADMIN there are hosts still; what cannot be had is said in one line."""
    code = (
        "import sys, subprocess; from pathlib import Path; from fleet.errors import *; from fleet.sandbox import *\n"
        "s = Sandbox(Path(sys.argv[1]))\n"
        "try:\n  hosts = s.up([HostRequest('a'), HostRequest('b')], sys.argv[2])\n"
        "except SandboxError as error: sys.exit(f'error: {error}')\n"
        "subprocess.run([*s.ssh_words(hosts[1]), 'cat /etc/hostname; dpkg-query -W dash >&2'], check=True)\n"
        "print(hosts[0].flavour); s.down()\n"
    )
    inner = [sys.executable, "-c", code, str(tmp_path / "hosts"), flavour]
    words = ["capsh", f"--drop={drop}", "--", "-c", 'exec "$@"', "sh", *inner]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    if said.startswith("error"):
        assert done.stderr.startswith(said) and len(done.stderr.splitlines()) == 1
    else:
        assert (done.stdout, done.returncode) == (f"b\n{said}\n", 0), done.stderr
    assert left(tmp_path / "hosts") == []


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes an ordinary user, and root again")
def test_an_ordinary_user_is_told_what_is_missing(sandbox: Sandbox) -> None:
    """In one line, before anything is made; without root there is no chroot."""
    os.seteuid(65534)
    try:
        with pytest.raises(SandboxError, match=r"^throw-away hosts need root \(.*\): sudo fleet sandbox up$"):
            sandbox.up(THREE)
    finally:
        os.seteuid(0)
    assert left(sandbox.directory) == []
