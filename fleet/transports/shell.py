"""The script protocol: a Batch becomes one compound command for a long-lived POSIX sh. Pure; `frames` reads the answer.

What a batch costs on the host: a look of only Scripts adds no fork of its own; a write adds one subshell a task and the
bookkeeping in /var/lib/fleet. The whole batch is one `{ …; } </dev/null`, so that a cut connection runs none of it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator

from fleet.model.step import Batch, Check, Command, Guard, Put, Request, Script, Step, Task, Witness
from fleet.transports.prelude import PRELUDE
from fleet.transports.quoting import assignment, encoded, quote, words

# bash reads its script from a pipe byte by byte, a system call each; the others read blocks.
BASH_BLOCK = 2048


def opening(marker: str) -> bytes:
    """What a fresh shell is told first; it answers with frame H: its process id, and its session's or 0."""
    return f'fl_m={marker}\n{PRELUDE}\nfl_frame H "$$" "$fl_s"\n'.encode()


def sent(text: bytes) -> bytes:
    """A script as it goes down the pipe: bash is told to take a long one at once, the others read on."""
    if len(text) <= BASH_BLOCK:
        return text
    return b'[ -z "${BASH_VERSION-}" ] || eval "$(head -c %d)"\n' % len(text) + text


def script(batch: Batch, arm: float = 0) -> bytes:
    """The batch as one command. arm: seconds after which the host ends the session by itself (0: leave it armed)."""
    lines = [b"{"]
    if arm:
        lines.append(b"fl_arm %d" % math.ceil(arm))
    lines.extend(_look(batch) if batch.write is None else _write(batch))
    lines.append(b"} </dev/null\n")
    return b"\n".join(lines)


def kept(batch: Batch) -> bytes:
    """A look as a function that the shell keeps. It is run by `again`, so that asking once more is a few bytes, and
    nothing for the host to parse."""
    return b"\n".join([b"fl_again() {", *_look(batch), b"} </dev/null\n"])


def again(arm: float = 0) -> bytes:
    """What was kept, once more. arm: see `script`."""
    return b"{\nfl_arm %d\nfl_again\n} </dev/null\n" % math.ceil(arm) if arm else b"fl_again\n"


def _look(batch: Batch) -> Iterator[bytes]:
    """Constant text in this very shell: no fork but its own. The end of a task is told together with what comes next:
    every write is a packet."""
    coming = [b"'B %d'" % number for number in range(1, len(batch.tasks))] + [b"Z"]
    yield b"fl_frame " + (b"B 0" if batch.tasks else b"Z")
    for number, (task, after) in enumerate(zip(batch.tasks, coming, strict=False)):
        yield from _probe(task)
        yield b"fl_next %d $? %s" % (number, after)


def _probe(task: Task) -> Iterator[bytes]:
    """What it cannot see, its reader finds missing."""
    for step in task.steps:
        constant = isinstance(step, Script | Guard | Witness)
        yield (b"{\n" if constant else b"(\n") + _step(step) + (b"} 2>/dev/null" if constant else b") 2>&1")


def _write(batch: Batch) -> Iterator[bytes]:
    write = batch.write
    assert write is not None
    numbers = {task.id: number for number, task in enumerate(batch.tasks)}
    yield b" ".join(b"fl_s%d=bad" % number for number in numbers.values())
    if write.keeps:
        yield b"fl_begin " + words((write.environment, str(write.token), write.attempt))
    else:
        yield b"fl_visit " + words((write.environment,))
    for number, task in enumerate(batch.tasks):
        if task.id.startswith("look:"):
            yield b"fl_frame B %d" % number
            yield from _probe(task)
            yield b"fl_frame E %d ok $? -1" % number
        else:
            yield from _task(number, task, numbers)
    yield b"fl_end"
    yield b"fl_disarm"
    yield b"fl_frame Z"


def _task(number: int, task: Task, numbers: dict[str, int]) -> Iterator[bytes]:
    yield b"fl_frame B %d" % number
    yield b'if [ -n "$fl_no" ]; then fl_say "$fl_no"; fl_frame E %d "$fl_as" 75 -1' % number
    yield b'elif [ -e "$fl_d/journal/$fl_a.halt" ]; then fl_frame E %d halted 0 -1' % number
    needs = [numbers[need] for need in task.needs if need in numbers]
    if needs:
        states = b"".join(b"$fl_s%d" % need for need in needs)
        yield b'elif [ "%s" != %s ]; then fl_frame E %d skipped 0 -1' % (states, b"ok" * len(needs), number)
    if task.when_due:
        mark = _mark(task.when_due)
        yield b'elif ! [ -f "$fl_d/due/%s" ]; then fl_s%d=ok; fl_frame E %d ok 0 -1' % (mark, number, number)
    yield b"else ("
    yield b"fl_j " + words(("task", task.id))
    for watcher, action in task.due:
        due = b"fl_due %s %s %s" % (_mark(watcher), quote(action), quote(watcher))
        yield due + b" || fl_stop %d failed 1 0" % number
    for place, step in enumerate(task.steps):
        yield b"( " + _step(step) + b") || { fl_c=$?; " + _stop(number, place, step) + b"; }"
    yield b") 2>&1; fl_c=$?"
    cleared = b'rm -f "$fl_d/due/%s"; ' % _mark(task.clears) if task.clears else b""
    done = b"fl_s%d=ok; fl_j %s; fl_frame E %d ok 0 -1" % (number, words(("done", task.id)), number)
    yield b"if [ $fl_c = 0 ]; then " + cleared + done
    yield b"elif [ $fl_c != 97 ]; then fl_frame E %d failed $fl_c -1; fi; fi" % number


