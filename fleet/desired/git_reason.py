"""What Git said when a remote failed, as one sentence with the next step. Bytes in, text out: nothing that a server
says reaches a terminal as it came."""

from __future__ import annotations

LONGEST = 400  # characters of what a server may say in our name
# Git's own framing, which says nothing of this failure.
_EMPTY = ("please make sure you have the correct access rights", "and the repository exists", "hint:", "warning:",
          "could not read from remote repository", "the remote end hung up unexpectedly")  # fmt: skip
_NEXT = {
    "could not read username": "it wants a token: give a file with one (token_file)",
    "authentication failed": "the token is not taken: is it still valid, and may it read this repository?",
    "host key verification failed": "its key is not in known_hosts: compare it, then add it with ssh-keyscan",
    "permission denied (publickey": "the key is not taken: add it to the repository as one that may read",
    # As GnuTLS and OpenSSL say it.
    **dict.fromkeys(
        ("certificate verification failed", "certificate problem", "problem with the ssl ca cert"),
        "its certificate is out of date, or of an authority that is not trusted: give that one's file (ca_file)",
    ),
    **dict.fromkeys(
        ("does not match target host", "no alternative certificate subject name"),
        "the certificate is another server's: name the address that it is for",
    ),
    **dict.fromkeys(("unexpected tls packet", "wrong version number"), "no TLS is spoken at that port"),
    "returned error: 30": "it leads elsewhere: name the address that it leads to",
    "file too large": "the repository is larger than fleet takes",
    "no space left": "make room on the disk of the state directory",
    "fsck error": "the remote's history is damaged or crafted: git fsck there",
    "dubious ownership": "it belongs to another user: git config --system --add safe.directory PATH",
}


def reason(errors: bytes) -> str:
    """The lines that say something, and what to do next where that is known."""
    text = errors.decode(errors="backslashreplace")
    lines = [_clean(line) for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if not line.lower().startswith(_EMPTY)] or lines
    # The first is the cause; the last what came of it.
    said = "; ".join(dict.fromkeys((*telling[:1], *telling[-1:]))) or "git failed and said nothing"
    low = text.lower()
    next_step = next((step for words, step in _NEXT.items() if words in low), "")
    return said[:LONGEST] + (f" ({next_step})" if next_step else "")


def _clean(line: str) -> str:
    """Printable, and without Git's words for how bad it is."""
    line = "".join(c if c.isprintable() else "?" for c in line.strip())
    for start in ("fatal: ", "error: ", "remote: "):
        line = line.removeprefix(start)
    return line[:LONGEST]
