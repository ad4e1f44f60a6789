"""Settings of the process, as opposed to those of the fleet, which stand in the repository.

The first that says something wins: a flag, the environment (`FLEET_NAME`), the user's file
($XDG_CONFIG_HOME/fleet/config.yaml), the system's (/etc/fleet/config.yaml), the default. Both files are maps of the
names below. What is wrong is told with the variable's name, or with file and line.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from fleet.errors import ConfigError, Origin, Problem, UsageError
from fleet.model.key_service import KeyServices

PREFIX = "FLEET_"
SYSTEM_FILE = Path("/etc/fleet/config.yaml")


def _directory(systemd: str, xdg: str, fallback: str) -> Path:
    """Where systemd says, else where the desktop's rules say; a relative XDG path is to be ignored, as they demand."""
    given = os.environ.get(systemd, "").partition(":")[0]
    if given:
        return Path(given)
    return _xdg(xdg, fallback) / "fleet"


def _xdg(variable: str, fallback: str) -> Path:
    base = Path(os.environ.get(variable, ""))
    if base.is_absolute():
        return base
    try:
        return Path.home() / fallback
    except RuntimeError:
        raise UsageError(f"there is no home directory to keep files in: set HOME, or {variable}") from None


def _state_dir() -> Path:
    return _directory("STATE_DIRECTORY", "XDG_STATE_HOME", ".local/state")


def _cache_dir() -> Path:
    return _directory("CACHE_DIRECTORY", "XDG_CACHE_HOME", ".cache")


def _credential(name: str) -> Callable[[], Path | None]:
    """What systemd gave to the service (systemd.exec(5), LoadCredential=)."""

    def found() -> Path | None:
        given = os.environ.get("CREDENTIALS_DIRECTORY")
        path = Path(given) / name if given else None
        return path if path is not None and path.is_file() and path.read_bytes().strip() else None

    return found


def _socket() -> Path:
    """systemd's own, else the user's, else beside the record."""
    given = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    if given:
        return Path(given) / "fleet.sock"
    user = Path(os.environ.get("XDG_RUNTIME_DIR", ""))
    return (user / "fleet" if user.is_absolute() else _state_dir()) / "fleet.sock"


def _whole(path: Path) -> Path:
    return path.expanduser().absolute()


def _checked(text: str) -> str:
    KeyServices.parse(text)
    return text


def _inside(text: str) -> str:
    parts = text.strip("/").split("/")
    if text and (any(one in ("", ".", "..") for one in parts) or not text.isprintable() or text.startswith(":")):
        raise ValueError("expected a directory inside the repository, such as ops/fleet")
    return "/".join(parts)


AnyPath = Annotated[Path, AfterValidator(_whole)]


