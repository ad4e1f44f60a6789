"""Real age keys and real SOPS files for tests."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fleet.secrets.keys import identity
from fleet.secrets.program import sops


def make_key(directory: Path, environment: str) -> str:
    """An identity for this environment; its recipient."""
    return identity(directory / f"{environment}.txt")[0]


def encrypted(document: Mapping[str, Any] | bytes, *recipients: str, format_: str = "yaml", pgp: str = "") -> bytes:
    """A SOPS file for age recipients, or one PGP key. A mapping is written as JSON, which is YAML too; dotenv and
    binary take bytes."""
    given = document if isinstance(document, bytes) else json.dumps(document).encode()
    readers = ["--pgp", pgp] if pgp else ["--age", ",".join(recipients)]
    words = [sops(), "encrypt", *readers, "--filename-override", "x", "--input-type", format_, "--output-type", format_]
    kept = {name: os.environ[name] for name in ("PATH", "GNUPGHOME") if name in os.environ}
    done = subprocess.run(words, input=given, capture_output=True, check=False, env=kept)
    assert done.returncode == 0, done.stderr
    return done.stdout
