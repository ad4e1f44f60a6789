"""SOPS files as people change them: one value, all of one in an editor, all keys anew. sops does the work; a file is
replaced whole or not at all, and no plain text ever lies on a disk."""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from fleet.errors import SecretError
from fleet.secrets.keys import CONFIG, rules_of
from fleet.secrets.program import reason, sops

PATIENCE = 10.0  # seconds that one change waits for another
_UNCHANGED = 200  # sops edit: the text is as it was
_NO_ROOM = 111
# A file system in memory that only the editor sees, and that ends with it, however it ends.
_ROOM = """\
mount -t tmpfs -o mode=0700,noswap tmpfs "$1" 2>/dev/null || mount -t tmpfs -o mode=0700 tmpfs "$1" || exit 111
cat <"$2" >"$1/$4" || exit
d=$1 out=$3 name=$4; shift 4
TMPDIR=$d "$@" "$d/$name" || exit
cat <"$d/$name" >"$out"
"""
_ALONE = (("unshare", "--mount"), ("unshare", "--user", "--map-root-user", "--mount"))
_NO_COPIES = "set nobackup nowritebackup noundofile noswapfile"
_VIM = ("vim", "nvim", "vi", "view", "vim.basic", "vim.tiny", "vim.nox", "vim.gtk3")


@dataclass(frozen=True, slots=True)
class Sops:
    """One way to run sops. variables: its environment, with the identity that it needs. keyring: gpg's, for the public
    keys of people who are to read what is encrypted.

    accept: looks at a file that is to be written, and raises SecretError. Rules of .sops.yaml (`encrypted_regex`, say)
    may have sops leave a value in plain text.
    """

    path: Path
    format: str
    variables: Mapping[str, str] = field(repr=False)
    keyring: str = ""
    accept: Callable[[bytes], None] = lambda content: None

    def create(self, content: bytes) -> None:
        """A new file, for whom .sops.yaml says. content: the plain document. Raises SecretError."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        words = ("encrypt", "--filename-override", str(self.path), *self._types())
        encrypted = self._encrypting()._run(words, content)
        self.accept(encrypted)
        _write(self.path, encrypted)

    def set(self, keys: Sequence[str], value: str, fresh: bool = False) -> None:
        """One value of a file that is there; every other stays as it is, byte for byte. fresh: nobody knows yet whether
        sops encrypts what has this name; something else goes first to see. Raises SecretError."""
        index = "".join(f"[{json.dumps(key)}]" for key in keys)
        with _Copy(self.path) as copy:
            words = ("set", "--value-stdin", *self._types(), str(copy), index)
            for one in ("-", value) if fresh else (value,):
                self._run(words, json.dumps(one).encode())
                self.accept(copy.read_bytes())

    def rotate(self) -> None:
        """Encrypt everything anew with a fresh key, for whom .sops.yaml says now. Raises SecretError."""
        path = self.path.absolute()
        rules = rules_of(path)
        with tempfile.TemporaryDirectory(prefix="fleet-") as room, _told(path):
            copy = Path(room, path.relative_to(rules.parent) if rules is not None else path.name)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
            # With a keyring more could be opened than what is meant for this environment.
            self._run(("decrypt", "--output", os.devnull, *self._types(), str(copy)), b"")
            work = self._encrypting()
            if rules is not None:  # sops writes over the file itself, and looks the rules up by where it is
                Path(room, CONFIG).write_bytes(rules.read_bytes())
                work._run(("updatekeys", "--yes", "--input-type", self.format, str(copy)), b"", copy.parent)
            work._run(("rotate", "--in-place", *self._types(), str(copy)), b"")
            _write(path, copy.read_bytes())

    def edit(self) -> bool:
        """All of it in the user's editor, in memory. Whether anything was changed. Raises SecretError."""
        room, before = _room(self.path), self.path.read_bytes()
        for alone in _ALONE if os.geteuid() == 0 else _ALONE[1:]:
            code, found = self._edited((*alone, "--", "sh", "-c", _ROOM, "sh", str(room)), before)
            if code == _UNCHANGED:
                return False
            if code == 0 and found:
                if not self.path.exists() or self.path.read_bytes() != before:  # by Git, or sops itself
                    mine = self.path.with_name(f".{self.path.name}.edited")
                    _write(mine, found)
                    message = f"{self.path} was changed meanwhile, and stays as it is now"
                    raise SecretError(f"{message}; what you made of it is, encrypted, in {mine}")
                _write(self.path, found)
                return True
            if code not in (1, _NO_ROOM):
                break
        else:
            hint = "change one value with: fleet secrets set"
            raise SecretError(f"{room} cannot be made a private place in memory here, or the editor failed; {hint}")
        raise SecretError(f"sops or the editor ended with exit code {code}; the file is as it was")

    def _edited(self, words: Sequence[str], content: bytes) -> tuple[int, bytes]:
        """The exit code, and the ciphertext afterwards. The terminal is the editor's."""
        give, take = os.pipe(), os.pipe()
        names = (f"/dev/fd/{give[0]}", f"/dev/fd/{take[1]}", "secrets")
        run = (*words, *names, sops(), "edit", *self._types())
        editor = self.variables.get("SOPS_EDITOR") or os.environ.get("VISUAL") or os.environ.get("EDITOR")
        terminal = {name: os.environ[name] for name in ("TERM", "COLORTERM") if name in os.environ}
        variables = {**self.variables, **terminal, **({"SOPS_EDITOR": careful(editor)} if editor else {})}
        found = bytearray()
        reader = threading.Thread(target=_read_all, args=(take[0], found), daemon=True)
        writer = threading.Thread(target=_write_all, args=(give[1], content), daemon=True)
        with subprocess.Popen(run, env=variables, pass_fds=(give[0], take[1])) as child:
            os.close(give[0])
            os.close(take[1])
            reader.start()
            writer.start()
            code = child.wait()
        reader.join()
        return code, bytes(found)

    def _encrypting(self) -> Sops:
        return replace(self, variables={**self.variables, **({"GNUPGHOME": self.keyring} if self.keyring else {})})

    def _run(self, words: Sequence[str], given: bytes, place: Path | None = None) -> bytes:
        # .sops.yaml is looked for from where the file is.
        run = (sops(), *words)
        place = place or self.path.parent
        done = subprocess.run(run, input=given, env=self.variables, cwd=place, capture_output=True, check=False)
        if done.returncode:
            raise SecretError(f"{self.path.name}: {reason(done.stderr)}")
        return done.stdout

    def _types(self) -> tuple[str, ...]:
        return ("--input-type", self.format, "--output-type", self.format)


