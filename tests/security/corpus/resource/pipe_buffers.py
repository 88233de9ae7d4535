# title: kernel memory in pipes and socket pairs, which no limit of a process counts
# expect: K
# unsandboxed: not-run
# outcome: ok oom error timeout_wall
# limits: memory_mib=128
# timeout: 3

import fcntl
import socket

held, total = [], 0
try:
    while total < 400 << 20:
        read, write = os.pipe()
        held += [read, write]
        attempt(fcntl.fcntl, write, 1031, 1 << 20)
        os.set_blocking(write, False)
        try:
            while True:
                total += os.write(write, b"x" * 65536)
        except BlockingIOError:
            pass
except OSError as error:
    print(errno.errorcode[error.errno])
try:
    while total < 400 << 20:
        one, two = socket.socketpair()
        held += [one, two]
        one.setblocking(False)
        try:
            while True:
                total += one.send(b"x" * 65536)
        except BlockingIOError:
            pass
except OSError as error:
    print(errno.errorcode[error.errno])
print("MiB", total >> 20)
if total >= 400 << 20:
    escaped("kernel memory", total >> 20, "MiB")
