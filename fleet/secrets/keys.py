"""age identities, one for each environment, and who .sops.yaml lets read its files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from fleet.errors import SecretError

CONFIG = ".sops.yaml"
# Fields of a rule that name key services: lists, or texts with commas; and within groups maps with one of these words.
_SERVICES = ("kms", "gcp_kms", "azure_keyvault", "hc_vault_transit_uri", "hc_vault", "hckms")
_GROUPS = ("key_groups", "merge")
_WORDS = ("arn", "resource_id", "vaultUrl", "vault_url", "key_id")


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

    Files that are there already keep their readers until they are rotated. sops takes the first rule that matches.
    """
    path = repository / CONFIG
    yaml, config = _loaded(path)
    rules = config["creation_rules"]
    changed = False
    for layer in layers:
        pattern = f"^environments/{layer}/"
        rule = next((one for one in rules if one.get("path_regex") == pattern), None)
        if rule is None:
            rule = {"path_regex": pattern, "age": recipient}
            rules.append(rule)
            changed = True
        elif recipient not in str(rule.get("age", "")):
            rule["age"] = ",".join(filter(None, (str(rule.get("age", "")).strip(), recipient)))
            changed = True
        first = next((one for one in rules if _matches(one, f"environments/{layer}/secrets.sops.yaml")), rule)
        if first is not rule:
            rules.remove(rule)
            rules.insert(rules.index(first), rule)
            changed = True
    if changed:
        with path.open("w", encoding="utf-8") as file:
            yaml.dump(config, file)
    return changed


def rules_of(path: Path) -> Path | None:
    """The .sops.yaml that sops finds for a file."""
    return next((one for one in (folder / CONFIG for folder in path.absolute().parents) if one.is_file()), None)


def services(path: Path) -> tuple[str, ...]:
    """The key services that .sops.yaml wants asked when this file is encrypted, as a SOPS file names them.
    Raises SecretError."""
    config = rules_of(path)
    if config is None:
        return ()
    name = path.absolute().relative_to(config.parent).as_posix()
    rule: Any = next((one for one in _loaded(config)[1]["creation_rules"] if _matches(one, name)), {})
    return tuple(sorted(set(_services(rule))))


def _loaded(path: Path) -> tuple[Any, Any]:
    """What reads and writes it, and what it says."""
    from ruamel.yaml import YAML  # noqa: PLC0415 - it takes longer to import than most commands to run
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415

    yaml = YAML()
    try:
        config: Any = yaml.load(path.read_text("utf-8")) if path.exists() else None
    except (YAMLError, UnicodeDecodeError):
        raise SecretError(f"{path} is not YAML") from None
    config = {} if config is None else config
    rules = config.setdefault("creation_rules", []) if isinstance(config, dict) else None
    if not isinstance(rules, list) or not all(isinstance(one, dict) for one in rules):
        raise SecretError(f"{path} is not what sops expects: a map with a list `creation_rules`")
    return yaml, config


def _matches(rule: Any, name: str) -> bool:
    """Whether sops would take this rule for a file; where we cannot say, yes."""
    try:
        return re.search(str(rule.get("path_regex", "")), name) is not None
    except re.error:
        return True


def _services(group: Any) -> Iterator[str]:
    for field, value in group.items() if isinstance(group, dict) else ():
        for one in value if isinstance(value, list) else [value]:
            if field in _GROUPS:
                yield from _services(one)
            elif field in _SERVICES and one:
                said = ",".join(str(one[word]) for word in _WORDS if word in one) if isinstance(one, dict) else str(one)
                yield from map(_address, filter(None, said.replace(" ", "").split(",")))


def _address(text: str) -> str:
    """Without the key at an address, and the role at an ARN."""
    scheme, sign, rest = text.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}" if sign else text.partition("+")[0]
