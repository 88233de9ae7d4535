# title: add up the three scratch directories, and memory-backed files that are no longer in any
# expect: B
# unsandboxed: not-run
# limits: disk_mib=8

total, held = 0, []
for directory in ("/work", "/tmp", "/dev/shm", "/tmp"):
    fd = (
        os.open(directory, os.O_TMPFILE | os.O_RDWR)
        if held
        else os.open(directory + "/f", os.O_CREAT | os.O_RDWR)
    )
    held.append(fd)
    try:
        while total < 64 << 20:
            total += os.write(fd, b"x" * 65536)
    except OSError as error:
        print("stopped:", errno.errorcode[error.errno])
if total > 8 << 20:
    escaped(total >> 20, "MiB")
