"""`fleet secrets set`, `edit` and `rotate`: SOPS files of the working tree, changed and left for you to commit."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fleet.cli import completion
from fleet.cli.answer import Answer
from fleet.cli.opening import near, open_app
from fleet.cli.options import Invocation
from fleet.cli.options import command as fleet_command
from fleet.cli.printable import one_line
from fleet.cli.words import count
from fleet.errors import SecretError, UsageError

if TYPE_CHECKING:
    from fleet.app import App
    from fleet.desired.load import Loaded
    from fleet.desired.sops import Entry, SecretFile
    from fleet.secrets.files import Sops

_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")  # it becomes part of a file's name
layer_option = click.option(
    "-e", "--env", "layer", metavar="ENV", required=True, shell_complete=completion.environments,
    help="The environment (or base) whose secrets these are.",
)  # fmt: skip
host_option = click.option("--host", default="", metavar="HOST", help="Only for this host, over the environment's.")


@fleet_command(
    "set",
    examples=(
        ("fleet secrets set db.password -e dev", "asks for the value, which is not shown"),
        ("openssl rand -hex 32 | fleet secrets set session.key -e production", "from a program"),
    ),
)
@click.argument("name")
@layer_option
@host_option
@click.pass_obj
def set_(invocation: Invocation, name: str, layer: str, host: str) -> Answer:
    """Encrypt one value into a layer's secrets file. The value is read from standard input, or asked for.

    One newline at its end is taken off. Who can read a new file is what .sops.yaml says.
    """
    from fleet.desired.yaml import SECRET_NAME

    if not SECRET_NAME.match(name):
        raise UsageError(f"{name!r} cannot be the name of a secret: letters, digits, dots, dashes and underscores")
    if host and not _HOST.match(host):
        raise UsageError(f"{host!r} cannot be the name of a host")
    if sys.stdin.isatty():  # a person hears of a mistake before being asked for a value
        _load(invocation, layer, host)
    value = _value(name)
    app, loaded = _open(invocation, layer, host)
    file, entry = _find(loaded, layer, host, name)
    if listed := _list_of(file, name):
        can = f"fleet secrets edit -e {layer}{f' --host {host}' if host else ''}"
        raise UsageError(f"`{listed}` is a list, whose items sops cannot set by themselves; change it with: {can}")
    path = _path(app, layer, host) if file is None else _root(app) / file.path
    anew = file is None or file.format == "binary"
    work = replace(_sops(app, loaded, layer, path, file, anew), accept=_encrypts(path, name))
    if file is not None and file.format == "binary":
        work.create(value)
    elif path.exists():
        fresh = (name,) if work.format == "dotenv" else tuple(name.split("."))
        work.set(fresh if entry is None else entry.keys, _text(value, name), fresh=entry is None)
    else:
        document: Any = _text(value, name)
        for key in reversed(name.split(".")):
            document = {key: document}
        work.create(json.dumps(document).encode())
    return _written(app, path)


@fleet_command("edit", examples=(("fleet secrets edit -e dev", "the secrets of dev in $EDITOR"),))
@layer_option
@host_option
@click.pass_obj
def edit(invocation: Invocation, layer: str, host: str) -> Answer:
    """Open a layer's secrets in your editor ($VISUAL, $EDITOR). The plain text is in memory only, and gone with the
    editor, however that ends."""
    app, loaded = _open(invocation, layer, host)
    files = [one for one in loaded.layers[layer].secrets.values() if one.host == host and one.format != "binary"]
    if not files:
        again = f" --host {host}" if host else ""
        raise UsageError(f"{layer} has no such file yet; make it with: fleet secrets set NAME -e {layer}{again}")
    if len(files) > 1:
        names = ", ".join(one.path for one in files)
        raise UsageError(f"there are several: {names}; edit one of them with: sops edit environments/FILE")
    path = _root(app) / files[0].path
    if not _sops(app, loaded, layer, path, files[0]).edit():
        return Answer("nothing was changed", {"written": []})
    return _written(app, path)


@fleet_command("rotate", examples=(("fleet secrets rotate -e dev", "after somebody left, and .sops.yaml says so"),))
@layer_option
@click.pass_obj
def rotate(invocation: Invocation, layer: str) -> Answer:
    """Encrypt all files of a layer anew, with fresh keys and for whom .sops.yaml says now.

    Whoever could read them before still knows the values: change those too, with `set`.
    """
    app, loaded = _open(invocation, layer)
    files = sorted(loaded.layers[layer].secrets.values(), key=lambda one: one.path)
    if not files:
        raise UsageError(f"{layer} has no secrets")
    for file in files:
        _sops(app, loaded, layer, _root(app) / file.path, file, anew=True).rotate()
    return _written(app, *(_root(app) / file.path for file in files))


@fleet_command("keygen", examples=(("fleet secrets keygen -e dev", "an identity for dev, and a rule for its files"),))
@layer_option
@click.pass_obj
def keygen(invocation: Invocation, layer: str) -> Answer:
    """Make an environment's age identity, where there is none, and let it read that environment's files and base's.

    The identity stays on this machine, readable for you alone; give it to the controller, and keep a copy where a lost
    disk cannot take it. Only .sops.yaml, with its public half, belongs into the repository.
    """
    from fleet.secrets.keys import CONFIG, allow, identity

    app, loaded = _open(invocation, layer)
    if layer == "base":
        raise UsageError("base has no hosts, so no key of its own: every environment's key reads it")
    path = app.settings.age_dir / f"{layer}.txt"
    recipient, made = identity(path)
    changed = allow(app.settings.repository, (layer, "base"), recipient)
    lines = [f"{'wrote' if made else 'there already:'} {one_line(str(path))}", f"public key {recipient}"]
    lines += [f"wrote {CONFIG}; commit it"] if changed else []
    if loaded.layers[layer].secrets and changed:
        lines.append(f"files that are there keep their readers until: fleet secrets rotate -e {layer}")
    return Answer("\n".join(lines), {"identity": str(path), "recipient": recipient, "made": made})


COMMANDS = (keygen, set_, edit, rotate)


def _open(invocation: Invocation, layer: str, host: str = "") -> tuple[App, Loaded]:
    """The files as they are on disk now: these commands change them, and until the command ends no other one does."""
    from fleet.secrets.files import alone

    app = open_app(invocation)
    if _root(app).is_dir():
        click.get_current_context().with_resource(alone(_root(app)))
    return _load(invocation, layer, host)


def _load(invocation: Invocation, layer: str, host: str = "") -> tuple[App, Loaded]:
    from fleet.desired.inventory import host_names
    from fleet.desired.load import load
    from fleet.desired.source import open_working_tree

    app = open_app(invocation)
    loaded = load(open_working_tree(app.settings.repository), app.kinds)
    if layer not in loaded.layers:
        raise UsageError(f"there is no directory environments/{layer}{near(layer, loaded.layers)}")
    known = host_names(loaded.layers[layer])
    if host and host not in known:
        raise UsageError(f"there is no host {host!r} in {layer}{near(host, known)}")
    return app, loaded


def _find(loaded: Loaded, layer: str, host: str, name: str) -> tuple[SecretFile | None, Entry | None]:
    """Where a name is to be written: the file that has it, or the first that could."""
    files = [one for _, one in sorted(loaded.layers[layer].secrets.items()) if one.host == host]
    for file in files:
        if name in file.entries:
            return file, file.entries[name]
    able = [one for one in files if one.format != "binary"]
    taken = [one for file in able for one in file.entries if one.startswith(name + ".") or name.startswith(one + ".")]
    if taken:
        raise UsageError(f"`{taken[0]}` is there already, so `{name}` cannot be: a map is no value")
    return (able[0], None) if able else (None, None)


def _list_of(file: SecretFile | None, name: str) -> str:
    """The list in a file that `name` would be in."""
    from fleet.desired.sops import Place

    for keys in (entry.keys for entry in file.entries.values()) if file is not None else ():
        for number, key in enumerate(keys):
            parent = ".".join(keys[:number])
            if isinstance(key, Place) and name.startswith(f"{parent}."):
                return parent
    return ""


def _sops(app: App, loaded: Loaded, layer: str, path: Path, file: SecretFile | None, anew: bool = False) -> Sops:
    """sops with the keys of the layer: of base, those of any environment that are here. anew: for whom .sops.yaml says,
    which may name key services as well."""
    from fleet.secrets.files import Sops
    from fleet.secrets.keys import services

    below = (one for one in (path, *path.parents) if _root(app) in one.parents)
    if link := next((one for one in below if one.is_symlink()), None):
        raise SecretError(f"{link} is a symlink, which fleet does not read; put the real one there")
    if file is None and path.exists():
        raise SecretError(f"{path} cannot be read as a SOPS file; why, says: fleet validate --working-tree")
    format_ = "yaml" if file is None else file.format
    names = (layer, *sorted(set(loaded.layers) - {layer})) if layer == "base" else (layer,)
    owner = next((name for name in names if app.identities.file(name) is not None), "")
    asked = (*(() if file is None else file.services), *(services(path) if anew else ()))
    remote = app.identities.asks(path.relative_to(_root(app)).as_posix(), asked)
    return Sops(path, format_, app.identities.child_environment(owner, remote), app.identities.keyring)


def _encrypts(path: Path, name: str) -> Callable[[bytes], None]:
    """Looks at a file before it is written: whether the secret called `name` is encrypted in it."""
    from fleet.desired.sops import read

    def accept(content: bytes) -> None:
        if name not in read(str(path), "", content, []).entries:
            message = f"sops leaves `{name}` in plain text here, so nothing was written"
            raise SecretError(f"{message}: its name, or a rule such as encrypted_regex in .sops.yaml, says so")

    return accept


def _root(app: App) -> Path:
    return app.settings.repository / "environments"


def _path(app: App, layer: str, host: str) -> Path:
    return _root(app) / layer / (f"hosts/{host}.secrets.sops.yaml" if host else "secrets.sops.yaml")


def _value(name: str) -> bytes:
    if sys.stdin.isatty():
        said: str = click.prompt(f"value of {name}", hide_input=True, confirmation_prompt="once more", err=True)
        return said.encode()
    value = sys.stdin.buffer.read().removesuffix(b"\n")
    if not value:
        raise UsageError("standard input has no value: pipe one in, or call this on a terminal to be asked for it")
    return value


def _text(value: bytes, name: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        hint = (
            f"encrypt a file of its own: sops encrypt --input-type binary FILE > environments/ENV/secrets/{name}.sops"
        )
        raise SecretError(f"the value is not UTF-8 text; {hint}") from None


def _written(app: App, *paths: Path) -> Answer:
    names = [str(path.relative_to(app.settings.repository)) for path in paths]
    said = names[0] if len(names) == 1 else count(len(names), "file")
    return Answer(f"wrote {one_line(said)}; commit it", {"written": names})
