"""What runs passes: one run over many hosts, or the controller that goes on day and night.

one        one pass over one host with all that goes around it: the way there, secrets, intent before, result after
run        each of many hosts once: `plan` and `apply` · prune: what fleet made behind APIs and Git names no more
sessions   open ways to hosts, one each, kept between passes

service    `fleet serve`: follows Git, feeds the loop, can be asked; view: what it says · events, metrics: what happened
loop       whoever is due gets a pass · queue: whose turn it is · standing: what follows from how a pass ended
environments   which revision each environment is at · rollout: who has their turn, in waves
rules      what may be changed now: orders of people (orders), windows (windows)
lease, notify  one controller for one state; what systemd is told
"""
