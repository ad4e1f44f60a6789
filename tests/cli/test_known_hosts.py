"""Enrolling pins what is new, confirms what is the same, and never replaces a changed key unasked."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest

from fleet.cli.known_hosts import HostKey, compare, enrolled, known_hosts_name, write_atomically
from fleet.errors import UsageError


def key(name: str, text: str, algorithm: str = "ssh-ed25519") -> HostKey:
    return HostKey(name, algorithm, base64.b64encode(text.encode()).decode())


A, B = key("10.0.0.1", "a"), key("[10.0.0.2]:2222", "b")


def test_a_host_nobody_knows_is_fresh() -> None:
    found = compare("# none yet\n", [A, B])
    assert (found.fresh, found.same, found.changed) == ((A, B), (), ())


def test_a_pinned_key_shown_again_is_the_same_even_beside_keys_of_other_sorts() -> None:
    rsa = key("10.0.0.1", "other", "ssh-rsa")
    assert compare(f"{A}\n", [A, rsa]).same == (A, rsa)


def test_a_host_that_shows_none_of_its_pinned_keys_has_changed() -> None:
    """A key of a new sort alone is a change too: else an attacker would only need another algorithm."""
    assert compare(f"{A}\n", [key("10.0.0.1", "x", "ssh-rsa")]).changed == (key("10.0.0.1", "x", "ssh-rsa"),)


def test_lists_patterns_and_markers_are_understood() -> None:
    line = f"db.example.org,10.0.0.1 {A.algorithm} {A.key}\n"
    assert compare(line, [A]).same == (A,)
    assert compare(f"10.0.0.* {A.algorithm} {A.key}\n", [A]).same == (A,)
    assert compare(f"@revoked 10.0.0.1 {A.algorithm} {A.key}\n", [A]).fresh == (A,)
    assert compare(f"{B}\n", [B]).same == (B,)


def test_names_hashed_by_ssh_keygen_are_recognised(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    algorithm, public = (tmp_path / "key.pub").read_text().split()[:2]
    shown = HostKey("10.0.0.9", algorithm, public)
    file.write_text(f"{shown}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(file)], check=True, capture_output=True)
    assert "10.0.0.9" not in file.read_text()
    assert compare(file.read_text(), [shown]).same == (shown,)
    told = subprocess.run(["ssh-keygen", "-lf", str(tmp_path / "key.pub")], check=True, capture_output=True, text=True)
    assert shown.fingerprint in told.stdout


def test_added_lines_come_last_and_replaced_ones_take_all_lines_of_their_name() -> None:
    changed = key("10.0.0.1", "new")
    text = f"# ours\n@cert-authority * ssh-ed25519 AAAA\n{A}\n"
    assert enrolled(text, [B]) == f"{text}{B}\n"
    assert enrolled(text, [], [changed]) == f"# ours\n@cert-authority * ssh-ed25519 AAAA\n{changed}\n"


def test_replacing_one_name_of_a_line_leaves_the_others_pinned() -> None:
    changed = key("10.0.0.1", "new")
    line = f"10.0.0.1,db {A.algorithm} {A.key}\n"
    assert enrolled(line, [], [changed]) == f"db {A.algorithm} {A.key}\n{changed}\n"


def test_a_wildcard_that_vouches_for_the_old_key_must_be_taken_out_by_hand() -> None:
    with pytest.raises(UsageError, match="by a wildcard"):
        enrolled(f"10.0.0.* {A.algorithm} {A.key}\n", [], [key("10.0.0.1", "new")])


def test_the_file_is_replaced_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "dev" / "known_hosts"
    write_atomically(path, "one\n")
    path.chmod(0o600)
    write_atomically(path, "two\n")
    assert path.read_text() == "two\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["known_hosts"]


def test_ports_are_part_of_the_name() -> None:
    assert known_hosts_name("10.0.0.1", 22) == "10.0.0.1"
    assert known_hosts_name("fd00::1", 2222) == "[fd00::1]:2222"
