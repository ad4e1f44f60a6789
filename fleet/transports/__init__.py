"""Ways to reach a host. The only importers of asyncssh and httpx; the only place where data becomes words for a shell.

shell, frames, prelude, quoting   the script protocol: Batch → bytes, bytes → Outcomes (pure)
session                           a Session over any byte stream to a shell
ssh, ssh_channel, ssh_options, ssh_errors, limits   over SSH · scan: a host's key, for pinning it
http_transport → http → http_long → http_client → http_wire   over HTTP: sessions, answers and jobs that take several
    requests, one request paced and repeated, one try · http_auth, http_tls, http_address: what each needs
gate                              whose turn it is, over both
routed                            a host and the APIs beside it, as one
opening, covering                 secrets, on their way out
local                             this machine · scripted: for laws, steps → outcomes
"""
