"""Zygotes are replaced, and die: no session notices, and no open waits or fails for it."""

from __future__ import annotations

import asyncio
import os
import signal

import jail_environments
import pytest
from jail_boxes import answer, eventually, find, run
from jail_pools import open_one, pool, started, stocked, until

pytestmark = [pytest.mark.userns, pytest.mark.asyncio(loop_scope="module")]

SEED = "import json; print(json.dumps(hash('any text')))"


async def test_after_so_many_boxes_the_next_zygote_takes_over_and_no_open_waits_for_it():
    async with started(zygote_boxes=2) as executor:
        first = find("zygote")
        kept = await open_one(executor)
        await run(kept, "x = 42")
        seeds = []
        async with asyncio.timeout(20):
            while len(set(seeds)) < 3:
                await stocked(executor)
                box = await open_one(executor)
                seeds.append(await answer(box, SEED))
                assert box.pooled
                await box.close()
        now = await stocked(executor)
        assert now.misses == 0
        assert now.turnovers >= 2
        assert find("zygote") != first
        assert await eventually(lambda: len(find("zygote")) == 1)
        assert (await run(kept, "x"))[0].text == "42"
        assert await answer(kept, SEED) != seeds[-1]
        await run(kept, "import os; os._exit(0)")  # its pid 1 forks the next interpreter, whoever forked it
        assert (await run(kept, "6 * 7"))[0].text == "42"


async def test_what_waits_and_was_never_used_wears_nobody_out():
    async with started(zygote_boxes=1, pool_size=3) as executor:
        await stocked(executor)
        (zygote,) = find("zygote")
        await asyncio.sleep(0.3)
        assert find("zygote") == [zygote]
        await (await open_one(executor)).close()
        assert await eventually(lambda: len(find("zygote")) == 1 and find("zygote") != [zygote])
        await stocked(executor)
        await asyncio.sleep(0.3)
        assert (await pool(executor)).turnovers == 1
        # Those of the old one were taken last, and closed once others waited.
        assert await eventually(lambda: len(find("pid1")) == 3)
        one, two = await open_one(executor), await open_one(executor)
        assert await answer(one, SEED) == await answer(two, SEED)


async def test_after_so_much_time_a_zygote_that_was_used_is_replaced():
    async with started(zygote_seconds=1.0, pool_size=1) as executor:
        (zygote,) = find("zygote")
        await asyncio.sleep(1.3)
        assert find("zygote") == [zygote], "nobody knows anything of it"
        await (await open_one(executor)).close()

        async def turned() -> bool:
            return (await pool(executor)).turnovers == 1

        await until(turned)
        assert await eventually(lambda: len(find("zygote")) == 1 and find("zygote") != [zygote])


async def test_the_death_of_a_zygote_loses_no_session_and_the_next_open_works():
    async with started() as executor:
        await stocked(executor)
        box = await open_one(executor)
        await run(box, "x = 42")
        (zygote,) = find("zygote")
        os.kill(zygote, signal.SIGKILL)
        assert (await run(box, "x"))[0].text == "42"
        others = [await open_one(executor) for _ in range(3)]  # those that waited, and one of a new zygote
        assert [(await run(other, "6 * 7"))[0].text for other in others] == ["42"] * 3
        assert others[0].pooled
        await run(box, "import os; os._exit(0)")
        assert (await run(box, "6 * 7"))[0].text == "42"
        assert (await stocked(executor)).deaths == 1
        assert find("zygote") != [zygote]


async def test_an_open_during_which_the_zygote_dies_is_answered():
    async with started(pool_size=0) as executor:
        (zygote,) = find("zygote")
        os.kill(zygote, signal.SIGSTOP)
        opening = asyncio.ensure_future(open_one(executor))
        await asyncio.sleep(0.1)
        assert not opening.done()
        os.kill(zygote, signal.SIGKILL)
        box = await opening
        assert (await run(box, "6 * 7"))[0].text == "42"
        assert (await pool(executor)).deaths == 1


async def test_a_zygote_whose_successor_cannot_be_loaded_goes_on():
    with jail_environments.environments() as root:
        async with started(root, zygote_boxes=1, prepare=("numbers",)) as executor:
            first = await open_one(executor, "numbers")
            jail_environments.early_module(root).write_text("raise RuntimeError('broken since')")
            await first.close()

            async def failed() -> bool:
                return (await pool(executor, "numbers")).turnover_failures == 1

            # The first use began a turnover that may have read the module before it was broken.
            async with asyncio.timeout(15):
                while not await failed():
                    box = await open_one(executor, "numbers")
                    assert (await run(box, "6 * 7"))[0].text == "42"
                    await box.close()
            box = await open_one(executor, "numbers")
            assert (await run(box, "6 * 7"))[0].text == "42"


async def test_an_environment_made_anew_under_its_name_gets_a_new_zygote():
    with jail_environments.environments() as root:
        async with started(root) as executor:
            await (await open_one(executor, "numbers")).close()
            await stocked(executor, "numbers")
            manifest = root / "numbers" / "environment.json"
            manifest.write_text(manifest.read_text().replace('"early"', '"early", "fractions"'))
            look = "import json, sys; print(json.dumps('fractions' in sys.modules))"
            assert await answer(await open_one(executor, "numbers"), look) is True


async def test_a_refused_environment_leaves_no_process():
    with jail_environments.environments() as root:
        manifest = root / "numbers" / "environment.json"
        manifest.write_text(manifest.read_text().replace('"early"', '"late"'))  # no such module
        async with started(root) as executor:
            before = find("zygote")
            for _ in range(3):
                with pytest.raises(Exception, match="late"):
                    await open_one(executor, "numbers")
            assert await eventually(lambda: find("zygote") == before)
