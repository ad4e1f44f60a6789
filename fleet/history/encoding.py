"""States of resources as text, contents by digest, secrets not at all.

Plain values go into JSON; bytes and long text go into the table of contents and leave a reference. What belongs to a
sensitive resource leaves only a digest under this database's own key: whoever copies the database alone cannot test
guesses.
Reading gives back exactly what was written; content over the cap keeps its size, digest and first part.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from fleet.model.change import Change, Plan
from fleet.model.value import State, Value

CONTENT_LIMIT = 64 * 1024
OUTPUT_HEAD, OUTPUT_TAIL = 4 * 1024, 12 * 1024
_INLINE = 1024  # longer text is worth a row of its own, shared by all hosts that have it
_REFERENCE, _TEXT, _SENSITIVE = "$content", "$text", "$sensitive"

# digest → (size, what is kept of the content)
Contents = MutableMapping[str, tuple[int, bytes]]


def keyed(key: bytes, value: str) -> str:
    """A digest that says whether two values are the same, and nothing else without the key."""
    return "keyed:" + hmac.digest(key, value.encode(errors="surrogatepass"), "sha256").hex()


def encode_change(change: Change, key: bytes, contents: Contents) -> tuple[str, str]:
    """(before, after) as JSON text; the bytes they refer to are added to `contents`."""
    resource = change.resource
    before, after = change.before, change.after
    if after is not None and resource.content is not None:
        after = {**after, "content": resource.content}
    if resource.sensitive:
        return _withheld(before, key), _withheld(after, key)
    return encode(before, contents), encode(after, contents)


def encode(value: Value, contents: Contents) -> str:
    """JSON text; only ASCII, so that no text of a host is invalid in the database."""
    return json.dumps(_pack(value, contents), separators=(",", ":"))


def decode(text: str, content: Callable[[str], bytes | None]) -> Any:
    """What was encoded. content(digest): the bytes, None when they are not kept in full."""
    return _unpack(json.loads(text), content)


def plan_digest(plan: Plan, key: bytes) -> str:
    """A plan's digest covers what it changes, so with a secret among it, it is kept under the key as well."""
    return keyed(key, plan.digest) if any(c.resource.sensitive for c in plan.changes) else plan.digest


def clip(output: bytes) -> bytes:
    """The first and the last part of what a host printed; the rest is said to be left out."""
    if len(output) <= OUTPUT_HEAD + OUTPUT_TAIL:
        return output
    left_out = len(output) - OUTPUT_HEAD - OUTPUT_TAIL
    return output[:OUTPUT_HEAD] + b"\n[... %d bytes left out ...]\n" % left_out + output[-OUTPUT_TAIL:]


def _withheld(state: State | None, key: bytes) -> str:
    if state is None:
        return "null"
    contents: dict[str, tuple[int, bytes]] = {}
    return json.dumps({_SENSITIVE: keyed(key, json.dumps(_pack(state, contents), sort_keys=True))})


def _pack(value: Value, contents: Contents) -> Any:
    if isinstance(value, bytes):
        return {_REFERENCE: _keep(value, contents)}
    if isinstance(value, str) and len(value) > _INLINE:
        return {_TEXT: _keep(value.encode(errors="surrogatepass"), contents)}
    if isinstance(value, Mapping):
        # A user's own key that begins with the mark gets one more of it.
        return {("$" + k if k.startswith("$") else k): _pack(v, contents) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_pack(v, contents) for v in value]
    if isinstance(value, set | frozenset):
        return [_pack(v, contents) for v in sorted(value)]
    return value


def _keep(data: bytes, contents: Contents) -> str:
    digest = hashlib.sha256(data).hexdigest()
    contents[digest] = (len(data), data[:CONTENT_LIMIT])
    return digest


def _unpack(value: Any, content: Callable[[str], bytes | None]) -> Any:
    if isinstance(value, list):
        return [_unpack(v, content) for v in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {_REFERENCE}:
        found = content(value[_REFERENCE])
        return value if found is None else found
    if value.keys() == {_TEXT}:
        found = content(value[_TEXT])
        return value if found is None else found.decode(errors="surrogatepass")
    if value.keys() == {_SENSITIVE}:
        return value
    return {(k[1:] if k.startswith("$$") else k): _unpack(v, content) for k, v in value.items()}
