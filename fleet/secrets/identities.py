"""Which keys may open an environment's files. An identity of its own shuts out every other: a file of production that
was copied into dev is then no use to anybody in dev (nothing binds a SOPS file to its path)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fleet.errors import SecretError
from fleet.model.key_service import KeyServices, normal

# What sops and the programs it starts need to work at all.
_USUAL = ("PATH", "LANG", "LC_ALL", "TMPDIR", "SOPS_GPG_EXEC")
# Where age identities, ssh keys and gpg's keyring are found by sops itself.
_PERSONAL = ("HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "GNUPGHOME", "GPG_TTY", "SOPS_AGE_KEY", "SOPS_AGE_KEY_FILE",
             "SOPS_AGE_KEY_CMD", "SOPS_AGE_SSH_PRIVATE_KEY_FILE", "SOPS_AGE_SSH_PRIVATE_KEY_CMD")  # fmt: skip


# Where clients of key services keep their logins, below HOME unless they are told.
_LOGINS = {
    "AWS_CONFIG_FILE": ".aws/config",
    "AWS_SHARED_CREDENTIALS_FILE": ".aws/credentials",
    "AZURE_CONFIG_DIR": ".azure",
    "GOOGLE_APPLICATION_CREDENTIALS": ".config/gcloud/application_default_credentials.json",
}


def _logins(variables: Mapping[str, str]) -> dict[str, str]:
    """Variables that say where those are that are there."""
    home = Path(variables.get("HOME", "/nonexistent"))
    return {name: str(home / path) for name, path in _LOGINS.items() if (home / path).exists()}


NONE = KeyServices()


@dataclass(frozen=True, slots=True)
class Identities:
    """directory: ENVIRONMENT.txt in it is that environment's age identity. credentials: systemd's directory of the
    service (systemd.exec(5), LoadCredential=), where it is called age.ENVIRONMENT. services: the key services that may
    be asked."""

    directory: Path
    credentials: Path | None = None
    services: KeyServices = NONE

    def file(self, environment: str) -> Path | None:
        """The environment's own identity; None: whoever runs fleet uses their own keys."""
        if not environment:
            return None
        names = (f"age.{environment}", f"age_{environment}.txt")  # alone, or of a directory called age
        given = () if self.credentials is None else tuple(self.credentials / name for name in names)
        return next((path for path in (*given, self.directory / f"{environment}.txt") if path.is_file()), None)

    @property
    def keyring(self) -> str:
        """gpg's, of whoever runs fleet."""
        return os.environ.get("GNUPGHOME") or str(Path(os.environ.get("HOME", "/nonexistent")) / ".gnupg")

    def asks(self, path: str, services: Sequence[str]) -> bool:
        """Whether key services are asked for the keys of this file below environments/. Raises SecretError when its
        layer may not ask one of them: nothing goes there, not even a connection."""
        layer = path.partition("/")[0]
        refused = self.services.refused(layer, services)
        if refused:
            address = normal(refused)
            hint = f"if it is yours, add {layer}={address} to FLEET_KEY_SERVICES, or to key_services in config.yaml"
            hint = hint if address and "*" not in address else "no setting allows an address of this form"
            said = f"environments/{path} wants a key service asked that nobody allowed to {layer}: {refused[:200]!r}"
            raise SecretError(f"{said}; {hint}")
        return bool(services)

    def child_environment(self, environment: str, remote: bool) -> Mapping[str, str]:
        """The variables that sops gets. remote: key services are asked (see `asks`), by whatever their
        clients read."""
        if remote:
            found = dict(os.environ)
        else:
            found = {name: os.environ[name] for name in (*_USUAL, *_PERSONAL) if name in os.environ}
        own = self.file(environment)
        if own is not None:
            found = {name: value for name, value in found.items() if not name.startswith("SOPS_AGE")}
            found |= {"SOPS_AGE_KEY_FILE": str(own)}
            if remote:  # whoever wrote the file says so: no reason to let in more identities than it is for others
                found = {**_logins(found), **found}
            # sops looks for more age identities and ssh keys of its own there, and gpg for its keyring.
            found |= dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "GNUPGHOME"), "/nonexistent")
        return found
