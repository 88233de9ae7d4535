"""asyncio without its loops: what starts coroutines and lets them wait for each other.

The real module starts processes and opens sockets, and each of its objects keeps the loop that does. Names that tell the
loop or the stack are refused everywhere (`names`), the classes cannot be derived from.
"""

from __future__ import annotations

from sandboxd.guest.restricted.facades import system
from sandboxd.guest.restricted.facades.tables.entry import Entry

TABLE = {
    "asyncio": Entry(
        "ALL_COMPLETED BrokenBarrierError CancelledError FIRST_COMPLETED FIRST_EXCEPTION InvalidStateError"
        " QueueEmpty QueueFull TimeoutError as_completed create_task current_task gather iscoroutine"
        " iscoroutinefunction isfuture shield sleep timeout timeout_at wait wait_for",
        sealed="Barrier BoundedSemaphore Condition Event LifoQueue Lock PriorityQueue Queue Semaphore TaskGroup",
        wrapped={"run": system.run},
        hints={"to_thread": "there are no threads here; call the function"},
    ),
}
