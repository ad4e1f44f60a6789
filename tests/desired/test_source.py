"""Reading a revision from real Git repositories, kind ones and evil ones."""

import os
import re
import tracemalloc
from pathlib import Path

import pytest

from fleet.desired import git as hardened
from fleet.desired.blame import blame
from fleet.desired.source import Limits, blob_id, open_revision, open_working_tree
from fleet.errors import Origin, UsageError
from tests.desired.repo import blob, commit, commit_tree, git, repository, tree

FILES = {"environments/base/environment.yaml": b"vars: {a: 1}\n", "README.md": b"hello\n"}


def test_only_files_below_environments_are_listed(tmp_path: Path) -> None:
    read = open_revision(repository(tmp_path, FILES))

    assert list(read.entries) == ["base/environment.yaml"]
    assert read.read("base/environment.yaml") == b"vars: {a: 1}\n"
    assert read.entries["base/environment.yaml"].blob == blob_id(b"vars: {a: 1}\n")
    assert re.fullmatch("[0-9a-f]{40}", read.revision)


def test_a_fleet_may_live_in_a_subdirectory(tmp_path: Path) -> None:
    repository(tmp_path, {"ops/environments/base/environment.yaml": b"{}\n", "environments/other/x": b""})

    read = open_revision(tmp_path / "ops")

    assert list(read.entries) == ["base/environment.yaml"]
    line = Origin("base/environment.yaml", 1, 1)
    assert blame(tmp_path / "ops", read, [line])[line].author == "Ada"


def test_branches_tags_and_short_ids_name_the_same_commit(tmp_path: Path) -> None:
    repository(tmp_path, FILES)
    git(tmp_path, "tag", "v1")
    head = git(tmp_path, "rev-parse", "HEAD")

    assert {open_revision(tmp_path, name).revision for name in ("HEAD", "main", "v1", head[:8])} == {head}


@pytest.mark.parametrize(
    ("revision", "words"),
    [
        ("mian", "no revision 'mian' here; did you mean main?"),
        ("--output=x", "'--output=x' is not a revision"),
        ("zzz", "no revision 'zzz' here; see: git log, git branch, git tag"),
    ],
)
def test_a_revision_nobody_knows(tmp_path: Path, revision: str, words: str) -> None:
    repository(tmp_path, FILES)
    with pytest.raises(UsageError) as caught:
        open_revision(tmp_path, revision)
    assert str(caught.value) == words


def test_what_is_no_fleet_repository_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not in a Git repository; run `git init`"):
        open_revision(tmp_path)
    git(tmp_path, "init", "-q")
    with pytest.raises(UsageError, match="has no commit yet; commit, or look with --working-tree"):
        open_revision(tmp_path)
    commit(tmp_path, {"README.md": b""}, "no environments")
    with pytest.raises(UsageError, match="has no environments/ directory; start one with: fleet init"):
        open_revision(tmp_path)


def test_the_working_tree_is_as_it_is_on_disk_and_says_so(tmp_path: Path) -> None:
    repository(tmp_path, FILES | {".gitignore": b"*.swp\n", "environments/base/roles/gone.yaml": b""})
    base = tmp_path / "environments/base"
    (base / "environment.yaml").write_bytes(b"vars: {a: 2}\n")
    (base / "roles/new.yaml").write_bytes(b"{}\n")
    (base / "roles/.new.yaml.swp").write_bytes(b"")
    (base / "roles/gone.yaml").unlink()

    read = open_working_tree(tmp_path)

    assert (read.uncommitted, read.label) == (True, "working tree (uncommitted)")
    assert list(read.entries) == ["base/environment.yaml", "base/roles/new.yaml"]
    assert read.read("base/environment.yaml") == b"vars: {a: 2}\n"
    assert read.entries["base/environment.yaml"].blob == blob_id(b"vars: {a: 2}\n")


def test_the_working_tree_never_follows_a_symbolic_link(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "x.yaml").write_text("secret")
    where = repository(tmp_path / "repo", FILES)
    (where / "environments/base/known_hosts").symlink_to(secret / "x.yaml")
    (where / "environments/base/roles").symlink_to(secret)
    os.mkfifo(where / "environments/base/pipe")

    read = open_working_tree(where)

    assert list(read.entries) == ["base/environment.yaml"]
    assert {(p.origin.file, p.message.split(",")[0]) for p in read.problems} == {
        ("base/known_hosts", "is a symbolic link"),
        ("base/roles", "is a symbolic link"),
    }


def test_evil_entries_are_refused_by_name_and_the_rest_is_read(tmp_path: Path) -> None:
    repository(tmp_path, FILES)
    good, long = blob(tmp_path, b"{}\n"), blob(tmp_path, b"x" * 2000)
    inner = tree(tmp_path, ("100644", "blob", good, "x.yaml"))
    layer = tree(
        tmp_path,
        ("100644", "blob", good, "environment.yaml"),
        ("120000", "blob", good, "known_hosts"),
        ("160000", "commit", "1" * 40, "roles"),
        ("100644", "blob", long, "hosts.yaml"),
        ("040000", "tree", inner, ".."),
        ("040000", "tree", inner, ".GIT"),
        ("100644", "blob", good, "a\nb"),
        ("100644", "blob", good, "\x1b[2J"),
        ("100644", "blob", good, "\u202eevil"),
    )

    read = open_revision(tmp_path, commit_tree(tmp_path, tree(tmp_path, ("040000", "tree", layer, "base"))),
                         Limits(file_size=1000))  # fmt: skip

    assert list(read.entries) == ["base/environment.yaml"]
    refused = {problem.origin.file: problem.message.split(", which")[0] for problem in read.problems}
    assert refused == {
        "base/known_hosts": "is a symbolic link",
        "base/roles": "is a submodule",
        "base/hosts.yaml": "is 2,000 bytes long",
        "base/../x.yaml": "has a path that leaves the repository or names its insides",
        "base/.GIT/x.yaml": "has a path that leaves the repository or names its insides",
        "base/a\\nb": "has control characters in its name",
        "base/\\x1b[2J": "has control characters in its name",
        "base/\\u202eevil": "has control characters in its name",
    }  # fmt: skip


