"""The unit that `fleet service install` writes: what an operator relies on while nobody is awake."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from fleet.cli.service_unit import unit


def said(section: str) -> dict[str, str]:
    """The settings of one section; of one said twice, the last."""
    text = unit("/usr/bin/fleet").partition(f"[{section}]\n")[2].partition("\n[")[0]
    lines = [line.partition("=") for line in text.splitlines() if "=" in line and not line.startswith("#")]
    return {name: value for name, _, value in lines}


def test_it_is_never_given_up() -> None:
    """A full disk, or a certificate that is renewed in an hour, ends each start within seconds."""
    assert said("Unit")["StartLimitIntervalSec"] == "0"
    assert said("Service")["Restart"] == "on-failure"
    assert int(said("Service")["RestartSec"]) >= 5  # and yet it costs nothing


def test_what_it_keeps_is_its_own() -> None:
    service = said("Service")
    assert {service[name] for name in ("StateDirectoryMode", "CacheDirectoryMode")} == {"0700"}
    assert service["UMask"] == "0077"


def test_systemd_takes_it(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("needs systemd-analyze")
    path = tmp_path / "fleet.service"
    path.write_text(unit(shutil.which("true") or "/bin/true"))
    done = subprocess.run([analyze, "verify", str(path)], capture_output=True, text=True, check=False)
    assert "fleet.service" not in done.stderr, done.stderr
