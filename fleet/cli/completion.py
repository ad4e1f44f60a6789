"""Completion of environments, hosts and resources from the repository at hand: what was typed in, candidates out.

It must never disturb the shell: whatever goes wrong, there is simply nothing to offer.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from fleet.desired.compile import Fleet


def environments(ctx: click.Context, param: click.Parameter, typed: str) -> list[str]:
    fleet = _fleet(ctx)
    return _starting(typed, {host.environment for host in fleet.hosts} if fleet else ())


def hosts(ctx: click.Context, param: click.Parameter, typed: str) -> list[str]:
    fleet = _fleet(ctx)
    return _starting(typed, {host.name for host in fleet.hosts} if fleet else ())


def resources(ctx: click.Context, param: click.Parameter, typed: str) -> list[str]:
    """Of the host that was named before, if one was."""
    fleet = _fleet(ctx)
    named = ctx.params.get("host")
    found = [h for h in fleet.hosts if named in (None, h.name, f"{h.environment}/{h.name}")] if fleet else []
    return _starting(typed, {resource.id for host in found for resource in host.resources})


def kinds(ctx: click.Context, param: click.Parameter, typed: str) -> list[str]:
    try:
        from fleet.desired.profiles import every_kind

        return _starting(typed, every_kind())
    except Exception:
        return []


def profiles(ctx: click.Context, param: click.Parameter, typed: str) -> list[str]:
    """Those that come with fleet, and those of HEAD."""
    try:
        from fleet.cli.opening import open_app, open_tree
        from fleet.cli.options import Invocation
        from fleet.desired.profile_files import in_tree, shipped
        from fleet.errors import UsageError

        found = {one.name for one in shipped()}
        try:
            invocation = ctx.find_root().ensure_object(Invocation)
            found |= {one.name for one in in_tree(open_tree(open_app(invocation), invocation))}
        except UsageError:  # no repository here
            pass
        return _starting(typed, found)
    except Exception:
        return []


def _starting(typed: str, names: Iterable[str]) -> list[str]:
    return sorted(name for name in names if name.startswith(typed))


def _fleet(ctx: click.Context) -> Fleet | None:
    """What HEAD says; the loader's cache makes this fast enough for the TAB key."""
    try:
        from fleet.cli.opening import open_app
        from fleet.cli.options import Invocation

        return open_app(ctx.find_root().ensure_object(Invocation)).compile()
    except Exception:
        return None
