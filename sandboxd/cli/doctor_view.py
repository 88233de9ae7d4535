"""The doctor's report for people: a verdict, a table by area, and at the end, next to the prompt, what to do."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from sandboxd.cli import output
from sandboxd.doctor import Evidence, PolicyCheck, ProtectionCheck, Report, Status

_MIN_WIDTH, _MAX_WIDTH = 60, 120
_NAMES, _STATES = 27, 9
_SEVERITY = (Status.MISSING, Status.DEGRADED, Status.UNKNOWN, Status.OK)
_HEADINGS = {
    "kernel": "Kernel",
    "namespaces": "Namespaces",
    "cgroups": "Cgroups",
    "processor": "Processor and clock",
    "host": "Around the jail",
    "daemon": "The daemon",
}


def show_report(report: Report) -> None:
    """Write the report to stdout."""
    host = report.host
    who = "root" if host.uid == 0 else f"uid {host.uid if host.uid is not None else 'unknown'}"
    output.line(
        f"sandboxd {host.sandboxd} on {host.system}, Linux {host.kernel} {host.machine}, seen by {who}"
    )
    output.line("")
    _show_tier(report)
    _show_policies(report.policies)
    _show_protections(report.protections)
    for area, checks in groupby(report.checks, key=lambda check: check.area):
        output.line(f"\n{_HEADINGS.get(area, area)}", style="bold")
        for check in checks:
            _row(
                check.id,
                check.status,
                check.evidence,
                check.why if check.status is Status.UNKNOWN else check.found,
            )
    _show_what_to_do(report)
    _show_asked(report)


def _show_tier(report: Report) -> None:
    tier = report.process_tier
    said = tier.why
    if tier.seconds is not None:
        said = f"a jail was built and asked what is active, in {tier.seconds:.1f} s"
    _row("process tier", tier.status, tier.evidence, said or "no jail can be built here", indent=0)


def _show_policies(policies: Sequence[PolicyCheck]) -> None:
    for policy in policies:
        lacks = f"lacks {', '.join(policy.lacks)}" if policy.lacks else "can be enforced"
        _row(f"policy {policy.name}", policy.status, None, lacks, indent=0)
    output.line("not needed".ljust(_NAMES) + "root, Docker, bubblewrap, setuid, subordinate ids")


def _show_protections(rows: Sequence[ProtectionCheck]) -> None:
    output.line("\nProtections of a jail (the names that a policy's `require` takes)", style="bold")
    groups: dict[tuple[Status, Evidence, str], list[str]] = {}
    for row in rows:
        why = "" if row.status is Status.OK else row.why
        groups.setdefault((row.status, row.evidence, why), []).append(row.name)
    for (status, evidence, why), names in groups.items():
        head = names[0] if len(names) == 1 else f"{len(names)} of {len(rows)}"
        listed = why if len(names) == 1 else ", ".join(names) + (f" ({why})" if why else "")
        _row(head, status, evidence, listed or "yes")


def _row(name: str, status: Status, evidence: Evidence | None, text: str, indent: int = 2) -> None:
    """Write one row; a long text goes on below itself."""
    head = " " * indent + name.ljust(_NAMES - indent)
    how = (evidence.value if evidence not in {None, Evidence.NONE} else "").ljust(_STATES) if evidence else ""
    how = how or " " * _STATES
    start = len(head) + 2 * (_STATES + 1)
    lines = textwrap.wrap(
        text, max(20, _width() - start), break_on_hyphens=False, break_long_words=False
    ) or [""]
    output.styled(
        [(f"{head}", ""), (f"{status.value:<{_STATES}} ", status.value), (f"{how} {lines[0]}".rstrip(), "")]
    )
    for line in lines[1:]:
        output.line(" " * start + line)


@dataclass(frozen=True, slots=True)
class _Problem:
    name: str
    status: Status
    why: str
    remedy: str
    required: bool = False

    @property
    def rank(self) -> tuple[bool, int]:
        """Order what keeps jails from running before what weakens them."""
        return not (self.required and self.status is Status.MISSING), _SEVERITY.index(self.status)


def _show_what_to_do(report: Report) -> None:
    remedies: dict[str, list[_Problem]] = {}
    for problem in _problems(report):
        remedies.setdefault(problem.remedy, []).append(problem)
    output.line("\nWhat to do" if remedies else "\nNothing to do.", style="bold")
    for remedy, causes in sorted(remedies.items(), key=lambda item: min(one.rank for one in item[1])):
        status = min(causes, key=lambda one: one.rank).status.value
        output.line("")
        output.styled([("  " + ", ".join(one.name for one in causes), "bold"), (f"  {status}", status)])
        for one in causes:
            said = f"{one.name}: {one.why}" if len(causes) > 1 else one.why
            if one.why:
                output.line(textwrap.fill(said, _width() - 4, initial_indent="  ", subsequent_indent="    "))
        for line in remedy.splitlines():
            output.line(f"      {line}")


def _problems(report: Report) -> Iterable[_Problem]:
    """List all that has a remedy. What the tier or a protection lacks is told by the check that found it, if one did."""
    tier, told = report.process_tier, {check.remedy for check in report.checks}
    if tier.status is not Status.OK and tier.remedy not in told:
        yield _Problem("process tier", tier.status, tier.why, tier.remedy, required=True)
    told.add(tier.remedy)
    found = [
        *(_Problem(f"policy {one.name}", one.status, one.why, one.remedy) for one in report.policies),
        *(_Problem(one.id, one.status, one.why, one.remedy, one.required) for one in report.checks),
        *(
            _Problem(one.name, one.status, one.why, one.remedy)
            for one in report.protections
            if one.remedy not in told
        ),
    ]
    yield from (one for one in found if one.status is not Status.OK and one.remedy)


def _show_asked(report: Report) -> None:
    asked = report.asked
    if asked.lacks:
        output.line(f"\nThis host lacks what was asked for: {', '.join(asked.lacks)}", style="missing")
    elif asked.require or asked.policies:
        output.line("\nThis host has all that was asked for.", style="ok")


def _width() -> int:
    return min(_MAX_WIDTH, max(_MIN_WIDTH, shutil.get_terminal_size((100, 24)).columns))
