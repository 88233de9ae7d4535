"""The jail's tests in a machine with a Debian kernel of its own, where cgroup v2 has every controller: `make vm`.

The machine is emulated in software (never KVM), has no disk and no network, and its root is this host's file system,
read-only. So what runs in there is this very checkout with its virtual environment, on another kernel.
"""
