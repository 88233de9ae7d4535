"""Boot the machine, show its console, and fail if any part of the tests in it failed or is missing.

    python -m tests.vm [--seed | --only ARGS] [SUITE ...]

SUITE is a Debian suite whose kernel to boot (default: this host's, and trixie's 6.12).
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

from tests.vm import initramfs
from tests.vm.packages import CACHE, QEMU, MissingError, Parts, fetch, need_tools

PROJECT = Path(__file__).resolve().parents[2]
LIMIT_SECONDS = {True: 240, False: 1800}
UID = int(os.environ.get("SANDBOXD_TEST_UID", "65534"))
_COMMAND_LINE = "console=ttyS0 quiet panic=-1 mitigations=off cgroup_no_v1=all random.trust_cpu=on"


def boot(parts: Parts, *, seed: bool, only: str) -> list[str]:
    """Run the machine until it powers off; return what went wrong."""
    variables = {
        "project": str(PROJECT),
        "python": str(PROJECT / ".venv/bin/python"),
        "prefix": sys.base_prefix,
        "uid": str(UID),
        "seed": "1" if seed else "",
        "only": only,
    }
    image = CACHE / f"initramfs-{os.getpid()}.gz"
    image.write_bytes(initramfs.build(parts, variables))
    command = [
        *(
            QEMU,
            "-accel",
            "tcg,thread=multi,tb-size=512",
            "-cpu",
            "max",
            "-smp",
            "2",
            "-m",
            "1536",
            "-M",
            "q35",
        ),
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio"),
        *("-kernel", str(parts.kernel), "-initrd", str(image), "-append", _COMMAND_LINE, "-virtfs"),
        "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap",
    ]
    try:
        return _faults(_console(command, LIMIT_SECONDS[seed]))
    finally:
        image.unlink()


def _console(command: list[str], limit_seconds: float) -> list[str]:
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as machine:
        timer = threading.Timer(limit_seconds, machine.kill)
        timer.start()
        assert machine.stdout is not None
        lines = []
        for raw in machine.stdout:
            lines.append(raw.decode(errors="replace").rstrip())
            print(lines[-1], flush=True)
        timer.cancel()
    return lines


def _faults(lines: list[str]) -> list[str]:
    text = "\n".join(lines)
    begun = set(re.findall(r"sandboxd-vm: begin (.+)", text))
    ended = dict(re.findall(r"sandboxd-vm: end (.+): (\d+), up", text))
    faults = [f"{name}: exit code {code}" for name, code in ended.items() if code != "0"]
    faults += [f"{name}: never ended" for name in begun - ended.keys()]
    if "sandboxd-vm: done" not in lines:
        faults.append("the machine stopped before its end")
    return faults


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.vm", description=__doc__)
    parser.add_argument("--seed", action="store_true", help="a few tests on this host's suite's kernel")
    parser.add_argument(
        "--only", default="", metavar="ARGS", help="run pytest with these arguments alone, as root"
    )
    parser.add_argument("suites", nargs="*", metavar="SUITE")
    arguments = parser.parse_args()
    suites = arguments.suites or ([""] if arguments.seed else ["", "trixie"])
    try:
        need_tools(install=bool(os.environ.get("CI")))
        machines = {suite: fetch(suite) for suite in suites}
    except MissingError as error:
        print(f"vm: {error}", file=sys.stderr)
        return 3
    faults: list[str] = []
    for suite, parts in machines.items():
        began = time.monotonic()
        found = boot(parts, seed=arguments.seed, only=arguments.only)
        took = f"{time.monotonic() - began:.0f} s"
        print(f"vm: {parts.kernel.name}: {'; '.join(found) or 'every part passed'} ({took})", flush=True)
        faults += [f"{suite or 'host'}: {fault}" for fault in found]
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
