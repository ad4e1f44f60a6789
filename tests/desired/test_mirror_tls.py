"""A Git server behind real TLS: followed where its certificate is proven, refused with the reason where it is not, and
whoever cannot prove it never sees the token, nor even which repository is asked for."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fleet.desired.mirror import Access, Mirror
from fleet.errors import GitError
from tests.desired.remotes import Origin, smart_http

pytestmark = pytest.mark.anyio
ADDRESS, TOKEN = "127.91.0.7", "geheim-tls"
PEM = serialization.Encoding.PEM


class Authority:
    """One that signs servers' certificates. file: its own."""

    def __init__(self, folder: Path, name: str) -> None:
        self._key, self._folder = ec.generate_private_key(ec.SECP256R1()), folder
        self._who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        basic = x509.BasicConstraints(ca=True, path_length=0)
        made = self._made(self._who, self._key.public_key(), 9, basic)
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(made.public_bytes(PEM))

    def server(self, address: str = ADDRESS, days: int = 2) -> ssl.SSLContext:
        """For a server at this address, valid until so many days from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "git")])
        made = self._made(
            who, key.public_key(), days, x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
        )
        pkcs8, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        pair = self._folder / "pair.pem"
        pair.write_bytes(key.private_bytes(PEM, pkcs8, plain) + made.public_bytes(PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair)
        return context

    def _made(
        self, who: x509.Name, key: ec.EllipticCurvePublicKey, days: int, more: x509.ExtensionType
    ) -> x509.Certificate:
        until = datetime.now(UTC) + timedelta(days=days)
        number = x509.random_serial_number()
        made = x509.CertificateBuilder(self._who, who, key, number, until - timedelta(days=20), until)
        return made.add_extension(more, critical=False).sign(self._key, hashes.SHA256())


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    one = Origin.at(tmp_path / "remote")
    one.commit()
    return one


@pytest.fixture
def token(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    return file


@pytest.mark.parametrize("how", ["setting", "environment"])
async def test_it_is_followed_with_its_authority(
    origin: Origin, token: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    ours, other = Authority(tmp_path, "ours"), Authority(tmp_path, "other")
    monkeypatch.setenv("GIT_SSL_CAINFO", str((other if how == "setting" else ours).file))
    access = Access(token=token, ca=ours.file if how == "setting" else None)
    with smart_http(origin.path.parent, TOKEN, ADDRESS, ours.server()) as web:
        mirror = Mirror(f"{web.url}/origin.git", "main", tmp_path / "mirror", access)
        await mirror.open()
        assert web.url.startswith("https://")
        second = origin.commit()
        assert await mirror.fetch() == second
        assert web.authorized


@pytest.mark.parametrize("wrong", ["authority", "unknown", "name", "expired", "plain", "no file"])
async def test_who_does_not_prove_it_gets_no_question_and_no_token(
    origin: Origin, token: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    monkeypatch.setenv("GIT_SSL_NO_VERIFY", "1")  # whatever somebody tried once
    ours, other = Authority(tmp_path, "ours"), Authority(tmp_path, "other")
    tls = ours.server("127.91.0.8" if wrong == "name" else ADDRESS, -1 if wrong == "expired" else 2)
    ca = {"authority": other.file, "unknown": None, "no file": tmp_path / "nothing"}.get(wrong, ours.file)
    with smart_http(origin.path.parent, TOKEN, ADDRESS, None if wrong == "plain" else tls) as web:
        url = web.url.replace("http://", "https://")
        mirror = Mirror(f"{url}/origin.git", "main", tmp_path / "mirror", Access(token=token, ca=ca))
        await mirror.open()
        with pytest.raises(GitError) as refused:
            await mirror.fetch()
        assert (web.asked, web.authorized, mirror.commit) == ([], [], "")
    expected = {"plain": "no TLS is spoken", "name": "another server's"}.get(wrong, "ca_file")
    assert expected in str(refused.value)
    assert TOKEN not in str(refused.value)


async def test_a_certificate_that_changes_its_authority_is_refused_and_what_is_here_stays(
    origin: Origin, token: Path, tmp_path: Path
) -> None:
    ours, other = Authority(tmp_path, "ours"), Authority(tmp_path, "other")
    with smart_http(origin.path.parent, TOKEN, ADDRESS, ours.server()) as web:
        port = int(web.url.rpartition(":")[2])
        mirror = Mirror(f"{web.url}/origin.git", "main", tmp_path / "mirror", Access(token=token, ca=ours.file))
        await mirror.open()
        first = await mirror.fetch()
    origin.commit()
    with smart_http(origin.path.parent, TOKEN, ADDRESS, other.server(), port) as web:
        with pytest.raises(GitError, match="ca_file"):
            await mirror.fetch()
        assert (web.asked, web.authorized) == ([], [])
    assert mirror.commit == first
