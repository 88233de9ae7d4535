# title: tell another box something by locks on a file that both see: flock, leases, notification
# expect: B
# unsandboxed: escapes

import fcntl

library = open(os.__file__)
judge(
    {
        "flock": attempt(fcntl.flock, library, fcntl.LOCK_SH | fcntl.LOCK_NB),
        "lease": attempt(fcntl.fcntl, library, 1024, 0),
        "inotify": call(NR["inotify_init1"], 0),
        "fanotify": call(NR["fanotify_init"], 0, 0),
    }
)
