"""How an API is reached and logged in to, as far as its OpenAPI document says: words for people."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from fleet.desired.openapi import Document, Place, one_line


def login(document: Document) -> str:
    """Two lines at most; "" when nothing is said of it. Raises ConfigError."""
    path = _path(document)
    lines = [f"The API's url ends with {path}"] if path else []
    schemes = document.get(document.root, "components", "securitySchemes")
    ways = list(dict.fromkeys(way for _, one in document.members(schemes) for way in _ways(document, one)))
    if ways:
        lines.append("Its login: " + ", or ".join(ways))
    return "\n".join(lines)


def _path(document: Document) -> str:
    servers = document.root.value.get("servers")
    first = servers[0] if isinstance(servers, list) and servers else {}
    url = first.get("url") if isinstance(first, dict) else None
    try:
        return one_line(urlsplit(url).path.rstrip("/")) if isinstance(url, str) else ""
    except ValueError:
        return ""


def _ways(document: Document, scheme: Place) -> Iterator[str]:
    type_, how = document.text(scheme, "type"), document.text(scheme, "scheme").lower()
    if type_ == "http" and how in ("bearer", "basic"):
        yield (
            "`auth: {bearer: !secret ...}`"
            if how == "bearer"
            else "`auth: {basic: {user: ..., password: !secret ...}}`"
        )
    elif type_ == "apiKey" and document.text(scheme, "in") == "header":
        yield "`auth: {header: {" + document.text(scheme, "name") + ": !secret ...}}`"
    elif type_ == "oauth2":
        url = document.text(scheme, "flows", "clientCredentials", "tokenUrl")
        if url:
            yield "`auth: {oauth2: {token_url: " + url + ", client_id: ..., client_secret: !secret ...}}`"
