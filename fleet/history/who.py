"""Who runs this process, for the record: as the kernel knows them, not as their environment says."""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Mapping


def who() -> str:
    """USER@MACHINE; behind sudo, the person who called it."""
    uid = os.getuid()
    return f"{_behind(uid, os.environ) or _user(uid)}@{socket.gethostname()}"


def who_in_full() -> str:
    """The same; behind sudo "PERSON as USER@MACHINE"."""
    uid = os.getuid()
    person = _behind(uid, os.environ)
    return f"{person} as {_user(uid)}@{socket.gethostname()}" if person else who()


def _behind(uid: int, environment: Mapping[str, str]) -> str:
    """Only root is believed what sudo is to have said: anybody can write a variable."""
    return environment.get("SUDO_USER", "") if uid == 0 else ""


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # as in some containers
        return str(uid)
