"""All checks in their order, and the report that is made of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import sandboxd
from sandboxd.config import Config
from sandboxd.doctor import (
    cgroups,
    daemon,
    engine,
    kernel,
    landlock,
    modules,
    namespaces,
    processor,
    surroundings,
    verdict,
)
from sandboxd.doctor.facts import Facts
from sandboxd.doctor.model import SCHEMA, Check, Machine, Report, Subject
from sandboxd.doctor.probe import run_trial
from sandboxd.doctor.protections import protection_checks
from sandboxd.doctor.setup import read_setup
from sandboxd.hosts import PROTECTIONS, HostFiles, container_kind
from sandboxd.policy import Policy

_CHECKS: tuple[tuple[Subject, Callable[[Facts], Check]], ...] = (
    (kernel.KERNEL, kernel.check_kernel),
    (kernel.CALLS, kernel.check_calls),
    (kernel.FILTER, kernel.check_filter),
    (kernel.LIBRARY, kernel.check_library),
    (landlock.ABI, landlock.check_abi),
    (landlock.ERRATA, landlock.check_errata),
    (namespaces.USERNS, namespaces.check_user_namespaces),
    (namespaces.CLONE, namespaces.check_userns_sysctl),
    (namespaces.COUNT, namespaces.check_limits),
    (namespaces.PROC, namespaces.check_fresh_proc),
    (namespaces.IDS, namespaces.check_ids),
    (modules.PROFILE, modules.check_apparmor),
    (modules.SELINUX, modules.check_selinux),
    (cgroups.MEMORY, cgroups.check_memory),
    (cgroups.PIDS, cgroups.check_pids),
    (cgroups.CPU, cgroups.check_cpu),
    (cgroups.FREEZE, cgroups.check_freeze),
    (cgroups.KILL, cgroups.check_kill),
    (processor.VULNERABILITIES, processor.check_vulnerabilities),
    (processor.SPECULATION, processor.check_speculation),
    (processor.SMT, processor.check_smt),
    (processor.CLOCK, processor.check_clock),
    (modules.PLATFORM, modules.check_platform),
    (surroundings.SWAP, surroundings.check_swap),
    (surroundings.CORES, surroundings.check_core_dumps),
    (surroundings.ASLR, surroundings.check_address_layout),
    (surroundings.TRACING, surroundings.check_tracing),
    (surroundings.TERMINAL, surroundings.check_terminal),
    (surroundings.IO_URING, surroundings.check_io_uring),
    (surroundings.BPF, surroundings.check_bpf),
    (daemon.DEVICES, daemon.check_devices),
    (daemon.STATE, daemon.check_state),
    (daemon.ENVIRONMENTS, daemon.check_environments),
    (daemon.FILES, daemon.check_files),
    (daemon.TASKS, daemon.check_tasks),
    (daemon.RANDOM, daemon.check_random),
    (daemon.TIME, daemon.check_time),
)
# Made where an engine was asked: who has no policy for containers needs none.
_ENGINE_CHECKS: tuple[tuple[Subject, Callable[[Facts], Check]], ...] = (
    (engine.ENGINE, engine.check_engine),
    (engine.RUNTIMES, engine.check_runtimes),
    (engine.SOCKET, engine.check_socket),
)


def known_names() -> tuple[str, ...]:
    """List what `--require` takes: protections, then checks."""
    return (*(fact.name for fact in PROTECTIONS), *(subject.id for subject, _ in (*_CHECKS, *_ENGINE_CHECKS)))


def run_checks(facts: Facts) -> list[Check]:
    """Make every check; never raises: a check that fails itself says so, and the others are made all the same."""
    checks = (*_CHECKS, *_ENGINE_CHECKS) if facts.engine is not None else _CHECKS
    return [_guarded(subject, check, facts) for subject, check in checks]


def examine(config: Config | None = None) -> list[Check]:
    """Make every check of this host, without building a jail: what a running daemon answers."""
    setup, _ = read_setup(config)
    return run_checks(Facts(HostFiles(), run_trial(), None, setup))


def _guarded(subject: Subject, check: Callable[[Facts], Check], facts: Facts) -> Check:
    try:
        return check(facts)
    except Exception as error:  # noqa: BLE001  # an odd host must not take the answers of all other checks away
        return subject.unknown(
            f"the check itself failed: {type(error).__name__}: {error}", "Please report this."
        )


def make_report(
    facts: Facts, policies: Sequence[Policy] = (), *, require: Sequence[str] = (), ask: Sequence[str] = ()
) -> Report:
    """Make the report.

    Args:
        facts: the host.
        policies: those to give a verdict on.
        require: names of protections and checks that the exit code answers for.
        ask: names of policies that the exit code answers for.
    """
    checks = run_checks(facts)
    protections = protection_checks(facts, checks)
    runs = verdict.tier(facts, checks)
    verdicts = tuple(verdict.policy_check(policy, runs, protections, facts) for policy in policies)
    wanted = verdict.asked(require, ask, protections, checks, verdicts)
    return Report(
        schema=SCHEMA,
        exit_code=verdict.exit_code(runs, wanted),
        host=_machine(facts),
        process_tier=runs,
        protections=protections,
        policies=verdicts,
        checks=tuple(checks),
        asked=wanted,
    )


def _machine(facts: Facts) -> Machine:
    release = facts.host.read("/etc/os-release") or facts.host.read("/usr/lib/os-release") or ""
    names = dict(line.split("=", 1) for line in release.splitlines() if "=" in line)
    return Machine(
        system=names.get("PRETTY_NAME", "").strip('"')[:80] or "unknown",
        kernel=(facts.host.read("/proc/sys/kernel/osrelease") or "unknown")[:80],
        machine=facts.trial.machine or "unknown",
        container=container_kind(facts.host),
        uid=facts.uid,
        sandboxd=sandboxd.__version__,
    )
