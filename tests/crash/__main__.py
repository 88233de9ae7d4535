"""`cd tests && python -m crash`, that is `make soak`: random kills in every mode, then the long soak; a table and JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import secrets
import sys
from collections import Counter
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path

import engine
from traces import adopt_orphans

from crash import gauge
from crash.container_kills import ContainerKills
from crash.fleet import Fleet, harbour
from crash.house import MAX_SESSIONS, House
from crash.modes import MODES
from crash.random_kills import RandomKills
from crash.soak import EDITS, FLAGS, Soak

MEMORY_ALLOWED_BYTES = 4 << 20


def plain(report: object) -> dict[str, object]:
    """Return a report as JSON takes it; `asdict` cannot copy a Counter."""
    if isinstance(report, Counter):
        return dict(report)
    names = [field.name for field in fields(report)]  # type: ignore[arg-type]
    return {name: _plain(getattr(report, name)) for name in names}


def _plain(value: object) -> object:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return plain(value) if is_dataclass(value) or isinstance(value, Counter) else value


def kills(mode: str, seed: int, count: int) -> dict[str, object]:
    """Run the random kills in one mode."""
    house = House(mode, flags=["--max-sessions", str(MAX_SESSIONS)])
    try:
        house.start()
        report = RandomKills(house, seed).run(count)
        house.audit()
    finally:
        house.close()
    print(report, flush=True)
    return plain(report)


def container_kills(seed: int, count: int) -> dict[str, object]:
    """Run the random kills of the container tier, on an engine of their own."""
    with harbour() as port:
        fleet = Fleet(*port, pool=1)
        try:
            fleet.start()
            report = ContainerKills(fleet, seed).run(count)
            fleet.audit()
        finally:
            fleet.close()
    print(report, flush=True)
    return plain(report)


def soak(mode: str, seed: int, options: argparse.Namespace) -> tuple[dict[str, object], bool]:
    """Run the soak in one mode; tell whether everything was flat."""
    house = House(mode, edits=EDITS, flags=FLAGS)
    try:
        house.start()
        report = Soak(house, seed).run(
            one_shots=options.one_shots, sessions=options.sessions, windows=options.windows
        )
        house.audit()
    finally:
        house.close()
    rows = gauge.rows(report.samples, MEMORY_ALLOWED_BYTES)
    print(
        f"{options.one_shots} one-shots and {options.sessions} sessions in mode {mode}, seed {seed}: "
        f"{report.seconds:.0f} s, {dict(report.outcomes)}"
    )
    print(gauge.table(rows), flush=True)
    told = {**plain(report), "mode": mode, "rows": [{**asdict(row), "flat": row.flat} for row in rows]}
    return told, all(row.flat for row in rows)


def main() -> int:
    parser = argparse.ArgumentParser(prog="crash", description=__doc__)
    parser.add_argument("--only", choices=("kills", "containers", "soak"), help="one of the phases")
    parser.add_argument(
        "--mode", choices=tuple(MODES), help="one kind of host instead of all that this machine can be"
    )
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 30), help="of the random choices")
    parser.add_argument("--kills", type=int, default=200, help="random kills a mode")
    parser.add_argument("--container-kills", type=int, default=100, help="random kills in containers")
    parser.add_argument("--one-shots", type=int, default=10_000)
    parser.add_argument("--sessions", type=int, default=500)
    parser.add_argument(
        "--windows", type=int, default=20, help="looks at the daemon's memory and all that it holds"
    )
    parser.add_argument("--json", type=Path, help="write everything here too")
    options = parser.parse_args()
    modes = [options.mode] if options.mode else [name for name, mode in MODES.items() if mode.available()]
    print(
        f"seed={options.seed} modes={','.join(modes)} uid={os.geteuid()} cores={os.cpu_count()} "
        f"kernel={platform.release()} python={platform.python_version()}",
        flush=True,
    )
    told: dict[str, object] = {"seed": options.seed, "uid": os.geteuid(), "kernel": platform.release()}
    flat = True
    with adopt_orphans():
        if options.only in {None, "kills"}:
            told["kills"] = [kills(mode, options.seed, options.kills) for mode in modes]
        if options.only in {None, "containers"}:
            if engine.available():
                told["containers"] = container_kills(options.seed, options.container_kills)
            else:
                print(f"no kills in containers: they need root and {', '.join(engine.PROGRAMS)}")
        if options.only in {None, "soak"}:
            told["soak"], flat = soak(modes[0], options.seed, options)
    if options.json is not None:
        options.json.write_text(json.dumps(told, indent=2) + "\n")
    return 0 if flat else 1


if __name__ == "__main__":
    sys.exit(main())
