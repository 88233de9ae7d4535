"""The launcher: the executable that owns every process, cgroup and mount of the jails. No gRPC, no policy, no log.

It talks to the front over one SOCK_SEQPACKET pair (`protocol`), to zygotes and to each box's pid 1 over others
(`sandboxd.jail.wire`). It is the authority on deadlines, usage and causes of death: what it says of a box is measured,
never claimed by the box.
"""
