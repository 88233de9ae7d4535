"""Checks of the processor and the clock: what code in a jail may learn from its neighbours, and what time costs."""

from __future__ import annotations

from sandboxd.doctor.facts import Facts
from sandboxd.doctor.model import Check, Evidence, Subject
from sandboxd.hosts import HostFiles, remedies

VULNERABILITIES = Subject("cpu-vulnerabilities", "processor", "memory of the kernel and of other jails")
SPECULATION = Subject(
    "speculation-control", "processor", "jails from each other's mis-speculation (Spectre v2, v4)"
)
SMT = Subject("smt", "processor", "jails from watching each other on one core's two threads")
CLOCK = Subject("clock-source", "processor", "cheap clocks: deadlines and metering read them often")

_PRCTL, _ENABLED = 1, 2  # PR_SPEC_PRCTL, PR_SPEC_ENABLE: prctl(2) PR_GET_SPECULATION_CTRL
# Not read by the vDSO, so each reading is a system call, and most of these leave the processor: vdso(7), clocksource rating.
_SLOW = frozenset({"hpet", "acpi_pm", "pit", "jiffies", "refined-jiffies", "xen"})
_CLOCKS = "/sys/devices/system/clocksource/clocksource0"


def check_vulnerabilities(facts: Facts) -> Check:
    """Read what the kernel says of each known error of the processor."""
    directory = "/sys/devices/system/cpu/vulnerabilities"
    names = facts.host.names(directory)
    if not names:
        return VULNERABILITIES.unknown(f"{directory} is not there or cannot be read")
    said = {name: facts.host.read(f"{directory}/{name}") or "" for name in names}
    open_ones = [name for name, text in said.items() if text.lower().startswith("vulnerable")]
    if not open_ones:
        return VULNERABILITIES.ok(f"{len(said)} known, none open", Evidence.READ)
    why = "; ".join(f"{name}: {said[name]}" for name in open_ones[:4])
    return VULNERABILITIES.degraded(
        f"{len(open_ones)} of {len(said)} open: {', '.join(open_ones[:4])}",
        Evidence.READ,
        why=why,
        remedy=_mitigate(facts.host),
    )


def _mitigate(host: HostFiles) -> str:
    if "mitigations=off" in (host.read("/proc/cmdline") or "").split():
        return "Take mitigations=off from the kernel's command line, and reboot."
    microcode = remedies.package(
        host, debian="intel-microcode amd64-microcode", fedora="microcode_ctl linux-firmware"
    )
    return f"Update kernel and microcode: {microcode}\nIn a virtual machine: the hypervisor must be updated, and pass it on."


def check_speculation(facts: Facts) -> Check:
    """Tell whether a jail can switch its own speculation off, as it tries to."""
    report = facts.trial.report
    states = {name: report.get(f"speculation_{name}") for name in ("store_bypass", "indirect_branch")}
    if None in states.values():
        return SPECULATION.unknown(facts.trial.fault or "it was not tried")
    free = [name for name, state in states.items() if state is not None and state > 0 and state & _ENABLED]
    refused = [name for name in free if report.get(f"set_{name}", -1) != 0]
    silent = [name for name, state in states.items() if state is not None and state < 0]
    if refused:
        say = SPECULATION.missing if len(refused) == len(states) else SPECULATION.degraded
        return say(
            f"{', '.join(refused)}: on, and no process can switch it off",
            Evidence.TRIED,
            why="the processor or hypervisor offers no control, or the kernel was told to leave it alone",
            remedy=remedies.kernel_argument(
                facts.host, "spec_store_bypass_disable=prctl spectre_v2_user=prctl"
            )
            + "\nWhere that changes nothing, the hypervisor must pass SSBD and STIBP on; else one tenant a machine.",
        )
    if len(silent) == len(states):
        return SPECULATION.unknown("this kernel has no PR_GET_SPECULATION_CTRL", remedy="")
    switched = [name for name in free if name not in refused]
    if switched:
        return SPECULATION.ok(f"jails switch off {', '.join(switched)}", Evidence.TRIED)
    return SPECULATION.ok("not affected, or off for all", Evidence.TRIED)


def check_smt(facts: Facts) -> Check:
    """Tell whether two jails can share a core. Core scheduling, which would part them, is not used."""
    active = facts.host.read("/sys/devices/system/cpu/smt/active")
    if active is None:
        return SMT.unknown(
            facts.host.fault("/sys/devices/system/cpu/smt/active"),
            remedy="Look into the firmware's settings.",
        )
    if active != "1":
        state = facts.host.read("/sys/devices/system/cpu/smt/control") or "off"
        why = "a virtual machine's processors may still share cores: only the hypervisor knows"
        return SMT.ok(f"one thread a core ({state})", Evidence.READ, why if facts.host.is_virtual else "")
    return SMT.degraded(
        "two threads a core",
        Evidence.READ,
        why="jails of two tenants may run on one core and time each other's caches",
        remedy="echo off | sudo tee /sys/devices/system/cpu/smt/control   # at boot: nosmt; or one tenant a machine",
    )


def check_clock(facts: Facts) -> Check:
    """Tell the clock source and what one reading of it costs here."""
    current = facts.host.read(f"{_CLOCKS}/current_clocksource")
    cost = facts.trial.report.get("clock_ns")
    measured = f", {cost} ns a reading" if cost is not None else ""
    if current is None:
        return CLOCK.unknown(facts.host.fault(f"{_CLOCKS}/current_clocksource") + measured)
    if current not in _SLOW:
        return CLOCK.ok(current + measured, Evidence.READ)
    others = (facts.host.read(f"{_CLOCKS}/available_clocksource") or "").split()
    better = next((name for name in others if name not in _SLOW), None)
    remedy = "The kernel took the TSC for unstable (sudo dmesg | grep -i tsc): update firmware or hypervisor."
    if better:
        remedy = f"echo {better} | sudo tee {_CLOCKS}/current_clocksource   # at boot: clocksource={better}"
    why = "each reading of it leaves the processor: microseconds instead of some ten nanoseconds"
    return CLOCK.degraded(current + measured, Evidence.READ, why=why, remedy=remedy)
