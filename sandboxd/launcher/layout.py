"""What a box sees of the host: the interpreter, its standard library, shared libraries, one environment, time zones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandboxd.environments import Environment
from sandboxd.errors import Code, SandboxdError

# Where dynamic linkers and libraries live; on merged-/usr systems the first three are links.
_LIBRARY_ROOTS = ("/lib", "/lib32", "/lib64")
_MULTIARCH = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64")
_OPTIONAL = ("/usr/share/zoneinfo", "/etc/ld.so.cache")

# What a box mounts itself: a bind below would be covered.
HIDDEN = ("/work", "/tmp", "/dev", "/proc")  # noqa: S108

_FILES = {
    "/etc/passwd": (
        "root:x:0:0:root:/:/usr/sbin/nologin\nsandbox:x:1000:1000:sandbox:/work:/usr/sbin/nologin\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    ),
    "/etc/group": "root:x:0:\nsandbox:x:1000:\nnogroup:x:65534:\n",
    "/etc/hosts": "127.0.0.1 localhost sandbox\n",
    "/etc/hostname": "sandbox\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    "/etc/resolv.conf": "",
}
_DEVICE_LINKS = [
    ["/dev/fd", "/proc/self/fd"],
    ["/dev/stdin", "/proc/self/fd/0"],
    ["/dev/stdout", "/proc/self/fd/1"],
    ["/dev/stderr", "/proc/self/fd/2"],
]


def layout(environment: Environment) -> dict[str, Any]:
    """Return the layout that `sandboxd.jail.mounts.build_root` builds: binds, links, covers, files.

    Binds are [source, target] pairs of real paths; covers are directories hidden behind an empty one.
    """
    binds = _Binds()
    links = list(_DEVICE_LINKS)
    for root in _LIBRARY_ROOTS:
        if Path(root).is_symlink():
            links.append([root, str(Path(root).readlink())])
        else:
            binds.add(root)
    for path in (*_MULTIARCH, *_OPTIONAL):
        binds.add(path)
    covers = _interpreter(environment, binds)
    if environment.site_packages:
        binds.add(environment.site_packages)
    _check_places(environment, binds.pairs())
    return {"binds": binds.pairs(), "links": links, "covers": covers, "files": _FILES}


def _check_places(environment: Environment, binds: list[list[str]]) -> None:
    """Refuse what the box's own mounts would hide: modules there could be preloaded and then not read."""
    for source, _ in binds:
        if any(Path(place) in (Path(source), *Path(source).parents) for place in HIDDEN):
            raise SandboxdError(
                Code.ENVIRONMENT_FAILED,
                f"Environment {environment.name!r} needs {source}, but a box has its own {', '.join(HIDDEN)}.",
                remedy="Keep environments (setting environments_dir) and the interpreter elsewhere.",
            )


def _interpreter(environment: Environment, binds: _Binds) -> list[str]:
    """Bind the interpreter and its standard library; return the directories in it that are not the box's business."""
    binds.add(environment.python)
    major_minor = ".".join(environment.version.split(".")[:2])
    if environment.base_prefix == "/usr":
        library = f"/usr/lib/python{major_minor}"
        binds.add(library)
    else:
        library = f"{environment.base_prefix}/lib/python{major_minor}"
        binds.add(f"{environment.base_prefix}/lib")
    covered = [f"{library}/{name}" for name in ("site-packages", "dist-packages")]
    return [path for path in covered if Path(path).is_dir()]


class _Binds:
    """Existing paths, none inside another: a bind below a read-only bind could not be given its mount point."""

    def __init__(self) -> None:
        self._paths: set[str] = set()

    def add(self, path: str) -> None:
        if Path(path).exists():
            self._paths.add(str(Path(path).resolve()) if Path(path).is_symlink() else path)

    def pairs(self) -> list[list[str]]:
        return [[path, path] for path in sorted(self._paths) if not self._is_inside_another(path)]

    def _is_inside_another(self, path: str) -> bool:
        return any(str(parent) in self._paths for parent in Path(path).parents)
