#: math, cmath, fractions, decimal, statistics
import math, cmath, statistics
from fractions import Fraction
from decimal import Decimal, getcontext, ROUND_HALF_UP
print(math.sqrt(2), math.gcd(12, 18), math.comb(5, 2), math.isclose(0.1 + 0.2, 0.3), math.pi, math.inf, math.factorial(20), math.prod([1, 2, 3]), math.floor(-1.5))
print(cmath.sqrt(-1), Fraction(1, 3) + Fraction(1, 6), Fraction("0.125"), Decimal("0.1") + Decimal("0.2"), Decimal("2.675").quantize(Decimal("0.01"), ROUND_HALF_UP))
getcontext().prec = 10
print(Decimal(1) / Decimal(7), statistics.mean([1, 2, 4]), statistics.stdev([1, 2, 3, 4]), statistics.median([3, 1, 2]), statistics.mode("aab"))
print(Fraction(3, 4).numerator, Fraction(7, 2).limit_denominator(2), complex(1, 2) * 1j, (1 + 2j).conjugate().imag)

#: random with a seed
import random
random.seed(42)
print(random.random(), random.randint(1, 100), random.choice("abc"), random.sample(range(10), 3), random.uniform(1, 2), random.gauss(0, 1))
r = random.Random(7)
l = list(range(5)); r.shuffle(l)
print(l, r.choices("ab", k=3))

#: itertools
import itertools as it
print(list(it.chain([1], "a")), list(it.islice(it.count(3, 2), 3)), list(it.permutations("abc", 2))[:3], list(it.combinations(range(4), 2)), list(it.accumulate([1, 2, 3])))
print([(k, list(g)) for k, g in it.groupby("aabbc")], list(it.product([0, 1], repeat=2)), list(it.takewhile(lambda x: x < 3, range(9))), list(it.zip_longest("ab", "c", fillvalue="-")))
print(list(it.chain.from_iterable([[1], [2]])), list(it.starmap(pow, [(2, 3)])), list(it.pairwise("abc")), list(it.compress("abc", [1, 0, 1])), list(it.repeat(1, 2)))
a, b = it.tee([1, 2]); print(list(a), list(b))

#: collections
from collections import Counter, defaultdict, deque, OrderedDict, ChainMap
c = Counter("hello")
c["z"] += 2
c.update("ll")
print(c.most_common(2), c["missing"], c + Counter("h"), sorted(c.elements())[:3])
d = defaultdict(list)
d["a"].append(1); d["b"] += [2]
n = defaultdict(lambda: defaultdict(int))
n["x"]["y"] += 5
print(dict(d), n["x"]["y"], "q" in d)
q = deque([1, 2, 3], maxlen=3)
q.append(4); q.appendleft(0); q.rotate(1); q[0] = 9
print(q, q.pop(), q.popleft(), len(q))
o = OrderedDict(b=1, a=2); o.move_to_end("b")
print(list(o), dict(ChainMap({"a": 1}, {"a": 2, "b": 3})))

#: heapq, bisect, operator
import heapq, bisect, operator
h = [5, 1, 4]
heapq.heapify(h); heapq.heappush(h, 0)
print(heapq.heappop(h), h[0], heapq.nlargest(2, [1, 5, 3]), heapq.nsmallest(1, [("b", 2), ("a", 3)]), list(heapq.merge([1, 4], [2])))
l = [1, 3, 5]
bisect.insort(l, 4)
print(l, bisect.bisect_left(l, 3), bisect.bisect(l, 3), operator.add(1, 2), operator.mul(3, 4))
print(sorted([(2, "b"), (1, "z")], key=operator.itemgetter(1)))

#: datetime
from datetime import datetime, date, timedelta, timezone, time
d = datetime(2024, 2, 28, 12, 30)
print(d + timedelta(days=2), d.strftime("%Y-%m-%d %H:%M %A"), date(2024, 3, 1) - date(2024, 2, 1), d.isoformat(), d.weekday(), (d - datetime(2024, 1, 1)).days)
print(datetime.strptime("05/06/2023", "%d/%m/%Y"), date.fromisoformat("2024-01-31").replace(day=1), timedelta(hours=25), d.replace(tzinfo=timezone.utc).isoformat(), time(1, 2) < time(3))
print(f"{d:%d %b %Y}", max(date(2020, 1, 1), date(2021, 1, 1)), timedelta(days=1).total_seconds(), d.date(), sorted([date(2, 1, 1), date(1, 1, 1)])[0])

