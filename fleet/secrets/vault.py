"""Decrypted secrets, in memory, for as long as the process lives: each file is decrypted once for each environment that
asks with keys of its own, when a host first needs something of it. From then on this process leaves no core file."""

from __future__ import annotations

import asyncio
import json
import resource
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from fleet.errors import SecretError
from fleet.masking import Masker
from fleet.model.host import HostSpec
from fleet.model.secret import Secret, SecretSource
from fleet.secrets.identities import Identities
from fleet.secrets.program import decrypt

Read = Callable[[SecretSource], bytes]
Span = Callable[..., AbstractContextManager[Any]]
# Path in the document → value.
_File = Mapping[tuple[str, ...], bytes]


class Vault:
    """read: a SOPS file's bytes by path and blob. span: times one decryption. Every value is known to the masker before
    anybody else gets it."""

    def __init__(
        self, identities: Identities, masker: Masker, read: Callable[[SecretSource], bytes], span: Span
    ) -> None:
        self._identities, self._masker, self._read, self._span = identities, masker, read, span
        self._files: dict[tuple[str, str], asyncio.Task[_File]] = {}
        self._secrets: dict[tuple[str, str], Secret] = {}

    async def values(self, spec: HostSpec) -> Mapping[str, Secret]:
        """The secrets of one host, by token. Raises SecretError: a file cannot be opened, or lacks what it had."""
        return await self.of(spec.environment, spec.secrets)

    async def of(self, environment: str, sources: Iterable[SecretSource]) -> Mapping[str, Secret]:
        found: dict[str, Secret] = {}
        for source in sources:
            key = (environment, source.token)
            if key not in self._secrets:
                values = await self._file(environment, source)
                if source.keys not in values:
                    raise SecretError(f"environments/{source.path}: `{source.name}` is not in what sops decrypted")
                secret = Secret(source.name, values[source.keys])
                self._masker.add([secret])
                self._secrets[key] = secret
            found[key[1]] = self._secrets[key]
        return found

    async def _file(self, environment: str, source: SecretSource) -> _File:
        """Hosts that ask for one file at the same time wait for the same child."""
        remote = self._identities.asks(source.path, source.services)  # a copy elsewhere has the same blob
        own = self._identities.file(environment)
        key = (source.blob, str(own or ""))
        if key not in self._files:
            self._files[key] = asyncio.create_task(self._decrypted(environment, source, remote))
        task = self._files[key]
        try:
            return await asyncio.shield(task)
        except SecretError as error:
            self._files.pop(key, None)  # a key may be there the next time
            where = f"environments/{source.path}"
            raise SecretError(
                f"{where} cannot be decrypted for {environment}: {error}; {self._hint(environment)}"
            ) from None

    async def _decrypted(self, environment: str, source: SecretSource, remote: bool) -> _File:
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        with self._span("decrypt", file=source.path, environment=environment):
            variables = self._identities.child_environment(environment, remote)
            said = await decrypt(self._read(source), source.format, variables, remote)
        if source.format == "binary":
            return {source.keys: said}
        try:
            return dict(_leaves(json.loads(said), ()))
        except (ValueError, RecursionError):
            raise SecretError("sops gave something that is not JSON") from None

    def _hint(self, environment: str) -> str:
        own = self._identities.file(environment)
        if own is not None:
            return f"tried {own}; who can read it: fleet secrets who -e {environment}"
        return (
            f"put the age identity into {self._identities.directory / environment}.txt, or name it in SOPS_AGE_KEY_FILE"
        )


def _leaves(value: Any, keys: tuple[str, ...]) -> Iterable[tuple[tuple[str, ...], bytes]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, (*keys, str(key)))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _leaves(inner, (*keys, str(number)))
    elif value is not None:
        text = value if isinstance(value, str) else json.dumps(value)
        yield keys, text.encode(errors="surrogatepass")
