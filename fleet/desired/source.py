"""One revision's files below environments/, from Git's object store or from the working tree. Never a checkout.

Input: a directory and a revision; output: a Tree of entries that can be read. What cannot be part of a fleet (symbolic
links, submodules, strange names, files over the limit) is not read but becomes a Problem with its path.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import stat
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

from fleet.desired import git
from fleet.desired.whereabouts import ROOT, only_place
from fleet.errors import Origin, Problem, UsageError


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what is read at all. Sizes in bytes."""

    files: int = 50_000
    file_size: int = 16 * 1024 * 1024
    total_size: int = 128 * 1024 * 1024
    path_length: int = 1024


@dataclass(frozen=True, slots=True)
class Entry:
    """One regular file. path: relative to environments/. blob: Git's id of its content, 40 (or 64) hex digits."""

    path: str
    blob: str
    size: int


class Contents(Protocol):
    """Reads entries' bytes."""

    def __call__(self, entries: Collection[Entry]) -> Iterator[tuple[str, bytes]]: ...


@dataclass(frozen=True, slots=True)
class Tree:
    """One revision, read-only.

    revision: full commit id, or "working-tree". label: what a person typed. entries: by path, sorted.
    problems: refused paths. prefix: the repository's path of environments/, as Git names it.
    """

    revision: str
    label: str
    entries: Mapping[str, Entry]
    problems: tuple[Problem, ...]
    contents: Contents
    repository: Path = Path()
    prefix: str = ROOT + "/"
    uncommitted: bool = False
    _read: dict[str, bytes] = field(default_factory=dict)

    def read(self, path: str) -> bytes:
        """One file's bytes; KeyError when there is none."""
        return self.read_many((path,))[path]

    def read_many(self, paths: Collection[str]) -> dict[str, bytes]:
        """Several files' bytes, by one git process for all that were not read before."""
        missing = [self.entries[path] for path in paths if path not in self._read]
        if missing:
            self._read.update(self.contents(missing))
        return {path: self._read[path] for path in paths}


def memory_tree(files: Mapping[str, bytes]) -> Tree:
    """A Tree over bytes in memory, for tests and for what is not in Git yet."""
    entries = {path: Entry(path, blob_id(files[path]), len(files[path])) for path in sorted(files)}
    return Tree("memory", "memory", entries, (), _kept(files))


def _kept(files: Mapping[str, bytes]) -> Contents:
    return lambda entries: ((entry.path, files[entry.path]) for entry in entries)


