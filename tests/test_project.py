"""Laws of the tree: size, words, layers, packaging.

Read from the files themselves, so that a new module is under these laws from its first day.
"""

import ast
import importlib
import importlib.metadata
import os
import re
import statistics
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import fleet

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
MODULES = sorted((ROOT / "fleet").rglob("*.py"))
MAX_LINES, MEDIAN_LINES = 400, 120


def tracked_files() -> list[Path]:
    """Files that Git knows; all files, hidden directories apart, where this is an unpacked source distribution."""
    if (ROOT / ".git").exists():
        # The clone may belong to another user than the one who runs the tests.
        command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached"]
        names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
        return [path for name in names if name and (path := ROOT / name).is_file()]
    return [p for p in ROOT.rglob("*") if p.is_file() and not any(s[0] == "." for s in p.relative_to(ROOT).parts)]


def offenders(pattern: re.Pattern[str], *, but: tuple[str, ...] = ()) -> list[str]:
    """`file:line: text` of each line of a tracked text file that matches."""
    found = []
    for path in tracked_files():
        name = path.relative_to(ROOT).as_posix()
        if name in but or b"\0" in (raw := path.read_bytes()):
            continue
        lines = raw.decode("utf-8", "replace").splitlines()
        found += [f"{name}:{n}: {line.strip()[:80]}" for n, line in enumerate(lines, 1) if pattern.search(line)]
    return found


def test_files_stay_small() -> None:
    """No module is over 400 lines, and the median is under 120."""
    sizes = {path.relative_to(ROOT).as_posix(): len(path.read_text("utf-8").splitlines()) for path in MODULES}
    assert {name: size for name, size in sizes.items() if size > MAX_LINES} == {}
    assert statistics.median(sizes.values()) < MEDIAN_LINES


def test_every_module_says_what_it_is_for() -> None:
    """A module without a docstring has no stated responsibility."""
    silent = [p.relative_to(ROOT).as_posix() for p in MODULES if not ast.get_docstring(ast.parse(p.read_bytes()))]
    assert silent == []


def test_every_module_has_its_place_in_the_layers() -> None:
    """A new package cannot escape the import contracts by not being named in them."""
    contracts = PYPROJECT["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    placed = {name.strip(" ()") for layer in layers for name in layer.split("|")}
    present = {
        f"fleet.{p.stem}" for p in (ROOT / "fleet").iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()
    }
    assert present - {"fleet.__init__", "fleet.__main__"} <= placed


def test_nothing_is_left_for_later() -> None:
    """What is unfinished is an issue, not a comment; what a type checker doubts is fixed, not silenced."""
    words = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX)\b|# type: " r"ignore")
    assert offenders(words, but=("LICENSE",)) == []


def test_no_trace_of_the_machine_it_was_written_on() -> None:
    """No registry's host name; no path of the tree, of the home directory or of the interpreter that run this test."""
    hosts = r"\bpypi\.org|pythonhosted\.org|npmjs\.(?:org|com)|\bdeb\.debian\.org|(?:docker|ghcr|quay)\.io\b"
    here = {str(ROOT), sys.base_prefix, str(Path.home())}
    # A path of one component (/usr, /root, /src) says nothing about a machine.
    paths = [rf"{re.escape(p)}(?![\w.-])" for p in here if len(Path(p).parts) > 2]
    assert offenders(re.compile("|".join([hosts, *paths]))) == []


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-build.lock", "requirements-dev.lock"])
def test_locks_pin_every_package_by_hash_and_name_no_index(lock: str) -> None:
    """Each requirement is `name==version` with hashes; no option and no address stands in the file."""
    text = (ROOT / lock).read_text("utf-8").replace("\\\n", " ")
    entries = [line for line in text.splitlines() if line.strip()]
    assert [e for e in entries if not re.match(r"[a-z0-9.-]+==[^ ]+ .*--hash=sha256:[0-9a-f]{64}", e)] == []
    assert "://" not in text


def test_locks_hold_every_declared_dependency() -> None:
    """A dependency added to pyproject.toml without `make lock` is noticed here, not on a fresh machine."""

    def names(requirements: list[str]) -> set[str]:
        return {re.split(r"[\[<>=!~; ]", r, maxsplit=1)[0].replace(".", "-").lower() for r in requirements}

    def locked(file: str) -> set[str]:
        return names(re.findall(r"^\S+==", (ROOT / file).read_text("utf-8"), re.MULTILINE))

    project = PYPROJECT["project"]
    assert names(project["dependencies"]) - locked("requirements.lock") == set()
    assert names(project["optional-dependencies"]["dev"]) - locked("requirements-dev.lock") == set()
    assert names(PYPROJECT["build-system"]["requires"]) - locked("requirements-build.lock") == set()
    assert locked("requirements.lock") <= locked("requirements-dev.lock")


def test_every_console_script_can_be_called() -> None:
    """What pyproject.toml promises as a command imports, and is callable."""
    for target in PYPROJECT["project"]["scripts"].values():
        module, _, attribute = target.partition(":")
        assert callable(getattr(importlib.import_module(module), attribute))


def test_wheel_and_source_distribution_hold_what_they_should(tmp_path: Path) -> None:
    """The wheel has every module, the type marker and the example, and nothing else; the sdist can be tested."""
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-d", str(tmp_path)], cwd=ROOT, check=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        packed = set(wheel.namelist())
        metadata = wheel.read(next(name for name in packed if name.endswith("/METADATA"))).decode()
    assert {path.relative_to(ROOT).as_posix() for path in MODULES} | {"fleet/py.typed"} <= packed
    assert {name.split("/")[0] for name in packed if ".dist-info" not in name} == {"fleet"}
    example = {p.relative_to(ROOT / "environments") for p in (ROOT / "environments").rglob("*") if p.is_file()}
    assert example == {Path(name).relative_to("fleet/example") for name in packed if name.startswith("fleet/example/")}
    assert "License-Expression: Apache-2.0" in metadata
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as archive:
        source = {name.partition("/")[2] for name in archive.getnames()}
    kept = {"Makefile", "Containerfile", "CHANGELOG.md", "requirements-dev.lock", ".ci/run", ".ci/prepare"}
    assert kept | {"tests/test_project.py", "environments/README.md"} <= source


@pytest.mark.skipif(os.environ.get("FLEET_TEST_INSTALLED") != "1", reason="only `make test` installs the package")
def test_what_is_tested_is_the_installed_package() -> None:
    """The tests import fleet from site-packages, with its type marker and its example, and not from the tree."""
    package = Path(fleet.__file__).parent
    assert package.parent == Path(sysconfig.get_paths()["purelib"])
    assert (package / "py.typed").is_file()
    assert {p.name for p in (package / "example").iterdir()} == {p.name for p in (ROOT / "environments").iterdir()}
    assert importlib.metadata.version("fleet-controller") == PYPROJECT["project"]["version"]
