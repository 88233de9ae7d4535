"""`sandboxd doctor`: what this host can enforce."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from sandboxd.cli import output
from sandboxd.errors import Code, SandboxdError
from sandboxd.hosts import HostFiles

if TYPE_CHECKING:
    from sandboxd.doctor import Report

_EPILOG = (
    "exit codes: 0 the process tier runs here and all that --require and --policy name is ok, 1 something of that is not, "
    "or nobody can tell, 2 wrong usage, 3 the process tier cannot run here (the daemon would not start), 6 a policy that "
    "does not exist. Statuses: ok; degraded, there but weaker; missing; unknown, nobody can tell (never taken for ok). "
    "How it is known: tried, done for real in a throw-away process or jail; read, from what the kernel says; inferred, "
    "concluded from other rows. The answers are for a daemon started from here: what systemd gives a unit, "
    "`systemd-run --pipe -p Delegate=yes sandboxd doctor` shows."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument(
        "--schema", action="store_true", help="print the JSON Schema of the report, and look at nothing"
    )
    parser.add_argument(
        "--require",
        action="append",
        default=[],
        metavar="NAME,...",
        help="exit with 1 unless these protections and checks are ok (names as in the table)",
    )
    parser.add_argument(
        "--policy",
        action="append",
        default=[],
        metavar="NAME",
        help="exit with 1 unless this host can enforce the policy; may be given several times",
    )
    parser.epilog = _EPILOG
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    if arguments.schema:
        output.write(resources.files("sandboxd.doctor").joinpath("report.schema.json").read_text())
        return 0
    from sandboxd.cli.doctor_view import show_report  # noqa: PLC0415  # pydantic and yaml, which help does not need

    report = _examine(_names(arguments.require), arguments.policy)
    if arguments.json:
        output.emit_json(asdict(report))
    else:
        show_report(report)
    return report.exit_code


def _examine(require: Sequence[str], ask: Sequence[str]) -> Report:
    from sandboxd import doctor  # noqa: PLC0415

    setup, policies = doctor.read_setup()
    known = [policy.name for policy in policies]
    unknown = [name for name in ask if name not in known]
    if unknown:
        # A policy that cannot be read is no policy that can be enforced: the reason is the answer.
        remedy = f"Policies: {', '.join(known)}." if known else setup.fault
        raise SandboxdError(Code.POLICY_NOT_FOUND, f"there is no policy {unknown[0][:60]!r}.", remedy=remedy)
    facts = doctor.Facts(
        HostFiles(),
        doctor.run_trial(),
        doctor.try_jail(Path(setup.environments_dir)),
        setup,
        doctor.try_engine(Path(setup.engine_socket), Path(setup.images_dir)),
    )
    return doctor.make_report(facts, policies, require=require, ask=ask)


def _names(given: Sequence[str]) -> list[str]:
    """Split and check the names of `--require`: one that does not exist must never pass as not lacking."""
    from sandboxd.doctor import known_names  # noqa: PLC0415

    names = [name for text in given for name in text.split(",") if name]
    unknown = [name for name in names if name not in known_names()]
    if unknown:
        raise SandboxdError(
            Code.INVALID_REQUEST,
            f"--require: there is no {unknown[0][:60]!r}.",
            remedy=f"Names: {', '.join(known_names())}.",
        )
    return list(dict.fromkeys(names))
