"""age identities, one for each environment, and who .sops.yaml lets read its files."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fleet.errors import SecretError

CONFIG = ".sops.yaml"


def identity(path: Path) -> tuple[str, bool]:
    """The recipient (public key) of the identity in this file, made when there is none; and whether it was made.
    Raises SecretError: it is there and is no age identity, or the package pyrage is missing."""
    try:
        from pyrage import x25519  # noqa: PLC0415 - only whoever makes keys needs it
    except ImportError:
        raise SecretError("making keys takes the package pyrage: pip install 'fleet-controller[sops]'") from None
    if path.exists():
        lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
        found = [line for line in lines if line.startswith("AGE-SECRET-KEY-1")]
        if not found:
            raise SecretError(f"{path} holds no age identity (a line AGE-SECRET-KEY-1…)")
        try:
            return str(x25519.Identity.from_str(found[0]).to_public()), False
        except Exception:  # the library's own sort, which may quote what it was given
            raise SecretError(f"{path} holds something that is not an age identity") from None
    made = x25519.Identity.generate()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(f"# public key: {made.to_public()}\n{made}\n")
    return str(made.to_public()), True


def allow(repository: Path, layers: Iterable[str], recipient: str) -> bool:
    """Let `recipient` read new files of these layers, keeping what .sops.yaml says beside. Whether it was changed.

    Files that are there already keep their readers until they are rotated.
    """
    from ruamel.yaml import YAML  # noqa: PLC0415 - it takes longer to import than most commands to run

    path = repository / CONFIG
    yaml = YAML()
    config: Any = yaml.load(path.read_text("utf-8")) if path.exists() else None
    config = {} if config is None else config
    if not isinstance(config, dict) or not isinstance(config.setdefault("creation_rules", []), list):
        raise SecretError(f"{path} is not what sops expects: a map with a list `creation_rules`")
    changed = False
    for layer in layers:
        pattern = f"^environments/{layer}/"
        rule = next((one for one in config["creation_rules"] if one.get("path_regex") == pattern), None)
        if rule is None:
            config["creation_rules"].append({"path_regex": pattern, "age": recipient})
            changed = True
        elif recipient not in str(rule.get("age", "")):
            rule["age"] = ",".join(filter(None, (str(rule.get("age", "")).strip(), recipient)))
            changed = True
    if changed:
        with path.open("w", encoding="utf-8") as file:
            yaml.dump(config, file)
    return changed
