"""Compiled revisions of one repository: a commit in, a Fleet out, and the files behind it while it is in use."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from fleet.desired.cache import NodeCache
from fleet.desired.compile import Compiler, Facts, Fleet
from fleet.desired.load import Loaded, load
from fleet.desired.source import Tree, open_revision, open_working_tree
from fleet.errors import SecretError
from fleet.model.kind import Kind
from fleet.model.secret import SecretSource


class Revisions:
    """repository: a directory that Git knows, bare or not. directory: that holds environments/, see `open_revision`.
    One thread at a time."""

    def __init__(self, repository: Path, kinds: Mapping[str, Kind], cache_dir: Path) -> None:
        self.repository, self.directory = repository, ""
        self._kinds, self._cache_dir = kinds, cache_dir
        self._compiler: Compiler | None = None
        self._loaded: dict[str, Loaded] = {}

    def compile(self, revision: str = "HEAD", working_tree: bool = False, facts: Facts | None = None) -> Fleet:
        """What can be of a revision (or the uncommitted files), with its problems. Raises UsageError: no such one."""
        tree = self._tree(revision, working_tree)
        loaded = self._loaded[tree.revision] = self._load(tree)
        return self._compile(loaded, facts or {})

    def again(self, revision: str, facts: Mapping[tuple[str, str], Mapping[str, Any]]) -> Fleet | None:
        """The same with what hosts say of themselves; None when it was not compiled before."""
        loaded = self._loaded.get(revision)
        return None if loaded is None else self._compile(loaded, facts)

    def keep(self, revisions: Collection[str]) -> None:
        """Forget the files of all others."""
        self._loaded = {name: one for name, one in self._loaded.items() if name in revisions}

    def read(self, source: SecretSource) -> bytes:
        """A SOPS file of a revision in use. Raises SecretError."""
        for loaded in self._loaded.values():
            entry = loaded.tree.entries.get(source.path)
            if entry is not None and entry.blob == source.blob:
                return loaded.tree.read(source.path)
        raise SecretError("it is not in the revision that was read")

    def _tree(self, revision: str, working_tree: bool) -> Tree:
        if working_tree:
            return open_working_tree(self.repository)
        return open_revision(self.repository, revision, directory=self.directory)

    def _load(self, tree: Tree) -> Loaded:
        known = self._loaded.get(tree.revision)
        return known if known is not None and not tree.uncommitted else load(tree, self._kinds, self._cache())

    def _cache(self) -> NodeCache:
        return NodeCache(self._cache_dir)

    def _compile(self, loaded: Loaded, facts: Facts) -> Fleet:
        if self._compiler is None:
            self._compiler = Compiler(self._kinds)
        return self._compiler.compile(loaded, facts=facts)
