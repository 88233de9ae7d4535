"""cgroups for boxes: v1 and v2, detected per controller, because hosts mix them."""

from sandboxd.launcher.cgroups.detect import Home, find_homes, household
from sandboxd.launcher.cgroups.guest_group import NAME as GUEST_GROUP
from sandboxd.launcher.cgroups.guest_group import GuestGroup
from sandboxd.launcher.cgroups.tree import Cgroup, CgroupTree

__all__ = ("GUEST_GROUP", "Cgroup", "CgroupTree", "GuestGroup", "Home", "find_homes", "household")
