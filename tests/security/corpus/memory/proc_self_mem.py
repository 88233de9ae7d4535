# title: /proc/self/mem, which ignores page protection, and what else a dumpable process may read of itself
# expect: B
# unsandboxed: escapes

judge(
    {
        path: attempt(lambda path=path: os.close(os.open(path, os.O_RDONLY)))
        for path in (
            "/proc/self/mem",
            "/proc/self/environ",
            "/proc/self/syscall",
            "/proc/self/pagemap",
            "/proc/thread-self/mem",
        )
    },
    ("EACCES", "EPERM", "ENOENT"),
)
judge({"write": attempt(lambda: os.close(os.open("/proc/self/mem", os.O_RDWR)))}, ("EACCES", "EPERM"))