def blob_id(content: bytes) -> str:
    """Git's id of this content (SHA-1 repositories): gitformat-pack(5), object header."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def open_revision(repository: Path, revision: str = "HEAD", limits: Limits | None = None, directory: str = "") -> Tree:
    """A commit, tag or branch. directory: that holds environments/, from the repository's top; "" where `repository`
    is, and in a bare one the top, or the only one that does.

    Raises UsageError: no repository, no such revision, no environments/ in it, or several where nobody says which."""
    bounds = limits or Limits()
    prefix = f"{directory.strip('/')}/{ROOT}/" if directory.strip("/") else _prefix(repository)
    commit = _resolve(repository, revision)
    entries, problems = _committed(repository, commit, prefix, bounds)
    if not entries and not problems and not directory and (found := only_place(repository, commit)):
        prefix = f"{found}/{ROOT}/"
        entries, problems = _committed(repository, commit, prefix, bounds)
    if not entries and not problems:
        raise UsageError(f"revision {revision} has no {prefix} directory; start one with: fleet init")
    return Tree(commit, _label(revision, commit), entries, problems, _Blobs(repository), repository, prefix)


def _committed(
    repository: Path, commit: str, prefix: str, bounds: Limits
) -> tuple[dict[str, Entry], tuple[Problem, ...]]:
    words = ("ls-tree", "-r", "-z", "-l", "--full-tree", commit, "--", prefix)
    with git.streaming(repository, *words) as (_, output):
        return _collect(_listed(_split(output, bounds), prefix, bounds), bounds)


def open_working_tree(repository: Path, limits: Limits | None = None) -> Tree:
    """Files as they are on disk now, committed or not, but not the ignored ones."""
    bounds = limits or Limits()
    prefix = _prefix(repository)
    root = repository / ROOT
    if not root.is_dir():
        raise UsageError(f"{root} is not a directory; start one with: fleet init")
    words = ("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", ROOT)
    with git.streaming(repository, *words) as (_, output):
        names = sorted({name.removeprefix(ROOT.encode() + b"/") for name in _split(output, bounds)})
    contents: dict[str, bytes] = {}
    entries, problems = _collect(_on_disk(root, names, bounds, contents), bounds)
    label = "working tree (uncommitted)"
    return Tree("working-tree", label, entries, problems, _kept(contents), repository, prefix, uncommitted=True)


def uncommitted(repository: Path) -> int:
    """How many files below environments/ differ from the last commit, new ones included."""
    words = ("status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all", "--", ROOT)
    return git.run(repository, *words).count(b"\0")


def _prefix(repository: Path) -> str:
    if not repository.is_dir():
        raise UsageError(f"{repository} is not a directory")
    return git.run(repository, "rev-parse", "--show-prefix").decode().strip("\n") + ROOT + "/"


def _resolve(repository: Path, revision: str) -> str:
    if revision.startswith("-") or "\0" in revision:
        raise UsageError(f"{revision!r} is not a revision")
    try:
        return (
            git.run(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
            .decode()
            .strip()
        )
    except UsageError:
        if not git.run(repository, "for-each-ref", "--count=1").strip():
            raise UsageError("the repository has no commit yet; commit, or look with --working-tree") from None
        names = git.run(repository, "for-each-ref", "--format=%(refname:short)").decode().split()
        near = difflib.get_close_matches(revision, names, 1)
        hint = f"; did you mean {near[0]}?" if near else "; see: git log, git branch, git tag"
        raise UsageError(f"no revision {revision!r} here{hint}") from None


def _label(revision: str, commit: str) -> str:
    return commit[:12] if commit.startswith(revision) else f"{revision} ({commit[:12]})"


def _split(output: IO[bytes], limits: Limits) -> Iterator[bytes]:
    """NUL-ended records of a stream, in bounded memory."""
    rest, count = b"", 0
    while chunk := output.read(65536):
        *records, rest = (rest + chunk).split(b"\0")
        for record in records:
            count += 1
            if count > limits.files:
                raise UsageError(f"more than {limits.files} files below {ROOT}/: that is no fleet repository")
            yield record
        if len(rest) > 65536:
            raise UsageError(f"a path below {ROOT}/ is longer than 64 kB")


Found = tuple[Entry | None, Problem | None]


def _listed(records: Iterator[bytes], prefix: str, limits: Limits) -> Iterator[Found]:
    """`ls-tree -l` records: MODE TYPE ID SIZE<TAB>PATH."""
    for record in records:
        meta, _, raw = record.partition(b"\t")
        mode, kind, blob, size = meta.split()
        path, problem = _path(raw.removeprefix(prefix.encode()), limits)
        if problem is None and mode == b"120000":
            problem = _refused(path, "is a symbolic link", "name the file itself: overlays shadow files by path")
        elif problem is None and kind == b"commit":
            problem = _refused(path, "is a submodule", "copy the files into this repository")
        elif problem is None and not size.isdigit():
            problem = Problem(Origin(path), "is missing from Git's object store", hint="try: git fetch, git fsck")
        elif problem is None and int(size) > limits.file_size:
            problem = _too_big(path, int(size), limits)
        if problem is not None:
            yield None, problem
        else:
            yield Entry(path, blob.decode(), int(size)), None


def _on_disk(root: Path, names: Collection[bytes], limits: Limits, contents: dict[str, bytes]) -> Iterator[Found]:
    """Each file is read once: what is parsed is what the blob id was made from, though somebody writes meanwhile."""
    for raw in names:
        path, problem = _path(raw, limits)
        try:
            info = os.lstat(root / os.fsdecode(raw))
        except FileNotFoundError:
            continue  # removed, and the removal not committed yet
        except (NotADirectoryError, ValueError):
            continue
        if problem is None and not stat.S_ISREG(info.st_mode):
            problem = _refused(
                path, "is a symbolic link" if stat.S_ISLNK(info.st_mode) else "is not a regular file", ""
            )
        elif problem is None and any((root / p).is_symlink() for p in _parents(path)):
            problem = _refused(path, "is below a symbolic link", "")
        elif problem is None and info.st_size > limits.file_size:
            problem = _too_big(path, info.st_size, limits)
        if problem is not None:
            yield None, problem
            continue
        descriptor = os.open(root / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            content = contents[path] = file.read(limits.file_size)
        yield Entry(path, blob_id(content), len(content)), None


def _parents(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[: n + 1]) for n in range(len(parts))]


def _collect(found: Iterator[Found], limits: Limits) -> tuple[dict[str, Entry], tuple[Problem, ...]]:
    entries: dict[str, Entry] = {}
    problems: list[Problem] = []
    total = 0
    for entry, problem in found:
        if problem is not None:
            problems.append(problem)
        elif entry is not None:
            total += entry.size
            entries[entry.path] = entry
            if total > limits.total_size:
                raise UsageError(f"more than {limits.total_size >> 20} MB below {ROOT}/: that is no fleet repository")
    return dict(sorted(entries.items())), tuple(problems)


def _path(raw: bytes, limits: Limits) -> tuple[str, Problem | None]:
    """A path as text, and what is wrong with it."""
    try:
        path = raw.decode()
    except UnicodeDecodeError:
        shown = raw.decode(errors="backslashreplace")
        return shown, _refused(shown, "has a name that is not UTF-8", "rename the file")
    parts = path.split("/")
    if path.startswith("/") or any(part in ("", ".", "..") or part.lower() == ".git" for part in parts):
        return path, _refused(
            path, "has a path that leaves the repository or names its insides", "remove it from the tree"
        )
    if any(
        ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
        for c in path
    ):
        shown = path.encode("unicode_escape").decode()
        return shown, _refused(shown, "has control characters in its name", "rename the file")
    if len(raw) > limits.path_length or len(parts) > 32:
        return path, _refused(path[:200], "has too long a path", f"at most {limits.path_length} bytes and 32 levels")
    return path, None


def _refused(path: str, what: str, hint: str) -> Problem:
    return Problem(Origin(path), f"{what}, which fleet does not read", hint=hint)


def _too_big(path: str, size: int, limits: Limits) -> Problem:
    return Problem(Origin(path), f"is {size:,} bytes long", expected=f"at most {limits.file_size:,} bytes")


class _Blobs:
    """Contents from the object store: one `cat-file --batch` per call, sizes known beforehand."""

    def __init__(self, repository: Path) -> None:
        self._repository = repository

    def __call__(self, entries: Collection[Entry]) -> Iterator[tuple[str, bytes]]:
        with git.streaming(self._repository, "cat-file", "--batch") as (ask, answer):
            for entry in entries:
                ask.write(entry.blob.encode() + b"\n")
                ask.flush()
                header = answer.readline().split()
                if len(header) != 3 or header[1] != b"blob" or int(header[2]) != entry.size:
                    raise UsageError(f"{entry.path}: Git cannot read it; is the repository whole? try: git fsck")
                content = answer.read(entry.size)
                answer.read(1)
                yield entry.path, content
