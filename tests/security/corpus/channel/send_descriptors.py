# title: stuff the front's descriptor table by SCM_RIGHTS on the control socket and on stdout
# expect: C
# unsandboxed: not-run
# outcome: ok error crashed timeout_wall
# timeout: 1

import array
import socket

control = socket.socket(fileno=os.dup(3))
control.setblocking(False)
held = array.array("i", [os.open("/dev/null", os.O_RDONLY) for _ in range(200)])
sent = 0
try:
    for _ in range(500):
        # An empty frame's length, so that the bytes themselves are in order.
        control.sendmsg([b"\0\0\0\2{}"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, held)])
        sent += 1
except OSError as error:
    print(errno.errorcode[error.errno])
print("sent", sent)
