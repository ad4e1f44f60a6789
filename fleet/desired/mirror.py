"""A copy of one branch that only moves forward: remote in, the newest commit out. Never a checkout, nothing runs.

Each fetch goes into a fresh bare repository that shares what was there before, is checked object by object
(transfer.fsckObjects), and takes the place of the old one by one rename: whatever ends it, what was good stays. A
history that was rewritten is refused until somebody accepts it. See git-fetch(1), git-config(1).
"""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fleet.desired import git
from fleet.errors import GitError

CURRENT, CONFIG = "current", "config"
# Whoever owns the repository: its path stands in our settings, so that it is meant. See git-config(1), safe.directory.
TRUSTED = "[safe]\n\tdirectory = *\n"
PACKS = 50  # from so many on, all is fetched anew
SIZE = 4 * 1024 * 1024  # of a file that Git writes, in blocks of 512 bytes: 2 GiB
_SAFE = (
    "-c", "core.hooksPath=/dev/null", "-c", "protocol.allow=never", "-c", "gc.auto=0", "-c", "maintenance.auto=false",
    "-c", "transfer.fsckObjects=true", "-c", "fetch.unpackLimit=1", "-c", "submodule.recurse=false",
    "-c", "credential.helper=", "-c", "core.askPass=", "-c", "http.followRedirects=initial",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Access:
    """How the remote is asked. token: a file with one, for http and https. key, known_hosts: for SSH."""

    token: Path | None = None
    key: Path | None = None
    known_hosts: Path | None = None


class Mirror:
    """remote: what Git takes for one: a path, file, ssh, https or git. branch: "" its default. folder: ours alone.
    seconds: that a fetch may take."""

    def __init__(
        self, remote: str, branch: str, folder: Path, access: Access | None = None, seconds: float = 60
    ) -> None:
        self._remote, self._branch, self._folder = remote, branch, folder
        self._access, self._seconds = access or Access(), seconds
        self.commit = ""

    @property
    def repository(self) -> Path:
        """What `open_revision` reads. It is there once something was fetched."""
        return self._folder / CURRENT

    async def open(self) -> str:
        """The last good commit of an earlier life, or ""."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self._folder / CONFIG).write_text(TRUSTED)
        kept = self._kept()
        for one in self._folder.iterdir():
            if one.name not in (CURRENT, CONFIG, kept):
                one.unlink() if one.is_symlink() else shutil.rmtree(one)
        if kept:
            self.commit = await self._tip(self.repository)
        return self.commit

    async def fetch(self) -> str:
        """The newest commit, when that descends from the one before. Raises GitError: what was there stays."""
        name, newest = await self._asked()
        if newest == self.commit:
            return newest
        await self._fetched(name, newest, self.commit)
        return self.commit

    async def accept(self, commit: str) -> None:
        """Go on from this commit, though it does not descend from the last one. Raises GitError: it is not newest."""
        name, newest = await self._asked()
        if newest != commit:
            raise GitError(f"{self._remote} is at {newest[:12]}, not at {commit[:12]}")
        await self._fetched(name, newest, "")

    async def _asked(self) -> tuple[str, str]:
        """The branch and where it stands."""
        name = f"refs/heads/{self._branch}" if self._branch else "HEAD"
        said = await self._git("ls-remote", "--", self._remote, name)
        for line in said.splitlines():
            commit, _, ref = line.partition("\t")
            if ref == name:
                return name, commit
        what = f"branch {self._branch}" if self._branch else "commit"
        raise GitError(f"there is no {what} at {self._remote}")

    async def _fetched(self, name: str, newest: str, before: str) -> None:
        fresh = self._folder / f"{newest}.{os.urandom(4).hex()}.git"
        try:
            await self._git("init", "--bare", "--quiet", "--template=", "--", str(fresh))
            await asyncio.to_thread(self._share, fresh)
            options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules")
            await self._git("fetch", *options, "--", self._remote, f"+{name}:refs/fleet/head", at=fresh)
            commit = await self._tip(fresh)
            if before and not await self._descends(fresh, before, commit):
                raise GitError(
                    f"the history of {self._remote} was rewritten: {commit[:12]} does not descend from {before[:12]}, "
                    f"which stays; if that is meant, accept it: fleet accept {commit}"
                )
            self._swap(fresh)
            self.commit = commit
        except BaseException:
            await asyncio.to_thread(shutil.rmtree, fresh, ignore_errors=True)
            raise

    def _share(self, fresh: Path) -> None:
        """What is here already need not come again; files of Git's store never change."""
        packs = self.repository / "objects/pack"
        found = [*packs.glob("*")] if packs.is_dir() else []
        if len(found) > 2 * PACKS:
            return
        (fresh / "objects/pack").mkdir(parents=True, exist_ok=True)
        for one in found:
            (fresh / "objects/pack" / one.name).hardlink_to(one)
        if found:  # Git asks only for what does not lead there
            (fresh / "refs/fleet").mkdir()
            (fresh / "refs/fleet/before").write_text(self.commit + "\n")

    def _kept(self) -> str:
        """The repository that counts, or ""."""
        return str(self.repository.readlink()) if self.repository.is_symlink() else ""

    async def _tip(self, at: Path) -> str:
        return (await self._git("rev-parse", "--verify", "-q", "refs/fleet/head^{commit}", at=at)).strip()

    async def _descends(self, at: Path, before: str, commit: str) -> bool:
        try:
            await self._git("merge-base", "--is-ancestor", before, commit, at=at)
        except GitError:
            return False
        return True

    def _swap(self, fresh: Path) -> None:
        """On disk before it counts."""
        old = self._kept()
        link = self._folder / "next"
        link.unlink(missing_ok=True)
        link.symlink_to(fresh.name)
        link.replace(self.repository)
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if old:
            shutil.rmtree(self._folder / old, ignore_errors=True)

    async def _git(self, *words: str, at: Path | None = None) -> str:
        """Standard output. Raises GitError with Git's own reason."""
        where = ("-C", str(at)) if at is not None else ()
        command = ("git", *_SAFE, "-c", f"protocol.{_scheme(self._remote)}.allow=always", *where, *words)
        try:
            process = await asyncio.create_subprocess_exec(
                "sh", "-c", f'ulimit -f {SIZE}; exec "$@"', "sh", *command,
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
                env=self._environment(), start_new_session=True,
            )  # fmt: skip
        except FileNotFoundError as error:
            raise GitError("git is not installed, or not on PATH") from error
        try:
            async with asyncio.timeout(self._seconds):
                output, errors = await process.communicate()
        except TimeoutError as error:
            raise GitError(f"{self._remote}: no answer within {self._seconds:g} s") from error
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        if process.returncode != 0:
            raise GitError(f"{self._remote}: {_reason(errors)}")
        return output.decode(errors="backslashreplace")

    def _environment(self) -> dict[str, str]:
        access = self._access
        ssh = ["ssh", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "ConnectTimeout=10"]
        if access.key is not None:
            ssh += ["-o", "IdentitiesOnly=yes", "-i", _quoted(access.key)]
        if access.known_hosts is not None:
            ssh += ["-o", _quoted(f"UserKnownHostsFile={access.known_hosts}")]
        ours = {
            "GIT_SSH_COMMAND": " ".join(ssh),
            "GIT_ASKPASS": "true",
            "GIT_CONFIG_GLOBAL": str(self._folder / CONFIG),
        }
        found = git.environment() | ours
        if access.token is not None and _scheme(self._remote) in ("http", "https"):
            try:
                token = access.token.read_text().strip()
            except OSError as error:
                raise GitError(f"the token for {self._remote} cannot be read: {error}") from error
            said = base64.b64encode(f"git:{token}".encode()).decode()
            # Not on a command line, which everybody on this machine can read.
            found |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"http.{self._remote}.extraHeader",
                      "GIT_CONFIG_VALUE_0": f"Authorization: Basic {said}"}  # fmt: skip
        return found


def _scheme(remote: str) -> str:
    scheme, found, _ = remote.partition("://")
    if found:
        return scheme
    before, colon, _ = remote.partition(":")
    return "ssh" if colon and "/" not in before else "file"


def _quoted(value: object) -> str:
    """For the shell that Git gives its SSH command to."""
    return "'" + str(value).replace("'", "'\\''") + "'"


def _reason(errors: bytes) -> str:
    lines = [line for line in errors.decode(errors="backslashreplace").splitlines() if line.strip()]
    said = next((n for n, line in enumerate(lines) if line.startswith(("fatal:", "error:", "remote:"))), -1)
    if said >= 0 and lines[said].endswith(":"):
        return " ".join(lines[said : said + 2])
    return lines[said] if lines else "git failed without a word"
