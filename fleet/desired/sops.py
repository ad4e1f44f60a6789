"""What a SOPS file says to somebody without its key: names, places, ciphertexts and who can read it. Bytes in,
`SecretFile` out; what fleet does not take is a Problem.

Formats: YAML, JSON and dotenv hold many secrets (names of nested keys are joined by dots), binary holds one, named
after its file. See https://getsops.io/docs/, "SOPS file format".
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from fleet.desired.yaml import SECRET_NAME, excerpt, parse
from fleet.errors import Origin, Problem
from fleet.model.value import Node

Format = Literal["yaml", "json", "dotenv", "binary"]
FORMATS: Mapping[str, Format] = {".yaml": "yaml", ".json": "json", ".env": "dotenv", ".sops": "binary"}
# Metadata that names keys: field → the word in it that says which. Those beside age and pgp are asked over the network.
_KEYS = {"age": "recipient", "pgp": "fp", "kms": "arn", "gcp_kms": "resource_id", "azure_kv": "vault_url",
         "hc_vault": "vault_address", "hckms": "key_id"}  # fmt: skip
_LOCAL = ("age", "pgp")
# A key service that cannot be allowed: sops may find keys where we do not (it takes `HC_VAULT` for `hc_vault` in JSON).
_STRANGE = "(keys in a form that sops does not write)"
_SUFFIX = "_unencrypted"
_PLAIN = re.compile(r"[a-z][a-z0-9_]*\Z")
_FLAT = re.compile(r"sops_(key_groups__list_\d+__map_)?(?P<sort>[a-z_]+?)__list_\d+__map_(?P<word>.+)\Z")


class Place(str):
    """The number of an item in a list, among keys of maps."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One secret of a file. keys: its path in the decrypted document, a Place in each list. digest: of its
    ciphertext, 16 hex digits."""

    name: str
    keys: tuple[str, ...]
    digest: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class SecretFile:
    """host: whose it is alone, or "". recipients: who can read it, as the file names them. services: those of them
    that are asked over the network."""

    path: str
    format: Format
    host: str = ""
    entries: Mapping[str, Entry] = field(default_factory=dict)
    recipients: frozenset[str] = frozenset()
    services: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Value:
    keys: tuple[str, ...]
    value: Any
    origin: Origin


def read(path: str, host: str, content: bytes | Node, problems: list[Problem]) -> SecretFile:
    """One file; content: a YAML file's Node where that is known. What cannot be taken is left out and said."""
    format_ = FORMATS[path[path.rindex(".") :]]
    found = _nodes_of(content) if isinstance(content, Node) else _READERS[format_](path, content, problems)
    if found is None:
        return SecretFile(path, format_, host, services=(_STRANGE,))
    values, metadata = found
    if not metadata:
        hint = f"encrypt it where it stands: sops encrypt --in-place environments/{path}"
        problems.append(Problem(Origin(path, 1, 1), "this file is not encrypted", "a SOPS file", hint))
        return SecretFile(path, format_, host)
    if str(metadata.get("mac_only_encrypted", "")).lower() == "true":
        message = "`mac_only_encrypted` leaves what is not encrypted open to changes that nobody notices"
        hint = "take it out of .sops.yaml, then: sops rotate --in-place"
        problems.append(Problem(Origin(path, 1, 1), message, "a file whose every value is covered by its MAC", hint))
    entries: dict[str, Entry] = {}
    for value in values:
        _enter(value, entries, problems, format_, path)
    recipients, services = _recipients(metadata)
    if _STRANGE in services:
        problems.append(Problem(Origin(path, 1, 1), f"it names {_STRANGE.strip('()')}", "a file that sops wrote"))
    return SecretFile(path, format_, host, entries, recipients, services)


def _enter(value: _Value, entries: dict[str, Entry], problems: list[Problem], format_: Format, path: str) -> None:
    name = ".".join(value.keys) if format_ != "binary" else path.rpartition("/")[2].removesuffix(".sops")
    text = value.value
    if text is None or any(key.endswith(_SUFFIX) for key in value.keys):
        return  # said in the open on purpose, and so no secret
    if not SECRET_NAME.match(name):
        expected = "letters, digits, dots, dashes and underscores"
        problems.append(Problem(value.origin, f"`{excerpt(name)}` cannot be the name of a secret", expected))
    elif name in entries:
        problems.append(Problem(value.origin, f"two secrets are called `{name}`", also=(entries[name].origin,)))
    elif text != "" and not (isinstance(text, str) and text.startswith("ENC[") and text.endswith("]")):
        hint = "edit the file with `fleet secrets edit` or sops; keys that are no secrets end in _unencrypted"
        problems.append(Problem(value.origin, f"`{name}` is not encrypted", "only encrypted values", hint))
    else:
        digest = hashlib.sha256(f"{name}\0{text}".encode()).hexdigest()[:16]
        entries[name] = Entry(name, value.keys, digest, value.origin)


