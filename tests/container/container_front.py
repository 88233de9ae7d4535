"""A process that opens a container, says which, and waits to be killed."""

import asyncio
import sys
from pathlib import Path

from container_rooms import LIMITS, Tier

from sandboxd.executors.container import ContainerExecutor, ContainerSettings, ContainerYard


async def main() -> None:
    home, runtime, owner = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    settings = ContainerSettings(home / "sock", home / "images", home / "guests", owner, pool_size=0)
    yard = ContainerYard(settings)
    tier = Tier(yard, ContainerExecutor(runtime, yard), LIMITS)
    room = await tier.open()
    await room.run("x = 1")
    sys.stdout.write(f"{tier.containers[0]}\n{yard._link._process.pid}\n")
    sys.stdout.flush()
    await asyncio.sleep(600)


asyncio.run(main())
