# title: fcntl commands that send a chosen signal, watch a directory or take a lease
# expect: B
# unsandboxed: escapes

F_SETSIG, F_SETOWN_EX, F_SETLEASE, F_NOTIFY, F_DUPFD_QUERY, F_CREATED_QUERY = 10, 15, 1024, 1026, 1027, 1028
library = os.open(os.__file__, os.O_RDONLY)
place = os.open("/work" if os.path.isdir("/work") else ".", os.O_RDONLY)
results = {}
for high in (0, 1 << 32):
    results |= {
        ("signal", high): call(NR["fcntl"], 0, F_SETSIG | high, signal.SIGCONT),
        ("lease", high): call(NR["fcntl"], library, F_SETLEASE | high, 0),
        ("notify", high): call(NR["fcntl"], place, F_NOTIFY | high, 7),
    }
judge(results)
