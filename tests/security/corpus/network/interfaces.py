# title: interfaces, routes, sockets and neighbours of the host in /proc/self/net
# expect: B
# unsandboxed: no-marker

found = []
names = [line.split(":")[0].strip() for line in open("/proc/self/net/dev").readlines()[2:]]
found += [
    name
    for name in names
    if name
    not in ("lo", "tunl0", "sit0", "ip6tnl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "ip6gre0")
]
found += open("/proc/self/net/route").readlines()[1:]
sockets = [line.split() for line in open("/proc/self/net/unix").readlines()[1:]]
found += [words[7] for words in sockets if len(words) > 7]
found += ["%d sockets" % len(sockets)] if len(sockets) > 2 else []  # the nursery's two ends are pid 1's and this box's
found += open("/proc/self/net/tcp").readlines()[1:]
print("interfaces", names)
if found:
    escaped(found[:3])
