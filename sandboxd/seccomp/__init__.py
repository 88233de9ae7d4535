"""The seccomp filters of the jail and of the screener, built once with libseccomp and loaded as bytes (takes ~27 ms).

Default for the guest is ENOSYS, not EPERM and not a kill: libraries probe for new calls and fall back on ENOSYS, so a C
library upgrade does not break programs, and a call newer than this list is refused all the same. Known-dangerous calls
answer EPERM, so that a program sees "not permitted". A foreign architecture's call kills the process.
"""

from sandboxd.seccomp.build import Filter, build_filters, build_screener_filter

__all__ = ("Filter", "build_filters", "build_screener_filter")
