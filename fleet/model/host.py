"""What one host should be, and how it is reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from fleet.errors import Origin
from fleet.model.api import Api
from fleet.model.secret import SecretSource
from fleet.model.value import Node, State

Drift = Literal["correct", "report"]
Become = Literal["none", "sudo", "doas"]


@dataclass(frozen=True, slots=True)
class Target:
    """How to reach one host, or the API that is one. Times in seconds, sizes in bytes.

    known_hosts: lines in the format of sshd(8), already those of this host's environment.
    via: the bastion, itself a target whose connection is shared.
    handshakes, scripts: the environment's limits on handshakes in flight and on running scripts.
    api: the host itself, where it is one. apis: those beside it that its resources name.
    """

    host: str
    environment: str
    type: Literal["ssh", "local", "http"] = "ssh"
    address: str = ""
    port: int = 22
    user: str = "root"
    become: Become = "none"
    key_file: str = ""
    certificate_file: str = ""
    agent: bool = True
    ssh_config: bool = False
    known_hosts: str = ""
    via: Target | None = None
    connect_timeout: float = 10.0
    timeout: float = 300.0
    keepalive: float = 15.0
    output_limit: int = 4 * 1024 * 1024
    handshakes: int = 32
    scripts: int = 64
    api: Api | None = None
    apis: tuple[Api, ...] = ()


@dataclass(frozen=True, slots=True)
class Resource:
    """One thing on one host, ready to be compared. Hosts that should have the same thing share the same object.

    id: "KIND:NAME". spec: the kind's validated `Spec`. desired: plain values to compare, None when it must be absent.
    content: the rendered bytes of the kinds that carry some. needs: declared edges, by id.
    secrets: tokens (model/sealed.py) of the secrets that stand in it; what they stand for comes with the transport.
    sensitive: nothing of it is shown at all.
    watches: action → ids whose change makes it due, e.g. {"reload": ("file:/etc/nginx/nginx.conf",)}.
    node: the merged configuration with its Origin chain, for `explain`. digest: hex sha256 of all but node and origin.
    """

    id: str
    kind: str
    name: str
    spec: Any
    desired: State | None
    content: bytes | None = field(default=None, repr=False)
    needs: tuple[str, ...] = ()
    watches: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    drift: Drift = "correct"
    sensitive: bool = False
    secrets: tuple[str, ...] = ()
    role: str = ""
    origin: Origin = field(default=Origin(""), compare=False)
    node: Node | None = field(default=None, compare=False, repr=False)
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Graph:
    """Dependencies of one host's resources; shared by all hosts of the same shape.

    order: every id, each after all it needs. needs: id → ids that must be right first (declared and automatic).
    wave: id → 0 for what needs nothing, else one more than the latest of its needs.
    """

    order: tuple[str, ...]
    needs: Mapping[str, tuple[str, ...]]
    wave: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class HostSpec:
    """Everything one host should be. The same commit compiles to the same bytes, so to the same digest.

    resources: in `graph.order`. variables: the host's merged variables, for `show` and `explain`.
    uses_facts: some template reads `facts`; until the first probe gathered them, those resources are left out.
    secrets: where the secrets that its resources hold are to be had, by name.
    """

    name: str
    environment: str
    target: Target
    roles: tuple[str, ...]
    labels: Mapping[str, str]
    resources: tuple[Resource, ...]
    graph: Graph
    digest: str
    uses_facts: bool = False
    origin: Origin = field(default=Origin(""), compare=False)
    secrets: tuple[SecretSource, ...] = ()

    @property
    def label(self) -> str:
        """Unique among all environments: "ENVIRONMENT/NAME"."""
        return f"{self.environment}/{self.name}"

    def resource(self, resource_id: str) -> Resource | None:
        return next((r for r in self.resources if r.id == resource_id), None)
