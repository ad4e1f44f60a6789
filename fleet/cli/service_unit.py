"""The systemd unit of `fleet serve`, and what stands around it. Pure. See systemd.service(5), systemd.exec(5)."""

from __future__ import annotations

UNIT = """\
# Written by `fleet service install`. To change something: systemctl edit fleet
[Unit]
Description=fleet: keeps hosts as the repository says
Wants=network-online.target
After=network-online.target
# A disk that is full for an hour must not be the end of it: it is tried again for as long as it takes.
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={program} serve
ExecReload=/bin/kill -HUP $MAINPID
WatchdogSec=30
Restart=on-failure
RestartSec=10
# It is ready once a revision is compiled: until Git answers for the first time, its status says why not.
TimeoutStartSec=infinity
# What is being changed when it is told to end gets 15 seconds, then it is cut off and looked at again.
TimeoutStopSec=30
KillMode=mixed
User=fleet
Group=fleet
StateDirectory=fleet
StateDirectoryMode=0700
CacheDirectory=fleet
CacheDirectoryMode=0700
RuntimeDirectory=fleet
RuntimeDirectoryMode=0755
UMask=0077
LimitNOFILE=65536
# The key that hosts let in, and the identities that open secrets, one file for each environment: root's, and readable
# to this process only while it runs.
LoadCredential=ssh_key:/etc/fleet/ssh_key
# Where there is none, a blank one: an empty one is no credential to systemd, which then refuses to start.
SetCredential=ssh_key:\\n
LoadCredential=age:/etc/fleet/age
# Who is told, and the token for commit statuses; neither needs to be there.
LoadCredential=notify:/etc/fleet/notify.yaml
SetCredential=notify:\\n
LoadCredential=status_token:/etc/fleet/status_token
SetCredential=status_token:\\n
# It needs the network and its own three directories, and nothing else of this machine.
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
PrivateUsers=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProcSubset=pid
RemoveIPC=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
# sops is run without a network where it needs none: that takes namespaces of its own.
RestrictNamespaces=user net
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@resources
SystemCallFilter=unshare
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
"""
USERS = """\
# Written by `fleet service install`; see sysusers.d(5).
u fleet - "fleet controller" /var/lib/fleet
"""
CONFIG = """\
# Settings of the service; `fleet config` lists all of them. Every name may also be a variable: FLEET_NAME.
remote: {remote}
branch: {branch}
"""


def unit(program: str) -> str:
    """program: whole path of fleet."""
    return UNIT.format(program=program)


def config(remote: str, branch: str) -> str:
    return CONFIG.format(remote=_text(remote), branch=_text(branch))


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
