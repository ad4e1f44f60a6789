"""Every way in, and every way of not getting in: classified, with the next step, tried again only where that helps."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest

from fleet.errors import Failure, TransportError
from fleet.model.host import Target
from fleet.transports.scan import scan_host_keys
from fleet.transports.ssh import TRIES, SSHTransport, pause
from fleet.transports.ssh_errors import PENALTY
from tests.transports import sshd as real
from tests.transports.conftest import Waits
from tests.transports.shells import needs_rooms, see
from tests.transports.sshd import Sshd

pytestmark = [needs_rooms, pytest.mark.hosts, pytest.mark.anyio]


async def whoami(transport: SSHTransport, target: Target) -> bytes:
    session = await transport.connect(target)
    try:
        return (await see(session, "id -un")).strip()
    finally:
        await session.aclose()


async def refusal(transport: SSHTransport, target: Target) -> TransportError:
    with pytest.raises(TransportError) as caught:
        await whoami(transport, target)
    return caught.value


class Log:
    """What sshd wrote since this was made."""

    def __init__(self, sshd: Sshd) -> None:
        self._sshd, self._start = sshd, len(sshd.log)

    @property
    def text(self) -> str:
        return self._sshd.log[self._start :]

    @property
    def connections(self) -> int:
        return self.text.count("Connection from ")


# Ways in.


async def test_a_key_file_lets_in_and_nothing_is_left_before_the_login(sshd: Sshd, transport: SSHTransport) -> None:
    log = Log(sshd)
    assert await whoami(transport, sshd.target) == b"root"
    assert log.connections == 1
    assert not [line for line in log.text.splitlines() if line.startswith("Connection closed") and "[preauth]" in line]


async def test_a_certificate_lets_in(sshd: Sshd, transport: SSHTransport) -> None:
    root = sshd.root
    target = replace(
        sshd.target, key_file=f"{root}/certified", certificate_file=f"{root}/certified-cert.pub", user="ops"
    )
    assert await whoami(transport, target) == b"ops"
    assert (await refusal(transport, replace(target, certificate_file=""))).failure is Failure.AUTH


@pytest.fixture
def agent(sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A real ssh-agent that holds seven other keys before the right one: more than sshd lets anybody try."""
    socket = tmp_path / "agent"
    monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    while not socket.exists():
        assert process.poll() is None
    for number in range(7):
        other = tmp_path / f"other{number}"
        asyncssh.generate_private_key("ssh-ed25519").write_private_key(other)
        other.chmod(0o600)
        subprocess.run(["ssh-add", "-q", str(other)], check=True, capture_output=True)
    subprocess.run(["ssh-add", "-q", str(sshd.root / "key")], check=True, capture_output=True)
    yield
    process.kill()
    process.wait()


@pytest.mark.usefixtures("agent")
async def test_one_key_of_an_agent_is_offered_when_it_is_named(sshd: Sshd, transport: SSHTransport) -> None:
    named = replace(sshd.target, agent=True, key_file=f"{sshd.root}/key.pub")
    assert await whoami(transport, named) == b"root"
    unnamed = replace(sshd.target, agent=True, key_file="")
    assert (await refusal(transport, unnamed)).failure in (Failure.AUTH, Failure.BANNER)  # too many tries


@pytest.mark.usefixtures("agent")
async def test_a_key_file_keeps_the_agent_out(sshd: Sshd, transport: SSHTransport) -> None:
    log = Log(sshd)
    assert await whoami(transport, replace(sshd.target, agent=True)) == b"root"
    assert "Failed publickey" not in log.text


async def test_the_settings_key_serves_hosts_that_name_none(sshd: Sshd) -> None:
    transport = SSHTransport(lambda: 0.5, key_file=sshd.target.key_file)
    assert await whoami(transport, replace(sshd.target, key_file="")) == b"root"


async def test_noise_of_a_login_shell_is_ignored(sshd: Sshd, transport: SSHTransport) -> None:
    assert await whoami(transport, sshd.user("noisy")) == b"noisy"


async def test_sudo_without_a_password(sshd: Sshd, transport: SSHTransport) -> None:
    assert await whoami(transport, sshd.user("ops", "sudo")) == b"root"


async def test_a_host_certificate_is_trusted_by_its_authority(sshd: Sshd, transport: SSHTransport) -> None:
    authority = (sshd.root / "ca.pub").read_text()
    port = sshd.target.port
    assert await whoami(transport, replace(sshd.target, known_hosts=f"@cert-authority [127.0.0.1]:{port} {authority}"))
    other = f"@cert-authority [127.0.0.2]:{port} {authority}"
    assert (await refusal(transport, replace(sshd.target, known_hosts=other))).failure is Failure.HOST_KEY


