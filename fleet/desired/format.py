"""The format of environments/, once: what `load` checks and what the JSON Schema says are both made from this.

A Shape describes one value. Scalars may always be templates, so their types are checked after rendering, by `compile`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from fleet.desired.lazily import Lazily
from fleet.model.kind import Kind

Is = Literal["map", "list", "text", "flag", "number", "any"]


@dataclass(frozen=True, slots=True)
class Shape:
    """What may stand somewhere. keys: the known keys of a map; each: the shape of a map's free keys or a list's items.

    choices: the words allowed. schema: JSON Schema of its own (an attribute of a kind). secret: `!secret` may stand
    here, or further in.
    """

    type: Is
    doc: str = ""
    keys: Mapping[str, Shape] = field(default_factory=dict)
    each: Shape | None = None
    choices: tuple[str, ...] = ()
    schema: Mapping[str, Any] | None = None
    noun: str = "key"
    secret: bool = False


TEXT, NUMBER, FLAG, ANY = Shape("text"), Shape("number"), Shape("flag"), Shape("any")


def text(doc: str, *choices: str) -> Shape:
    return Shape("text", doc, choices=choices)


SECRET_TEXT = Shape("text", secret=True)


def secret_text(doc: str) -> Shape:
    return Shape("text", doc, secret=True)


USER = text("Login name.")
PASSWORD = secret_text("Its password, a secret.")
API = {
    "url": text("Root of the API, http or https."),
    "auth": Shape(
        "map",
        "How requests say who asks; one of these.",
        {
            "bearer": secret_text("A token for the Authorization header."),
            "basic": Shape("map", "User and password.", {"user": USER, "password": PASSWORD}),
            "header": Shape("map", "A header of the API's own, such as X-API-Key.", each=SECRET_TEXT),
            "oauth2": Shape(
                "map",
                "OAuth2 client credentials; the token is fetched, and renewed in time.",
                {
                    "token_url": text("Where tokens are had."),
                    "client_id": text("Who asks."),
                    "client_secret": secret_text("Its secret."),
                    "scope": text("What is asked for."),
                    "audience": text("For which service, where the issuer wants to know."),
                },
            ),
            "session": Shape(
                "map",
                "A login that gives X-Auth-Token, as Redfish has it.",
                {
                    "path": text("Below the url, /redfish/v1/SessionService/Sessions unless said."),
                    "user": USER,
                    "password": PASSWORD,
                },
            ),
        },
    ),
    "headers": Shape("map", "Headers of every request.", each=SECRET_TEXT),
    "tls": Shape(
        "map",
        "What the server's certificate must be like, and our own.",
        {
            "ca": text("A file below files/ with the authorities to trust instead of the system's (PEM)."),
            "certificate": text("A file below files/ with our certificate (PEM)."),
            "key": secret_text("The key of that certificate (PEM), a secret."),
            "pin": Shape("any", "Hex sha256 of the server's certificate (DER), or a list of them."),
        },
    ),
    "networks": Shape("list", "Loopback and link-local networks that it may be in; none unless said.", each=TEXT),
    "redirects": Shape("list", "Hosts that it may send us on to; none unless said.", each=TEXT),
    "rate": Shape("number", "Requests a second of this environment; no limit unless said."),
    "burst": Shape("number", "Requests at once after a rest, 1 unless said."),
    "concurrency": Shape("number", "Requests at a time; 8 unless said, 0 for no limit."),
    "timeout": Shape("number", "Seconds: one script on a host may take 300, one request 30 unless said."),
    "retry": Shape("number", "Tries of a request that may be repeated, 4 unless said."),
}
CONNECTION = Shape(
    "map",
    "How hosts are reached.",
    {
        "type": text("ssh, http for an API, or local for this machine.", "ssh", "http", "local"),
        "address": text("Name or address; the host's own `address` is usual."),
        "port": Shape("number", "TCP port, 22 unless said."),
        "user": text("Login name, root unless said."),
        "become": text("How to become root after the login.", "none", "sudo", "doas"),
        "key_file": text("Private key; exactly this one is offered."),
        "certificate_file": text("OpenSSH certificate for that key."),
        "agent": Shape("flag", "Use the ssh agent when no key_file is named."),
        "ssh_config": Shape("flag", "Honour the user's ~/.ssh/config."),
        "via": text("A host of the same environment that is the bastion."),
        "connect_timeout": Shape("number", "Seconds to connect and log in, 10 unless said."),
        "keepalive": Shape("number", "Seconds between keepalives, 15 unless said."),
        "output_limit": Shape("number", "Bytes of output kept of one script or answer; 4 MiB, 16 MiB unless said."),
        "handshakes": Shape("number", "Logins under way at once in this environment, 32 unless said."),
        "scripts": Shape("number", "Scripts running at once in this environment, 64 unless said."),
        **API,
    },
)
APIS = Shape("map", "APIs that resources of hosts may name as `api`.", each=Shape("map", "An API.", API), noun="API")
VARS = Shape("map", "Variables, by name.", each=Shape("any", secret=True))
SECRETS = Shape(
    "map",
    "About the SOPS files of this layer.",
    {"shared_recipients": Shape("list", "Keys that may read several environments: people's, a spare one.", each=TEXT)},
)
LABELS = Shape("map", "Labels that roles match, by name.", each=TEXT)
DRIFT = text("What happens when a host moved and Git did not.", "correct", "report")
ROLLOUT = Shape(
    "map",
    "How a new revision comes to the hosts; obeyed by `fleet serve`.",
    {
        "waves": Shape("list", "Hosts that have it after each wave, [1, 10%, 100%] unless said.", each=TEXT),
        "max_failed": text("So many hosts, or 5% of the environment's, may fail; one more stops it. 2% unless said."),
        "max_unreachable": text("The same of hosts that cannot be reached; 10% unless said."),
        "pause": text("Time between two waves, such as 30s or 5m; none unless said."),
        "stable_for": text("Time that a wave must stay right before the next; none unless said."),
        "approval": Shape("flag", "Each revision waits until somebody says `fleet approve`; no unless said."),
        "order": text("A label: hosts take their turn by its value, then by name; those without it come last."),
    },
)
WINDOW = Shape(
    "map",
    "A change window.",
    {
        "cron": text('When it opens: minute hour day month weekday, such as "0 22 * * 1-5".'),
        "duration": text("How long it stays open, such as 4h."),
        "timezone": text("Time zone of `cron`, such as Europe/Berlin; UTC unless said."),
    },
)
WINDOWS = Shape("map", "When changes may start, by name; always unless said.", each=WINDOW, noun="window")
MATCH = Shape("map", "Labels a host must have; a list means any of these.", each=ANY)
ROLES = Shape(
    "map",
    "Which hosts get which role.",
    each=Shape("map", "Empty for every host.", {"match": MATCH}),
    noun="role",
)
HOST_KEYS = {
    "address": text("Name or address to connect to; the host's name unless said."),
    "labels": LABELS,
    "vars": VARS,
    "connection": CONNECTION,
}
CASE = Shape(
    "map",
    "A resource, what the server says of it, and what apply sends then.",
    {
        "spec": Shape("map", "NAME: {attributes}.", each=ANY),
        "server": Shape("map", "The answer to a read: status, headers, body; elsewhere: the same by path.", each=ANY),
        "expect": Shape("any", "in sync, waiting, unreadable, refused; or a list of {method, path, body}."),
    },
)
PROFILE = Shape(
    "map",
    "profiles/NAME.yaml: a kind of object behind an API.",
    {
        "doc": text("What it is; the first line stands in lists."),
        "example": text("A resource of this kind, for people."),
        "name": Shape(
            "map",
            "How its resources are called.",
            {
                "pattern": text("Regular expression (Python's); named groups are variables of `object`."),
                "expected": text("The same in words."),
            },
        ),
        "attributes": Shape("map", "Attribute → JSON Schema: type, description, default, enum, writeOnly, …", each=ANY),
        "required": Shape("list", "Attributes that must be said.", each=TEXT),
        "required_when_present": Shape("list", "Those that must be said unless it is absent.", each=TEXT),
        "owns": Shape("list", "Claims beside KIND:NAME, in which attributes may stand.", each=TEXT),
        "needs": Shape("list", "Claims, such as KIND:NAME, that must be right first.", each=TEXT),
        "object": Shape("map", "Attributes of an http_object; `{{ NAME }}` is an attribute of this kind.", each=ANY),
        "cases": Shape("map", "What it does, by example; played by `fleet profiles check`.", each=CASE, noun="case"),
    },
)
GENERAL = {
    "needs": Shape("list", "Ids of resources that must be right before this one.", each=TEXT),
    "drift": DRIFT,
}
REACTIONS = {
    "service": {
        "reload_on": Shape("list", "Reload after any of these resources changed.", each=TEXT),
        "restart_on": Shape("list", "Restart after any of these resources changed.", each=TEXT),
    },
    "command": {"only_on": Shape("list", "Run only after one of these resources changed.", each=TEXT)},
}


def resources(kinds: Mapping[str, Kind]) -> Shape:
    """KIND → NAME → attributes; attributes come from the kinds' Specs."""
    keys = Lazily(kinds, lambda name: _kind(kinds[name]))
    return Shape("map", "What should be on the host.", keys, noun="kind")


