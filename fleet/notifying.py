"""Puts the parts of notifications together: settings in, a Notifier out. Beside `app`, as its only caller."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from fleet.controller.events import Events
from fleet.controller.loop import clock_moment
from fleet.controller.notices.destinations import Destination, read_destinations
from fleet.controller.notices.notifier import Notifier, Outside
from fleet.controller.notices.statuses import CommitStatus
from fleet.controller.notices.values import Message
from fleet.errors import TransportError, UsageError
from fleet.masking import Masker
from fleet.model.secret import Secret
from fleet.settings import Settings
from fleet.transports.forge import ForgeClient, Said, forge_of
from fleet.transports.notification import send

FILE = "told.json"
SHORTEST = 8  # characters of a token


async def deliver(destination: Destination, message: Message) -> None:
    """Raises TransportError, without anything of the URL that may be a secret."""
    try:
        await send(destination.url, message.title, message.body)
    except TransportError as error:
        # Known here alone: a word that stands in a URL may be the name of an environment everywhere else.
        masker = Masker()
        masker.add(destination.secrets)
        raise TransportError(error.failure, masker.text(error.message), error.hint) from None


def notifier(settings: Settings, masker: Masker, events: Events) -> Notifier:
    """Raises UsageError: a file or an address is wrong. Nobody is asked yet."""
    told: Sequence[Destination] = ()
    if settings.notify_file is not None:
        told = read_destinations(settings.notify_file)
    say = _statuses(settings, masker) if settings.status_url else None
    outside = Outside(deliver, say, masker.text, events.put, settings.state_dir / FILE)
    return Notifier(told, outside, clock_moment(random.random))  # jitter needs no secrecy


def _statuses(settings: Settings, masker: Masker) -> Callable[[CommitStatus], Awaitable[None]]:
    forge = forge_of(settings.status_url)
    if settings.status_token_file is None:
        raise UsageError("status_url: nobody may write statuses without a token; name its file in status_token_file")
    token = _token(settings.status_token_file)
    masker.add([Secret("status token", token.encode())])

    async def say(one: CommitStatus) -> None:
        link = settings.status_link.replace("{environment}", one.environment).replace("{commit}", one.commit)
        client = ForgeClient(forge, token)  # so rarely that no connection is kept
        try:
            await client.say(Said(one.commit, f"fleet/{one.environment}", one.state, one.description, link))
        finally:
            await client.aclose()

    return say


def _token(path: Path) -> str:
    try:
        found = path.read_text().partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"status_token_file: {path} cannot be read: {error}") from error
    if len(found) < SHORTEST or not found.isascii() or not found.isprintable():
        raise UsageError(f"status_token_file: the first line of {path} should be the token")
    return found