class Settings(BaseSettings):
    """Raises UsageError (a flag or variable is wrong) or ConfigError (a file is)."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid")

    repository: AnyPath = Field(Path(), description="The Git repository that holds environments/.")
    state_dir: AnyPath = Field(
        default_factory=_state_dir,
        description="Where the record is. Default: $STATE_DIRECTORY, $XDG_STATE_HOME/fleet or ~/.local/state/fleet.",
    )
    cache_dir: AnyPath = Field(
        default_factory=_cache_dir,
        description="What can be made again. Default: $CACHE_DIRECTORY, $XDG_CACHE_HOME/fleet or ~/.cache/fleet.",
    )
    key_file: AnyPath | None = Field(
        default_factory=_credential("ssh_key"),
        description="SSH key offered to hosts for which the repository names none. Default: systemd's credential "
        "ssh_key, where there is one.",
    )
    age_dir: AnyPath = Field(
        default_factory=lambda: _xdg("XDG_CONFIG_HOME", ".config") / "fleet/age",
        description="Age identities, ENVIRONMENT.txt each. Default: $XDG_CONFIG_HOME/fleet/age or ~/.config/fleet/age.",
    )
    key_services: Annotated[str, AfterValidator(_checked)] = Field(
        "",
        description="Key services that SOPS files may ask: ENVIRONMENT=ADDRESS … (or an ARN or a resource id), with * "
        "for a part between dots, slashes or colons. Default: none.",
    )
    handshakes: int = Field(32, ge=1, le=1024, description="SSH handshakes at the same time, over all environments.")
    scripts: int = Field(64, ge=1, le=10_000, description="Scripts running at the same time, over all environments.")
    remote: str = Field("", description="What `fleet serve` follows: a path or URL. Default: the repository itself.")
    branch: str = Field("", description="The branch that it follows. Default: the remote's own default.")
    directory: Annotated[str, AfterValidator(_inside)] = Field(
        "", description="The directory in it that holds environments/. Default: its top, or the only one that does."
    )
    token_file: AnyPath | None = Field(None, description="A file with the token for an https remote.")
    ca_file: AnyPath | None = Field(
        None,
        description="Certificates (PEM) of the authorities that an https remote is trusted by. Default: of "
        "GIT_SSL_CAINFO, else this machine's.",
    )
    poll: float = Field(30.0, ge=1, le=86_400, description="Seconds between two questions to the remote.")
    passes: int = Field(256, ge=1, le=10_000, description="Hosts that `fleet serve` looks at or changes at once.")
    connections: int = Field(2000, ge=1, le=100_000, description="Connections that it keeps open at most.")
    socket: AnyPath = Field(
        default_factory=_socket,
        description="Where it can be asked. Default: fleet.sock in $RUNTIME_DIRECTORY, $XDG_RUNTIME_DIR/fleet or the "
        "state directory.",
    )
    retention: float = Field(90.0, ge=1, le=36_500, description="Days that the record of `fleet serve` goes back.")
    listen: str = Field(
        "", description="ADDRESS:PORT where it can be asked over TCP as well, with tokens. Default: none."
    )
    tokens_file: AnyPath | None = Field(
        None,
        description="Who may ask over TCP: lines of NAME ROLE SHA256, ROLE reader or operator, of the token in hex.",
    )
    hook_secret_file: AnyPath | None = Field(
        None,
        description="A secret a line, with which Git servers sign POST /hooks/git to say that there is something new.",
    )
    notify_file: AnyPath | None = Field(
        default_factory=_credential("notify"),
        description="Who is told of drift, failures and recovery: a YAML list of Apprise URLs, or of maps with url and "
        "any of name, events, environments, per_hour, window, remind. Default: systemd's credential notify.",
    )
    status_url: str = Field(
        "",
        description="The repository on GitHub, GitLab, Gitea or Forgejo, where each commit is shown how it fares, such "
        "as https://github.com/ORG/REPO or gitea+https://git.example.org/ORG/REPO. Default: none.",
    )
    status_token_file: AnyPath | None = Field(
        default_factory=_credential("status_token"),
        description="A file with the token for that. Default: systemd's credential status_token.",
    )
    status_link: str = Field(
        "", description="Where such a status leads; {environment} and {commit} stand for theirs. Default: nowhere."
    )
    color: Literal["auto", "always", "never"] = Field("auto", description="Colours: only on a terminal, always, never.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="What is worth a log line.")
    log_format: Literal["auto", "text", "json"] = Field(
        "auto", description="Log lines of `fleet serve`: auto is json under systemd and text elsewhere."
    )
    trace: bool = Field(False, description="After each run, say which hosts were slowest and where their time went.")

    def __init__(self, **flags: Any) -> None:
        _refuse_near_misses(os.environ, type(self).model_fields)
        try:
            super().__init__(**flags)
        except ValidationError as error:
            raise _told(error, flags) from error

    @property
    def history_file(self) -> Path:
        return self.state_dir / "history.db"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        files = (_FileSource(settings_cls, path) for path in config_files())
        return (init_settings, env_settings, *files)


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the reference: name in files, variable, default ("" when it depends), and what it is for."""

    name: str
    variable: str
    default: str
    doc: str


def reference() -> list[Setting]:
    """All settings, for the documentation."""
    return [
        Setting(name, variable(name), "" if one.default_factory else str(one.default).lower(), one.description or "")
        for name, one in Settings.model_fields.items()
    ]


def variable(name: str) -> str:
    return PREFIX + name.upper()