def test_a_tree_of_a_million_paths_is_refused_in_bounded_memory(tmp_path: Path) -> None:
    """Small in Git, since each level names the same tree a hundred times; endless to whoever reads it whole."""
    repository(tmp_path, FILES)
    level = blob(tmp_path, b"{}\n")
    for depth in range(3):
        mode, kind = ("100644", "blob") if depth == 0 else ("040000", "tree")
        level = tree(tmp_path, *((mode, kind, level, f"n{n:03}") for n in range(100)))
    tracemalloc.start()

    with pytest.raises(UsageError, match="more than 50000 files below environments/"):
        open_revision(tmp_path, commit_tree(tmp_path, level))

    assert tracemalloc.get_traced_memory()[1] < 64 * 1024 * 1024
    tracemalloc.stop()


def test_a_deep_tree_is_refused(tmp_path: Path) -> None:
    repository(tmp_path, FILES)
    level = tree(tmp_path, ("100644", "blob", blob(tmp_path, b""), "x"))
    for _ in range(60):
        level = tree(tmp_path, ("040000", "tree", level, "d"))
    read = open_revision(tmp_path, commit_tree(tmp_path, level))

    assert not read.entries
    assert [problem.message for problem in read.problems] == ["has too long a path, which fleet does not read"]


def test_more_content_than_the_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    repository(tmp_path, {f"environments/base/files/{n}": os.urandom(600_000) for n in range(4)})
    with pytest.raises(UsageError, match="more than 2 MB below environments/"):
        open_revision(tmp_path, limits=Limits(total_size=2 * 1024 * 1024))


def test_a_broken_object_store_is_never_half_a_tree(tmp_path: Path) -> None:
    """A tree object that is missing must not look like an environment without hosts."""
    repository(tmp_path, FILES | {"environments/prod/hosts.yaml": b"hosts: {a: {}}\n"})
    lost = git(tmp_path, "rev-parse", "HEAD:environments/prod")
    (tmp_path / ".git/objects" / lost[:2] / lost[2:]).unlink()
    with pytest.raises(UsageError, match=r"failed in .*; is the repository whole\? try: git fsck"):
        open_revision(tmp_path)


def test_a_lost_blob_is_named(tmp_path: Path) -> None:
    repository(tmp_path, FILES)
    lost = git(tmp_path, "rev-parse", "HEAD:environments/base/environment.yaml")
    (tmp_path / ".git/objects" / lost[:2] / lost[2:]).unlink()
    problems = open_revision(tmp_path).problems
    assert [str(problem.origin) for problem in problems] == ["base/environment.yaml"]
    assert problems[0].message == "is missing from Git's object store"


def test_nothing_that_the_repository_configures_is_run(tmp_path: Path) -> None:
    """Hooks, a file-system monitor, filters and a replaced commit: none has a say in what is read."""
    repository(tmp_path, FILES | {".gitattributes": b"* filter=evil diff=evil\n"})
    canary = tmp_path / "canary"
    head = git(tmp_path, "rev-parse", "HEAD")
    for key in ("core.fsmonitor", "filter.evil.smudge", "filter.evil.clean", "diff.evil.textconv", "core.sshCommand"):
        git(tmp_path, "config", key, f"touch {canary}; cat")
    other = commit_tree(tmp_path, tree(tmp_path, ("100644", "blob", blob(tmp_path, b"evil"), "x")))
    git(tmp_path, "replace", head, other)
    canary.unlink(missing_ok=True)

    read = open_revision(tmp_path)
    blame(tmp_path, read, [Origin("base/environment.yaml", 1, 1)])

    assert list(read.entries) == ["base/environment.yaml"]
    open_working_tree(tmp_path).read("base/environment.yaml")
    assert not canary.exists()
    assert "GIT_DIR" not in hardened.environment()


def test_blame_names_commit_author_and_date_of_each_line(tmp_path: Path) -> None:
    repository(tmp_path, {"environments/base/environment.yaml": b"vars:\n  a: 1\n  b: 2\n"})
    first = git(tmp_path, "rev-parse", "HEAD")
    commit(tmp_path, {"environments/base/environment.yaml": b"vars:\n  a: 1\n  b: 3\n"}, "b is 3")
    one, other = Origin("base/environment.yaml", 2, 3), Origin("base/environment.yaml", 3, 3)

    said = blame(tmp_path, open_revision(tmp_path), [one, other, Origin("nowhere", 1, 1)])

    assert set(said) == {one, other}
    assert (said[one].commit, said[one].summary) == (first, "first")
    assert (said[other].summary, said[other].author) == ("b is 3", "Ada")
    assert said[one].date == "2023-11-14T23:13:20+01:00"


def test_blame_of_a_line_that_is_not_committed(tmp_path: Path) -> None:
    repository(tmp_path, FILES)
    (tmp_path / "environments/base/environment.yaml").write_bytes(b"vars: {a: 2}\n")
    line = Origin("base/environment.yaml", 1, 1)
    said = blame(tmp_path, open_working_tree(tmp_path), [line])[line]
    assert (said.commit, said.author) == ("", "not committed yet")
