"""Is this host itself a container, and whose?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandboxd.doctor.model import Check, Status

if TYPE_CHECKING:
    from sandboxd.doctor.host import Host

# Looked for in this order: a pod's container has Docker's or containerd's marks too.
_FILES = (
    ("/var/run/secrets/kubernetes.io", "kubernetes"),
    ("/.dockerenv", "docker"),
    ("/run/.containerenv", "podman"),
)
_CGROUP_WORDS = (("kubepods", "kubernetes"), ("docker", "docker"), ("libpod", "podman"), ("lxc", "lxc"))


def container_kind(host: Host) -> str:
    """Name the kind of container this is: kubernetes, docker, podman, lxc, another word, or "" for none."""
    for path, kind in _FILES:
        if host.exists(path):
            return kind
    groups = host.read("/proc/1/cgroup") or ""
    for word, kind in _CGROUP_WORDS:
        if word in groups:
            return kind
    for item in (host.read("/proc/1/environ") or "").split("\0"):
        if item.startswith("container="):
            return item.removeprefix("container=")[:32] or "unknown"
    return ""


def check_container(host: Host) -> Check:
    """Tell whether sandboxd runs inside a container: what fails then is mended outside it."""
    kind = container_kind(host)
    return Check("container", Status.OK, f"inside {kind}" if kind else "no")
