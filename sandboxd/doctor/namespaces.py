"""Checks of user namespaces, which the process tier cannot do without, and the exact way to get them."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

from sandboxd.doctor.container import container_kind
from sandboxd.doctor.host import Host
from sandboxd.doctor.model import Check, Status

if TYPE_CHECKING:
    from sandboxd.doctor.probe import Trial

_PROFILE = Path(__file__).with_name("sandboxd.apparmor")
_APPARMOR = "kernel.apparmor_restrict_unprivileged_userns"
# name, what blocks, the command that lifts it
_SYSCTLS = (
    ("kernel.unprivileged_userns_clone", "0", "sudo sysctl -w kernel.unprivileged_userns_clone=1"),
    ("user.max_user_namespaces", "0", "sudo sysctl -w user.max_user_namespaces=15000"),
    ("user.max_pid_namespaces", "0", "sudo sysctl -w user.max_pid_namespaces=15000"),
    ("user.max_mnt_namespaces", "0", "sudo sysctl -w user.max_mnt_namespaces=15000"),
    ("user.max_net_namespaces", "0", "sudo sysctl -w user.max_net_namespaces=15000"),
)
_IN_CONTAINER = {
    "docker": (
        "Start this container with `--security-opt seccomp=unconfined --security-opt apparmor=unconfined "
        "--security-opt systempaths=unconfined`, or run sandboxd on the host."
    ),
    "kubernetes": (
        "Give the pod `hostUsers: false`, and the container `securityContext: {procMount: Unmasked, "
        "seccompProfile: {type: Unconfined}, appArmorProfile: {type: Unconfined}}`, or run it on the node."
    ),
}


def check_user_namespaces(host: Host, trial: Trial) -> Check:
    """Check that a user namespace can be made and that mounting works in it, as found by doing so."""
    name = "user namespaces"
    if trial.fault:
        return Check(name, Status.FAILED, trial.fault, "Run `sandboxd doctor` on the machine itself.")
    failure = trial.first_failure()
    if failure is None:
        return Check(name, Status.OK, "made one and mounted a tmpfs in it")
    step, number = failure
    symbol = errno.errorcode.get(number, "unknown error")
    return Check(
        name, Status.FAILED, f"{step}: {symbol} ({os.strerror(max(0, number))})", userns_remedy(host.root)
    )


def check_sysctls(host: Host) -> list[Check]:
    """Check the sysctls that switch user namespaces off; one that this kernel does not have is left out."""
    checks = []
    for name, blocking, command in _SYSCTLS:
        value = host.sysctl(name)
        if value is not None:
            bad = value == blocking
            checks.append(
                Check(name, Status.FAILED if bad else Status.OK, value, _persistent(command) if bad else "")
            )
    restricted = host.sysctl(_APPARMOR)
    if restricted is not None:
        # Whether this process is exempt from it, only the trial knows: so it warns, and the trial fails.
        bad = restricted != "0"
        checks.append(
            Check(_APPARMOR, Status.WARNING if bad else Status.OK, restricted, _profile() if bad else "")
        )
    return checks


def check_fresh_proc(host: Host, trial: Trial) -> Check:
    """Check that a jail can mount a /proc of its own: refused where the host's is masked."""
    number = trial.errnos.get("fresh_proc")
    if number is None:
        return Check(
            "fresh /proc", Status.FAILED, "not reached: see user namespaces", userns_remedy(host.root)
        )
    if number == 0:
        return Check("fresh /proc", Status.OK, "mounted with subset=pid")
    kind = container_kind(host)
    remedy = _IN_CONTAINER.get(
        kind,
        "Unmount what covers parts of /proc; drop ProtectKernelTunables, ProtectKernelLogs, ProtectProc.",
    )
    return Check("fresh /proc", Status.FAILED, errno.errorcode.get(number, str(number)), remedy)


def userns_remedy(root: Path = Path("/")) -> str:
    """Say how to get user namespaces on this host: the sysctl, the profile or the container's flag."""
    host = Host(root)
    for name, blocking, command in _SYSCTLS:
        if host.sysctl(name) == blocking:
            return _persistent(command)
    kind = container_kind(host)
    if kind in _IN_CONTAINER:
        return _IN_CONTAINER[kind]
    if host.sysctl(_APPARMOR) not in {None, "0"}:
        return _profile()
    return "Something denies unshare(2): a seccomp filter, an LSM, or a unit's RestrictNamespaces."


def _persistent(command: str) -> str:
    setting = command.rpartition(" ")[2]
    return f"{command}   # and for the next boot: echo {setting} | sudo tee -a /etc/sysctl.d/60-sandboxd.conf"


def _profile() -> str:
    return (
        f"sudo install -m 0644 {_PROFILE} /etc/apparmor.d/sandboxd\n"
        "sudo apparmor_parser -r /etc/apparmor.d/sandboxd\n"
        "then start it as `aa-exec -p sandboxd -- sandboxd serve`, or by AppArmorProfile=sandboxd.\n"
        "The profile:\n" + _PROFILE.read_text(encoding="utf-8").rstrip()
    )