#: dict methods and views
d = {"a": 1, "b": 2}
print(d.get("z", 0), d.setdefault("c", []), d.pop("a"), list(d.items()), d | {"b": 3}, {**d}, dict(zip("xy", [1, 2])), dict.fromkeys("ab", 0))
d |= {"q": 1}
d.update(r=2)
print(sorted(d.keys() & {"b", "q"}), sorted(d), "b" in d, d == dict(d), len(d), d.popitem(), max(d, key=str), [k for k in reversed(d)])
m = {(1, 2): "t", frozenset([1]): "f", None: "n", 1.0: "f"}
m[1] = "int"
print(m[(1, 2)], m[1.0], {True: "t", 1: "o"})

#: list and set methods
l = [3, 1, 2]
l.sort(key=lambda v: -v); l.extend("ab"); l.insert(1, "i"); l.remove("a"); l.reverse()
print(l, l.index("i"), l.count(1), l.copy() == l, l.pop(0), [0] * 3, [[0] * 2 for _ in range(2)], l + [1])
s = {1, 2, 3}
s.add(4); s.discard(9); s -= {1}; s |= {7}; s &= {2, 3, 7}; s ^= {2}
print(sorted(s), s <= {3, 7, 8}, {1, 2} - {2}, {1} | {2}, {1, 2}.isdisjoint({3}), sorted({1, 2}.symmetric_difference([2, 3])))

#: integers, floats and bit operations
print(7 // -2, -7 % 3, 2 ** 100, 1 / 3, 0.1 + 0.2, 10 ** -2, 5 & 3 | 4 ^ 1, ~5, 1 << 70 >> 68, (10).bit_length(), 3.7 // 1, int(-3.7), (0.5).as_integer_ratio(), (255).to_bytes(2, "big"), int.from_bytes(b"\x01\x00", "big"))
print(float("inf") > 10 ** 400, round(1234.567, -2), 1e308 * 10, complex("1+2j"), 0x1F, 0b101, 1_000, (1.5).hex(), float.fromhex("0x1.8p+0"))

#: copy and sorting stability
import copy
a = [[1], {"k": [2]}]
b, c = copy.copy(a), copy.deepcopy(a)
a[0].append(9); a[1]["k"].append(8)
print(b, c, sorted([(1, "b"), (0, "z"), (1, "a")], key=lambda p: p[0]))

#: a whole small program: bank
class InsufficientFunds(Exception): pass
class Account:
    interest = 0.02
    def __init__(self, owner, balance=0):
        self.owner, self._balance, self.history = owner, balance, []
    @property
    def balance(self): return self._balance
    def withdraw(self, n):
        if n > self._balance: raise InsufficientFunds(f"{self.owner}: {n} > {self._balance}")
        self._balance -= n
        self.history.append(("w", n))
accounts = {n: Account(n, b) for n, b in [("ann", 100), ("bob", 50)]}
for name, amount in [("ann", 30), ("bob", 80)]:
    try:
        accounts[name].withdraw(amount)
    except InsufficientFunds as e:
        print("failed:", e)
print({n: a.balance for n, a in accounts.items()}, accounts["ann"].history)

#: a whole small program: dijkstra and a memo
import heapq
from collections import defaultdict
g = defaultdict(dict)
for a, b, w in [("a", "b", 7), ("a", "c", 3), ("c", "b", 1), ("b", "d", 2)]:
    g[a][b] = w; g[b][a] = w
def dijkstra(src):
    dist, todo = {src: 0}, [(0, src)]
    while todo:
        d, u = heapq.heappop(todo)
        if d > dist.get(u, float("inf")): continue
        for v, w in g[u].items():
            if (nd := d + w) < dist.get(v, float("inf")):
                dist[v] = nd
                heapq.heappush(todo, (nd, v))
    return dist
print(sorted(dijkstra("a").items()))
memo = {}
def ways(n, coins):
    key = n, len(coins)
    if key not in memo:
        memo[key] = 1 if n == 0 else 0 if n < 0 or not coins else ways(n - coins[0], coins) + ways(n, coins[1:])
    return memo[key]
print(ways(100, (50, 25, 10, 5, 1)))
