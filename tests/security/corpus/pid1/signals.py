# title: every signal to pid 1, by every call that sends one
# expect: C
# unsandboxed: not-run

fd = os.pidfd_open(1)
for number in range(1, 65):
    attempt(os.kill, 1, number)
    attempt(signal.pidfd_send_signal, fd, number)
    call(NR["tgkill"], 1, 1, number)
    call(NR["tkill"], 1, number)
    info = (ctypes.c_int * 32)(number, 0, -1)
    call(NR["rt_sigqueueinfo"], 1, number, ctypes.addressof(info))
    call(NR["rt_tgsigqueueinfo"], 1, 1, number, ctypes.addressof(info))
print("sent")
# --- again
print("pid 1 serves:", os.getppid() == 1)