def _stop(number: int, place: int, step: Step) -> bytes:
    """A Guard that fails is a conflict, whatever its code; our own text says so by 75 (EX_TEMPFAIL, sysexits(3))."""
    failed = b"fl_stop %d failed $fl_c %d" % (number, place)
    conflict = b"fl_stop %d conflict $fl_c %d" % (number, place)
    if isinstance(step, Guard):
        return conflict
    return b"[ $fl_c != 75 ] || " + conflict + b"; " + failed if isinstance(step, Put | Script) else failed


def _mark(resource_id: str) -> bytes:
    """File name of a due mark: ids may hold any character, hashes cannot."""
    return hashlib.sha256(resource_id.encode("utf-8", "surrogateescape")).hexdigest().encode()


def _step(step: Step) -> bytes:
    match step:
        case Script() | Guard():
            return b"fl_t() {\n" + step.text.encode() + b"\n}\nfl_t " + words(step.args) + b"\n"
        case Witness():
            return _witness(step)
        case Put():
            return _put(step)
        case Command():
            return _command(step)
        case Request() | Check():
            raise TypeError("a request is nothing for a shell")


def _witness(step: Witness) -> bytes:
    """The stat process's own directory in /proc is as young as the process: the host's clock without a second fork. One
    grep reads all contents: the shell reads byte by byte, and the kernel gives its first byte only to who asks so."""
    stat = b"stat -c '%Z %d %i %s %Y %u %g %f %n' -- " + words((step.CLOCK, *step.paths)) + b" || :\n"
    return stat + (b"grep -Hs '' -- " + words(step.contents) + b" || :\n" if step.contents else b"")


def _put(step: Put) -> bytes:
    digest = hashlib.sha256(step.content).hexdigest()
    encoding, content = encoded(step.content)
    fixed = words((step.path, step.seen, step.owner, step.group, step.mode, digest))
    return b" ".join((b"fl_put", fixed, encoding, content, words(step.validate))) + b"\n"


def _command(step: Command) -> bytes:
    """A user's program. Its shell text and its input reach it through a pipe, never through argv or a file."""
    lines = []
    if step.cwd:
        lines.append(b"cd -- " + quote(step.cwd) + b" || exit 1")
    lines.extend(b"export " + assignment(name, value) for name, value in sorted(step.environment.items()))
    run = _run(step)
    if step.timeout:
        # The program in a subshell of its own, so that one which is ended leaves this one to say so; what the shell
        # says of that (bash quotes the program) is nobody's business. Were the subshell alone in its group, dash and
        # BusyBox would take the group's redirection instead of its own.
        run = b"fl_limit %d\n{ ( %s ) 2>&1; fl_c=$?; } 2>/dev/null\nfl_unlimit; exit $fl_c" % (
            math.ceil(step.timeout),
            run,
        )
    return b"\n".join([*lines, run]) + b"\n"


def _run(step: Command) -> bytes:
    """`exec`, so that a word never means a built-in or a function of ours."""
    if step.shell:
        text = b'fl_x=$(cat <&3); exec 3<&-; eval "unset fl_x; $fl_x"'
        reads = b"<&4 4<&-" if step.stdin else b"</dev/null"
        run = b"printf %s " + quote(step.shell) + b" | { exec sh -c " + quote(text) + b" 3<&0 " + reads + b"; }"
        return _input(step.stdin) + b"{ exec 4<&0; " + run + b"; }" if step.stdin else run
    # A leading dash would be an option of exec.
    run = (b"exec env -- " if step.argv[0].startswith("-") else b"exec ") + words(step.argv)
    return _input(step.stdin) + b"{ " + run + b"; }" if step.stdin else run


def _input(stdin: bytes) -> bytes:
    encoding, content = encoded(stdin)
    return b"printf %s " + content + (b" | base64 -d | " if encoding == b"base64" else b" | ")
