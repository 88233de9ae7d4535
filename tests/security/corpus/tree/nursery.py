# title: take fork orders in a process of one's own, answer for the clone, and send descriptors along
# expect: C
# unsandboxed: not-run
# outcome: ok

import array
import json
import socket

nursery = socket.socket(fileno=os.dup(4))
if os.fork() == 0:
    os.setsid()
    nursery.setblocking(True)
    while True:
        data, ancillary, _, _ = nursery.recvmsg(65536, 4096)
        if not data:
            os._exit(0)
        fds = array.array("i")
        for _, _, piece in ancillary:
            fds.frombytes(piece)
        own = socket.socket(fileno=fds[-1])
        held = array.array("i", [0, 1, 2] * 60)
        try:
            own.sendmsg([json.dumps({"op": "born", "pid": 1, "member": 0}).encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, held)])
        except OSError as error:
            print(errno.errorcode[error.errno])
# --- clone
print("a clone all the same")
