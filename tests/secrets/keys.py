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


def encrypted(document: Mapping[str, Any] | bytes, *recipients: str, format_: str = "yaml", more: str = "") -> bytes:
    """A SOPS file. A mapping is written as JSON, which YAML is too; dotenv and binary take bytes."""
    given = document if isinstance(document, bytes) else json.dumps(document).encode()
    words = [sops(), "encrypt", "--age", ",".join(recipients), *more.split(), "--filename-override", "x",
             "--input-type", format_, "--output-type", format_]  # fmt: skip
    done = subprocess.run(words, input=given, capture_output=True, check=False, env={"PATH": os.environ["PATH"]})
    assert done.returncode == 0, done.stderr
    return done.stdout