def careful(editor: str) -> str:
    """An editor's words, told to keep no copies where we know how."""
    words = shlex.split(editor)
    program = Path(shutil.which(words[0]) or words[0]).resolve().name if words else ""
    if program in _VIM and program != "busybox":
        # Once more after the user's own settings, which may say `set undofile`, and before their own words' `-c`.
        words[1:1] = ["-n", "-i", "NONE", "--cmd", _NO_COPIES, "-c", _NO_COPIES]
    return shlex.join(words)


def _room(path: Path) -> Path:
    """A directory that is always there and that neither the file nor a program is in."""
    used = (path.absolute(), Path.cwd())
    for place in map(Path, ("/mnt", "/media", "/srv", "/opt")):
        if place.is_dir() and not any(one.is_relative_to(place) for one in used):
            return place
    raise SecretError("there is no directory to mount a private file system on: /mnt, /media or /srv")


class _Copy:
    """A copy of the ciphertext beside the file, which takes its place when all went well."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Path:
        with _told(self._path):
            handle, name = tempfile.mkstemp(prefix=f".{self._path.name}.", dir=self._path.parent)
            self._copy = Path(name)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(self._path.read_bytes())
            except OSError:
                self._copy.unlink(missing_ok=True)
                raise
        return self._copy

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            if kind is None:
                _write(self._path, self._copy.read_bytes())
        finally:
            self._copy.unlink(missing_ok=True)


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, with the mode that was there. Raises SecretError."""
    with _told(path):
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(mode)
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """What the disk refuses, in one line."""
    try:
        yield
    except OSError as error:
        raise SecretError(f"{path} cannot be written: {error.strerror}; it is as it was") from error


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Of several that change files here, one after the other: who writes last undoes what others wrote since it read.
    Raises SecretError when another takes too long."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    message = "another `fleet secrets` changes files here: an editor that is open, perhaps"
                    raise SecretError(f"{message}; try again when it is done") from None
                time.sleep(0.05)
            except OSError:
                break  # a file system that has no locks
        yield
    finally:
        os.close(handle)


def _read_all(descriptor: int, found: bytearray) -> None:
    with os.fdopen(descriptor, "rb") as file:
        found.extend(file.read())


def _write_all(descriptor: int, content: bytes) -> None:
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    except BrokenPipeError:
        pass  # nobody made a room for it
