"""Every kind explains itself, from its own Spec."""

from __future__ import annotations

import click
import pytest

from fleet.cli.commands.kinds import reference
from fleet.kinds import KINDS


@pytest.mark.parametrize("name", KINDS)
def test_every_attribute_has_its_type_default_and_one_line(name: str) -> None:
    """Including what every resource may say; nothing is left as a bare type name of Python."""
    lines = click.unstyle(reference(KINDS[name])).splitlines()
    for field_name, field in KINDS[name].Spec.model_fields.items():
        shown = field.alias or field_name
        at = next(i for i, line in enumerate(lines) if line.startswith(f"  {shown}  "))
        assert "required" in lines[at] or "default: " in lines[at]
        assert lines[at + 1].startswith("      ") and lines[at + 1].strip(), f"{shown} has no description"
    assert "  needs" in lines
    assert not any("<" in line or "PydanticUndefined" in line for line in lines if line.startswith("  "))
