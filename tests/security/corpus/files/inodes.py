# title: fill the scratch file system by what has no size: empty files, directories, links, unlinked files
# expect: B
# unsandboxed: not-run
# limits: disk_mib=4

made = {"open": [], "count": 0}


def fill(action):
    count = 0
    try:
        while count < 9000:
            action(made["count"])
            made["count"] += 1
            count += 1
    except OSError as error:
        return "%s" % errno.errorcode[error.errno]
    return "no limit"


results = {
    "files": fill(lambda n: os.close(os.open("/work/f%d" % n, os.O_CREAT))),
    "directories": fill(lambda n: os.mkdir("/tmp/d%d" % n)),
    "links": fill(lambda n: os.symlink("x" * 1000, "/dev/shm/l%d" % n)),
    "unlinked": fill(lambda n: made["open"].append(os.open("/tmp", os.O_TMPFILE | os.O_RDWR))),
}
print("stopped:", *sorted(set(results.values())))
if made["count"] > 4100 + 1024:
    escaped(made["count"], "inodes")
