"""A fleet below the top of its repository: found through the mirror as it is found from a laptop."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.app import App
from fleet.controller.notify import Notify
from fleet.controller.service import Habits
from fleet.desired.mirror import Mirror
from fleet.desired.source import open_revision
from fleet.desired.whereabouts import checkout
from fleet.errors import UsageError
from fleet.settings import Settings
from tests.desired.remotes import Origin, git

pytestmark = pytest.mark.anyio
FILE = "environments/base/environment.yaml"


async def mirrored(origin: Origin, folder: Path) -> tuple[Path, str]:
    mirror = Mirror(str(origin.path), "main", folder / "mirror")
    await mirror.open()
    return mirror.repository, await mirror.fetch()


@pytest.mark.parametrize(
    ("paths", "directory", "expected"),
    [
        ([FILE], "", "environments/"),
        ([f"ops/fleet/{FILE}"], "", "ops/fleet/environments/"),
        ([FILE, f"docs/{FILE}"], "", "environments/"),  # the top's comes first, as it does for who stands there
        ([f"ops/{FILE}", f"docs/{FILE}"], "ops", "ops/environments/"),
        ([f"a b/ü/{FILE}"], "", "a b/ü/environments/"),
        ([f"ops/{FILE}", "ops/environments/base/files/environments/x"], "", "ops/environments/"),
    ],
)
async def test_the_fleet_is_found_in_a_mirror(tmp_path: Path, paths: list[str], directory: str, expected: str) -> None:
    origin = Origin.at(tmp_path / "remote")
    for path in paths:
        origin.commit(path=path)
    repository, commit = await mirrored(origin, tmp_path)
    tree = open_revision(repository, commit, directory=directory)
    assert tree.prefix == expected
    assert "base/environment.yaml" in tree.entries


@pytest.mark.parametrize(
    ("paths", "directory", "said"),
    [
        ([f"ops/{FILE}", f"docs/{FILE}"], "", "several directories hold environments/: 'docs', 'ops'"),
        ([f"ops/{FILE}"], "oops", "has no oops/environments/ directory"),
        (["README"], "", "has no environments/ directory"),
    ],
)
async def test_where_it_is_not_nothing_is_guessed(tmp_path: Path, paths: list[str], directory: str, said: str) -> None:
    origin = Origin.at(tmp_path / "remote")
    for path in paths:
        origin.commit(path=path)
    repository, commit = await mirrored(origin, tmp_path)
    with pytest.raises(UsageError, match=said):
        open_revision(repository, commit, directory=directory)


def test_a_working_tree_says_itself_where_it_is(tmp_path: Path) -> None:
    """From the top of a checkout whose fleet is elsewhere nothing is found, as the command finds nothing there."""
    origin = Origin.at(tmp_path / "remote")
    origin.commit(path=f"ops/{FILE}")
    with pytest.raises(UsageError, match="no environments/ directory"):
        open_revision(origin.work)
    assert open_revision(origin.work / "ops").prefix == "ops/environments/"
    assert checkout(origin.work / "ops") == (origin.work, "ops")
    assert checkout(origin.work) == (origin.work, "")


async def test_serve_below_the_top_of_a_checkout_follows_what_a_plan_there_reads(tmp_path: Path) -> None:
    origin = Origin.at(tmp_path / "remote")
    origin.commit(path=f"ops/{FILE}")
    origin.commit(path=f"docs/{FILE}")
    git(origin.work, "checkout", "-q", "main")
    settings = Settings(repository=origin.work / "ops", state_dir=tmp_path / "state", cache_dir=tmp_path / "cache")
    app = App(settings)
    try:
        service = await app.service(Notify(), Habits())
        await service.mirror.open()
        commit = await service.mirror.fetch()
        assert commit == git(origin.work, "rev-parse", "HEAD")
        app.revisions.compile(commit)  # raises where environments/ is not found
    finally:
        await app.aclose()


@pytest.mark.parametrize("given", ["../x", "a//b", "a/./b", ":(glob)*", "a\nb"])
def test_a_directory_outside_is_refused_as_a_setting(given: str) -> None:
    with pytest.raises(UsageError, match="directory inside the repository"):
        Settings(directory=given)


async def test_a_directory_whose_name_moves_a_terminal_is_none(tmp_path: Path) -> None:
    origin = Origin.at(tmp_path / "remote")
    origin.commit(path=f"\x1b[2J/{FILE}")
    repository, commit = await mirrored(origin, tmp_path)
    with pytest.raises(UsageError, match="has no environments/ directory"):
        open_revision(repository, commit)
