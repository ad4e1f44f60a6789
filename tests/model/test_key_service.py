"""Key services that may be asked: whole addresses, and no name that only looks like one."""

from __future__ import annotations

import pytest

from fleet.model.key_service import KeyServices

VAULT = "https://vault.example.org"


@pytest.mark.parametrize(
    ("pattern", "service"),
    [
        (VAULT, VAULT),
        (VAULT, "HTTPS://Vault.Example.Org:443/"),
        (f"{VAULT}:8200/", f"{VAULT}:8200"),
        ("https://*.vault.azure.net", "https://ours.vault.azure.net/"),
        ("https://vault-*.example.org:8200", "https://vault-1.example.org:8200"),
        ("https://[::1]:8200", "https://[::1]:8200"),
        ("arn:aws:kms:eu-*:123456789012:key/*", "arn:aws:kms:eu-west-1:123456789012:key/1c-2"),
        ("projects/ours/locations/*/keyRings/*/cryptoKeys/*", "projects/ours/locations/x/keyRings/y/cryptoKeys/z"),
    ],
)
def test_what_is_allowed_may_be_asked(pattern: str, service: str) -> None:
    allowed = KeyServices.parse(f"dev={pattern}")
    assert allowed.refused("dev", [service]) == ""
    assert allowed.refused("prod", [service]) == service
    assert KeyServices.parse(f"d*={pattern}, other=x").refused("dev", [service]) == ""


@pytest.mark.parametrize(
    ("pattern", "service"),
    [
        (VAULT, f"{VAULT}.evil"),
        (VAULT, f"{VAULT}:8200"),
        (VAULT, f"{VAULT}@evil"),
        (VAULT, f"{VAULT}:443@evil/"),
        (VAULT, f"{VAULT}/../x"),
        (VAULT, f"{VAULT}?x=@evil"),
        (VAULT, f"{VAULT}#@evil"),
        (VAULT, f"{VAULT}\\@evil"),
        (VAULT, f"{VAULT}\n.evil"),
        (VAULT, "http://vault.example.org"),
        (VAULT, "https://vaultXexample.org"),
        (VAULT, "vault.example.org"),
        (VAULT, "unix://vault.example.org"),
        (VAULT, "https://vаult.example.org"),  # a Cyrillic а
        ("*", f"{VAULT}@evil"),
        ("https://*.example.org", "https://evil/.example.org"),
        ("https://*.example.org", "https://evil.com:1@.example.org"),
        ("https://*.example.org", "https://evil.com#.example.org"),
        ("https://*.example.org", "https://a.b.example.org"),
        ("https://*.example.org", "https://*.example.org"),
        ("arn:aws:kms:eu-west-1:1:key/*", "arn:aws:kms:eu-west-1:2:key/x"),
        ("arn:aws:kms:*:1:key/*", "arn:aws:kms:a:2:x:1:key/x"),
        ("arn:aws:kms:eu-west-1:1:key/a", "arn:aws:kms:eu-west-1:1:key/ab"),
    ],
)
def test_what_only_looks_like_it_may_not(pattern: str, service: str) -> None:
    allowed = KeyServices.parse(f"dev={pattern} dev=https://fine")
    assert allowed.refused("dev", ["https://fine", service, "https://fine"]) == service
    assert allowed.refused("dev", [service]) == service


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://x", "is not ENVIRONMENT=SERVICE"),
        ("=https://x", "is not ENVIRONMENT=SERVICE"),
        ("dev=https://a@b", "is neither an address"),
        ("dev=https://vault.example.org*", "a \\* must not be at its end"),
        ("dev=https://vault.example.org:*", "is neither an address"),
        ("dev=https://*", "a \\* must not be at its end"),
    ],
)
def test_a_pattern_that_allows_anybody_is_refused(text: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        KeyServices.parse(text)


def test_nothing_is_allowed_where_nothing_is_said() -> None:
    assert KeyServices.parse(" ").refused("dev", ["https://a"]) == "https://a"
    assert KeyServices().refused("dev", []) == ""
