"""The Containerfile's own commands, run for real: no container engine is needed.

Each stage becomes an overlay over this machine's root, in a mount namespace that vanishes with its process. The RUN
lines run there as they stand, COPY copies, ENV and USER hold; at the end the entry point runs as the image's user.
What this cannot show is that the base image has what the commands call: python3, sh, apt-get and useradd.
"""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CAN_MOUNT = os.geteuid() == 0 and subprocess.run(["unshare", "--mount", "true"], check=False).returncode == 0

Instruction = tuple[str, str]


def instructions(text: str) -> Iterator[Instruction]:
    """The instructions of a Containerfile in order: keyword and the rest of the logical line."""
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for line in re.sub(r"\\\n\s*", " ", lines).splitlines():
        if line.strip():
            keyword, _, rest = line.strip().partition(" ")
            yield keyword, rest.strip()


def stages(parsed: list[Instruction]) -> list[tuple[str, list[Instruction]]]:
    """The instructions of each stage under its name (`AS name`, else its number)."""
    found: list[tuple[str, list[Instruction]]] = []
    for keyword, rest in parsed:
        if keyword == "FROM":
            name = re.search(r"\sAS\s+(\S+)", rest)
            found.append((name[1] if name else str(len(found)), []))
        else:
            found[-1][1].append((keyword, rest))
    return found


def copy(rest: str, root: str, workdir: str) -> str:
    """The shell line that does what COPY does."""
    words = shlex.split(rest)
    source = f"$top/{words.pop(0).removeprefix('--from=')}" if words[0].startswith("--from=") else "$context"
    *names, target = words
    into = f"{root}/{target if target.startswith('/') else f'{workdir}/{target}'}"
    # One directory is copied as its contents, several files into the directory.
    verb = f'mkdir -p "{into}" && cp -a' if target.endswith("/") else 'mkdir -p "$(dirname "{into}")" && cp -aT'
    sources = " ".join(f'"{source}/{name.lstrip("/")}"' for name in names)
    return f'{verb.format(into=into)} {sources} "{into}"'


def script(found: list[tuple[str, list[Instruction]]]) -> str:
    """One sh script that builds every stage under $top and runs the last stage's entry point as its user."""
    lines = ["set -eu", 'mount -t tmpfs tmpfs "$top"']
    workdir, user, entry = "/", "0:0", ""
    for name, body in found:
        root, workdir, user = f'"$top/{name}"', "/", "0:0"
        environment = ["PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"]
        lines += [
            f'mkdir "$top/{name}" "$top/{name}.upper" "$top/{name}.work"',
            f'mount -t overlay -o lowerdir=/,upperdir="$top/{name}.upper",workdir="$top/{name}.work" overlay {root}',
            f"mount --rbind /dev {root}/dev",
            f"mount --rbind /proc {root}/proc",
        ]
        for keyword, rest in body:
            inside = f"chroot {root} env {' '.join(environment)} sh -ec "
            match keyword:
                case "WORKDIR":
                    workdir = rest
                    lines.append(f"mkdir -p {root}{workdir}")
                case "ENV":
                    environment += [shlex.quote(word) for word in shlex.split(rest)]
                case "USER":
                    user = rest
                case "ENTRYPOINT":
                    entry = " ".join(re.findall(r'"([^"]*)"', rest))
                case "COPY":
                    lines.append(copy(rest, f"$top/{name}", workdir))
                case "RUN":
                    lines.append(inside + shlex.quote(f"cd {workdir}; {rest}") + " </dev/null >&2")
                case "LABEL" | "VOLUME" | "CMD":
                    pass
                case _:
                    raise AssertionError(f"this test does not know the instruction {keyword}")
        last = f"chroot --userspec={user} {root} env {' '.join(environment)} sh -ec "
    checks = f"cd {workdir}; id -u; touch written; {entry} --version; git --version; command -v ssh; command -v fleet"
    gone = "for tool in pip gcc make; do ! test -e /opt/fleet/bin/$tool || echo left: $tool; done"
    return "\n".join([*lines, last + shlex.quote(f"{checks}; {gone}"), ""])


def test_the_final_stage_is_unprivileged_and_starts_fleet() -> None:
    """A numeric user that is not root, the command as entry point, and no step run as root after it."""
    _, final = stages(list(instructions((ROOT / "Containerfile").read_text("utf-8"))))[-1]
    order = [keyword for keyword, _ in final]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", dict(final)["USER"])
    assert dict(final)["ENTRYPOINT"] == '["fleet"]'
    assert "RUN" not in order[order.index("USER") :]


@pytest.mark.hosts
@pytest.mark.timeout(300)  # it installs from the package archive and the package index
@pytest.mark.skipif(not CAN_MOUNT, reason="needs root with CAP_SYS_ADMIN to mount the stages")
def test_the_commands_of_the_image_do_what_they_say(tmp_path: Path) -> None:
    """Both stages run to their end, and fleet starts as the image's user from what the first stage built."""
    parsed = stages(list(instructions((ROOT / "Containerfile").read_text("utf-8"))))
    result = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-s"],
        input=script(parsed).encode(),
        env={**os.environ, "context": str(ROOT), "top": str(tmp_path)},
        capture_output=True,
        check=False,
    )
    shown = result.stdout.decode().splitlines()
    assert result.returncode == 0, result.stderr.decode("utf-8", "replace")[-3000:]
    assert shown[0] == "10001"
    assert shown[1].startswith("fleet")
    assert shown[2].startswith("git version")
    assert shown[3:] == ["/usr/bin/ssh", "/opt/fleet/bin/fleet"]
