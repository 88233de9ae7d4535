# title: a socket of any family and type, also with odd high bits; connect, bind and send on a socket pair
# expect: B
# unsandboxed: escapes

import socket

results = {}
for family in range(46):
    for kind in (1, 2, 3, 5):
        for high in (0, 1 << 32):
            results[family, kind, high] = call(NR["socket"], family | high, kind | high, 0)
            results["pair", family, kind, high] = (
                call(NR["socketpair"], family | high, kind, 0, 0) if family != 1 else "EPERM"
            )
one, two = socket.socketpair()
results["connect"] = attempt(one.connect, "\0abstract")
results["bind"] = attempt(one.bind, "\0sandboxd-attack")
results["bind to a path"] = attempt(one.bind, "/tmp/attack.sock")
results["sendto"] = "EPERM" if attempt(one.sendto, b"x", "\0abstract") in ("EISCONN", "EPERM") else "ok"
judge(results)
