"""What is said of an HTTP API, in a `connection` of `type: http` or under `apis:` → `Api`. Checked after rendering."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

from fleet.desired.check import near
from fleet.desired.format import API
from fleet.desired.scope import View
from fleet.desired.secrets import Secrets
from fleet.desired.wrong import Wrong
from fleet.errors import Origin, Problem
from fleet.model import sealed
from fleet.model.api import Api, Auth, Login, Tls
from fleet.model.host import HostSpec, Resource
from fleet.model.kind import Kind
from fleet.model.value import Node, children, member

SESSIONS = "/redfish/v1/SessionService/Sessions"
DEADLINE = 3600.0  # seconds for all requests of a batch; each has a time of its own
SECRET = ("auth", "headers", "tls")
_NEEDED: Mapping[Login, tuple[str, ...]] = {
    "basic": ("user", "password"),
    "session": ("user", "password"),
    "oauth2": ("token_url", "client_id", "client_secret"),
}
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+\Z")  # RFC 9110, §5.1
_PIN = re.compile(r"[0-9a-f]{64}\Z")


def api(node: Node | None, view: View, name: str, origin: Origin) -> Api:
    """name: under `apis:`, or "". Its secrets are tokens still, and `Api.secrets` is empty. Raises Wrong."""
    said = {key: child for key, child in children(node).items() if key in API and child.value is not None}
    values = {key: view.render(child) for key, child in said.items()}
    if "url" not in values:
        raise Wrong(Problem(origin, "an API without a `url`", "url: https://api.example.org/v1"))
    found: dict[str, Any] = {"environment": view.host["environment"], "name": name, "concurrency": 8}
    for key, value in values.items():
        read = _READERS[key]
        if key not in SECRET and sealed.holds(value):
            raise Wrong(
                Problem(said[key].origin, f"a secret cannot stand in `{key}`", "secrets only in " + ", ".join(SECRET))
            )
        try:
            found |= read(value, view)
        except ValueError as error:
            what = f"`{key}` of the API is not right" if name else f"`{key}` of the connection is not right"
            raise Wrong(Problem(said[key].origin, what, str(error))) from error
    _secure(found, said)
    return Api(**found)


def named(resources: Iterable[Resource], settings: Node, view: View) -> tuple[Api, ...]:
    """The APIs that a host's resources name. settings: the environment's. Raises Wrong."""
    known = children(member(settings, "apis"))
    found: dict[str, Api] = {}
    for one in resources:
        name = getattr(one.spec, "api", "")
        if not name or name in found:
            continue
        if name not in known:
            expected, hint = "a name under `apis:` of environment.yaml", near(name, known)
            raise Wrong(Problem(one.origin, f"{one.id}: there is no API `{name}`", expected, hint))
        node = known[name]
        found[name] = with_secrets(api(node, view, name, node.key or node.origin), view)
    return tuple(found.values())


def misplaced(spec: HostSpec, kinds: Mapping[str, Kind]) -> Iterator[Problem]:
    """Resources that need a shell where there is an API only, and the other way round."""
    for one in spec.resources:
        kind = kinds[one.kind]
        if kind.over == "shell" and spec.target.type == "http":
            yield Problem(one.origin, f"{one.id} needs a shell, and {spec.name} is an API", "a host that is no API")
        if kind.over == "api" and not one.spec.api and spec.target.type != "http":
            expected = "`api: NAME`, a name under `apis:`, or a host with `type: http`"
            yield Problem(one.origin, f"{one.id} does not say which API it is in", expected)
        asked = (i for ids in one.watches.values() for i in ids)
        for other in asked if kind.over == "shell" else ():
            found = spec.resource(other)
            if found is not None and kinds[found.kind].over == "api":
                message = f"{one.id} cannot wait for a change of {other}, which is not on the host"
                yield Problem(one.origin, message, "a resource of the host itself")


def with_secrets(api: Api, view: View) -> Api:
    """The same with where its secrets are to be had."""
    secrets = view.around.secrets or Secrets()
    return replace(api, secrets=secrets.sources(view.host["name"], [sealed.secrets_of(*api.texts())]))


def _secure(found: Mapping[str, Any], said: Mapping[str, Node]) -> None:
    """Passwords do not travel in the clear, but on this machine."""
    if urlsplit(found["url"]).scheme == "http" and "tls" in said:
        raise Wrong(Problem(said["tls"].origin, "`tls` for an API that is reached by http", "an https url"))
    token_url = dict(found["auth"].values).get("token_url", "") if "auth" in found else ""
    secret = [key for key in ("auth", "headers") if key in said and (key == "auth" or sealed.holds(found[key]))]
    for key in secret:
        if _in_the_clear(found["url"]) or (key == "auth" and token_url and _in_the_clear(token_url)):
            message = f"the secret in `{key}` would travel in the clear"
            raise Wrong(Problem(said[key].origin, message, "an https url; http only to this machine itself"))


def _in_the_clear(url: str) -> bool:
    parts = urlsplit(url)
    try:
        near_by = ip_address(parts.hostname or "").is_loopback
    except ValueError:
        near_by = parts.hostname == "localhost"
    return parts.scheme == "http" and not near_by


def _url(value: Any, view: View) -> dict[str, Any]:
    parts = urlsplit(_text(value))
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("http or https, a host, and perhaps a path: https://api.example.org/v1")
    if parts.username or parts.password:
        raise ValueError("no user or password here; those go to `auth: {basic: {user, password}}`")
    try:
        _ = parts.port
    except ValueError:
        raise ValueError("a port from 1 to 65535 after the host, or none") from None
    return {"url": _text(value).rstrip("/")}


def _auth(value: Any, view: View) -> dict[str, Any]:
    types: list[Any] = [key for key in _map(value) if value[key] is not None]
    if len(types) != 1:
        raise ValueError(f"exactly one of {', '.join(API['auth'].keys)}")
    type_: Login = types[0]
    if type_ == "bearer":
        return {"auth": Auth(type_, (("token", _word(value[type_])),))}
    given = {key: _word(inner) for key, inner in _map(value[type_]).items()}
    if type_ == "header":
        _header_names(given)
        return {"auth": Auth(type_, tuple(given.items()))}
    missing = [key for key in _NEEDED[type_] if key not in given]
    if missing:
        raise ValueError(f"{type_} with {', '.join(_NEEDED[type_])}; `{missing[0]}` is missing")
    if type_ == "session":
        given.setdefault("path", SESSIONS)
        if not given["path"].startswith("/"):
            raise ValueError("a `path` below the url, beginning with /")
    if type_ == "oauth2":
        if sealed.holds(given["token_url"]):
            raise ValueError("no secret in `token_url`")
        _url(given["token_url"], view)
    return {"auth": Auth(type_, tuple(given.items()))}


def _tls(value: Any, view: View) -> dict[str, Any]:
    given = _map(value)
    texts = {key: _file(given[key], view) for key in ("ca", "certificate") if key in given}
    key = _text(given["key"]) if "key" in given else ""
    if bool(texts.get("certificate")) != bool(key):
        raise ValueError("`certificate` and `key` together")
    pins = given.get("pin", [])
    pins = [_text(one).replace(":", "").lower() for one in (pins if isinstance(pins, list) else [pins])]
    if not all(map(_PIN.match, pins)) or ("pin" in given and not pins):
        raise ValueError("a pin is the hex sha256 of the certificate: openssl x509 -noout -fingerprint -sha256")
    return {"tls": Tls(key=key, pins=tuple(pins), **texts)}


def _file(name: Any, view: View) -> str:
    try:
        return view.file(_text(name))[1].decode()
    except KeyError:
        close = near(str(name), view.around.files)
        raise ValueError(f"a path below files/; there is no {name!r}" + (f", {close}" if close else "")) from None
    except UnicodeDecodeError:
        raise ValueError(f"PEM text; {name} is none") from None


def _headers(value: Any, view: View) -> dict[str, Any]:
    given = {key: _word(inner) for key, inner in _map(value).items()}
    _header_names(given)
    return {"headers": tuple(given.items())}


def _header_names(given: Mapping[str, str]) -> None:
    for name in given:
        if not _NAME.match(name) or name.lower() in ("host", "content-length", "transfer-encoding", "connection"):
            raise ValueError(f"the name of a header; {name!r} cannot be one of ours")


def _networks(value: Any, view: View) -> dict[str, Any]:
    return {"networks": tuple(map(_network, _list(value)))}


def _network(value: Any) -> str:
    try:
        return str(ip_network(_text(value)))
    except ValueError:
        raise ValueError(
            f"networks such as 127.0.0.0/8, of which all bits behind the / are 0; {value} is none"
        ) from None


def _redirects(value: Any, view: View) -> dict[str, Any]:
    return {"redirects": tuple(_text(one).lower() for one in _list(value))}


def _number(key: str, least: float, whole: bool = False) -> Any:
    def read(value: Any, view: View) -> dict[str, Any]:
        fits = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
        if not fits or not least <= value < 1e9:
            raise ValueError(f"a {'whole number' if whole else 'number'}, at least {least:g}")
        return {key: value if whole else float(value)}

    return read


_READERS: Mapping[str, Any] = {
    "url": _url, "auth": _auth, "headers": _headers, "tls": _tls, "networks": _networks, "redirects": _redirects,
    "rate": _number("rate", 0), "burst": _number("burst", 1), "concurrency": _number("concurrency", 0, whole=True),
    "timeout": _number("timeout", 0.001), "retry": _number("tries", 1, whole=True),
}  # fmt: skip


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("text")
    return value


def _word(value: Any) -> str:
    """For a header: nothing that could end it. Numbers are as they are written."""
    text = str(value) if isinstance(value, int | float) and not isinstance(value, bool) else _text(value)
    if any(ord(c) < 32 or ord(c) == 127 for c in text):
        raise ValueError("text without control characters")
    return text


def _map(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        raise ValueError("a map that is not empty")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("a list")
    return value
