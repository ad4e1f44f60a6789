"""A process that stays on the host and says which files these are: a sweep that asks it starts none.

It is perl, which every Debian and Ubuntu has (perl-base is essential there), in a shell's place on a second channel. It
answers a Witness as the shell would, in the same words; without perl or a second channel the shell is asked.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping

from fleet.errors import Failure, TransportError
from fleet.model.step import Batch, Outcome, Report, Witness
from fleet.transports.channel import GRACE, LEASE, Channel, Listener, Opener, end, greeting
from fleet.transports.frames import Reader
from fleet.transports.prelude import PRELUDE
from fleet.transports.shell import sent

# Records end with NUL, since nothing else can not be in a path. "PATHS CONTENTS" is followed by so many of each; an
# empty record asks for the same again. What nobody asks anything ends itself.
_PERL = r"""
$0 = "fleet witness";
my ($m, $s) = delete @ENV{"fl_m", "fl_s"};
my ($lease, $me, @paths, @contents) = @ARGV;
$/ = "\0"; $| = 1;
sub take { map { my $r = <STDIN>; exit unless defined $r; chomp $r; $r } 1 .. $_[0] }
print "\n$m H $$ $s\n";
while (defined(my $asked = <STDIN>)) {
  alarm $lease;
  if ($asked =~ /^(\d+) (\d+)\0$/) { my ($n, $k) = ($1, $2); @paths = take($n); @contents = take($k) }
  my $said = "\n$m B 0\n" . time . " 0 0 0 0 0 0 0 $me\n";
  for my $path (@paths) {
    my @s = lstat $path or next;
    $said .= sprintf "%d %s %s %s %d %d %d %x %s\n", @s[10, 0, 1, 7, 9, 4, 5, 2], $path;
  }
  for my $path (@contents) {
    open my $file, "<", $path or next;
    local $/ = "\n";
    while (defined(my $line = <$file>)) { chomp $line; $said .= "$path:$line\n" }
  }
  print $said, "\n$m E 0 ok 0 -1\n\n$m Z\n";
}
"""
_BECOME_IT = f"""
command -v perl >/dev/null 2>&1 || exit 1
unset PERL5OPT PERL5LIB PERLLIB PERL_UNICODE PERLIO PERL_HASH_SEED_DEBUG
fl_disarm; trap - EXIT
export fl_m fl_s
exec perl -C0 -e '{_PERL}' {LEASE:.0f} {Witness.CLOCK}
"""


class Resident:
    """Started when it is first asked. limit, patience: as of a ShellSession."""

    def __init__(self, opener: Opener, limit: int, patience: float) -> None:
        self._opener, self._limit, self._patience = opener, limit, patience
        self._channel: Channel | None = None
        self._listener: Listener | None = None
        self._knows: Witness | None = None
        self._impossible = False

    async def ask(self, batch: Batch, report: Report | None) -> Mapping[str, Outcome] | None:
        """The outcome of a batch that is one Witness; None: there is no resident, the shell must be asked."""
        (witness,) = batch.tasks[0].steps
        assert isinstance(witness, Witness)
        if self._impossible:
            return None
        try:
            channel, listener = await self._started()
        except TransportError as error:
            self._impossible = error.failure is not Failure.LOST  # no perl, no second channel: not next time either
            return None
        listener.changed.clear()
        listener.reader.expect(batch.tasks, report)
        try:
            channel.write(_words(None if witness == self._knows else witness))
            self._knows = witness
            if not listener.ended:
                async with asyncio.timeout(batch.deadline + GRACE):
                    await listener.changed.wait()
        except TimeoutError:
            listener.reader.unfinished()
            return listener.reader.outcomes
        finally:
            if not listener.reader.done:
                self._channel = self._listener = None
                await end(channel, listener)
        # Ended by itself, its lease over; or killed; or the connection is lost, which the shell finds out.
        return listener.reader.outcomes if listener.reader.done else None

    async def aclose(self) -> None:
        """Ends with its input."""
        channel, self._channel, self._listener = self._channel, None, None
        if channel is not None:
            await channel.close()

    async def _started(self) -> tuple[Channel, Listener]:
        """Raises TransportError."""
        if self._channel is not None and self._listener is not None:
            return self._channel, self._listener
        marker, self._knows = secrets.token_hex(16), None
        listener = Listener(Reader(marker, self._limit))
        channel = await self._opener(listener)
        try:
            channel.write(sent(f"fl_m={marker}\n{PRELUDE}{_BECOME_IT}".encode()))
            await greeting(listener, self._patience)
            if not listener.reader.pid:
                raise TransportError(Failure.SHELL, "there is no perl")
        except BaseException:
            await end(channel, listener)
            raise
        self._channel, self._listener = channel, listener
        return channel, listener


def _words(witness: Witness | None) -> bytes:
    """What it is asked; None: the same as before."""
    if witness is None:
        return b"\0"
    head = f"{len(witness.paths)} {len(witness.contents)}"
    records = (head, *witness.paths, *witness.contents)
    return b"".join(one.encode(errors="surrogateescape") + b"\0" for one in records)
