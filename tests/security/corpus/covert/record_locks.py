# title: tell another box something by record locks on a file that both see
# expect: C
# unsandboxed: not-run
# known: record locks on shared files tell two boxes that work together about each other (SECURITY.md, Shared files)

import fcntl

library = open(os.__file__)
fcntl.lockf(library, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, 4242)
print("locked")
# --- beside
import fcntl
import struct

library = open(os.__file__)
found = fcntl.fcntl(
    library, 5, struct.pack("hhqqi4x", 1, 0, 4242, 1, 0)
)  # F_GETLK: who would stop a write lock?
if struct.unpack("hhqqi4x", found)[0] != fcntl.F_UNLCK:
    escaped("the other box holds a lock")