def _recipients(metadata: Mapping[str, Any]) -> tuple[frozenset[str], tuple[str, ...]]:
    """All of them, and those that are key services."""
    found: set[str] = set()
    services: set[str] = set()
    groups = metadata.get("key_groups") or []
    for group in (metadata, *(groups if isinstance(groups, list) else ["strange"])):
        if not isinstance(group, dict) or not all(map(_plain, group.items())):
            services.add(_STRANGE)
            continue
        for sort, word in _KEYS.items():
            named = {str(key.get(word, sort)) for key in group.get(sort) or ()}
            found |= named
            services |= named if sort not in _LOCAL else set()
    return frozenset(found), tuple(sorted(services))


def _plain(field_: tuple[str, Any]) -> bool:
    """Whether sops reads of one field of the metadata what we read of it. Only keys are lists or maps there."""
    name, value = field_
    if not _PLAIN.match(name) or (name not in _KEYS and name != "key_groups"):
        return not isinstance(value, list | dict) and _PLAIN.match(name) is not None
    if value is None or name == "key_groups":
        return True
    return isinstance(value, list) and all(map(_regular, value))


def _regular(key: Any) -> bool:
    """One key in the form that sops writes. Of a Vault's, sops makes a path that it writes to with the operator's
    token: with .. in it that would be any."""
    if not isinstance(key, dict) or not all(map(_PLAIN.match, key)):
        return False
    return not any(".." in str(key.get(word, "")) for word in ("engine_path", "key_name"))


_Read = tuple[list[_Value], Mapping[str, Any]]


def _yaml(path: str, content: bytes, problems: list[Problem]) -> _Read | None:
    node, wrong = parse(path, content)
    problems.extend(replace(one, excerpt="") for one in wrong)  # the line may be one that nobody encrypted
    return None if wrong else _nodes_of(node or Node({}, Origin(path)))


def _nodes_of(node: Node) -> _Read:
    if not isinstance(node.value, dict):
        return [], {}
    sops = node.value.get("sops")
    values = list(_nodes(Node({k: v for k, v in node.value.items() if k != "sops"}, node.origin), ()))
    return values, _metadata(None if sops is None else sops.plain())


def _metadata(found: Any) -> Mapping[str, Any]:
    return found if isinstance(found, dict) else {}


def _nodes(node: Node, keys: tuple[str, ...]) -> Iterator[_Value]:
    if isinstance(node.value, dict):
        for key, inner in node.value.items():
            yield from _nodes(inner, (*keys, key))
    elif isinstance(node.value, list):
        for number, inner in enumerate(node.value):
            yield from _nodes(inner, (*keys, Place(number)))
    else:
        yield _Value(keys, node.value, node.key or node.origin)


def _json(path: str, content: bytes, problems: list[Problem]) -> _Read | None:
    try:
        found = json.loads(content, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        problems.append(Problem(Origin(path, line, 1), f"not JSON: {getattr(error, 'msg', error)}", "a SOPS file"))
        return None
    if not isinstance(found, dict):
        return [], {}
    lines = content.decode(errors="replace").split("\n")
    sops = found.pop("sops", None)
    if isinstance(sops, dict) and any(key.casefold() == "sops" for key in found):
        sops["SOPS"] = True  # sops reads that as well
    return [_Value(keys, value, _line(path, lines, value)) for keys, value in _flat(found, ())], _metadata(sops)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two keys that are the same sops reads both."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice in one map")
    return found


def _flat(value: Any, keys: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _flat(one, (*keys, key))
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _flat(one, (*keys, Place(number)))
    else:
        yield keys, value


def _line(path: str, lines: list[str], value: Any) -> Origin:
    """Where a value stands: a ciphertext stands there once."""
    wanted = json.dumps(value)
    return Origin(path, next((n for n, line in enumerate(lines, 1) if wanted in line), 1), 1)


def _dotenv(path: str, content: bytes, problems: list[Problem]) -> _Read | None:
    values: list[_Value] = []
    metadata: dict[str, Any] = {}
    for number, line in enumerate(content.decode(errors="replace").split("\n"), 1):
        key, sign, value = line.partition("=")
        if not sign or key.startswith("#"):
            continue
        if not key.startswith("sops_"):
            values.append(_Value((key,), value, Origin(path, number, 1)))
        elif flat := _FLAT.match(key):
            metadata.setdefault(flat["sort"], []).append({flat["word"].partition("__")[0]: value})
        elif "__" in key:
            metadata[key] = [value]
        else:
            metadata[key.removeprefix("sops_")] = value
    for sort, word in _KEYS.items():
        # A line for each word of a key: the one that names it is enough.
        metadata[sort] = [one for one in metadata.get(sort, ()) if word in one or not _regular(one)]
    return values, metadata if any(metadata.values()) else {}


_READERS: Mapping[Format, Callable[[str, bytes, list[Problem]], _Read | None]] = {
    "yaml": _yaml,
    "json": _json,
    "dotenv": _dotenv,
    "binary": _json,
}
