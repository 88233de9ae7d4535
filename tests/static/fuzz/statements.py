"""Statements of the accepted subset, and whole programs: typed enough that most run, bounded so that all end."""

from __future__ import annotations

from .expressions import Expressions
from .writer import production

_KINDS = "iiiisslldegub"
_OPERATORS = {"i": "+= -= *= |= &= ^=", "s": "+=", "l": "+=", "e": "|= -= &= ^=", "d": "|=", "u": "+="}
_NESTING = 3
_LEVELS = 3
_ERRORS = (
    "ValueError KeyError TypeError IndexError ZeroDivisionError LookupError ArithmeticError Exception".split()
)
_HEADER = """\
import math
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import reduce, partial, wraps
import itertools as it
from collections import Counter, defaultdict, deque
"""


class Program(Expressions):
    """Writes programs. `with_async`: the policy takes async syntax."""

    def __init__(self, seed: int, *, statements: int = 14, with_async: bool = True) -> None:
        super().__init__(seed)
        self._statements = statements
        self._with_async = with_async
        self._nesting = 0

    def source(self) -> str:
        """Write the whole program: its text ends by showing every variable, and an expression."""
        self.lines += _HEADER.splitlines()
        if self.chance(0.8):
            self.write("class")
        for _ in range(self._statements):
            self.statement()
        for kind in "isldeugb":
            for name in self.known(kind)[-4:]:
                self.line(f"print({name!r}, {'sorted(' + name + ')' if kind == 'e' else name})")
        for name in self.known("o")[-2:]:
            self.line(f"print({name} and {name}.n, {name})")
        self.line("«isl»")
        return "\n".join(self.lines) + "\n"

    def statement(self) -> None:
        """Write one statement."""
        deep = self._nesting >= _NESTING
        self.write("simple" if deep or self.chance(0.55) else "compound")

    def body(self, most: int = 3) -> None:
        """Write a nested block's statements; names that it may not reach in every run are not known after it."""
        self._nesting += 1
        before = {kind: list(names) for kind, names in self.scope.names.items()}
        for _ in range(self.random.randint(1, most)):
            self.statement()
        self.scope.names = before
        self._nesting -= 1

    def show(self, kind: str, text: str) -> str:
        return f"sorted({text})" if kind == "e" else text

    # ---- simple ----------------------------------------------------------------------------------------------

    @production("simple", 5)
    def assign(self) -> None:
        kind = self.pick(*_KINDS)
        own = self.known(kind, own=True)
        name = self.random.choice(own) if own and self.chance(0.3) else self.fresh(kind)
        self.line(f"{name} = «{kind}»")
        if name not in own:
            self.know(kind, name)

    @production("simple", 2)
    def assign_object(self) -> None:
        if self.known("C"):
            name = self.fresh("o")
            self.line(f"{name} = {self.object_new()}")
            self.know("o", name)

    @production("simple")
    def assign_annotated(self) -> None:
        kind = self.pick("i", "s", "l")
        name = self.fresh(kind)
        self.line(f"{name}: {self.pick('int', 'str', 'list[int]', repr('later'))} = «{kind}»")
        self.know(kind, name)

    @production("simple")
    def annotate_only(self) -> None:
        self.line(f"{self.fresh('n')}: {self.pick('int', 'dict[str, int]')}")

    @production("simple")
    def assign_chain(self) -> None:
        first, second = self.fresh("i"), self.fresh("i")
        self.line(f"{first} = {second} = «i»")
        self.know("i", first)
        self.know("i", second)

    @production("simple", 2)
    def unpack(self) -> None:
        first, second, rest = self.fresh("i"), self.fresh("i"), self.fresh("l")
        form = self.pick(
            f"{first}, {second} = «i», «i»", f"{first}, *{rest} = «u»", f"({first}, [{second}, *{rest}]) = «i», «u»",
            f"[{first}, {second}] = «i», «i»", f"*{rest}, {first} = «u»",
        )  # fmt: skip
        self.line(form)
        for kind, name in (("i", first), ("i", second), ("l", rest)):
            if name in form.partition(" = ")[0]:
                self.know(kind, name)

    @production("simple")
    def swap(self) -> None:
        own = self.known("i", own=True)
        if len(own) > 1:
            first, second = self.random.sample(own, 2)
            self.line(f"{first}, {second} = {second}, {first}")

    @production("simple", 3)
    def augment_name(self) -> None:
        kind = self.pick(*"iislde")
        if own := self.known(kind, own=True):
            name = self.random.choice(own)
            self.line(f"{name} {self.pick(*_OPERATORS[kind].split())} «{kind}»")
            self.line(
                f"{name} = {name} % 1009"
                if kind == "i"
                else f"{name} = {name}[:9]"
                if kind in "sl"
                else "pass"
            )

    @production("simple", 2)
    def augment_item(self) -> None:
        target = self.pick(
            "«d!»[«key»]", f"«l!»[{self.pick('0', '-1')}]", f"«g!»[0][{self.pick('0', '-1')}]",
            "«d!»[«s»]", "«g!»[«i» % 1][0]",
        )  # fmt: skip
        self.line(f"{target} {self.pick('+=', '-=', '*=', '^=', '|=')} «i»")

    @production("simple")
    def augment_slice(self) -> None:
        if names := self.known("l"):
            self.line(f"{self.random.choice(names)}[{self.pick(':1', '1:', '0:0')}] += «u»[:2]")

    @production("simple", 2)
    def augment_attribute(self) -> None:
        if names := self.known("o"):
            self.line(
                f"{self.random.choice(names)}.{self.pick('n', '_p')} {self.pick('+=', '-=', '*=', '|=')} «i» % 99"
            )

    @production("simple", 2)
    def store_item(self) -> None:
        self.line(
            self.pick(
                "«d!»[«key»] = «i»", "«l!»[:1] = «u»[:2]", "«l!»[0:0] = [«i»]",
                "«g!»[-1][-1] = «i»",
            )
        )  # fmt: skip

    @production("simple")
    def store_attribute(self) -> None:
        if names := self.known("o"):
            self.line(f"{self.random.choice(names)}.{self.pick('n', 'extra', 'n')} = «i»")

    @production("simple")
    def delete(self) -> None:
        if names := self.known("d"):
            name, key = self.random.choice(names), self.key()
            self.line(f"if {key} in {name}: del {name}[{key}]" if self.chance(0.95) else f"del {name}[{key}]")
        elif names := self.known("l"):
            self.line(f"del {self.random.choice(names)}[{self.pick(':1', '2:', '::3')}]")

    @production("simple")
    def delete_name(self) -> None:
        name = self.fresh("z")
        self.line(f"{name} = «i»")
        self.line(f"del {name}")

    @production("simple", 4)
    def show_values(self) -> None:
        kinds = [self.pick(*"isldubg") for _ in range(self.random.randint(1, 3))]
        options = self.pick("", ", sep='|'", ", end=';\\n'")
        self.line(f"print({', '.join(self.show(kind, '«' + kind + '»') for kind in kinds)}{options})")

    @production("simple", 2)
    def mutate(self) -> None:
        self.line(
            self.pick(
                "«l!».append(«i»)", "«l!».sort(reverse=«b»)", "«d!».update(«d»)",
                "«e!».add(«i»)", "«d!».setdefault(«key», «i»)", "«l!».extend(«u»)",
                "«d!».pop(«key», None)", "«l!».insert(0, «i»)", "«e!».discard(«i»)",
            )
        )  # fmt: skip

    @production("simple")
    def check(self) -> None:
        self.line("assert «i» is not None, «s»")

    @production("simple")
    def walrus(self) -> None:
        name, other = self.fresh("i"), self.fresh("i")
        self.line(f"{name} = ({other} := «i») + {other}")
        self.line(f"print([w for q in «l» if (w := q % 5) > 1], ({other} := {other} % 7))")
        self.know("i", name)
        self.know("i", other)

    @production("simple", 0.5)
    def stop(self) -> None:
        if self.scope.loops:
            self.line(f"if «b»: {self.pick('break', 'continue')}")

    @production("simple")
    def use_library(self) -> None:
        self.line(
            self.pick(
                "print(math.gcd(«i», 12), math.floor(«i» / 4), math.isqrt(abs(«i»)))",
                "print(reduce(lambda a, b: (a * 3 + b) % 101, «l», 1))", "print(partial(max, «i»)(«i»))",
                "print(list(it.chain(«l», «u»))[:5], list(it.islice(it.count(«i»), 2)))",
                "print(Counter(«s»).most_common(1), list(it.accumulate(«l»)))", "print(list(deque(«l», maxlen=2)))",
                "print([(k, len(list(v))) for k, v in it.groupby(«l», lambda q: q % 2)])",
            )
        )  # fmt: skip

    @production("simple", 0.5)
    def counted(self) -> None:
        name = self.fresh("k")
        self.line(f"{name} = defaultdict(int)")
        self.line(f"for q in «l»: {name}[q % 3] += 1")
        self.line(f"print(sorted({name}.items()))")

    # ---- compound --------------------------------------------------------------------------------------------

    @production("compound", 3)
    def branch(self) -> None:
        with self.block("if «b»:"):
            self.body()
        if self.chance(0.4):
            with self.block("elif «b»:"):
                self.body(2)
        if self.chance(0.5):
            with self.block("else:"):
                self.body(2)

    @production("compound", 3)
    def for_loop(self) -> None:
        one, two = self.fresh("i"), self.fresh("i")
        head, names = self.random.choice(
            [
                (f"for {one} in range({self.pick('2', '3')}):", [one]), (f"for {one} in list(«l»)[:3]:", [one]),
                (f"for {one}, {two} in enumerate(«u»[:3]):", [one, two]), (f"for _, {one} in sorted(«d».items())[:3]:", [one]),
                (f"for {one}, {two} in zip(«l»[:3], «l»):", [one, two]), (f"for {one}, *_ in «g»[:2]:", [one]),
                (f"for ({one}, [{two}]) in [(«i», [«i»])]:", [one, two]),
            ]
        )  # fmt: skip
        with self.block(head):
            before = list(self.scope.names.get("i", ()))
            self.scope.names["i"] = [*before, *names]
            self.scope.loops += 1
            self.body()
            self.scope.loops -= 1
            self.scope.names["i"] = before
        self.otherwise()

    def otherwise(self) -> None:
        """Write a loop's else, at times."""
        if self.chance(0.25):
            with self.block("else:"):
                self.body(1)

    @production("compound", 1.5)
    def while_loop(self) -> None:
        name = self.fresh("w")
        self.line(f"{name} = {self.pick('2', '3')}")
        with self.block(f"while {name} > 0{self.pick('', ' and «b»')}:"):
            self.line(f"{name} -= 1")
            self.scope.loops += 1
            self.body()
            self.scope.loops -= 1
        self.otherwise()

    @production("compound", 3)
    def guarded(self) -> None:
        with self.block("try:"):
            self.body()
            if self.chance(0.5):
                self.line(self.raising())
        if self.chance(0.85):
            name = self.fresh("x")
            caught = self.pick("Exception", f"({self.pick(*_ERRORS)}, {self.pick(*_ERRORS)})", "Exception")
            with self.block(f"except {caught} as {name}:"):
                self.line(f"print(type({name}).__name__, {name})")
                if self.chance(0.05):
                    self.line(self.pick("raise", f"raise ValueError('again') from {name}"))
                self.body(1)
            if self.chance(0.3):
                with self.block("else:"):
                    self.body(1)
            if not self.chance(0.3):
                return
        with self.block("finally:"):
            loops, self.scope.loops = self.scope.loops, 0
            self.body(1)
            self.scope.loops = loops

    def raising(self) -> str:
        return self.pick(
            f"raise {self.pick(*_ERRORS)}(«s»)", "«i» // 0", "{}[«i»]", "[][«i»]", "int('q')", "undefined_name",
            "(«i»).missing", "a, b = «u», ", f"raise {self.pick(*_ERRORS)}", "(lambda: 1)(2)",
        )  # fmt: skip

    @production("compound", 2)
    def function(self) -> None:
        if self.scope.level >= _LEVELS:
            return
        name, parameter, extra = self.fresh("f"), self.fresh("i"), self.fresh("i")
        form = self.pick(
            f"{parameter}, {extra}=3",
            f"{parameter}, *, {extra}: int = 2",
            f"{parameter}: int, /, {extra}=1",
            f"{parameter}, {extra}=2, *rest, **more",
        )
        returns = self.pick("", " -> int")
        if self.chance(0.3):
            self.decorator()
        self._nesting += 1
        with self.block(f"def {name}({form}){returns}:"), self.function_scope(i=[parameter, extra]):
            self.body()
            self.line("return «i»")
        self._nesting -= 1
        self.know("f", name)

    def decorator(self) -> None:
        """Write a decorator, and its use on the function that follows."""
        name = self.fresh("deco")
        with self.block(f"def {name}(fn):"):
            self.line("@wraps(fn)" if self.chance(0.5) else "pass")
            if self.lines[-1].strip() == "pass":
                self.lines.pop()
            with self.block("def inner(*a, **k):"):
                self.line(f"print({name!r}, len(a))")
                self.line(f"return fn(*a, **k) + {self.pick('0', '1')}")
            self.line("return inner")
        self.line(f"@{name}")

    @production("compound", 1.5)
    def closure(self) -> None:
        name, cell = self.fresh("f"), self.fresh("n")
        with self.block(f"def {name}(q):"):
            self.line(f"{cell} = «i!»")
            with self.block("def inner(w):"):
                self.line(f"nonlocal {cell}")
                self.line(f"{cell} += w")
                self.line(f"return {cell}")
            self.line("inner(q)")
            self.line("return inner(«i» % 50) % 1009")
        self.know("f", name)

    @production("compound")
    def global_store(self) -> None:
        if self.scope.function or self.scope.level:
            return
        if names := self.known("i", own=True):
            name, variable = self.fresh("f"), self.random.choice(names)
            with self.block(f"def {name}(q):"):
                self.line(f"global {variable}")
                self.line(f"{variable} = ({variable} + q) % 1009")
                self.line(f"return {variable}")
            self.line(f"print({name}(«i»), {variable})")

    @production("compound", 1.5)
    def generator(self) -> None:
        name = self.fresh("gen")
        with self.block(f"def {name}(q):"):
            with self.block("try:"):
                self.line("w = yield q")
                self.line("yield from «l»")
                self.line("yield w")
            with self.block("finally:"):
                self.line(f"print({name!r}, 'ends')")
            self.line("return q")
        made = self.fresh("it")
        self.line(f"{made} = {name}(«i»)")
        self.line(
            self.pick(
                f"print(next({made}), {made}.send(«i») if «b» else 0)",
                f"print(list({made}))",
                f"print(sum(q or 0 for q in {made}))",
            )
        )
        if self.chance(0.3):
            self.line(f"{made}.close()")

    @production("compound", 1.5)
    def context(self) -> None:
        if self.chance(0.5):
            with self.block(f"with suppress({self.pick(*_ERRORS)}):"):
                self.body(2)
                if self.chance(0.4):
                    self.line(self.raising())
            return
        name = self.fresh("cm")
        self.line("@contextmanager")
        with self.block(f"def {name}(q):"):
            self.line("print('enter', q)")
            with self.block("try:"):
                self.line("yield q + 1")
            with self.block("finally:"):
                self.line("print('leave')")
        target = self.fresh("i")
        with self.block(f"with {name}(«i») as {target}, {name}(2):"):
            self.know("i", target)
            self.body(2)
        self.scope.names["i"].remove(target)

    @production("compound", 1.5)
    def matching(self) -> None:
        one, two, rest = self.fresh("i"), self.fresh("i"), self.fresh("l")
        with self.block("match «iuldso»:"):
            cases = [
                (f"case {self.random.randrange(9)} | -1:", {}), (f"case [{one}, {two}]:", {"i": [one, two]}), (f"case [{one}, *{rest}]:", {"i": [one], "l": [rest]}),
                (f"case {{'a': {one}}}:", {"i": [one]}), ("case str():", {}), (f"case int({one}) if {one} > «i!»:", {"i": [one]}), ("case None:", {}),
                (f"case (0 | 1) as {one}:", {"i": [one]}), (f"case {{'b': {one}, **{self.fresh('k')}}}:", {"i": [one]}), ("case 'a' | 'bee':", {}), ("case []:", {}),
            ]  # fmt: skip
            cases += [(f"case {classes}(n={one}):", {"i": [one]}) for classes in self.known("C")[:1]]
            for head, names in self.random.sample(cases, 4):
                with self.block(head):
                    before = {kind: list(known) for kind, known in self.scope.names.items()}
                    for kind, found in names.items():
                        self.scope.names[kind] = [*self.scope.names.get(kind, ()), *found]
                    self.line(
                        f"print({head!r}, {', '.join(name for found in names.values() for name in found) or 'None'})"
                    )
                    self.body(1)
                    self.scope.names = before
            with self.block("case _:"):
                self.line("print('other')")

    @production("compound", 0.7)
    def coroutine(self) -> None:
        if not self._with_async or self.scope.level:
            return
        name = self.fresh("main")
        self.line("import asyncio")
        with self.block(f"async def {name}(q):"):
            with self.block("async def part(w):"):
                self.line("await asyncio.sleep(0)")
                self.line("return w * 2")
            with self.block("async def each():"), self.block("for w in «l»[:3]:"):
                self.line("yield await part(w)")
            with self.block("async for w in each():"):
                self.line("print('each', w)")
            self.line("print([w async for w in each() if w > 2])")
            self.line("return sum(await asyncio.gather(part(q), part(«i»)))")
        self.line(f"print(asyncio.run({name}(«i»)))")

    @production("compound", 1.5)
    def define_class(self) -> None:
        if self.scope.level == 0 and self._nesting == 0:
            self.write("class")

    # ---- classes ---------------------------------------------------------------------------------------------

    @production("class", 3)
    def class_plain(self) -> None:
        name, bases = self.fresh("C"), self.known("C")
        base = self.random.choice(bases) if bases and self.chance(0.5) else ""
        with self.block(f"class {name}{f'({base})' if base else ''}:"):
            self.line(f"kind = {self.random.randrange(9)}")
            with self.block("def __init__(self, n):"):
                self.line("super().__init__(n)" if base else "pass")
                self.line("self.n = n")
                self.line(f"self._p = n + {self.random.randrange(5)}")
                self.line(f"self.__own = {self.random.randrange(5)}")
            self.members(name, base)
        self.know("C", name)

    def members(self, name: str, base: str) -> None:
        """Write the methods that expressions count on, and a few by chance."""
        step = (
            f"super().step(q) + {self.random.randrange(5)}"
            if base and self.chance(0.7)
            else "(self.n + q) % 1009"
        )
        parts = [
            ("def step(self, q):", [f"return {step}"]), ("def hidden(self, q=1):", ["self.__own += q", "return self.__own % 1009"]),
            ("@property\ndef twice(self):", ["return self.n * 2 % 1009"]), ("def __repr__(self):", [f"return f'{name}({{self.n}})'"]),
            ("def __add__(self, other):", [f"return {name}((self.n + other) % 1009)"]), ("def __sub__(self, other):", [f"return {name}((self.n - other) % 1009)"]),
        ]  # fmt: skip
        optional = [
            ("def __eq__(self, other):", ["return isinstance(other, type(self)) and self.n == other.n"]), ("def __len__(self):", ["return abs(self.n) % 5 + 1"]),
            ("def __getitem__(self, key):", ["return (self.n, key)"]), ("def __iter__(self):", ["yield self.n", "yield self._p"]), ("def __call__(self, q):", ["return self.n - q"]),
            ("def __contains__(self, q):", ["return q == self.n"]), ("@classmethod\ndef make(cls, q):", ["return cls(q)"]), ("@staticmethod\ndef free(q):", ["return q + 1"]),
            ("def __iadd__(self, other):", ["self.n += other", "return self"]), ("def __lt__(self, other):", ["return self.n < other.n"]), ("def __bool__(self):", ["return True"]),
        ]  # fmt: skip
        for head, lines in parts + self.random.sample(optional, 3):
            *decorators, signature = head.split("\n")
            for decorator in decorators:
                self.line(decorator)
            with self.block(signature):
                for line in lines:
                    self.line(line)

    @production("class")
    def class_data(self) -> None:
        name = self.fresh("C")
        self.line(self.pick("@dataclass", "@dataclass(order=True)"))
        with self.block(f"class {name}:"):
            self.line("n: int")
            self.line(f"_p: int = {self.random.randrange(9)}")
            self.line("kind: int = field(default=4, compare=False)")
            for head, line in (
                ("def step(self, q):", "return self.n - q"), ("def hidden(self, q=2):", "return self._p + q"), ("def __add__(self, o):", f"return {name}(self.n + o)"),
                ("def __sub__(self, o):", f"return {name}(self.n - o)"), ("@property\ndef twice(self):", "return 2 * self.n"),
            ):  # fmt: skip
                for part in head.split("\n")[:-1]:
                    self.line(part)
                with self.block(head.split("\n")[-1]):
                    self.line(line)
        self.know("C", name)
