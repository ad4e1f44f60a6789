"""Ways to reach a host. The only importers of asyncssh; the only place where data becomes words for a shell.

shell, frames, prelude, quoting   the script protocol: Batch → bytes, bytes → Outcomes (pure)
session                           a Session over any byte stream to a shell
ssh, ssh_channel, ssh_options, ssh_errors, limits   over SSH · scan: a host's key, for pinning it
local                             this machine · scripted: for laws, steps → outcomes
"""

from fleet.transports.scan import scan_host_keys

__all__ = ["scan_host_keys"]
