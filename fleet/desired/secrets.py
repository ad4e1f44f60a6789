"""Which secret a name means on which host: the files of an environment's layers in, a table per host out. No value is
ever seen here; a secret is its name, the digest of its ciphertext, and where that stands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from fleet.desired.check import near
from fleet.desired.inventory import Merged
from fleet.desired.load import Layer
from fleet.desired.sops import SecretFile
from fleet.desired.source import Tree
from fleet.errors import Origin, Problem
from fleet.model.host import HostSpec
from fleet.model.secret import SecretSource
from fleet.model.value import Node, member


@dataclass(frozen=True, slots=True)
class Found:
    """A secret as a host has it. token: what stands in its place. over: what it won against, strongest first."""

    source: SecretSource
    token: str
    origin: Origin
    layer: str
    over: tuple[Found, ...] = ()


Table = Mapping[str, Found]


@dataclass(frozen=True, slots=True)
class Secrets:
    """Of one environment. shared: every host's; own: of the hosts with files of their own, those over the shared.
    files: the SOPS files of all its layers, by path."""

    environment: str = ""
    shared: Table = field(default_factory=dict)
    own: Mapping[str, Table] = field(default_factory=dict)
    files: Mapping[str, SecretFile] = field(default_factory=dict)
    _sources: dict[object, tuple[SecretSource, ...]] = field(default_factory=dict, repr=False, compare=False)

    def sources(self, host: str, tokens: Sequence[tuple[str, ...]]) -> tuple[SecretSource, ...]:
        """Where the secrets with these tokens (of several texts) are to be had, by name; hosts that are alike share
        them."""
        several = tuple([one for one in tokens if one])
        if not several:
            return ()
        key = (host if host in self.own else "", several)
        if key not in self._sources:
            known = {found.token: found.source for found in self.of(host).values()}
            found = {known[token] for tokens in several for token in tokens}
            self._sources[key] = tuple(sorted(found, key=lambda one: one.name))
        return self._sources[key]

    def of(self, host: str) -> Table:
        return self.own.get(host, self.shared)

    def missing(self, name: str, host: str) -> tuple[str, str, str]:
        """What is wrong with a name that is not there: message, what was expected, hint."""
        where = f"on {host}" if host in self.own else f"in {self.environment}"
        expected = f"a name in {self.environment}/secrets.sops.yaml, or in a layer below it"
        hint = near(name, self.of(host)) or f"add it: fleet secrets set -e {self.environment} {name}"
        return f"there is no secret `{name}` {where}", expected, hint


def secrets_of(environment: Merged, tree: Tree, problems: list[Problem]) -> Secrets:
    """The environment's. Two files of one layer and host must not name the same secret."""
    name, layers = environment.name, environment.layers
    shared: dict[str, Found] = {}
    for layer in layers:
        _add(shared, layer, "", tree, problems)
    own: dict[str, Table] = {}
    mine = layers[-1] if layers else Layer(name)
    for host in sorted({one.host for one in mine.secrets.values()} - {""}):
        if host not in environment.hosts:
            path = next(path for path, one in sorted(mine.secrets.items()) if one.host == host)
            hint = near(host, environment.hosts)
            problems.append(Problem(Origin(path), f"there is no host `{host}` in {name}", "a host of hosts.yaml", hint))
        table = dict(shared)
        _add(table, mine, host, tree, problems)
        own[host] = table
    files = {path: file for layer in layers for path, file in sorted(layer.secrets.items())}
    return Secrets(name, shared, own, files)


def _add(table: dict[str, Found], layer: Layer, host: str, tree: Tree, problems: list[Problem]) -> None:
    fresh: dict[str, Found] = {}
    for path, file in sorted(layer.secrets.items()):
        if file.host != host:
            continue
        for entry in file.entries.values():
            if entry.name in fresh:
                message = f"two files of this layer name the secret `{entry.name}`"
                problems.append(Problem(entry.origin, message, also=(fresh[entry.name].origin,)))
                continue
            blob = tree.entries[path].blob
            source = SecretSource(entry.name, entry.digest, path, blob, file.format, entry.keys, file.services)
            weaker = table.get(entry.name)
            over = () if weaker is None else (weaker, *weaker.over)
            fresh[entry.name] = Found(source, source.token, entry.origin, layer.name, over)
    table.update(fresh)


def common_readers(layers: Mapping[str, Layer], chains: Mapping[str, tuple[str, ...]]) -> Iterator[Problem]:
    """Warnings: files of two environments, neither of which builds on the other, that one key can read. Whoever may
    commit to the one could have the other's secrets sent to its hosts: nothing binds a SOPS file to its path."""
    allowed = {one for layer in layers.values() for one in _shared_recipients(layer)}
    readers: dict[str, dict[str, str]] = {}
    for name in chains:
        for path, file in sorted(layers[name].secrets.items()) if name in layers else ():
            for recipient in file.recipients - allowed:
                readers.setdefault(recipient, {}).setdefault(name, path)
    told: set[tuple[str, str]] = set()
    for recipient, where in sorted(readers.items()):
        for name, path in where.items():
            for other, elsewhere in where.items():
                pair = (path, elsewhere)
                if other <= name or pair in told or other in chains[name] or name in chains[other]:
                    continue
                told.add(pair)
                message = f"{name} and {other} have secrets that one key can read: {_short(recipient)}"
                hint = (
                    "one age identity per environment; people who may read all: `secrets: {shared_recipients: [...]}`"
                )
                also = (Origin(elsewhere, 1, 1),)
                yield Problem(Origin(path, 1, 1), message, "a key of its own", hint, also=also, severity="warning")


def exposed(hosts: Iterable[HostSpec]) -> Iterator[Problem]:
    """Warnings: files with secrets whose mode is said, and lets everybody read them."""
    told: set[Origin] = set()
    for host in (host for host in hosts if host.secrets):
        for one in (one for one in host.resources if one.secrets and one.origin not in told):
            mode = str((one.desired or {}).get("mode", "0"))
            if not mode.isdecimal() or not int(mode, 8) & 0o007:
                continue
            told.add(one.origin)
            message = f"{one.id} holds a secret, and everybody on the host may read it (mode {mode.zfill(4)})"
            yield Problem(one.origin, message, "0640 or narrower; that is what it gets when no mode is said",
                          severity="warning")  # fmt: skip


def _shared_recipients(layer: Layer) -> list[str]:
    node: Node | None = None if layer.environment is None else member(layer.environment, "secrets", "shared_recipients")
    return [str(one.value) for one in node.value] if node is not None and isinstance(node.value, list) else []


def _short(recipient: str) -> str:
    return recipient if len(recipient) <= 24 else f"{recipient[:12]}…{recipient[-8:]}"
