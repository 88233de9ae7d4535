"""The native jail: what runs between a zygote's fork and the first line of untrusted code.

Theory of operation. A zygote (`zygote`) is an exec'd, single-threaded interpreter of one environment. For each box it
makes one clone(2) with all namespaces: the child is pid 1 of the box (`supervisor`). The launcher, outside, puts it into
its cgroup and writes its id maps; then pid 1 builds the root (`mounts`) and waits. At checkout it sets the sizes and forks
the guest, which walks through `lockdown`, a checklist whose order matters, and only then runs code. pid 1 stays: it reaps,
serves file operations, and holds the lease: when its socket to the launcher closes it exits, and the kernel ends the tree.

A guest can be cloned (`births` on pid 1's side, `cradle` on its own, `copying` for its files): then pid 1 has several
members (`family`), each its own child, in the same namespaces and under the same limits.

Standard library only, Python 3.9 and up: this package is loaded by the environment's interpreter, not the daemon's.
"""
