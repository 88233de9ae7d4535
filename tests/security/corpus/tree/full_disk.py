# title: fill the disk, then have it forked
# expect: C
# unsandboxed: not-run
# limits: disk_mib=4
# outcome: ok error

try:
    with open("full", "wb") as file:
        while True:
            file.write(bytes(65536))
except OSError as error:
    print(errno.errorcode[error.errno])
# --- clone
if os.path.getsize("full") > 0:
    escaped("two of what fills the disk")
# --- again
os.unlink("full")
open("small", "w").write("x")
