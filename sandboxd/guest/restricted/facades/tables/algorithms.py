"""Functions over data and over functions."""

from __future__ import annotations

from sandboxd.guest.restricted.facades import attributes, decorators
from sandboxd.guest.restricted.facades.tables.entry import Entry

_BY_TYPE = "write if and elif over isinstance(), or a dictionary from types to functions"

TABLE = {
    "bisect": Entry("bisect bisect_left bisect_right insort insort_left insort_right"),
    "functools": Entry(
        "Placeholder cache cached_property cmp_to_key lru_cache partial partialmethod reduce",
        wrapped={
            "total_ordering": decorators.total_ordering,
            "update_wrapper": decorators.update_wrapper,
            "wraps": decorators.wraps,
        },
        # register() without a class evaluates the text of a function's annotation.
        hints={"singledispatch": _BY_TYPE, "singledispatchmethod": _BY_TYPE},
    ),
    "graphlib": Entry("CycleError TopologicalSorter"),
    "heapq": Entry(
        "heapify heapify_max heappop heappop_max heappush heappush_max heappushpop heappushpop_max"
        " heapreplace heapreplace_max merge nlargest nsmallest"
    ),
    "itertools": Entry(
        "accumulate batched chain combinations combinations_with_replacement compress count cycle dropwhile"
        " filterfalse groupby islice pairwise permutations product repeat starmap takewhile tee zip_longest"
    ),
    # itemgetter stays: it does what x[key] does, and no more.
    "operator": Entry(
        "abs add and_ call concat contains countOf delitem eq floordiv ge getitem gt iadd iand iconcat"
        " ifloordiv ilshift imatmul imod imul index indexOf inv invert ior ipow irshift is_ is_none is_not"
        " is_not_none isub itemgetter itruediv ixor le length_hint lshift lt matmul mod mul ne neg not_ or_"
        " pos pow rshift setitem sub truediv truth xor",
        wrapped={
            "attrgetter": lambda _module: attributes.attrgetter,
            "methodcaller": lambda _module: attributes.methodcaller,
        },
    ),
}
