"""`python -m tests.bench`: the rows of the design's speed table for the process tier, and peers beside ours."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import sys
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path

from tests.bench import machine, report
from tests.bench.peers import install
from tests.bench.peers.run import peer_rows
from tests.bench.peers.table import PeerRow
from tests.bench.profile import profile
from tests.bench.rows import MissingError, Row
from tests.bench.sections import SECTIONS
from tests.bench.setup import Setup

PEERS = "peers"


def main() -> int:
    """Measure and report; 1 when a section failed, which is not the same as a missed target."""
    options = _parser().parse_args()
    if options.profile:
        return profile(options.profile)
    share = machine.others_share(0.3 if options.quick else 2.0)
    facts = machine.facts()
    print(" ".join(f"{name}={value!r}" for name, value in facts.items()))
    print(report.noise(share), flush=True)
    # On a disk and not in /tmp, which may be memory: one row syncs.
    with contextlib.ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory(prefix="sbx-bench-", dir="/var/tmp"))
        setup = Setup(Path(name), options.quick, install.HOME, options.docker_socket, options.docker_image)
        stack.callback(setup.shared.close)
        if options.peers:
            install.install()  # first: bubblewrap is a baseline too
        wanted = options.only or _all(options)
        rows = [row for section in SECTIONS if section in wanted for row in _section(setup, section)]
        peers, failed = _peers(setup) if PEERS in wanted else ([], False)
    print(report.text_table(rows))
    if peers:
        print(report.text_peers(peers))
    if options.json is not None:
        report.write(options.json, report.as_json(facts, share, rows, peers))
    if options.write_results:
        report.write(report.RESULTS, report.markdown(facts, share, rows, peers))
    return int(failed or any(row.failed for row in rows))


def _all(options: argparse.Namespace) -> list[str]:
    """Name what is measured unless asked otherwise; an engine of its own takes longer than a quick run may."""
    sections = [name for name in SECTIONS if not (options.quick and name == "containers")]
    return [*sections, *([PEERS] if options.peers else [])]


def _section(setup: Setup, name: str) -> Iterator[Row]:
    """Yield a section's rows; what breaks in it is a row too, and the other sections go on."""
    print(f"measuring {name}", file=sys.stderr, flush=True)
    try:
        for row in SECTIONS[name](setup):
            yield dataclasses.replace(row, section=name)
    except MissingError as reason:
        yield Row(name, note=str(reason), section=name)
    except Exception as error:  # noqa: BLE001  # a long run must not lose its other rows
        traceback.print_exc()
        yield Row(name, note=f"{type(error).__name__}: {error}"[:300], failed=True, section=name)


def _peers(setup: Setup) -> tuple[list[PeerRow], bool]:
    print("measuring peers", file=sys.stderr, flush=True)
    try:
        return peer_rows(setup), False
    except Exception:  # noqa: BLE001  # as above
        traceback.print_exc()
        return [], True


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run, for CI: the figures are noise")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything as JSON too")
    parser.add_argument(
        "--only",
        action="append",
        metavar="NAME",
        choices=[*SECTIONS, PEERS],
        help=f"a section: {', '.join([*SECTIONS, PEERS])}; may be repeated",
    )
    parser.add_argument("--peers", action="store_true", help="install the peers below .venv and measure them")
    parser.add_argument("--docker-socket", default="", metavar="PATH", help="of a running engine")
    parser.add_argument("--docker-image", default="", metavar="NAME", help="with python; never pulled")
    parser.add_argument("--write-results", action="store_true", help="write tests/bench/RESULTS.md as well")
    parser.add_argument(
        "--profile",
        choices=["all", "front", "launcher", "zygote", "guest"],
        help="instead: where the time of a warm call and of a one-shot goes, hop by hop",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
