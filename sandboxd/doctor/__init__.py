"""What this host can enforce, and how to get the rest.

Files are read below a root that tests replace by trees of other hosts; what only trying can tell (`trial.py`)
runs in a child of its own and comes in as a `Trial`.
"""

from pathlib import Path

from sandboxd.doctor.cgroups import check_cgroups
from sandboxd.doctor.container import check_container
from sandboxd.doctor.host import Host
from sandboxd.doctor.kernel import (
    check_core_pattern,
    check_kernel,
    check_landlock,
    check_libseccomp,
    check_seccomp,
    check_swap,
)
from sandboxd.doctor.model import Check, Status
from sandboxd.doctor.namespaces import check_fresh_proc, check_sysctls, check_user_namespaces, userns_remedy
from sandboxd.doctor.probe import Trial, run_trial

__all__ = ("Check", "Status", "Trial", "run_checks", "run_trial", "userns_remedy")


def run_checks(root: Path = Path("/"), trial: Trial | None = None) -> list[Check]:
    """Check the host; never raises, a check that cannot be made says so.

    Args:
        root: where the host's files stand.
        trial: what trying gave; None tries now, on this kernel.
    """
    host = Host(root)
    tried = trial if trial is not None else run_trial()
    return [
        check_kernel(host),
        check_container(host),
        check_user_namespaces(host, tried),
        *check_sysctls(host),
        check_fresh_proc(host, tried),
        check_landlock(tried),
        check_seccomp(host, tried),
        check_libseccomp(),
        *check_cgroups(host),
        check_swap(host),
        check_core_pattern(host),
    ]
