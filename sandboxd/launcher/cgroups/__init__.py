"""cgroups for boxes: v1 and v2, detected per controller, because hosts mix them."""

from sandboxd.launcher.cgroups.detect import Home, find_homes
from sandboxd.launcher.cgroups.tree import Cgroup, CgroupTree

__all__ = ("Cgroup", "CgroupTree", "Home", "find_homes")
