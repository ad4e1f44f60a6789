"""A copy of one branch that only moves forward: remote in, the newest commit out. Never a checkout, nothing runs.

Each fetch goes into a fresh bare repository that shares what was there before, is checked object by object
(transfer.fsckObjects), and takes the place of the old one by one rename: whatever ends it, what was good stays. A
history that was rewritten is refused until somebody accepts it. See git-fetch(1), git-config(1).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fleet.desired import git
from fleet.desired.generations import Generations
from fleet.desired.git_async import Git, Said
from fleet.desired.git_reason import reason
from fleet.desired.remote import Access, Remote
from fleet.errors import GitError, RewrittenError
from fleet.masking import Masker
from fleet.model.secret import Secret

__all__ = ["Access", "Mirror"]

HEAD, BEFORE, KEPT = "refs/fleet/head", "refs/fleet/before", "refs/fleet/kept"
# Whoever owns the repository: its path stands in our settings, so that it is meant. See git-config(1), safe.directory.
TRUSTED = "[safe]\n\tdirectory = *\n"
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")  # the longer one: repositories with SHA-256
_FETCH = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-maintenance")


class Mirror:
    """remote: what Git takes for one: a path, file, ssh, https or git. branch: "" its default. folder: ours alone.
    seconds: that a fetch may take. Raises UsageError: a remote that is not followed."""

    def __init__(
        self, remote: str, branch: str, folder: Path, access: Access | None = None, seconds: float = 60
    ) -> None:
        self._access, self._seconds = access or Access(), seconds
        self._remote, self._branch = Remote.parse(remote, self._access), branch
        self._generations = Generations(folder.absolute())
        self._config = folder.absolute() / "config"
        self._base = ""  # what must be descended from, though it may be that its files cannot be read any more
        self._sound = False  # whether all that is there was found whole, in this life
        self._refused = ""  # the last rewritten history, which need not come again to be refused again
        self._masker = Masker()
        self._turn = asyncio.Lock()
        self.commit = ""

    @property
    def repository(self) -> Path:
        """What `open_revision` reads. It is there once something was fetched, and stays through later fetches."""
        return self._generations.current

    async def open(self) -> str:
        """The last good commit of an earlier life, or "". Raises GitError: the folder cannot be written."""
        try:
            self._base = await asyncio.to_thread(self._generations.open)
            self._config.write_text(TRUSTED)
        except OSError as error:
            raise GitError(f"the mirror of {self._remote.url} cannot be written: {error}") from error
        if self._base:
            said = await self._run("cat-file", "-e", f"{self._base}^{{tree}}", at=self.repository)
            self.commit = self._base if said.code == 0 else ""
        return self.commit

    async def fetch(self) -> str:
        """The newest commit, when that descends from the one before. Raises GitError: what was there stays.

        Nothing new costs one question. The first one of a life also looks whether what is there is still whole."""
        async with self._bounded():
            name, newest = await self._asked()
            if newest == self._refused:
                raise RewrittenError(self._remote.url, self._base, newest)
            if not await self._whole() or newest != self.commit:
                await self._fetched(name, newest, accepted=False)
            return self.commit

    @property
    def url(self) -> str:
        """What is followed, as it may be shown."""
        return self._remote.url

    async def accept(self, commit: str) -> None:
        """Go on from this commit, though it does not descend from the last one. Raises GitError: it is not newest."""
        async with self._bounded():
            name, newest = await self._asked()
            if newest != commit:
                raise GitError(f"{self._remote.url} is at {newest}, not at {commit}")
            await self._whole()
            await self._fetched(name, newest, accepted=True)

    @asynccontextmanager
    async def _bounded(self) -> AsyncIterator[None]:
        """One at a time, and for so long only. What goes wrong is a GitError."""
        async with self._turn:
            try:
                async with asyncio.timeout(self._seconds):
                    yield
            except TimeoutError:
                raise GitError(f"{self._remote.url}: no answer within {self._seconds:g} s") from None
            except OSError as error:
                raise GitError(f"the mirror of {self._remote.url} cannot be written: {error}") from error

    async def _asked(self) -> tuple[str, str]:
        """The branch and where it stands."""
        self._masker = self._knowing_the_token()
        name = f"refs/heads/{self._branch}" if self._branch else "HEAD"
        for line in (await self._git("ls-remote", "--quiet", "--", self._remote.url, name)).splitlines():
            commit, _, ref = line.partition("\t")
            if ref == name and _COMMIT.fullmatch(commit):
                return name, commit
        what = f"branch {self._branch}" if self._branch else "commit"
        raise GitError(f"there is no {what} at {self._remote.url}; see: git ls-remote {self._remote.url}")

    async def _whole(self) -> bool:
        """Every object once: a disk forgets. A store so large that this takes long is trusted as it is."""
        if not self._sound and self.commit:
            try:
                async with asyncio.timeout(self._seconds / 3):
                    said = await self._run("fsck", "--full", "--no-dangling", "--no-progress", at=self.repository)
                self._sound = said.code == 0
            except TimeoutError:
                self._sound = True
        return self._sound

    async def _fetched(self, name: str, newest: str, accepted: bool) -> None:
        with self._generations.fresh() as fresh:
            try:
                await self._fill(fresh, name, newest)
                tip = await self._tip(fresh)
                if accepted and tip != newest:
                    raise GitError(f"{self._remote.url} moved on from {newest} meanwhile")
                if self._base and not await self._descends(fresh, self._base, tip):
                    if not accepted:
                        raise RewrittenError(self._remote.url, self._base, tip)
                    if self._sound:  # hosts may still be on their way from it
                        await self._git("update-ref", f"{KEPT}/{self._base}", self._base, at=fresh)
                if Generations.many(fresh):
                    await self._git("repack", "-a", "-d", "-q", at=fresh)
            except RewrittenError:
                self._refused = tip
                raise
            except GitError:
                self._sound = False  # it may be what we had that is damaged: looked at before it is shared again
                raise
            self._generations.swap(fresh, tip)
            self.commit = self._base = tip
            self._sound, self._refused = True, ""

    async def _fill(self, fresh: Path, name: str, newest: str) -> None:
        """Only what is not here already is asked for, unless what is here is damaged."""
        sort = "sha256" if len(newest) == 64 else "sha1"
        await self._git("init", "--bare", "--quiet", "--template=", f"--object-format={sort}", "--", str(fresh))
        if self._sound and len(newest) == len(self._base):
            await asyncio.to_thread(self._generations.share, fresh)
            await self._git("update-ref", BEFORE, self._base, at=fresh)
        await self._git(*_FETCH, "--", self._remote.url, f"+{name}:{HEAD}", at=fresh)

    async def _tip(self, at: Path) -> str:
        said = await self._run("rev-parse", "--verify", "-q", f"{HEAD}^{{commit}}", at=at)
        if said.code != 0:  # Git refuses a history with a cut end, without a word
            hint = "is it a shallow clone? try there: git fetch --unshallow"
            raise GitError(f"{self._remote.url} does not send all of its history; {hint}")
        return said.output.strip()

    async def _descends(self, at: Path, before: str, commit: str) -> bool:
        if (await self._run("cat-file", "-e", f"{before}^{{commit}}", at=at)).code != 0:
            return False  # all was fetched, and it is not there
        said = await self._run("merge-base", "--is-ancestor", before, commit, at=at)
        if said.code not in (0, 1):
            raise GitError(f"{self._remote.url}: {reason(said.errors)}")
        return said.code == 0

    async def _git(self, *words: str, at: Path | None = None) -> str:
        """Standard output. Raises GitError with Git's own reason."""
        said = await self._run(*words, at=at)
        if said.code != 0:
            raise GitError(self._masker.text(f"{self._remote.url}: {reason(said.errors)}"))
        return said.output

    async def _run(self, *words: str, at: Path | None = None) -> Said:
        folder = self._config.parent  # the state directory, or where we were started, may be in a repository itself
        ours = {"GIT_CONFIG_GLOBAL": str(self._config), "GIT_CEILING_DIRECTORIES": str(folder.parent)}
        environment = git.environment() | self._remote.environment(self._access) | ours
        return await Git(self._remote.options(), environment).run(*words, at=at or folder)

    def _knowing_the_token(self) -> Masker:
        """A server may say again what it was told. Raises GitError: there should be one, and is not."""
        masker, file = Masker(), self._access.token
        if file is not None:
            try:
                token = file.expanduser().read_bytes().partition(b"\n")[0].strip()
            except OSError as error:
                raise GitError(f"the token for {self._remote.url} cannot be read: {error}") from error
            if not token:
                raise GitError(f"the first line of {file} is empty; it should be the token")
            masker.add([Secret("git token", token), Secret("git token", b"git:" + token)])
        return masker
