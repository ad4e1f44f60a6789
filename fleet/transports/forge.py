"""Tells a Git server how a commit fares: GitHub, GitLab, Gitea and Forgejo.

GitHub           POST /repos/OWNER/REPO/statuses/SHA         docs.github.com/en/rest/commits/statuses
GitLab           POST /projects/PATH/statuses/SHA            docs.gitlab.com/api/commits, "Set commit pipeline status"
Gitea, Forgejo   POST /repos/OWNER/REPO/statuses/SHA         docs.gitea.com/api, "repoCreateStatus"
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote, urlsplit

from fleet.errors import Failure, TransportError, UsageError
from fleet.model.api import Api
from fleet.transports.http_wire import Answer, Message, Wire

Provider = Literal["github", "gitlab", "gitea"]
SECONDS = 20.0
# Shown beside a commit; longer ones are refused (GitHub: 140, GitLab: 255).
LONGEST = 140
_LATER = (408, 429)
_PREFIX: Mapping[str, Provider] = {"github": "github", "gitlab": "gitlab", "gitea": "gitea", "forgejo": "gitea"}
_STATES: Mapping[Provider, Mapping[str, str]] = {
    "github": {"pending": "pending", "success": "success", "failure": "failure"},
    # What is "pending" there waits for a runner, and may not be said twice.
    "gitlab": {"pending": "running", "success": "success", "failure": "failed"},
    "gitea": {"pending": "pending", "success": "success", "failure": "failure"},
}
# It is so already: https://gitlab.com/gitlab-org/gitlab-foss/-/issues/25807
_ALREADY = re.compile(
    rb"Cannot transition status via :(?:(?:run|enqueue) from :running|success from :success|drop from :failed)\b"
)


@dataclass(frozen=True, slots=True)
class Forge:
    """One repository on a Git server. api: the root of its API. path: OWNER/REPO, or deeper on GitLab."""

    provider: Provider
    api: str
    path: str


@dataclass(frozen=True, slots=True)
class Said:
    """What is shown beside a commit. state: pending | success | failure. link: "" or where it leads."""

    commit: str
    context: str
    state: str
    description: str
    link: str = ""


def forge_of(url: str) -> Forge:
    """From the repository's address as a browser has it. The server's name tells which it is, or a word before the
    address does: gitea+https://git.example.org/ops/fleet. Raises UsageError."""
    word, plus, rest = url.partition("+")
    named = _PREFIX.get(word.lower()) if plus else None
    address = rest if named else url
    try:
        parts = urlsplit(address)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        host, port = "", None
    path = parts.path.strip("/").removesuffix(".git") if host else ""
    if not host or parts.scheme not in ("https", "http") or path.count("/") < 1 or parts.query or parts.fragment:
        raise UsageError(
            "status_url: expected the repository's address, such as https://github.com/ORG/REPO or "
            "gitlab+https://git.example.org/GROUP/REPO"
        )
    if parts.username or parts.password:
        raise UsageError("status_url: no user or token in the address; name a file with the token in status_token_file")
    provider = named or _detected(host)
    if provider is None:
        raise UsageError(
            f"status_url: which Git server is {host}? Say github+, gitlab+, gitea+ or forgejo+ before the address"
        )
    if provider != "gitlab" and path.count("/") != 1:
        raise UsageError("status_url: expected OWNER/REPO after the server's name")
    place = f"{parts.scheme}://{parts.netloc}"
    return Forge(provider, _root(provider, host, place if port else f"{parts.scheme}://{host}"), path)


def _detected(host: str) -> Provider | None:
    if host == "codeberg.org":
        return "gitea"
    labels = host.split(".")
    return next((_PREFIX[one] for one in (labels[0], *labels[-2:-1]) if one in _PREFIX), None)


def _root(provider: Provider, host: str, place: str) -> str:
    if provider == "github":
        return "https://api.github.com" if host == "github.com" else f"{place}/api/v3"
    return f"{place}/api/v4" if provider == "gitlab" else f"{place}/api/v1"


def message(forge: Forge, said: Said, token: str) -> Message:
    """What is sent. Pure."""
    description = said.description if len(said.description) <= LONGEST else said.description[: LONGEST - 1] + "…"
    body = {"state": _STATES[forge.provider][said.state], "context": said.context, "description": description}
    body |= {"target_url": said.link} if said.link else {}
    if forge.provider == "gitlab":
        url = f"{forge.api}/projects/{quote(forge.path, safe='')}/statuses/{said.commit}"
        headers = {"private-token": token}
    elif forge.provider == "github":
        url = f"{forge.api}/repos/{quote(forge.path)}/statuses/{said.commit}"
        headers = {"authorization": f"Bearer {token}", "accept": "application/vnd.github+json",
                   "x-github-api-version": "2022-11-28", "user-agent": "fleet"}  # fmt: skip
    else:
        url = f"{forge.api}/repos/{quote(forge.path)}/statuses/{said.commit}"
        headers = {"authorization": f"token {token}"}
    headers["content-type"] = "application/json"
    return Message("POST", url, headers, json.dumps(body).encode())


@dataclass(slots=True)
class ForgeClient:
    """token: what the server knows us by."""

    forge: Forge
    token: str = field(repr=False)
    seconds: float = SECONDS
    _wire: Wire = field(init=False)

    def __post_init__(self) -> None:
        # Whoever runs fleet named the server: it may be on this machine. Metadata services stay out of reach.
        own = ("127.0.0.0/8", "::1/128")
        self._wire = Wire(Api(self.forge.api, timeout=self.seconds, networks=own, limit=1024 * 1024))

    async def aclose(self) -> None:
        await self._wire.aclose()

    async def say(self, said: Said) -> None:
        """Raises TransportError; where its failure is `retryable`, trying again may help. Said twice is said once."""
        answer = await self._wire.send(message(self.forge, said, self.token))
        if answer.status in (200, 201) or _already(answer):
            return
        raise _refused(answer)


def _already(answer: Answer) -> bool:
    return answer.status == 400 and _ALREADY.search(answer.body) is not None


def _refused(answer: Answer) -> TransportError:
    status = answer.status
    if status in _LATER:
        return TransportError(Failure.LIMITED, f"status {status}: too many requests")
    if status in (401, 403) and answer.headers.get("x-ratelimit-remaining") == "0":
        return TransportError(Failure.LIMITED, f"status {status}: too many requests")
    if status in (401, 403):
        return TransportError(Failure.AUTH, f"status {status}: it does not let us", "may the token write statuses?")
    if status == 404:
        hint = "is the path of status_url right, and may the token see it?"
        return TransportError(Failure.REJECTED, "status 404: there is no such repository or commit", hint)
    if status >= 500:
        return TransportError(Failure.SERVER, f"status {status}: trouble of its own")
    if 300 <= status < 400:
        return TransportError(Failure.ANSWER, f"status {status}: it sends us elsewhere", "has the repository moved?")
    said = answer.body[:200].decode(errors="backslashreplace").strip()
    return TransportError(Failure.REJECTED, f"status {status}: {said}")
