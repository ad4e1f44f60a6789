"""Messages of Git servers that somebody pushed: headers and body in, a Hook out, or nothing. Pure.

Such a message is a hint: it may say "look now", and never what is to be taken. The body is checked as it came, byte
by byte, before anything in it is read. Whoever calls caps it.

    GitHub    X-Hub-Signature-256: sha256=HEX    docs.github.com, "Validating webhook deliveries"
    Gitea     X-Gitea-Signature: HEX             docs.gitea.com, "Webhooks"; Forgejo says X-Forgejo-Signature as well
    GitLab    webhook-signature: v1,BASE64       docs.gitlab.com, "Webhooks", signing token; standardwebhooks.com
              X-Gitlab-Token: the secret itself
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qs

Forge = Literal["github", "gitea", "forgejo", "gitlab"]
SIGNING = b"whsec_"  # begins a secret that signs only: it is never sent, and so never taken where it is sent
WINDOW = 300  # seconds that a signed time may be away from ours
_LONGEST = 255  # characters of an id, an event or a ref
_SIGNATURES = 8  # that one message may carry, while its sender changes keys


@dataclass(frozen=True, slots=True)
class Hook:
    """A message whose sender knows the secret. delivery: its id; event, ref: what it says of itself, "" where that
    cannot be read. mark: the same for the same message again, by what is signed, whatever its headers say."""

    forge: Forge
    delivery: str
    event: str
    ref: str
    mark: str


def verified(headers: Mapping[str, str], body: bytes, secrets: Collection[bytes], now: float) -> Hook | None:
    """The message, if one of the secrets (an old and a new one, say) made it. now: Unix seconds.

    The first kind of signature that is there decides: a wrong one is not made good by another beside it."""
    said = {name.lower(): value for name, value in headers.items()}
    keys = [secret for secret in secrets if secret]
    # Forgejo says all of Gitea's headers and GitHub's too; the most special comes first.
    for forge, name, start in _SIGNED:
        if name in said:
            good = _hex(said[name], start, body, keys)
            return _hook(forge, said, body) if good else None
    if "webhook-signature" in said and any(key.startswith(SIGNING) for key in keys):
        return _hook("gitlab", said, body) if _standard(said, body, keys, now) else None
    if "x-gitlab-token" in said:
        return _hook("gitlab", said, body) if _token(said["x-gitlab-token"], keys) else None
    return None


_SIGNED: tuple[tuple[Forge, str, str], ...] = (
    ("forgejo", "x-forgejo-signature", ""),
    ("gitea", "x-gitea-signature", ""),
    ("github", "x-hub-signature-256", "sha256="),
)


def _hex(given: str, start: str, body: bytes, keys: Collection[bytes]) -> bool:
    expected = [start + hmac.new(key, body, hashlib.sha256).hexdigest() for key in keys]
    return _any_same(given, expected)


def _token(given: str, keys: Collection[bytes]) -> bool:
    """As digests, so that not even the length is told by the time it takes."""
    expected = [hashlib.sha256(key).hexdigest() for key in keys if not key.startswith(SIGNING)]
    return _any_same(hashlib.sha256(_encoded(given)).hexdigest(), expected)


def _standard(said: Mapping[str, str], body: bytes, keys: Collection[bytes], now: float) -> bool:
    """Id and time are signed with the body; what is old is refused, as it may be a replay."""
    number, time = said.get("webhook-id", ""), said.get("webhook-timestamp", "")
    if not number or not (time.isascii() and time.isdecimal() and len(time) < 16) or abs(now - int(time)) > WINDOW:
        return False
    text = _encoded(f"{number}.{time}.") + body
    expected = []
    for key in keys:
        raw = _decoded(key)
        if raw:
            digest = base64.b64encode(hmac.new(raw, text, hashlib.sha256).digest()).decode()
            expected.append(f"v1,{digest}")
    results = [_any_same(one, expected) for one in said["webhook-signature"].split(" ")[:_SIGNATURES]]
    return any(results)


def _decoded(key: bytes) -> bytes:
    if not key.startswith(SIGNING):
        return b""
    try:
        return base64.b64decode(key.removeprefix(SIGNING), validate=True)
    except binascii.Error:
        return b""


def _any_same(given: str, expected: Collection[str]) -> bool:
    """All are compared, each in constant time."""
    results = [hmac.compare_digest(_encoded(given), one.encode()) for one in expected]
    return any(results)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def _hook(forge: Forge, said: Mapping[str, str], body: bytes) -> Hook:
    ids = ("webhook-id", "x-forgejo-delivery", "x-gitea-delivery", "x-github-delivery", "idempotency-key",
           "x-gitlab-event-uuid")  # fmt: skip
    events = ("x-gitlab-event", "x-forgejo-event", "x-gitea-event", "x-github-event")
    mark = hashlib.sha256(forge.encode() + b"\0" + body).hexdigest()
    return Hook(forge, _first(said, ids), _first(said, events), _ref(said.get("content-type", ""), body), mark)


def _first(said: Mapping[str, str], names: Collection[str]) -> str:
    return _plain(next((said[name] for name in names if said.get(name)), ""))


def _ref(content_type: str, body: bytes) -> str:
    """GitHub can send the JSON as a field of a form."""
    try:
        if content_type.startswith("application/x-www-form-urlencoded"):
            body = parse_qs(body.decode(), max_num_fields=16).get("payload", [""])[0].encode()
        said = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    ref = said.get("ref") if isinstance(said, dict) else None
    return _plain(ref) if isinstance(ref, str) else ""


def _plain(text: str) -> str:
    """Others' words, for a log."""
    return text if len(text) <= _LONGEST and text.isascii() and text.isprintable() else ""