def _kind(kind: Kind) -> Shape:
    properties = kind.Spec.model_json_schema(ref_template=f"#/$defs/{kind.name}.{{model}}").get("properties", {})
    attributes = {name: _attribute(about) for name, about in properties.items()}
    attributes |= GENERAL | REACTIONS.get(kind.name, {})
    return Shape("map", kind.doc, each=Shape("map", kind.doc, attributes, noun="attribute"), noun=kind.name)


def _attribute(schema: Mapping[str, Any]) -> Shape:
    types = {schema.get("type")} | {one.get("type") for one in schema.get("anyOf", ())}
    is_: Is = "list" if types <= {"array", "null", None} and "array" in types else "any"
    return Shape(is_, schema.get("description", ""), schema=schema, secret=True)


def documents(kinds: Mapping[str, Kind]) -> dict[str, Shape]:
    """The sorts of file."""
    role = {"vars": VARS, "resources": resources(kinds), "drift": DRIFT}
    return {
        "environment": Shape(
            "map",
            "environment.yaml: variables and settings of one layer.",
            {
                "extends": text("The layer this one adds to; base unless said."),
                "vars": VARS,
                "roles": ROLES,
                "connection": CONNECTION,
                "apis": APIS,
                "drift": DRIFT,
                "secrets": SECRETS,
                "rollout": ROLLOUT,
                "windows": WINDOWS,
                "sweep": text("How often `fleet serve` looks at each host, 60s unless said, at least 1s."),
            },
        ),
        "hosts": Shape(
            "map",
            "hosts.yaml: the hosts of one environment.",
            {"hosts": Shape("map", "Hosts by name or range.", each=Shape("map", "A host.", HOST_KEYS), noun="host")},
        ),
        "role": Shape("map", "roles/NAME.yaml: a bundle of resources and default variables.", role),
        "profile": PROFILE,
        "overlay": Shape("map", "hosts/NAME.yaml: what only this host has.", role | HOST_KEYS),
    }
