"""Say why the host refused a step of the jail's set-up, and the exact command that changes it."""

from __future__ import annotations

import errno
from pathlib import Path

_PROC = Path("/proc/sys")


def _sysctl(name: str) -> str | None:
    try:
        return (_PROC / name.replace(".", "/")).read_text().strip()
    except OSError:
        return None


def why_blocked(step: str, error: OSError | None) -> tuple[str, str, bool]:
    """Return (message, remedy, whether user namespaces are what is blocked) for a failed step."""
    text = f"{step}: {error.strerror}" if error is not None else step
    if _sysctl("kernel.apparmor_restrict_unprivileged_userns") == "1":
        return (
            f"AppArmor restricts user namespaces on this host ({text}).",
            (
                "Install the profile that ships with sandboxd ('sandboxd doctor' prints it and where it goes), then: "
                "apparmor_parser -r /etc/apparmor.d/sandboxd"
            ),
            True,
        )
    if _sysctl("kernel.unprivileged_userns_clone") == "0":
        return (
            f"Unprivileged user namespaces are off ({text}).",
            "Run: sysctl -w kernel.unprivileged_userns_clone=1",
            True,
        )
    if _sysctl("user.max_user_namespaces") == "0" or (error is not None and error.errno == errno.ENOSPC):
        return (
            f"No user namespaces are allowed ({text}).",
            "Run: sysctl -w user.max_user_namespaces=15000",
            True,
        )
    if error is not None and error.errno == errno.EPERM:
        return (
            f"User namespaces are blocked here, as inside Docker or Kubernetes ({text}).",
            (
                "Docker: --security-opt seccomp=unconfined --security-opt systempaths=unconfined; Kubernetes: "
                "securityContext.seccompProfile.type=Unconfined and procMount=Unmasked; or run sandboxd on the host."
            ),
            True,
        )
    if "mount /tmp/proc" in text:
        return (
            f"A fresh /proc cannot be mounted: the one here is masked ({text}).",
            "Docker: --security-opt systempaths=unconfined; Kubernetes: securityContext.procMount=Unmasked.",
            True,
        )
    return (
        f"The jail could not be set up ({text}).",
        "Run 'sandboxd doctor' to see what this host lacks.",
        False,
    )
