"""Messages of Git servers: those that a secret made, as each vendor documents it, and no others."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.web.hooks import WINDOW, Hook, verified

# docs.github.com, "Validating webhook deliveries", "Testing the webhook payload validation".
SECRET, PAYLOAD = b"It's a Secret to Everybody", b"Hello, World!"
DIGEST = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
# The example of the libraries of standardwebhooks.com.
SIGNING = b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
STANDARD = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
SIGNED_BODY, THEN = b'{"test": 2432232314}', 1614265330.0
# RFC 4231, 4.3: what Gitea's and Forgejo's signature is, which give no example of their own.
RFC_KEY, RFC_DATA = b"Jefe", b"what do ya want for nothing?"
RFC_DIGEST = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"

GITHUB = {"X-Hub-Signature-256": f"sha256={DIGEST}"}
GITEA = {"X-Gitea-Signature": RFC_DIGEST}
FORGEJO = GITEA | {"X-Forgejo-Signature": RFC_DIGEST, "X-Hub-Signature-256": f"sha256={RFC_DIGEST}"}
TOKEN = {"X-Gitlab-Token": "s3cret"}
GOOD = [
    ("github", GITHUB, PAYLOAD, SECRET),
    ("gitea", GITEA, RFC_DATA, RFC_KEY),
    ("forgejo", FORGEJO, RFC_DATA, RFC_KEY),
    ("gitlab", STANDARD, SIGNED_BODY, SIGNING),
    ("gitlab", TOKEN, b"{}", b"s3cret"),
]


@pytest.mark.parametrize(("forge", "headers", "body", "secret"), GOOD)
def test_what_the_secret_made(forge: str, headers: dict[str, str], body: bytes, secret: bytes) -> None:
    for secrets in ([secret], [b"another", secret], [secret, b""]):
        for given_ in (headers, {name.lower(): value for name, value in headers.items()}):
            hook = verified(given_, body, secrets, THEN)
            assert hook is not None and hook.forge == forge


@pytest.mark.parametrize(("forge", "headers", "body", "secret"), GOOD)
def test_no_other_secret_and_above_all_no_empty_one(
    forge: str, headers: dict[str, str], body: bytes, secret: bytes
) -> None:
    for secrets in ([], [b""], [b"another"], [secret[:-1]], [secret + b"\n"]):
        assert verified(headers, body, secrets, THEN) is None


REFUSED: list[tuple[str, dict[str, str], bytes, bytes]] = [
    ("nothing signed", {}, PAYLOAD, SECRET),
    ("no token", {"X-Gitlab-Token": ""}, b"{}", b"s3cret"),
    ("an empty signature", {"X-Hub-Signature-256": ""}, PAYLOAD, SECRET),
    ("only what it is", {"X-Hub-Signature-256": "sha256="}, PAYLOAD, SECRET),
    ("no kind", {"X-Hub-Signature-256": DIGEST}, PAYLOAD, SECRET),
    ("a kind too much", {"X-Gitea-Signature": f"sha256={RFC_DIGEST}"}, RFC_DATA, RFC_KEY),
    ("capitals", {"X-Hub-Signature-256": f"sha256={DIGEST.upper()}"}, PAYLOAD, SECRET),
    ("the weak one", {"X-Hub-Signature": "sha1=" + hmac.new(SECRET, PAYLOAD, "sha1").hexdigest()}, PAYLOAD, SECRET),
    ("not ASCII", {"X-Hub-Signature-256": "sha256=é\udce9" + DIGEST[2:]}, PAYLOAD, SECRET),
    ("a good one beside", FORGEJO | {"X-Forgejo-Signature": "0" * 64}, RFC_DATA, RFC_KEY),
    ("made with nothing", {"X-Gitea-Signature": hmac.new(b"", b"x", "sha256").hexdigest()}, b"x", b""),
    ("no id", STANDARD | {"webhook-id": ""}, SIGNED_BODY, SIGNING),
    ("another id", STANDARD | {"webhook-id": "msg_other"}, SIGNED_BODY, SIGNING),
    ("no time", STANDARD | {"webhook-timestamp": ""}, SIGNED_BODY, SIGNING),
    ("another time", STANDARD | {"webhook-timestamp": "1614265331"}, SIGNED_BODY, SIGNING),
    ("a strange time", STANDARD | {"webhook-timestamp": "١٦١٤٢٦٥٣٣٠"}, SIGNED_BODY, SIGNING),
    ("an endless time", STANDARD | {"webhook-timestamp": "1" * 5000}, SIGNED_BODY, SIGNING),
    ("another version", STANDARD | {"webhook-signature": "v1a" + STANDARD["webhook-signature"][2:]}, SIGNED_BODY,
     SIGNING),
    ("a signing secret that is none", STANDARD, SIGNED_BODY, b"whsec_???"),
    ("a signing secret without a key", STANDARD, SIGNED_BODY, b"whsec_"),
    ("a signing secret sent openly", {"X-Gitlab-Token": SIGNING.decode()}, b"{}", SIGNING),
    ("a token beside a signature that is wrong", STANDARD | TOKEN | {"webhook-id": "x"}, SIGNED_BODY, SIGNING),
]  # fmt: skip


@pytest.mark.parametrize(("why", "headers", "body", "secret"), REFUSED, ids=[one[0] for one in REFUSED])
def test_what_is_refused(why: str, headers: dict[str, str], body: bytes, secret: bytes) -> None:
    assert verified(headers, body, [secret], THEN) is None


@given(st.sampled_from(GOOD[:4]), st.data())
def test_any_bit_that_flips_in_body_or_signature_is_seen(
    case: tuple[str, dict[str, str], bytes, bytes], data: Any
) -> None:
    _, headers, body, secret = case
    at, bit = data.draw(st.integers(0, len(body) - 1)), 1 << data.draw(st.integers(0, 7))
    assert verified(headers, body[:at] + bytes([body[at] ^ bit]) + body[at + 1 :], [secret], THEN) is None
    changed = {}
    for name, value in headers.items():
        at = data.draw(st.integers(0, len(value) - 1))
        changed[name] = value[:at] + chr(ord(value[at]) ^ bit) + value[at + 1 :]
    assert verified(changed, body, [secret], THEN) is None


@given(st.binary(max_size=200), st.binary(min_size=1, max_size=80), st.binary(min_size=1, max_size=80))
def test_of_two_secrets_only_the_one_that_signed(body: bytes, one: bytes, other: bytes) -> None:
    headers = {"X-Hub-Signature-256": "sha256=" + hmac.new(one, body, hashlib.sha256).hexdigest()}
    assert verified(headers, body, [one], 0)
    # RFC 2104: a key is padded with zeros, and hashed when it is longer than a block.
    same = other.ljust(64, b"\0") == one.ljust(64, b"\0")
    short = max(len(one), len(other)) <= 64
    assert not short or same or verified(headers, body, [other], 0) is None


@pytest.mark.parametrize("away", [-WINDOW - 1, -WINDOW, WINDOW, WINDOW + 1])
def test_a_signed_time_is_near_ours(away: int) -> None:
    assert (verified(STANDARD, SIGNED_BODY, [SIGNING], THEN + away) is not None) == (abs(away) <= WINDOW)


def test_a_sender_that_changes_keys_signs_twice() -> None:
    headers = STANDARD | {
        "webhook-signature": f"v1,{base64.b64encode(b'0' * 32).decode()} {STANDARD['webhook-signature']}"
    }
    assert verified(headers, SIGNED_BODY, [SIGNING], THEN)
    many = STANDARD | {"webhook-signature": "v1,x " * 10_000 + STANDARD["webhook-signature"]}
    assert verified(many, SIGNED_BODY, [SIGNING], THEN) is None


def signed(body: bytes, **headers: str) -> Hook:
    said = {name.replace("_", "-"): value for name, value in headers.items()}
    mac = hmac.new(b"key", body, hashlib.sha256).hexdigest()
    hook = verified(said | {"x-hub-signature-256": f"sha256={mac}"}, body, [b"key"], 0)
    assert hook is not None
    return hook


def test_what_it_says_of_itself() -> None:
    hook = signed(b'{"ref": "refs/heads/main", "after": "0123"}', x_github_event="push", x_github_delivery="72d3162e")
    assert (hook.event, hook.delivery, hook.ref) == ("push", "72d3162e", "refs/heads/main")
    standard = verified(STANDARD | {"x-gitlab-event": "Push Hook"}, SIGNED_BODY, [SIGNING], THEN)
    assert standard is not None and (standard.event, standard.delivery) == ("Push Hook", STANDARD["webhook-id"])
    form = signed(
        b"payload=%7B%22ref%22%3A%22refs%2Fheads%2Fmain%22%7D", content_type="application/x-www-form-urlencoded"
    )
    assert form.ref == "refs/heads/main"
    assert not hasattr(hook, "commit"), "it may say when to look, not what to take"


BODIES = [b"", b"null", b"[]", b"{}", b'{"ref": 7}', b'{"ref": "a\\u001b[2J"}', b"\xff\xfe", b"[" * 100_000,
          b'{"ref": "' + b"x" * 300 + b'"}', b"1" * 10_000, json.dumps({"ref": "\u202e"}).encode()]  # fmt: skip


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded"])
def test_a_body_that_cannot_be_read_says_nothing(body: bytes, kind: str) -> None:
    assert signed(body, content_type=kind, x_github_delivery="a\x1b[2J").ref == ""


def test_the_same_message_is_known_whatever_its_headers_say() -> None:
    first, again = signed(b'{"a": 1}', x_github_delivery="1"), signed(b'{"a": 1}', x_github_delivery="2")
    assert first.mark == again.mark != signed(b'{"a": 2}', x_github_delivery="1").mark
