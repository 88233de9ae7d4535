"""Which command gives this process cgroups to divide: that depends on the hierarchy, on who starts it, and on where.

Sources: systemd.resource-control(5) "Delegate="; user@.service(5), whose default passes on memory and pids, not always
cpu; systemd.io/CGROUP_DELEGATION: v1 controllers cannot be delegated to ordinary users safely.
"""

from __future__ import annotations

from sandboxd.doctor.facts import Facts
from sandboxd.doctor.hierarchies import V2, Place
from sandboxd.hosts import container_kind, remedies

_UNIT = "As a service: `sudo systemctl edit sandboxd`, and there:\n  [Service]\n  Delegate=yes"
_SCOPE = "From a shell: systemd-run --user --scope -p Delegate=yes sandboxd serve"
_READ_ONLY = {
    "docker": "Docker mounts /sys/fs/cgroup read-only into containers that are not privileged",
    "kubernetes": "the node mounts /sys/fs/cgroup read-only into pods that are not privileged",
}


def remedy(facts: Facts, places: list[Place], controller: str) -> str:
    """Say how to get a controller."""
    host = facts.host
    kind = container_kind(host)
    place = next((place for place in places if place.offers(controller)), places[0] if places else None)
    if kind and (place is None or place.read_only):
        why = _READ_ONLY.get(kind, f"the {kind} container gives none")
        return f"Run sandboxd on the host as a service ({why}). {remedies.PER_PROCESS}"
    if place is not None and place.version == 1:
        unified = "systemd.unified_cgroup_hierarchy=1"
        # Where systemd does not mount the hierarchies, v1 itself must go.
        switch = remedies.kernel_argument(
            host, f"cgroup_no_v1=all {unified}" if remedies.is_wsl(host) else unified
        )
        return f"Run sandboxd as root, or boot with cgroup v2, which can be delegated:\n{switch}"
    if not host.exists("/run/systemd/system"):
        return _without_systemd(facts)
    if (
        place is not None
        and place.version == V2
        and _is_of_user_manager(place)
        and controller not in place.controllers
    ):
        return _user_manager()
    return f"{_UNIT}\n{_SCOPE}"


def _is_of_user_manager(place: Place) -> bool:
    return "/user@" in place.directory


def _user_manager() -> str:
    return (
        "sudo mkdir -p /etc/systemd/system/user@.service.d\n"
        "printf '[Service]\\nDelegate=cpu memory pids\\n' | sudo tee /etc/systemd/system/user@.service.d/sandboxd.conf\n"
        "sudo systemctl daemon-reload   # then log out and in again\n"
        f"{_SCOPE}"
    )


def _without_systemd(facts: Facts) -> str:
    if remedies.is_wsl(facts.host):
        return (
            "printf '[boot]\\nsystemd=true\\n' | sudo tee -a /etc/wsl.conf   # then, in Windows: wsl --shutdown\n"
            f"{_SCOPE}"
        )
    user = "$USER" if facts.uid else "root"
    return (
        "Without systemd, as root, in the shell that starts sandboxd:\n"
        "mkdir /sys/fs/cgroup/sandboxd && echo '+memory +pids +cpu' > /sys/fs/cgroup/cgroup.subtree_control\n"
        f"chown -R {user} /sys/fs/cgroup/sandboxd && echo $$ > /sys/fs/cgroup/sandboxd/cgroup.procs"
    )
