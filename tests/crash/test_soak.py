"""A short soak in every test run, for gross leaks and for the soak itself; `make soak` is the long one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from crash import gauge
from crash.house import House
from crash.modes import MODES
from crash.soak import EDITS, FLAGS, Soak

pytestmark = pytest.mark.userns

MEMORY_ALLOWED_BYTES = 6 << 20  # over so few executions only what leaks kilobytes each is told from noise

HEAP_ALLOWED = 0.03  # caches are hardly full


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    mode = next(mode for mode in MODES.values() if mode.available())  # the most that this host gives
    house = House(mode.name, edits=EDITS, flags=FLAGS)
    try:
        house.start()
        yield house
    finally:
        house.close()


def test_nothing_grows(house: House) -> None:
    report = Soak(house, seed=3).run(one_shots=160, sessions=12, windows=8)
    rows = gauge.rows(report.samples, MEMORY_ALLOWED_BYTES, HEAP_ALLOWED)
    print(gauge.table(rows))
    assert all(row.flat for row in rows), gauge.table(rows)
    assert {"ok", "error", "killed"} <= report.outcomes.keys()


def test_a_leak_is_seen(house: House) -> None:
    """The gauge itself can fail: a figure that grows is told."""
    first = gauge.take(house, 0)
    grown = gauge.Sample(
        100,
        {name: value * 1.05 for name, value in first.heaps.items()},
        {part: size + 7 * MEMORY_ALLOWED_BYTES for part, size in first.memory_bytes.items()},
        first.descriptors + first.processes,
        first.threads,
        first.processes,
        first.cgroups + 1,
        first.mounts,
        first.network_namespaces,
        first.log_bytes,
    )
    rows = gauge.rows([first, first, first, grown], MEMORY_ALLOWED_BYTES)
    growing = {row.name for row in rows if not row.flat}
    assert {"memory of front, KiB", "python blocks of front", "descriptors of launcher", "cgroups"} <= growing
    assert "mounts" not in growing
