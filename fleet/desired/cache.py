"""Parsed files on disk by Git blob id, so that a change costs what changed. Input: blob id; output: a Node.

One file per blob, a checksum and JSON, written atomically; what is damaged or of another version counts as absent.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from fleet.desired.yaml import VERSION
from fleet.errors import Origin
from fleet.model.value import Node

# [type, line, column, key line, key column, tag, value]; types: scalar, list, map.
Packed = list[Any]


class NodeCache:
    """Nodes of files that parsed without a problem; those with one are parsed again, to report it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory / f"nodes-{VERSION}"

    def get(self, blob: str, path: str) -> Node | None:
        """The file's Node with origins in `path` (the same content may stand at several paths)."""
        try:
            checksum, _, packed = (self._directory / blob[:2] / blob[2:]).read_bytes().partition(b"\n")
        except OSError:
            return None
        if checksum != _checksum(packed):
            return None
        return _unpack(json.loads(packed), path)

    def put(self, blob: str, node: Node) -> None:
        """Keep it. A cache that cannot be written is no error: the next run parses again."""
        target = self._directory / blob[:2] / blob[2:]
        with contextlib.suppress(OSError):
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            target.parent.mkdir(mode=0o700, exist_ok=True)
            packed = json.dumps(_pack(node), separators=(",", ":")).encode()
            handle, name = tempfile.mkstemp(dir=target.parent)
            with os.fdopen(handle, "wb") as file:
                file.write(_checksum(packed) + b"\n" + packed)
            Path(name).replace(target)


def _checksum(packed: bytes) -> bytes:
    """Against bits that flip and writes that were cut; the directory is its owner's alone."""
    return hashlib.blake2b(packed, digest_size=16).hexdigest().encode()


def _pack(node: Node) -> Packed:
    value = node.value
    kind = 0
    if isinstance(value, dict):
        kind, value = 2, {key: _pack(inner) for key, inner in value.items()}
    elif isinstance(value, list):
        kind, value = 1, [_pack(inner) for inner in value]
    key = node.key or Origin("")
    return [kind, node.origin.line, node.origin.column, key.line, key.column, node.tag, value]


def _unpack(packed: Packed, path: str) -> Node:
    kind, line, column, key_line, key_column, tag, value = packed
    if kind == 2:
        value = {key: _unpack(inner, path) for key, inner in value.items()}
    elif kind == 1:
        value = [_unpack(inner, path) for inner in value]
    key = Origin(path, key_line, key_column) if key_line else None
    return Node(value, Origin(path, line, column), key, tag)
