"""What may be followed, and what Git is told about it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fleet.desired.git_reason import LONGEST, reason
from fleet.desired.mirror import Mirror
from fleet.desired.remote import Access, Remote
from fleet.desired.source import open_revision
from fleet.errors import UsageError
from tests.desired.remotes import git


@pytest.mark.parametrize(
    ("text", "scheme", "base"),
    [
        ("/srv/ops.git", "file", ""),
        ("file:///srv/ops.git", "file", ""),
        ("./a:b", "file", ""),
        ("git@git.example.org:ops/fleet.git", "ssh", ""),
        ("[2001:db8::1]:ops.git", "ssh", ""),
        ("ssh://git@git.example.org:2222/ops.git", "ssh", ""),
        ("https://git.example.org/ops.git", "https", "https://git.example.org"),
        ("https://ada@git.example.org:8443/ops.git", "https", "https://git.example.org:8443"),
        ("http://127.0.0.1:8080/ops.git", "http", "http://127.0.0.1:8080"),
        ("http://[::1]/ops.git", "http", "http://[::1]"),
        ("git://git.example.org/ops.git", "git", ""),
    ],
)
def test_each_needs_one_protocol(text: str, scheme: str, base: str) -> None:
    remote = Remote.parse(text, Access())
    assert remote.scheme == scheme
    assert not base or remote.base == base
    allowed = [word for word in remote.options() if word.startswith("protocol.")]
    assert allowed == ["protocol.allow=never", f"protocol.{scheme}.allow=always"]


def test_a_path_means_the_same_wherever_git_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Remote.parse("ops.git", Access()).url == str(tmp_path / "ops.git")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not a repository's path or URL"),
        ("a\nb", "is not a repository's path or URL"),
        ("ext::sh -c id", "names a program"),
        ("::x", "names a program"),
        ("ftp://example.org/x", "ftp:// is not followed"),
        ("https://ada:geheim@example.org/x", "holds a password"),
        ("https://example.org/x?private_token=geheim", "a query or fragment"),
        ("https:///x", "names no host"),
        ("https://example.org:x/", "cannot be read"),
        ("http://example.org/x", "take https"),
        ("ssh://-oProxyCommand=id/x", "is not a host's name"),
        ("ssh://a@-oProxyCommand=id/x", "is not a host's name"),
        ("-oProxyCommand=id:x", "is not a host's name"),
    ],
)
def test_what_is_not_followed(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as refused:
        Remote.parse(text, Access())
    assert "geheim" not in str(refused.value)


def test_http_can_be_wanted() -> None:
    assert Remote.parse("http://example.org/x", Access(plain=True)).scheme == "http"


def test_ssh_takes_the_options_as_they_are_meant(tmp_path: Path) -> None:
    """By ssh's own word, with a path that two shells would split."""
    folder = tmp_path / "a folder's 50%h"
    folder.mkdir()
    access = Access(key=folder / "key", known_hosts=folder / "known hosts")
    command = Remote.parse("git@example.org:x", access).environment(access)["GIT_SSH_COMMAND"]
    done = subprocess.run(["sh", "-c", f"{command} -G example.org"], capture_output=True, text=True, check=True)
    lines = [line.split(" ", 1) for line in done.stdout.splitlines() if " " in line]
    assert [value for name, value in lines if name == "identityfile"] == [str(folder / "key").replace("%", "%%")]
    said = dict(lines)
    assert said["userknownhostsfile"].strip('"') == str(folder / "known hosts")
    assert {said[name] for name in ("batchmode", "identitiesonly")} == {"yes"}
    assert said["stricthostkeychecking"] in ("yes", "true")
    assert {said[name] for name in ("forwardagent", "controlmaster", "permitlocalcommand")} <= {"no", "false"}


@pytest.mark.parametrize(
    ("errors", "said"),
    [
        (b"", "git failed and said nothing"),
        (b"fatal: a\nfatal: the remote end hung up unexpectedly\n", "a"),
        (b"remote: error: x\nerror: y\nfatal: z\n", "error: x; z"),
        (b"fatal: could not read from remote repository.\n", "could not read from remote repository."),
        (b"Host key verification failed.\nfatal: Could not read from remote repository.\n\nPlease make sure you have "
         b"the correct access rights\nand the repository exists.\n",
         "Host key verification failed. (its key is not in known_hosts: compare it, then add it with ssh-keyscan)"),
        (b"fatal: \x1b[31mred\xff\n", "?[31mred\\xff"),
    ],
)  # fmt: skip
def test_the_reason_is_the_line_that_says_something(errors: bytes, said: str) -> None:
    assert reason(errors) == said


def test_a_reason_is_short() -> None:
    assert len(reason(b"fatal: " + b"x" * 100_000)) <= LONGEST


@pytest.mark.anyio
@pytest.mark.parametrize("how", ["working", "detached", "sha256", "master"])
async def test_the_default_branch_is_what_the_remote_says(how: str, tmp_path: Path) -> None:
    work, file = tmp_path / "work", "environments/base/environment.yaml"
    branch, sort = ("trunk", "sha256") if how == "sha256" else ("trunk", "sha1")
    git(tmp_path, "init", "-q", "-b", branch, f"--object-format={sort}", str(work))
    (work / file).parent.mkdir(parents=True)
    (work / file).write_text("{}\n")
    git(work, "add", "-A")
    git(work, "commit", "-q", "-m", "first")
    if how == "detached":
        git(work, "checkout", "-q", "--detach")
    mirror = Mirror(str(work), branch if how == "master" else "", tmp_path / "mirror")
    await mirror.open()
    first = await mirror.fetch()
    assert first == git(work, "rev-parse", "HEAD") and open_revision(mirror.repository, first).entries
    git(work, "commit", "-q", "--allow-empty", "-m", "second")
    assert await mirror.fetch() == git(work, "rev-parse", "HEAD")


@pytest.mark.anyio
async def test_neither_where_we_stand_nor_who_we_are_has_a_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state directory lies in a repository of somebody's, whose settings would lead elsewhere; so do the user's."""
    there, outer, canary = tmp_path / "there", tmp_path / "outer", tmp_path / "canary"
    for one in (there, outer):
        git(tmp_path, "init", "-q", "-b", "main", str(one))
        git(one, "commit", "-q", "--allow-empty", "-m", one.name)
    lines = f'[url "{outer}"]\n\tinsteadOf = {there}\n[credential]\n\thelper = "!touch {canary}"\n'
    with (outer / ".git/config").open("a") as config:
        config.write(lines)
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(lines)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", f"'url.{outer}.insteadof'='{there}'")
    monkeypatch.chdir(outer)
    mirror = Mirror(str(there), "main", outer / "state/mirror")
    await mirror.open()
    assert await mirror.fetch() == git(there, "rev-parse", "main") != git(outer, "rev-parse", "main")
    before = (outer / "state/mirror").stat().st_mtime_ns
    assert await mirror.fetch() == mirror.commit
    assert (outer / "state/mirror").stat().st_mtime_ns == before, "somebody else was asked"
    assert not canary.exists()
