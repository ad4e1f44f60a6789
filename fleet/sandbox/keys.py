"""Throw-away ed25519 keys in OpenSSH's format, made in this process: no fork for each host."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat


def make_key() -> tuple[bytes, str]:
    """(private key file, public key line without comment)."""
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()), public


def login_key(path: Path) -> str:
    """The public half of the key at `path`, which is made when there is none."""
    public = path.with_name(path.name + ".pub")
    if not path.exists():
        private, line = make_key()
        path.touch(mode=0o600)
        path.write_bytes(private)
        public.write_text(f"{line} fleet-sandbox\n")
    return " ".join(public.read_text().split()[:2])
