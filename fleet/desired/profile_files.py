"""Files of profiles, wherever they stand: those that fleet brings, and those of a revision's layers."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.resources import files

from fleet.desired.profile_cases import Read, read
from fleet.desired.source import Tree


@dataclass(frozen=True, slots=True)
class ProfileFile:
    """layer: the directory below environments/, "" for what comes with fleet. path: for people."""

    name: str
    layer: str
    path: str
    content: bytes = field(repr=False)

    def read(self) -> Read:
        return read(self.path, self.content)


def shipped() -> tuple[ProfileFile, ...]:
    """By name."""
    folder = files("fleet") / "profiles"
    found = sorted((one for one in folder.iterdir() if one.name.endswith(".yaml")), key=lambda one: one.name)
    return tuple(
        ProfileFile(one.name.removesuffix(".yaml"), "", f"fleet/profiles/{one.name}", one.read_bytes()) for one in found
    )


def in_tree(tree: Tree) -> tuple[ProfileFile, ...]:
    """By layer and name."""
    paths = [path for path in tree.entries if _is_profile(path)]
    read_ = tree.read_many(paths)
    return tuple(
        ProfileFile(path.split("/")[2].removesuffix(".yaml"), path.split("/")[0], path, read_[path])
        for path in sorted(paths)
    )


def _is_profile(path: str) -> bool:
    words = path.split("/")
    return len(words) == 3 and words[1] == "profiles" and path.endswith(".yaml") and not words[2].startswith(".")
