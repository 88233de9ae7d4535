"""The sections of the table: each a module whose `rows` measures and yields rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from tests.bench.rows import Row
from tests.bench.sections import (
    agents,
    containers,
    embedded,
    load,
    memory,
    one_shot,
    restricted,
    screening,
    streaming,
    sustained,
    warm,
)
from tests.bench.setup import Setup

SECTIONS: Mapping[str, Callable[[Setup], Iterator[Row]]] = {
    "warm": warm.rows,
    "one-shot": one_shot.rows,
    "sustained": sustained.rows,
    "load": load.rows,
    "embedded": embedded.rows,
    "memory": memory.rows,
    "screening": screening.rows,
    "restricted": restricted.rows,
    "agents": agents.rows,
    "streaming": streaming.rows,
    "containers": containers.rows,
}
