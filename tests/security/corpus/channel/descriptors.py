# title: walk every descriptor for one that leads out of the box
# expect: B
# unsandboxed: not-run

import stat

for fd in range(2048):
    try:
        info = os.fstat(fd)
    except OSError:
        continue
    kind = stat.S_IFMT(info.st_mode)
    expected = {0: stat.S_IFCHR, 1: stat.S_IFIFO, 2: stat.S_IFIFO, 3: stat.S_IFSOCK, 4: stat.S_IFSOCK}
    if fd > 4 and any(os.path.samestat(info, os.fstat(standard)) for standard in (0, 1, 2)):
        continue  # the guest's own copies of these, to restore them from
    if expected.get(fd) != kind:
        escaped("descriptor", fd, oct(kind))
print("walked")
