"""The thin line of forks: one clone, through the real launcher."""

from __future__ import annotations

import pytest
from jail_boxes import answer, run

pytestmark = [pytest.mark.userns, pytest.mark.asyncio(loop_scope="module")]


async def test_a_clone_has_variables_and_files_of_its_own(open_box):
    box = await open_box(forks=4)
    await run(box, "x = 1\nopen('kept', 'w').write('original')")
    (clone,) = await box.fork(1)
    assert await answer(
        clone,
        "print([x, *open('kept')])".replace("print(", "import json; print(json.dumps(").replace("])", "]))"),
    ) == [1, "original"]
    await run(clone, "x = 2\nopen('kept', 'w').write('clone')")
    assert await answer(box, "import json; print(json.dumps([x, open('kept').read()]))") == [1, "original"]
    assert await answer(clone, "import json; print(json.dumps([x, open('kept').read()]))") == [2, "clone"]
    await clone.close()
    assert await answer(box, "print(x)") == 1


async def test_a_rollback_takes_variables_and_files_back(open_box):
    box = await open_box(forks=4)
    await run(box, "x = 1\nopen('kept', 'w').write('original')")
    await box.checkpoint("first")
    for _ in range(2):
        await run(box, "x = 2\nopen('kept', 'w').write('spoilt'); open('/work/more', 'w').write('x')")
        await box.rollback("first")
        seen = await answer(
            box, "import json, os; print(json.dumps([x, open('/work/kept').read(), os.listdir('.')]))"
        )
        assert seen == [1, "original", ["kept"]]
    assert [name for name, _ in box.checkpoints()] == ["first"]
    await box.drop_checkpoint("first")
