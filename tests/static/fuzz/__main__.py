"""Run the fuzzer and report: text on stdout, JSON where asked. Status 1 when something was found."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from tests.static.harness import WITH_ASYNC, Lab

from . import campaign
from .campaign import Campaign


def main() -> int:
    """Parse the options, run, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.static.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long (default 60)")
    parser.add_argument("--programs", type=int, default=0, help="at least so many programs")
    parser.add_argument("--seed", type=int, default=None, help="default: from the clock; it is printed")
    parser.add_argument("--policy", default="pure", help="whose rules the screen has (default: pure)")
    parser.add_argument("--json", type=Path, help="write the report here too")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else int(time.time())
    with Lab(options.policy, **WITH_ASYNC) as lab:
        report = campaign.run(
            lab, seed, seconds=options.seconds, programs=options.programs, with_async=lab.takes_async
        )
    sys.stdout.write(text(report))
    if options.json is not None:
        options.json.write_text(json.dumps(report.as_json(), indent=2) + "\n", encoding="utf-8")
    return int(bool(report.troubles))


def text(report: Campaign) -> str:
    """Return the report for people."""
    lines = [
        f"{report.programs} programs ({report.hostile} hostile) in {report.seconds:.0f} s, seed {report.seed}",
        *(f"  {count:6} {outcome}" for outcome, count in sorted(report.outcomes.items())),
    ]
    for grammar in ("program", "hostile"):
        covered = report.coverage(grammar)
        lines.append(f"{grammar}: productions {covered['productions']}, node types {covered['node_types']}")
        if covered["missed"]:
            lines.append(f"  never written: {' '.join(covered['missed'])}")
    for trouble in report.troubles:
        lines += [
            "",
            f"{trouble.kind} ({trouble.way}, {trouble.grammar} seed {trouble.seed}): {trouble.detail}",
        ]
        lines += [f"    {line}" for line in trouble.source.splitlines()]
    lines.append(f"\n{len(report.troubles)} findings" if report.troubles else "nothing found")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
