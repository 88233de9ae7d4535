"""A front in a process of its own, for tests that kill it: opens a box, gets it into a phase, says so, and waits.

Arguments: environments directory, ephemeral directory, phase. Prints one JSON line when the phase is reached.
"""

import asyncio
import json
import sys
from pathlib import Path

from jail_boxes import PHASES, open_box

from sandboxd.executors.base import Job
from sandboxd.executors.process import ProcessExecutor, ProcessSettings


async def main() -> None:
    environments, ephemeral, phase = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    executor = ProcessExecutor(ProcessSettings(environments_dir=environments, ephemeral_dir=ephemeral))
    await executor.start()
    running = set()
    if phase == "opening":
        running |= {asyncio.ensure_future(open_box(executor)) for _ in range(6)}
        await asyncio.sleep(0.005)
    else:
        box = await open_box(executor, forks=4)
        if phase == "forked":
            (clone, *_) = await box.fork(2)
            await clone.checkpoint("kept")
        if PHASES[phase]:
            job = Job("x-000000", PHASES[phase], 60)
            running.add(asyncio.ensure_future(box.execute(job, lambda _: None)))
            await asyncio.sleep(0.3)
    print(json.dumps({"instance": executor.instance}), flush=True)  # noqa: T201
    await asyncio.sleep(60)


asyncio.run(main())
