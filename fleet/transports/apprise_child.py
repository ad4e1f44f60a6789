"""Sends one message with Apprise, in a process of its own: JSON on standard input, JSON on standard output.

Run as a script by `notification.py`, and imports nothing of fleet, so that it starts soon. Its own process since
nothing else ends a library that hangs in a read, since variables of a proxy and a .netrc mean nothing to it there, and
since what it imports stays out of the controller.
"""

from __future__ import annotations

import json
import logging
import sys


class _Words(logging.Handler):
    """What the library complains of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


def main() -> None:
    told = json.load(sys.stdin)
    sys.path += [path for path in told["paths"] if path.startswith("/") and path not in sys.path]
    import apprise  # noqa: PLC0415 - found by then

    words = _Words()
    logging.getLogger("apprise").addHandler(words)
    # Nothing is followed elsewhere with the message and its tokens, and nothing is kept on disk.
    asset = apprise.AppriseAsset(
        app_id="fleet", app_desc="fleet", app_url="", http_redirects=False, async_mode=False,
        storage_mode=apprise.PersistentStoreMode.MEMORY,
    )  # fmt: skip
    one = apprise.Apprise.instantiate(told["url"], asset=asset)
    sent = False
    if isinstance(one, apprise.NotifyBase):
        sent = bool(one.notify(title=told["title"], body=told["body"], body_format=apprise.NotifyFormat.TEXT))
    else:
        words.said.append("this is no URL of a service that Apprise knows")
    json.dump({"sent": sent, "said": "; ".join(words.said)[:2000]}, sys.stdout)


if __name__ == "__main__":
    main()
