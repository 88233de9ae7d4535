"""The exact commands, flags and files that give a host what it lacks. Every text here is meant to be pasted."""

from __future__ import annotations

from pathlib import Path

from sandboxd.hosts.container import container_kind
from sandboxd.hosts.files import HostFiles

PROFILE = Path(__file__).with_name("sandboxd.apparmor")
NAMESPACES = 15000  # bubblewrap's and Docker's own advice; a jail takes one of each kind
KERNEL = "Run Linux 5.13 or newer; 6.12 or newer covers all that the jail can use."
FILTER = (
    "In a systemd unit: remove RestrictNamespaces= and let SystemCallFilter= allow @mount and unshare "
    "(sudo systemctl edit UNIT); elsewhere start sandboxd outside what put the filter there."
)
SELINUX = (
    "sudo ausearch -m AVC -ts recent | audit2why   # names the rule that refused\n"
    "Run sandboxd as a service of its own type or unconfined; in a container: --security-opt label=disable."
)
CHROOT = (
    "Start sandboxd outside the chroot, or in one that was entered by pivot_root(2): RootDirectory= of a systemd unit, "
    "systemd-nspawn, or a container."
)
UNKNOWN = (
    "A chroot, a security module or a filter. Look for who refused: sudo dmesg | tail; "
    "sudo ausearch -m AVC,SECCOMP -ts recent; grep Seccomp /proc/self/status; systemctl show UNIT -p RestrictNamespaces."
)
PER_PROCESS = "Until then use policies with `memory: {enforce: per_process}`, which need no cgroup."
_CONTAINERS = {
    "docker": (
        "Start this container with `--security-opt seccomp=unconfined --security-opt apparmor=unconfined "
        "--security-opt systempaths=unconfined`, or run sandboxd on the host."
    ),
    "podman": (
        "Start this container with `--security-opt seccomp=unconfined --security-opt label=disable "
        "--security-opt unmask=ALL`, or run sandboxd on the host."
    ),
    "kubernetes": (
        "Give the pod `hostUsers: false`, and the container `securityContext: {procMount: Unmasked, "
        "seccompProfile: {type: Unconfined}, appArmorProfile: {type: Unconfined}}`, or run it on the node."
    ),
    "lxc": "Set `security.nesting=true` (lxc config set NAME security.nesting=true), or run sandboxd on the host.",
}


def container(kind: str) -> str:
    """Say how to start a container of this kind so that jails can be made in it."""
    return _CONTAINERS.get(
        kind, f"Start this {kind} container without its seccomp profile, or run sandboxd on the host."
    )


def sysctl(name: str, value: int) -> str:
    """Say how to set a sysctl now and for the next boot."""
    return (
        f"sudo sysctl -w {name}={value}\n"
        f"echo {name}={value} | sudo tee -a /etc/sysctl.d/60-sandboxd.conf   # for the next boot"
    )


def fresh_proc(host: HostFiles) -> str:
    """Say how to get a /proc that nothing covers: mount_too_revealing() in linux/fs/namespace.c."""
    kind = container_kind(host)
    if kind:
        return container(kind)
    return (
        "In a systemd unit: drop ProtectKernelTunables=, ProtectKernelLogs=, ProtectProc= and ProcSubset=; elsewhere "
        "unmount what covers parts of /proc (grep ' /proc/' /proc/self/mountinfo)."
    )


def ids(host: HostFiles) -> str:
    """Say how to start so that the ids of jails can be mapped."""
    kind = container_kind(host)
    where = f" (this {kind} container)" if kind else ""
    return (
        f"Run sandboxd as an ordinary user here{where}: it then maps its own id alone, and needs no others. As root it "
        "needs the host's whole id range: start outside the user namespace."
    )


def apparmor(host: HostFiles) -> str:
    """Say how to run under the shipped profile, with its text; what is done already is left out."""
    steps = ["aa-exec -p sandboxd -- sandboxd serve   # or AppArmorProfile=sandboxd in the systemd unit"]
    if host.number("kernel.apparmor_restrict_unprivileged_unconfined"):
        # An unconfined user's change of profile is then stacked onto the restriction instead of leaving it.
        steps = [
            "In the systemd unit: AppArmorProfile=sandboxd   # aa-exec of an ordinary user is not enough here:",
            "   # kernel.apparmor_restrict_unprivileged_unconfined is 1",
        ]
    if host.exists("/etc/apparmor.d/sandboxd"):
        return "\n".join(["sudo apparmor_parser -r /etc/apparmor.d/sandboxd", *steps])
    install = [
        f"sudo install -m 0644 {PROFILE} /etc/apparmor.d/sandboxd",
        "sudo apparmor_parser -r /etc/apparmor.d/sandboxd",
    ]
    return "\n".join([*install, *steps, "The profile:", PROFILE.read_text(encoding="utf-8").rstrip()])


def is_wsl(host: HostFiles) -> bool:
    """Tell whether this is Microsoft's kernel: its command line and its cgroups are set from Windows."""
    return "microsoft" in (host.read("/proc/sys/kernel/osrelease") or "").lower()


def kernel_argument(host: HostFiles, argument: str) -> str:
    """Say how to boot with a kernel argument on this distribution."""
    if is_wsl(host):
        return (
            f"In Windows, in %UserProfile%\\.wslconfig:\n  [wsl2]\n  kernelCommandLine={argument}\n"
            "Then there: wsl --shutdown"
        )
    if host.family == "fedora":
        return f'sudo grubby --update-kernel=ALL --args="{argument}" && sudo reboot'
    if host.family == "debian":
        line = f'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX {argument}"'
        return (
            "sudo mkdir -p /etc/default/grub.d\n"
            f"echo '{line}' | sudo tee -a /etc/default/grub.d/sandboxd.cfg\n"
            "sudo update-grub && sudo reboot"
        )
    return f"Boot with `{argument}` on the kernel's command line."


def package(host: HostFiles, *, debian: str, fedora: str) -> str:
    """Say how to install a system package on this distribution."""
    if host.family == "debian":
        return f"sudo apt install {debian}"
    if host.family == "fedora":
        return f"sudo dnf install {fedora}"
    return f"Install {debian} (Debian's name; {fedora} is Fedora's)."
