"""Is this host itself a container, and whose?"""

from __future__ import annotations

from sandboxd.hosts.files import HostFiles

# Looked for in this order: a pod's container has Docker's or containerd's marks too.
_FILES = (
    ("/var/run/secrets/kubernetes.io", "kubernetes"),
    ("/run/.containerenv", "podman"),
    ("/.dockerenv", "docker"),
)
_CGROUP_WORDS = (("kubepods", "kubernetes"), ("docker", "docker"), ("libpod", "podman"), ("lxc", "lxc"))


def container_mark(host: HostFiles) -> tuple[str, str]:
    """Name the kind of container this is and the mark that tells it; ("", "") where there is none.

    A mark is a hint: a virtual machine that was made from an image carries its /.dockerenv too.
    """
    for path, kind in _FILES:
        if host.exists(path):
            return kind, path
    groups = host.read("/proc/1/cgroup") or ""
    for word, kind in _CGROUP_WORDS:
        if word in groups:
            return kind, f"{word} in /proc/1/cgroup"
    for item in (host.read("/proc/1/environ") or "").split("\0"):
        if item.startswith("container="):
            return item.removeprefix("container=")[:32] or "unknown", "container= in pid 1's environment"
    return "", ""


def container_kind(host: HostFiles) -> str:
    """Name the kind of container this is: kubernetes, docker, podman, lxc, another word, or "" for none."""
    return container_mark(host)[0]
