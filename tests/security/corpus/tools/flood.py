# title: call a tool more often than the policy grants, from loops, threads and tasks
# expect: B
# unsandboxed: not-run
# tools: yes
# outcome: ok error

import asyncio

done = 0
for number in range(150):
    try:
        tools.double(number)
        done += 1
    except Exception as error:
        print(type(error).__name__)
        break


async def many():
    return await asyncio.gather(*(tools.double.aio(number) for number in range(500)), return_exceptions=True)


done += sum(isinstance(one, int) for one in await many())
if done > 100:
    escaped("calls that were answered:", done)
