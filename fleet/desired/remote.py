"""What a remote repository is called and how Git is told to talk to it, and to nothing else. Pure: no process, no disk.

A token never stands in an argument, in the environment, in a URL or in a file of Git's: a helper of one line reads it
from its own file when the server asks for it. See gitcredentials(7), git-config(1), ssh_config(5).
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from fleet.errors import UsageError

_SCHEMES = ("file", "ssh", "https", "http", "git")
_SCP = re.compile(r"(?P<host>(?:[^/@:]+@)?(?:\[[^\]/]+\]|[^/:\[\]]+)):(?P<path>.+)\Z", re.DOTALL)
# git-config(1); GIT_CONFIG_* would be lost where Git starts another Git, and is not needed there.
_SAFE = (
    "core.hooksPath=/dev/null", "core.fsync=all", "gc.auto=0", "maintenance.auto=false", "submodule.recurse=false",
    "transfer.fsckObjects=true", "fetch.fsckObjects=true", "fetch.unpackLimit=1", "transfer.bundleURI=false",
    "core.bigFileThreshold=16m", "pack.threads=2", "core.askPass=", "protocol.allow=never",
    # A redirect would lead where nobody looked: another host, an address inside.
    "http.followRedirects=false", "http.sslVerify=true", "http.lowSpeedLimit=1", "http.lowSpeedTime=60",
)  # fmt: skip
_SSH = (
    "BatchMode=yes", "StrictHostKeyChecking=yes", "UpdateHostKeys=no", "ConnectTimeout=15", "ServerAliveInterval=15",
    "ControlMaster=no", "ControlPath=none", "ForwardAgent=no", "ClearAllForwardings=yes", "PermitLocalCommand=no",
)  # fmt: skip
# Where the way out of this network and the authorities of its certificates are named.
_PASSED = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY", "SSL_CERT_FILE",
           "GIT_SSL_CAINFO", "SSH_AUTH_SOCK")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Access:
    """How the remote is asked. token: a file with one, for https. key, known_hosts: for SSH. plain: http, where
    everybody on the way can read and change what is said, is wanted. ca: certificates of the authorities that https
    is trusted by, PEM, instead of this machine's."""

    token: Path | None = None
    key: Path | None = None
    known_hosts: Path | None = None
    plain: bool = False
    ca: Path | None = None


@dataclass(frozen=True, slots=True)
class Remote:
    """url: as Git takes it; a local path is absolute. scheme: the one protocol that it needs."""

    url: str
    scheme: str

    @classmethod
    def parse(cls, text: str, access: Access) -> Remote:
        """Raises UsageError: what Git would run a program for, or what would give a secret away."""
        if not text or any(ord(c) < 32 or ord(c) == 127 for c in text):
            raise UsageError(f"{text!r} is not a repository's path or URL")
        if re.match(r"[A-Za-z0-9+.-]*::", text):
            raise UsageError(f"{text!r} names a program that Git would run; expected {', '.join(_SCHEMES)} or a path")
        if "://" not in text:
            scp = _SCP.match(text)
            if scp is None or "/" in text.partition(":")[0]:
                return cls(str(Path(text).expanduser().absolute()), "file")
            _no_option(scp["host"])
            return cls(text, "ssh")
        return cls(text, _url(text, access))

    @property
    def base(self) -> str:
        """Scheme, host and port: whom a token is for."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"

    def options(self) -> tuple[str, ...]:
        """Of each git command."""
        settings = (*_SAFE, f"protocol.{self.scheme}.allow=always")
        return tuple(word for setting in settings for word in ("-c", setting))

    def environment(self, access: Access) -> dict[str, str]:
        """Beyond that of fleet.desired.git."""
        config = {"credential.helper": ""}  # whatever anybody else configured
        found = {name: os.environ[name] for name in _PASSED if name in os.environ}
        found |= {"GIT_SSH_COMMAND": _ssh(access), "GIT_SSH_VARIANT": "ssh"}
        if access.ca is not None:
            found["GIT_SSL_CAINFO"] = str(access.ca.expanduser().absolute())
        if access.token is not None and self.scheme in ("http", "https"):
            config[f"credential.{self.base}.helper"] = _helper("@" in urlsplit(self.url).netloc)
            found["FLEET_TOKEN_FILE"] = str(access.token.expanduser().absolute())
        return found | _numbered(config)


def _url(text: str, access: Access) -> str:
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError as error:
        raise UsageError(f"the remote's URL cannot be read: {error}") from None
    if parts.scheme not in _SCHEMES:
        raise UsageError(f"{parts.scheme}:// is not followed; expected {', '.join(_SCHEMES)} or a path")
    if parts.password is not None:
        raise UsageError("the remote's URL holds a password, which others could read; put it into a file (token_file)")
    if parts.scheme != "file" and not host:
        raise UsageError(f"{text!r} names no host")
    if parts.scheme == "http" and not (access.plain or _loopback(host)):
        raise UsageError(f"{text!r} is neither secret nor safe from changes on the way; take https")
    _no_option(parts.netloc)
    _no_query(parts)
    return parts.scheme


def _no_option(host: str) -> None:
    if any(part.startswith("-") for part in host.split("@")):
        raise UsageError(f"{host!r} is not a host's name")


def _no_query(parts: SplitResult) -> None:
    if parts.scheme in ("http", "https") and (parts.query or parts.fragment):
        raise UsageError("the remote's URL has a query or fragment; a token belongs into a file (token_file)")


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _ssh(access: Access) -> str:
    words = ["ssh", *(word for option in _SSH for word in ("-o", option))]
    if access.key is not None:
        # Not -i: a file that is not there would be passed over for whatever keys this user has.
        words += ["-o", "IdentitiesOnly=yes", "-o", f"IdentityFile={_quoted(access.key)}"]
    if access.known_hosts is not None:
        words += ["-o", f"UserKnownHostsFile={_quoted(access.known_hosts)}"]
    return shlex.join(words)


def _quoted(path: Path) -> str:
    """ssh itself splits at spaces and takes % for more: ssh_config(5), TOKENS."""
    return '"' + str(path.expanduser().absolute()).replace("%", "%%") + '"'


def _helper(named: bool) -> str:
    """A shell function that answers Git's question. read and printf are the shell's own: no process gets the token."""
    say = "'password=%s\\n'" if named else "'username=git\\npassword=%s\\n'"
    ask = 'IFS= read -r token <"$FLEET_TOKEN_FILE" || test -n "$token"'
    return f'!f() {{ test "$1" != get || {{ {ask}; printf {say} "$token"; }}; }}; f'


def _numbered(config: Mapping[str, str]) -> dict[str, str]:
    found = {"GIT_CONFIG_COUNT": str(len(config))}
    for number, (key, value) in enumerate(config.items()):
        found |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return found
