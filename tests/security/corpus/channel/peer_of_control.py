# title: the control socket's other end: learn its process, get a handle on it, signal it
# expect: B
# unsandboxed: not-run

import socket
import struct

control = socket.socket(fileno=os.dup(3))
pid, _, _ = struct.unpack("3i", control.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
if pid not in (0, os.getpid()):
    escaped("pid of the other end", pid)
try:
    (peer,) = struct.unpack("i", control.getsockopt(socket.SOL_SOCKET, 77, 4))  # SO_PEERPIDFD
except OSError as error:
    print("no handle:", errno.errorcode[error.errno])
else:
    for number in (0, signal.SIGCONT, signal.SIGKILL):
        result = attempt(signal.pidfd_send_signal, peer, number)
        print("signal", number, result)
        if result == "ok":
            escaped("signalled a process outside", number)
    for request in range(0xFF01, 0xFF0D):  # PIDFD_GET_*_NAMESPACE
        if call(NR["ioctl"], peer, request, 0) not in ("ENOSYS", "EPERM"):
            escaped("a namespace of the other end", hex(request))
    if call(NR["setns"], peer, 0x20000) != "EPERM":
        escaped("setns")
    if call(NR["pidfd_getfd"], peer, 0, 0) != "EPERM":
        escaped("its descriptors")