def config_files() -> tuple[Path, ...]:
    """The user's, then the system's; the stronger first."""
    user = os.environ.get("XDG_CONFIG_HOME") or os.environ.get("HOME")
    return (*((_xdg("XDG_CONFIG_HOME", ".config") / "fleet/config.yaml",) if user else ()), SYSTEM_FILE)


class _FileSource(PydanticBaseSettingsSource):
    """One file, read each time a Settings is made; a file that is not there says nothing."""

    def __init__(self, settings_cls: type[BaseSettings], path: Path) -> None:
        super().__init__(settings_cls)
        self._path = path

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return self().get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return {name: value for name, (value, _) in read_file(self._path, self.settings_cls.model_fields).items()}


def read_file(path: Path, known: Mapping[str, Any]) -> dict[str, tuple[Any, Origin]]:
    """name → value and where it stands. Raises ConfigError with every unknown, repeated or unreadable thing."""
    try:
        text = path.read_text("utf-8")
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
    except FileNotFoundError:
        return {}
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = Origin(str(path), mark.line + 1, mark.column + 1) if mark else Origin(str(path))
        raise ConfigError([Problem(place, f"this is not YAML: {error.problem}")]) from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError([Problem(Origin(str(path)), f"cannot be read: {error}")]) from error
    if root is None:
        return {}
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError([Problem(_origin(path, root), "settings are a map", expected="`name: value` lines")])
    return _settings(path, root, known)


def _settings(path: Path, root: yaml.MappingNode, known: Mapping[str, Any]) -> dict[str, tuple[Any, Origin]]:
    found: dict[str, tuple[Any, Origin]] = {}
    problems = []
    for key, node in root.value:
        name, place = str(key.value), _origin(path, key)
        if name not in known:
            problems.append(
                Problem(place, f"unknown setting `{name}`", expected=", ".join(known), hint=_near(name, known))
            )
        elif name in found:
            problems.append(Problem(place, f"`{name}` stands here twice", also=(found[name][1],)))
        elif not isinstance(node, yaml.ScalarNode):
            problems.append(Problem(_origin(path, node), f"`{name}` is one value", expected=f"{name}: value"))
        elif node.tag != "tag:yaml.org,2002:null":
            found[name] = (node.value, place)  # as text, like the environment's: one way of reading values
    if problems:
        raise ConfigError(problems)
    return found


def _origin(path: Path, node: yaml.Node) -> Origin:
    return Origin(str(path), node.start_mark.line + 1, node.start_mark.column + 1)


def _near(name: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(name.lower().replace("-", "_"), known, n=1)
    return f"did you mean `{close[0]}`?" if close else ""


def _refuse_near_misses(environ: Mapping[str, str], known: Mapping[str, Any]) -> None:
    """A variable of ours that is nearly a setting is a mistake; others with the prefix may be anybody's."""
    names = {variable(name): name for name in known}
    for given in sorted(environ):
        if given.startswith(PREFIX) and given not in names:
            close = difflib.get_close_matches(given, names, n=1, cutoff=0.88)
            if close:
                raise UsageError(f"unknown variable {given} in the environment; did you mean {close[0]}?")


def _told(error: ValidationError, flags: Mapping[str, Any]) -> UsageError | ConfigError:
    """Every wrong value, by the place that it comes from; what the nearest places say is told first."""
    usage, problems = [], []
    for one in error.errors(include_url=False):
        name = str(one["loc"][0]) if one["loc"] else ""
        what = f"{one['msg'][:1].lower()}{one['msg'][1:]}, not {str(one['input'])!r}"
        if one["type"] == "extra_forbidden":
            usage.append(f"there is no setting {name!r}; {_near(name, Settings.model_fields)}".rstrip("; "))
        elif name in flags:
            usage.append(f"{name}: {what}")
        elif os.environ.get(variable(name)):
            usage.append(f"{variable(name)}: {what}")
        else:
            problems.append(Problem(_place(name), f"{name}: {what}"))
    return UsageError("\n".join(usage)) if usage else ConfigError(problems)


def _place(name: str) -> Origin:
    for path in config_files():
        found = read_file(path, Settings.model_fields)
        if name in found:
            return found[name][1]
    return Origin("")