async def test_the_users_ssh_config_is_honoured_when_asked(
    sshd: Sshd, transport: SSHTransport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    port, key = sshd.target.port, sshd.target.key_file
    (tmp_path / ".ssh/config").write_text(
        f"Host web-1.example\n HostName 127.0.0.1\n Port {port}\n User ops\n IdentityFile {key}\nHost *\n User nobody\n"
    )
    target = replace(sshd.target, address="web-1.example", port=22, key_file="", ssh_config=True)
    assert await whoami(transport, target) == b"ops"
    # Without being asked, the file is not even read.
    assert await whoami(transport, sshd.target) == b"root"


async def test_IPv6(transport: SSHTransport, tmp_path: Path) -> None:
    try:
        real.free_port("::1")
    except OSError:
        pytest.skip("this machine has no ::1")
    one = real.start(tmp_path / "six", "::1")
    try:
        assert await whoami(transport, one.target) == b"root"
    finally:
        one.stop()


# Host keys.


async def test_a_host_without_a_pinned_key_is_not_even_contacted(sshd: Sshd, transport: SSHTransport) -> None:
    log = Log(sshd)
    error = await refusal(transport, replace(sshd.target, known_hosts=f"web-2 {sshd.key}\n"))
    assert error.failure is Failure.HOST_KEY and not error.failure.retryable
    assert "no host key is pinned" in error.message and "fleet hosts enroll -e lab --host web-1" in error.hint
    assert log.connections == 0


async def test_a_changed_host_key_is_a_full_stop(sshd: Sshd, transport: SSHTransport, waits: Waits) -> None:
    log = Log(sshd)
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    pinned = f"[127.0.0.1]:{sshd.target.port} {other}"
    error = await refusal(transport, replace(sshd.target, known_hosts=pinned))
    assert error.failure is Failure.HOST_KEY and "not the pinned one" in error.message
    assert "--replace" in error.hint
    assert log.connections == 1 and waits.seconds == []
    assert "publickey" not in log.text and "Accepted" not in log.text


async def test_scanning_shows_the_key_and_does_not_log_in(sshd: Sshd) -> None:
    log = Log(sshd)
    assert await scan_host_keys(sshd.target) == [sshd.key]
    assert log.connections == 1 and "Accepted" not in log.text


async def test_known_hosts_that_cannot_be_read_are_named(sshd: Sshd, transport: SSHTransport) -> None:
    error = await refusal(transport, replace(sshd.target, known_hosts="web-1 ssh-ed25519 garbage\n"))
    assert error.failure is Failure.HOST_KEY and "known_hosts" in error.message


# Refused logins: never tried twice.


async def test_a_wrong_key_is_offered_once(sshd: Sshd, transport: SSHTransport, waits: Waits, tmp_path: Path) -> None:
    log = Log(sshd)
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(tmp_path / "wrong")
    error = await refusal(transport, replace(sshd.target, key_file=str(tmp_path / "wrong")))
    assert error.failure is Failure.AUTH and "authorized_keys" in error.hint
    assert log.connections == 1 and waits.seconds == []


async def test_a_key_that_cannot_be_used_is_named(sshd: Sshd, transport: SSHTransport, tmp_path: Path) -> None:
    log = Log(sshd)
    locked = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "x", "-f", str(tmp_path / "locked")]
    await asyncio.to_thread(subprocess.run, locked, check=True)
    (tmp_path / "garbage").write_text("garbage")
    for name in ("locked", "garbage", "missing"):
        error = await refusal(transport, replace(sshd.target, key_file=str(tmp_path / name)))
        assert error.failure is Failure.AUTH and name in error.message and "FLEET_KEY_FILE" in error.hint
    assert log.connections == 0


async def test_sudo_that_asks_for_a_password_says_how_to_allow_it(sshd: Sshd, transport: SSHTransport) -> None:
    error = await refusal(transport, sshd.user("asks", "sudo"))
    assert error.failure is Failure.BECOME and "NOPASSWD" in error.hint
    assert "a password is required" in error.message


async def test_a_missing_doas_is_named(sshd: Sshd, transport: SSHTransport) -> None:
    error = await refusal(transport, sshd.user("ops", "doas"))
    assert error.failure is Failure.BECOME and "doas" in error.message


async def test_a_user_without_a_shell_is_told_apart(sshd: Sshd, transport: SSHTransport) -> None:
    error = await refusal(transport, sshd.user("closed"))
    assert error.failure is Failure.SHELL and "not available" in error.message


async def test_a_login_shell_that_waits_for_ever_is_given_up(sshd: Sshd, transport: SSHTransport) -> None:
    error = await refusal(transport, replace(sshd.user("stuck"), connect_timeout=2))
    assert error.failure is Failure.TIMEOUT and "start-up file" in error.hint


# The way there.


async def test_a_refused_port_is_tried_again_with_jitter(transport: SSHTransport, waits: Waits, sshd: Sshd) -> None:
    port = real.free_port()
    target = replace(sshd.target, port=port, known_hosts=f"[127.0.0.1]:{port} {sshd.key}")
    error = await refusal(transport, target)
    assert error.failure is Failure.REFUSED and error.failure.retryable
    assert waits.seconds == [pause(Failure.REFUSED, n, 0.5) for n in range(1, TRIES)]


