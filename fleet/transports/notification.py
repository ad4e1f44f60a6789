"""Sends one message to one Apprise URL: within a time, whatever the other side or the library does. See
`apprise_child.py` for why that is a process."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import suppress
from pathlib import Path

from fleet.errors import Failure, TransportError

CHILD = Path(__file__).with_name("apprise_child.py")
SECONDS = 30.0
# What a child needs to start and to check certificates; no proxies, and no home with somebody's .netrc in it.
_KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")


async def send(url: str, title: str, body: str, seconds: float = SECONDS) -> None:
    """Raises TransportError; after LOST nobody knows whether it arrived. Its text may hold parts of the URL."""
    try:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-I", str(CHILD), env=_environment(),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
    except OSError as error:
        raise TransportError(Failure.CHANNEL, f"no process could be started to send it: {error.strerror}") from error
    told = json.dumps({"url": url, "title": title, "body": body, "paths": sys.path})
    try:
        async with asyncio.timeout(seconds):
            out, err = await child.communicate(told.encode())
    except TimeoutError as error:
        raise TransportError(Failure.LOST, f"not sent within {seconds:g} s") from error
    finally:
        if child.returncode is None:
            with suppress(ProcessLookupError):
                child.kill()
            await child.wait()
    try:
        answer = json.loads(out)
        sent, said = bool(answer["sent"]), str(answer["said"])
    except (ValueError, LookupError, TypeError) as error:
        last = err.decode(errors="backslashreplace").strip().rpartition("\n")[2]
        raise TransportError(Failure.ANSWER, f"the sender failed: {last or f'status {child.returncode}'}") from error
    if not sent:
        raise TransportError(Failure.REJECTED, said or "the service did not take it")


def _environment() -> dict[str, str]:
    found = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return found | {"HOME": "/nonexistent", "NETRC": "/nonexistent"}
