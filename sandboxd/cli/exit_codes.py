"""The exit codes, the same for every command."""

from enum import IntEnum


class Exit(IntEnum):
    """How a command ended."""

    OK = 0
    FAILED = 1  # the program raised; doctor found what must be mended; the log's chain is broken
    USAGE = 2
    CANNOT_START = 3  # the daemon, also a private one
    DENIED = 4  # the screen refused the program
    LIMIT = 5  # a limit ended the program
    REFUSED = 6  # sandboxd refused, or could not do it
    INTERRUPTED = 130


EXPLAINED = (
    "exit codes: 0 ok, 1 the program failed (or doctor and audit found something), 2 wrong usage, 3 the "
    "daemon cannot start, 4 denied by the policy, 5 ended by a limit, 6 refused or broken, 130 interrupted"
)
