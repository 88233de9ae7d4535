# title: memory that outlives its process: System V, POSIX queues, secret memory
# expect: B
# unsandboxed: escapes

judge(
    {
        "shmget": call(NR["shmget"], 0x5AFE, 4096, 0o1600),
        "semget": call(NR["semget"], 0x5AFE, 1, 0o1600),
        "msgget": call(NR["msgget"], 0x5AFE, 0o1600),
        "mq_open": call(NR["mq_open"], b"attack", 0o102, 0o600, 0),
        "memfd_create": call(NR["memfd_create"], b"x", 0),
        "memfd_secret": call(NR["memfd_secret"], 0),
    }
)
