"""The cache of verdicts is bounded in number and in bytes."""

from sandboxd.events import Decision, Verdict
from sandboxd.screen.cache import VerdictCache


def key(name):
    return (name, "policy", "3.11", False)


def of(size):
    return Verdict(Decision.ALLOW, program=b"x" * size)


def test_what_was_used_last_stays():
    cache = VerdictCache(entries=2)
    first, second, third = of(0), of(0), of(0)
    cache.put(key("a"), first)
    cache.put(key("b"), second)
    assert cache.get(key("a")) is first
    cache.put(key("c"), third)
    assert (cache.get(key("a")), cache.get(key("b")), cache.get(key("c"))) == (first, None, third)


def test_programs_are_counted_by_their_bytes():
    cache = VerdictCache(program_bytes=100)
    for name in "abc":
        cache.put(key(name), of(40))
    assert cache.get(key("a")) is None
    assert len(cache) == 2
    cache.put(key("c"), of(40))
    assert len(cache) == 2, "a verdict that is put again counts once"
    cache.put(key("d"), of(101))
    assert len(cache) == 0, "one that is larger than all of it is not kept"