async def test_a_name_that_does_not_exist(transport: SSHTransport, waits: Waits, sshd: Sshd) -> None:
    error = await refusal(
        transport, replace(sshd.target, address="no-such-host.invalid", port=22, known_hosts=f"* {sshd.key}")
    )
    assert error.failure is Failure.DNS and "no-such-host.invalid" in error.message and waits.seconds == []


@asynccontextmanager
async def fake_sshd(sshd: Sshd, drip: float | None, said: bytes) -> AsyncIterator[Target]:
    """Something that listens: says a byte every `drip` seconds, or all at once, then hangs (or hangs up: None)."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for byte in said:
                writer.write(bytes([byte]))
                await asyncio.sleep(drip or 0)
            if drip is not None:
                await asyncio.sleep(600)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield replace(sshd.target, port=port, known_hosts=f"[127.0.0.1]:{port} {sshd.key}", connect_timeout=1)
    finally:
        server.close()


@pytest.mark.parametrize(("drip", "said"), [(0.5, b"SSH-2.0-OpenSSH_9.9 slow as can be"), (0.0, b"")])
async def test_M8_a_slow_banner_costs_its_timeout_once(
    drip: float, said: bytes, sshd: Sshd, transport: SSHTransport, waits: Waits
) -> None:
    async with fake_sshd(sshd, drip, said) as target:
        began = asyncio.get_running_loop().time()
        error = await refusal(transport, target)
        assert asyncio.get_running_loop().time() - began < 5
    assert error.failure is Failure.TIMEOUT and waits.seconds == []


async def test_hanging_up_before_the_login_may_be_a_penalty(sshd: Sshd, transport: SSHTransport, waits: Waits) -> None:
    async with fake_sshd(sshd, None, b"") as target:
        error = await refusal(transport, target)
    assert error.failure is Failure.BANNER and "PerSourcePenalties" in error.hint
    assert len(waits.seconds) == TRIES - 1
    assert waits.seconds[0] < 5 and waits.seconds[1] >= PENALTY


async def test_what_is_no_ssh_at_all(sshd: Sshd, transport: SSHTransport) -> None:
    async with fake_sshd(sshd, None, b"HTTP/1.1 400 Bad Request\r\n\r\n\xff\xfe\r\n") as target:
        assert (await refusal(transport, target)).failure is Failure.BANNER


async def test_M7_many_hosts_behind_one_sshd_with_few_startups_all_get_in(tmp_path: Path) -> None:
    one = real.start(tmp_path / "few", more="MaxStartups 3:100:5\n")
    transport = SSHTransport(lambda: 0.5)
    try:
        targets = [replace(one.target, host=f"web-{n}") for n in range(40)]
        assert await asyncio.gather(*(whoami(transport, target) for target in targets)) == [b"root"] * 40
        assert one.log.count("Connection from ") <= 3 * 40
    finally:
        one.stop()


# Bastions.


@pytest.fixture
def inner(tmp_path: Path) -> Iterator[Sshd]:
    one = real.start(tmp_path / "inner")
    yield one
    one.stop()


async def test_a_bastion_is_logged_in_to_once_for_all_hosts(sshd: Sshd, inner: Sshd, transport: SSHTransport) -> None:
    log = Log(sshd)
    bastion = replace(sshd.target, host="bastion")
    targets = [replace(inner.target, host=f"web-{n}", via=bastion) for n in range(6)]
    assert await asyncio.gather(*(whoami(transport, target) for target in targets)) == [b"root"] * 6
    assert log.connections == 1
    assert await scan_host_keys(targets[0]) == [inner.key]


async def test_a_bastion_that_refuses_is_asked_once_for_all_hosts(
    sshd: Sshd, inner: Sshd, transport: SSHTransport, tmp_path: Path
) -> None:
    log = Log(sshd)
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(tmp_path / "wrong")
    bastion = replace(sshd.target, host="bastion", key_file=str(tmp_path / "wrong"))
    for number in range(5):
        error = await refusal(transport, replace(inner.target, host=f"web-{number}", via=bastion))
        assert error.failure is Failure.AUTH and error.message.startswith("bastion bastion: ")
    assert log.connections == 1 and Log(inner).connections == 0


async def test_a_bastion_that_was_lost_is_opened_again(sshd: Sshd, inner: Sshd, transport: SSHTransport) -> None:
    bastion = replace(sshd.target, host="bastion")
    target = replace(inner.target, via=bastion)
    assert await whoami(transport, target) == b"root"
    (await transport.bastion(bastion)).abort()
    assert await whoami(transport, target) == b"root"


async def test_chains_of_bastions(sshd: Sshd, inner: Sshd, transport: SSHTransport) -> None:
    first = replace(sshd.target, host="first")
    second = replace(inner.target, host="second", via=first)
    assert await whoami(transport, replace(sshd.user("ops"), via=second)) == b"ops"
