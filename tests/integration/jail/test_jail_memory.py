"""What an idle box costs beside others: the pages that are its own, of guest and pid 1 apart."""

from __future__ import annotations

from pathlib import Path

import jail_environments
import pytest
from jail_boxes import MIB, find, run
from jail_pools import open_one, started

pytestmark = [
    pytest.mark.userns,
    pytest.mark.root,  # the files that tell it are closed to an ordinary user: the processes are not dumpable
    pytest.mark.asyncio(loop_scope="module"),
]

IDLE_MOST = 4.5 * MIB  # the design aims at 4; tools and clones took a guest with numpy from 3.5 to 4.1


def own_bytes(pid: int) -> int:
    """Return what only this process has mapped."""
    rows = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    return sum(int(rows[f"Private_{kind}"].split()[0]) * 1024 for kind in ("Clean", "Dirty"))


@pytest.mark.parametrize("environment", ["base", "numbers"])
async def test_an_idle_box_has_few_pages_of_its_own(environment):
    with jail_environments.environments(numpy=True) as root:
        async with started(root, pool_size=0, pool_max=0) as executor:
            box, other = await open_one(executor, environment), await open_one(executor, environment)
            guest, supervisor = own_bytes(find("inmate")[-1]), own_bytes(find("pid1")[-1])
            assert MIB < guest <= IDLE_MOST
            assert MIB / 2 < supervisor <= 2.5 * MIB
            await run(box, "kept = bytearray(b'x') * (8 << 20)")
            await run(other, "1 + 1")
            assert own_bytes(find("inmate")[0]) > 8 * MIB, "what a program holds is its own"
            assert own_bytes(find("inmate")[-1]) <= IDLE_MOST
