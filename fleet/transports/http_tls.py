"""What a certificate must be like: an `Tls` in, an SSLContext out. Fails closed, and before a request is sent."""

from __future__ import annotations

import hashlib
import os
import re
import ssl
from collections.abc import Sequence
from functools import cache

from fleet.errors import Failure, TransportError
from fleet.model.api import Tls

_PEM = re.compile(r"-----BEGIN [A-Z ]+-----[A-Za-z0-9+/=\s]+-----END [A-Z ]+-----")


def context(tls: Tls) -> ssl.SSLContext:
    """One for all that say nothing of it: what everybody trusts takes 20 ms to load."""
    return _usual() if tls == Tls() else _made(tls)


@cache
def _usual() -> ssl.SSLContext:
    return _made(Tls())


def _made(tls: Tls) -> ssl.SSLContext:
    """The texts already opened. Without `ca` the system's authorities; with `pins` alone the pins instead of them.
    Raises TransportError when a text is not PEM."""
    made = _pinned(tls.pins) if tls.pins else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if tls.pins and not tls.ca:
            made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
        elif tls.ca:
            made.load_verify_locations(cadata="\n".join(_PEM.findall(tls.ca)))
        else:
            made.load_default_certs()
        if tls.certificate:
            _load_chain(made, tls.certificate, tls.key)
    except (ssl.SSLError, ValueError, OSError) as error:
        said = error.reason if isinstance(error, ssl.SSLError) and error.reason else type(error).__name__
        raise TransportError(Failure.TLS, f"`tls` cannot be used: {said}", "PEM texts are expected") from error
    return made


def _load_chain(made: ssl.SSLContext, certificate: str, key: str) -> None:
    """OpenSSL reads it from a file only: one in memory, that no other process can name."""
    pem = f"{certificate}\n{key}\n".encode()
    file = os.fdopen(os.memfd_create("tls", os.MFD_CLOEXEC), "wb")
    with file:
        file.write(pem)
        file.flush()
        # With a passphrase that is never right, so that an encrypted key is an error and not a question.
        made.load_cert_chain(f"/proc/self/fd/{file.fileno()}", password=lambda: "")


def _pinned(pins: Sequence[str]) -> ssl.SSLContext:
    """A context whose handshakes fail unless the server's certificate is one of these."""

    class Pinned(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            found = hashlib.sha256(self.getpeercert(binary_form=True) or b"").hexdigest()
            if found not in pins:
                raise ssl.SSLError(1, f"the certificate is not the pinned one, but {found}")

    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.sslobject_class = Pinned
    return made
