"""TLS fails closed, before a request is sent; pins and certificates of our own; redirects lead nowhere unasked."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fleet.errors import Failure, TransportError
from fleet.model.api import Api, Tls
from fleet.model.step import Request
from fleet.transports.http_address import resolve as real
from fleet.transports.http_tls import context
from tests.transports.http_server import Server, answer, client_of, serving

LOOPBACK = ("127.0.0.0/8",)
GET, POST = Request("GET", "/x"), Request("POST", "/x", b"{}")


@pytest.fixture
def certificate(tmp_path: Path) -> Callable[[str, int], Path]:
    """(name, days) → key and certificate in one file, its own authority, valid until so many days from now."""

    def make(name: str, days: int) -> Path:
        key = ec.generate_private_key(ec.SECP256R1())
        who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        until = datetime.now(UTC) + timedelta(days=days)
        made = (
            x509.CertificateBuilder(who, who, key.public_key(), 7, until - timedelta(days=9), until)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .sign(key, hashes.SHA256())
        )
        plain = serialization.NoEncryption()
        path = tmp_path / "pair.pem"
        pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        path.write_bytes(key.private_bytes(pem, pkcs8, plain) + made.public_bytes(pem))
        return path

    return make


@pytest.mark.parametrize(
    ("name", "days", "trusted", "fine"),
    [("api.example", 2, True, True), ("api.example", 2, False, False), ("other.example", 2, True, False),
     ("api.example", -1, True, False)],
)  # fmt: skip
def test_tls_fails_closed_and_by_the_name_that_was_meant(
    certificate: Callable[[str, int], Path], name: str, days: int, trusted: bool, fine: bool
) -> None:
    path = certificate(name, days)
    found = asked(path, Tls(ca=path.read_text()) if trusted else Tls())
    assert found == ((200, 1) if fine else (Failure.TLS, 0))


def asked(path: Path, tls: Tls, hello: ssl.SSLContext | None = None) -> tuple[object, int]:
    """What becomes of one POST to a server with that certificate, and how many requests it saw."""
    if hello is None:
        hello = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    hello.load_cert_chain(path)

    async def run() -> tuple[object, int]:
        made = Server([answer()])
        server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=hello)
        port = server.sockets[0].getsockname()[1]

        async def resolver(name: str, port: int) -> Sequence[str]:
            return ["127.0.0.1"]

        api = Api(f"https://api.example:{port}", tls=tls, networks=LOOPBACK)
        client = client_of(api, resolver=resolver)
        try:
            return (await client.ask(POST)).status, len(made.asked)
        except TransportError as error:
            return error.failure, len(made.asked)
        finally:
            await client.aclose()
            server.close()

    return asyncio.run(run())


def pin(path: Path) -> str:
    return hashlib.sha256(
        ssl.PEM_cert_to_DER_cert(path.read_text().partition("KEY-----\n")[2].partition("KEY-----\n")[2])
    ).hexdigest()


@pytest.mark.parametrize(
    ("right", "trusted", "fine"), [(True, False, True), (True, True, True), (False, False, False), (False, True, False)]
)
def test_a_pin_stands_for_the_authority_and_beside_it_both_must_fit(
    certificate: Callable[[str, int], Path], right: bool, trusted: bool, fine: bool
) -> None:
    path = certificate("api.example", 2)
    pins = (pin(path) if right else "0" * 64,)
    found = asked(path, Tls(ca=path.read_text() if trusted else "", pins=pins))
    assert found == ((200, 1) if fine else (Failure.TLS, 0))


def test_old_tls_is_refused(certificate: Callable[[str, int], Path]) -> None:
    path = certificate("api.example", 2)
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    assert asked(path, Tls(ca=path.read_text()), old) == (Failure.TLS, 0)


def test_a_server_that_wants_our_certificate_gets_it(certificate: Callable[[str, int], Path]) -> None:
    path = certificate("api.example", 2)
    wants = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(path))
    wants.verify_mode = ssl.CERT_REQUIRED
    key, _, rest = path.read_text().partition("-----BEGIN CERTIFICATE-----")
    own = Tls(ca=path.read_text(), certificate="-----BEGIN CERTIFICATE-----" + rest, key=key)
    assert asked(path, own, wants) == (200, 1)


@pytest.mark.parametrize("text", ["", "-----BEGIN PRIVATE KEY-----\nc2VjcmV0LWtleQ==\n-----END PRIVATE KEY-----\n"])
def test_a_key_that_cannot_be_used_is_said_without_it(certificate: Callable[[str, int], Path], text: str) -> None:
    with pytest.raises(TransportError) as caught:
        context(Tls(certificate=certificate("api.example", 2).read_text().partition("KEY-----\n")[2], key=text))
    assert caught.value.failure is Failure.TLS and "c2Vj" not in str(caught.value)


FORBIDDEN = ["169.254.169.254", "127.0.0.1", "[::1]", "[fe80::1]", "[::ffff:127.0.0.1]", "[::ffff:169.254.169.254]",
             "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "0.0.0.0", "[::]", "2130706433", "0x7f.1", "[fd00:ec2::254]",
             "localhost", "2852039166", "127.1", "[::7f00:1]"]  # fmt: skip


@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize("where", FORBIDDEN)
def test_a_redirect_to_what_is_not_allowed_gets_no_connection(where: str, listed: bool) -> None:
    """Also when the host is one that we may be sent on to: its address is still looked at."""

    async def run() -> object:
        async with serving(answer(302, b"", Location=f"http://{where}:9/latest/meta-data/")) as server:

            async def resolver(name: str, port: int) -> Sequence[str]:
                return ["127.77.0.1"] if name == "api.example" else await real(name, port)

            hosts = (where.strip("[]"),) if listed else ()
            api = Api(f"http://api.example:{server.port}", networks=("127.77.0.0/16",), redirects=hosts)
            client = client_of(api, resolver=resolver)
            try:
                return await client.ask(GET)
            except TransportError as error:
                return error.failure
            finally:
                await client.aclose()

    assert asyncio.run(run()) is (Failure.ADDRESS if listed else Failure.ANSWER)


def test_a_redirect_that_is_allowed_carries_no_credentials_elsewhere() -> None:
    async def run() -> tuple[int, Server, Server]:
        async with (
            serving(answer(200, b"{}")) as other,
            serving(answer(307, b"", Location=f"http://127.0.0.2:{other.port}/y")) as server,
        ):
            api = Api(server.url, networks=LOOPBACK, redirects=("127.0.0.2",), headers=(("x-key", "secret"),))
            client = client_of(api)
            try:
                found = await client.ask(GET)
            finally:
                await client.aclose()
            return found.status, server, other

    status, server, other = asyncio.run(run())
    assert status == 200 and server.asked[0].headers["x-key"] == "secret"
    assert [one.path for one in other.asked] == ["/y"] and "x-key" not in other.asked[0].headers
