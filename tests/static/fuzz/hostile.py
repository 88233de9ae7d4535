"""Attack grammar: programs that reach for what no guard may hand out, in every way that the language has for it.

A program keeps what it got in `loot`; the oracle is there (`spies.loot`), in the audit events and in the state of the real
modules. Refused, or run with nothing of that: both are right.
"""

from __future__ import annotations

import importlib

from sandboxd.guest.restricted.facades.tables import TABLE

from .writer import Writer, production

DUNDERS = (
    "__class__ __dict__ __globals__ __code__ __closure__ __subclasses__ __bases__ __base__ __mro__ __getattribute__ __reduce__ "
    "__reduce_ex__ __self__ __func__ __wrapped__ __traceback__ __builtins__ __import__ __loader__ __spec__ __init_subclass__ "
    "__subclasshook__ __defaults__ __kwdefaults__ __objclass__ __annotations__ __weakref__ __module__ __dir__ __call__ __init__ "
    "__new__ __setattr__ __delattr__ __get__ __set__ __class_getitem__ __origin__ __args__ __getstate__ __thisclass__ __prepare__"
).split()
PLAIN = (
    "gi_frame gi_code gi_yieldfrom cr_frame cr_code cr_await ag_frame ag_code tb_frame tb_next f_back f_globals f_locals f_builtins "
    "f_code f_trace co_code co_consts mro obj func_globals format format_map register cache_parameters func keywords default_factory "
    "get_field vformat with_traceback _asdict _fields _make _replace _value2member_map_ _member_map_ _hash_action _hash"
).split()
HOOKS = (
    "_getattr_ _getitem_ _getiter_ _write_ _inplacevar_ _apply_ _print_ _print _unpack_sequence_ _iter_unpack_sequence_ __builtins__ "
    "__import__ __metaclass__ __name__ __build_class__ _getaiter_ _import_ _rp _rp_1 _rp_tmp __debug__ print super getattr"
).split()
_MODULES = (
    "math json re functools itertools collections dataclasses enum datetime random string statistics operator copy typing textwrap "
    "contextlib decimal fractions heapq bisect base64 hashlib uuid csv io abc asyncio time numbers types os sys builtins subprocess "
    "importlib inspect gc ctypes socket pickle marshal codecs threading traceback warnings weakref"
).split()
_HEADER = """\
loot = []
class C:
    x = 1
    def m(self): return self
    @property
    def p(self): return 2
    @classmethod
    def k(cls): return cls
c = C()
def f(a=1, *b, **d): return a
def gen(): yield 1
g = gen()
"""


_SPY = """\
class Spy:
    def __call__(self, *a, **k):
        loot.append((a, k))
        return a[0] if a else self
    def __getitem__(self, k):
        loot.append(k)
        return k
    def __iter__(self): return iter([self, f, c])
    def __eq__(self, o): return loot.append(o) or True
    def __lt__(self, o): return loot.append(o) or True
    def __hash__(self): return 1
    def __len__(self): return 2
    def __enter__(self): return self
    def __exit__(self, *a): return loot.append(a) or True
    def __format__(self, s): return s
    def __index__(self): return 1
    def __float__(self): return 1.0
    def __contains__(self, o): return loot.append(o) or True
    def __get__(self, *a): return loot.append(a) or self
    def __setitem__(self, *a): loot.append(a)
    def __deepcopy__(self, memo): return loot.append(memo) or self
    def __add__(self, o): return loot.append(o) or self
    def __radd__(self, o): return loot.append(o) or self
    def keys(self): return ["x"]
    def write(self, *a): return loot.append(a) or 1
    def read(self, *a): return loot.append(a) or ""
"""
# Its calls wait for others for ever: a hang would tell nothing.
_WAITING = ("asyncio", "queue")


def _public() -> list[str]:
    """Return the names of all public attributes of what the facades offer, from the real modules."""
    found: set[str] = set()
    for module, entry in TABLE.items():
        try:
            real = importlib.import_module(module)
        except ImportError:
            continue
        for member in entry.members.split():
            found.update(name for name in dir(getattr(real, member, None)) if not name.startswith("__"))
    return sorted(found)


_PUBLIC = _public()
_FACADES = sorted(name for name in TABLE if not name.startswith(_WAITING))


class Hostile(Writer):
    """Writes hostile programs."""

    def source(self) -> str:
        """Write the whole program: mostly one attack, since one refused line refuses all."""
        self.lines += _HEADER.splitlines()
        for _ in range(1 if self.chance(0.75) else 2):
            with self.block("try:"):
                self.write("attack")
            with self.block("except Exception as error:"):
                self.line(
                    "loot.append(getattr(error, 'obj', None))" if self.chance(0.3) else "loot.append(error)"
                )
        self.line("None")
        return "\n".join(self.lines) + "\n"

    def name(self) -> str:
        return self.pick(*(DUNDERS if self.chance(0.7) else PLAIN))

    def spelt(self, name: str) -> str:
        """Return an expression that is a name, spelt so that no filter of literals sees it."""
        cut = self.random.randrange(1, len(name))
        return self.pick(
            repr(name), f"{name[:cut]!r} + {name[cut:]!r}", f"{name[::-1]!r}[::-1]", f"'{{}}{name[cut:]}'.format({name[:cut]!r})", f"f'{{{name[:cut]!r}}}{name[cut:]}'",
            f"''.join(map(chr, {[ord(one) for one in name]}))", f"type('S', (str,), {{}})({name!r})", f"bytes({list(name.encode())}).decode()", f"{name!r}.replace('', '')",
            f"Name({name!r})",
        )  # fmt: skip

    def victim(self) -> str:
        """Return an expression for something to read from."""
        return self.pick(
            "f", "c", "C", "g", "c.m", "C.k", "gen", "(lambda: 0)", "loot", "loot.append", "len", "print", "str", "int", "type", "type(c)", "object", "''", "()", "{}", "1",
            "''.join", "str.format", "'{}'.format", "Exception", "ValueError('v')", "(i for i in [1])", "C.p", "range", "iter([])", "map", "getattr", "super", "property",
            "functools.partial(f)", "functools.lru_cache(f)", "functools.wraps", "functools", "json", "json.dumps", "re.compile('a')", "collections.Counter", "collections",
            "collections.namedtuple('N', 'a')", "collections.defaultdict(list)", "math", "math.sqrt", "datetime.datetime", "random", "random.Random()", "contextlib.suppress",
            "dataclasses.dataclass", "enum.Enum", "io.StringIO()", "typing.List", "decimal.Decimal(1)", "string.Template('$a')", "operator.itemgetter(0)", "hashlib.md5(b'')",
            "csv.reader([])", "itertools.count()", "NotImplemented", "...", "slice(1)", "memoryview(b'')", "final_answer", "copy.copy", "abc.ABC", "uuid.uuid4()",
        )  # fmt: skip

    def imports(self, text: str) -> str:
        """Import the modules that a text names, before it."""
        for module in _MODULES:
            if f"{module}." in text or text.startswith(module):
                self.line(f"import {module}")
        if "Name(" in text:
            with self.block("class Name(str):"):
                self.line(self.pick("pass", "def __eq__(self, o): return False", "def startswith(self, *a): return False", "def __hash__(self): return 1", "def __getitem__(self, k): return 'x'", "def endswith(self, *a): return False", "def __contains__(self, o): return False"))  # fmt: skip
        return text

    def keep(self, text: str) -> None:
        self.imports(text)
        self.line(f"loot.append({text})")

    # ---- reading an attribute ----------------------------------------------------------------------------------

    @production("attack", 3)
    def chain(self) -> None:
        self.keep(
            ".".join(
                [
                    self.victim(),
                    *(
                        self.name() + self.pick("", "", "()", "[0]", "[-1]")
                        for _ in range(self.random.randint(1, 3))
                    ),
                ]
            )
        )

    @production("attack", 3)
    def by_getattr(self) -> None:
        self.keep(f"getattr({self.victim()}, {self.spelt(self.name())}{self.pick('', ', None')})")

    @production("attack", 3)
    def by_format(self) -> None:
        field = f"{{0.{self.name()}{self.pick('', '.' + self.name(), '[' + self.name() + ']')}{self.pick('', '!r', ':>3')}}}"
        victim = self.victim()
        self.keep(
            self.pick(
                f"{field!r}.format({victim})", f"str.format({field!r}, {victim})", f"({field!r} + '').format({victim})", f"type('S', (str,), {{}})({field!r}).format({victim})",
                f"{field.replace('0', 'a')!r}.format_map({{'a': {victim}}})", f"list(map({field!r}.format, [{victim}]))", f"getattr({field!r}, 'for' + 'mat')({victim})",
                f"(lambda t: t.format({victim}))({field!r})", f"str.format_map({field.replace('0', 'a')!r}, dict(a={victim}))", f"functools.partial({field!r}.format, {victim})()",
                f"string.Formatter().format({field!r}, {victim})", f"string.Formatter().vformat({field!r}, [{victim}], {{}})", f"string.Formatter().get_field({field[1:-1]!r}, [{victim}], {{}})",
                f"format({victim}, {field!r})", f"collections.UserString({field!r}).format({victim})", f"'{{:{{0.{self.name()}}}}}'.format({victim})", f"operator.methodcaller('format', {victim})({field!r})",
            )
        )  # fmt: skip

    @production("attack", 2)
    def by_pattern(self) -> None:
        victim = self.imports(self.victim())
        with self.block(f"match {victim}:"):
            name = self.name()
            head = self.pick(f"object({name}=v)", f"C({name}=v) | object({name}=v)", f"type({name}=v)", f"Exception({name}=v)", f"object({name}=object({self.name()}=v))", f"{{{name!r}: v}}", "Own(v)")  # fmt: skip
            with self.block(f"case {head}:"):
                self.line("loot.append(v)")
        if "Own" in head:
            place = next(number for number, line in enumerate(self.lines) if "match " in line)
            indent = self.lines[place][: len(self.lines[place]) - len(self.lines[place].lstrip())]
            self.lines[place:place] = [f"{indent}class Own:", f"{indent}    __match_args__ = ({name!r},)", f"{indent}    @classmethod", f"{indent}    def __instancecheck__(c, o): return True"]  # fmt: skip

    @production("attack", 2)
    def by_library(self) -> None:
        name, other, victim = self.spelt(self.name()), self.spelt(self.name()), self.victim()
        self.keep(
            self.pick(
                f"operator.attrgetter({name})({victim})", f"operator.attrgetter('{self.name()}.{self.name()}')({victim})", f"operator.methodcaller({name})({victim})",
                f"functools.reduce(getattr, [{name}, {other}], {victim})", f"list(map(getattr, [{victim}], [{name}]))", f"functools.partial(getattr, {victim})({name})",
                f"object.__getattribute__({victim}, {name})", f"type.__getattribute__(C, {name})", f"sorted([{victim}], key=lambda q: getattr(q, {name}))", f"vars({victim})", f"dir({victim})",
                "typing.get_type_hints(f)", "typing.ForwardRef('__import__(\"os\")')._evaluate(None, None, frozenset())", "functools.singledispatch(f)", f"inspect.getattr_static({victim}, {name})",
                "dataclasses.make_dataclass('D', [('__globals__', dict)])", f"functools.update_wrapper(f, {victim}, assigned=[{name}])", f"functools.update_wrapper(lambda: 0, {victim}, updated=[{name}])",
                f"functools.wraps({victim})(f).__wrapped__", "functools.cached_property(f).func", f"collections.namedtuple('N', 'a', module={name})", f"enum.Enum('E', {{'a': {victim}}})",
                f"copy.copy({victim})", f"copy.deepcopy({victim})", f"json.dumps({victim}, default=lambda o: getattr(o, {name}))", f"json.loads('[1]', cls={victim})", f"re.sub('a', {victim}, 'a')",
                f"string.Template('${{a.{self.name()}}}').substitute(a={victim})", f"contextlib.ExitStack().enter_context({victim})", "random.Random().__reduce__()", f"dataclasses.fields({victim})",
                f"statistics.mean([{victim}])", f"datetime.datetime.now().strftime({name})", f"'%({self.name()})s' % vars(c)", f"hasattr({victim}, {name})", f"type({victim}).mro()", f"type('T', (object,), {{{name}: f}})",
                "type('T', (C,), dict(__getattr__=lambda s, n: s))()", "super(C, c).__init__", "super(C, C).__subclasses__()", "property(f).fget", f"iter({victim}.{self.name()}, 0)", f"max([{victim}], key=type)",
                "asyncio.base_events", "asyncio.create_subprocess_shell", "asyncio.run(asyncio.create_subprocess_exec('true'))", "contextlib.contextmanager(gen)().gen.gi_frame", f"heapq.merge([{victim}], key=vars)",
            )
        )  # fmt: skip

    @production("attack", 5)
    def by_facade(self) -> None:
        """Call what a module offers with things that tell what they are given, and look at what comes back."""
        module = self.pick(*_FACADES)
        entry = TABLE[module]
        members = [*entry.members.split(), *entry.sealed.split(), *entry.wrapped]
        if not members:
            return
        for line in _SPY.splitlines():
            self.line(line)
        self.line(f"import {module} as m")
        self.line(f"v = m.{self.pick(*members)}")
        self.line("loot.append(v)")
        for _ in range(self.random.randint(1, 3)):
            for line in self.use():
                self.line(line)

    def use(self) -> list[str]:
        """Return a use of `v`, whose result is `v` after it."""
        kinds = ("Spy()", "Spy", "f", "C", "c", "gen", "g", "'x'", "1", "2", "[f, c]", "{'x': f}", "'__globals__'", "'gi_frame'", "lambda *a: loot.append(a) or f", "b'ab'", "[1, 2]", "(c, 1)", "str", "print", "m", "v", "'{0.__class__}'", "error_", "type(g)", "None")  # fmt: skip
        given = [self.pick(*kinds) for _ in range(self.random.choice((0, 1, 1, 1, 2, 2, 3)))]
        if self.chance(0.2):
            given.append(
                f"{self.pick('key', 'default', 'cls', 'func', 'name', 'module', 'defaults', 'initial', 'assigned', 'updated', 'object_hook', 'factory', 'type', 'repr', 'file', 'globals')}={self.pick(*kinds)}"
            )
        arguments = ", ".join(given).replace("error_", "ValueError('v')")
        return self.random.choice(
            [
                [f"v = v({arguments})", "loot.append(v)"], [f"v = v({arguments})", "loot.append(v)"], [f"v = v.{self.pick(*_PUBLIC)}", "loot.append(v)"], [f"v = v.{self.pick(*_PUBLIC)}({arguments})", "loot.append(v)"],
                ["v = [one for one, _ in zip(v, range(3))]", "loot.append(v)"], ["with v as w: loot.append(w)"], [f"v = v[{self.pick('0', '1', repr('x'), 'int', ':1', 'Spy()')}]", "loot.append(v)"], ["@v", "def q(a=1): return a", "v = q", "loot.append(v)"],
                ["class K(v): x: int = 1", f"v = K({arguments})", "loot.append(v)"], ["@v", "class K: x: int = 1", "v = K()", "loot.append(v)"], [f"loot.append(getattr(v, {self.name()!r}, 0))"], [f"loot.append('{{0.{self.name()}}}'.format(v))"], [f"v.{self.pick(*_PUBLIC)} = f"],
                ["loot.append((repr(v), str(v), bool(v)))"], ["v = v + Spy()", "loot.append(v)"], ["v = Spy() == v"], ["match v:", f"    case object({self.pick(*_PUBLIC)}=w): loot.append(w)"], ["async def q(): loot.append(await v)", "import asyncio", "asyncio.run(q())"], ["v = next(v)", "loot.append(v)"],
                [f"for v.{self.pick(*_PUBLIC)} in [f]: pass"], ["class K(C):", "    attr = v", "loot.append((K.attr, K().attr))"],
            ]
        )  # fmt: skip

    @production("attack", 2)
    def by_import(self) -> None:
        module, member = self.pick(*_MODULES), self.pick("os", "sys", "builtins", "bltns", "codecs", "_os", "abc", "re", "types", "__builtins__", "open", "_sys", "warnings", "loader", *DUNDERS[:6])  # fmt: skip
        form = self.pick(f"import {module} as v", f"from {module} import {member} as v", f"import {module}.{member} as v", f"from {module} import *; v = {member}", f"v = __import__({module!r})", f"import {module}; v = {module}.{member}", f"import {module}; v = getattr({module}, {self.spelt(member)})", f"import importlib; v = importlib.import_module({module!r})")  # fmt: skip
        self.line(form)
        self.line("loot.append(v)")

    # ---- frames, tracebacks, exceptions ------------------------------------------------------------------------

    @production("attack", 2)
    def frames(self) -> None:
        attribute = self.pick(
            "gi_frame",
            "gi_code",
            "gi_yieldfrom",
            "gi_frame.f_back",
            "gi_frame.f_globals",
            "gi_frame.f_builtins",
            "gi_running",
        )
        form = self.random.choice(
            [
                [f"loot.append(g.{attribute})"], ["next(g)", f"loot.append(getattr(g, {self.spelt(attribute)}))"], ["q = (q.gi_frame.f_back for q in [1])", "loot.append(list(q))"],
                ["def inner():", f"    yield me.{attribute}", "me = inner()", "loot.append(next(me))"], ["async def a(): pass", "co = a()", f"loot.append(co.{attribute.replace('gi', 'cr')})", "co.close()"],
                ["async def a(): yield 1", "ag = a()", f"loot.append(ag.{attribute.replace('gi', 'ag')})"], ["loot.append([x for x in (y.gi_frame for y in [g])])"],
                ["try: 1 / 0", "except Exception as e: loot.append(e.__traceback__)"], ["try: 1 / 0", "except Exception as e: loot.append(e.__traceback__.tb_frame.f_globals)"],
                ["try: raise KeyError", "except Exception as e:", "    match e:", "        case KeyError(__traceback__=t): loot.append(t)"], ["try: c.nope", "except AttributeError as e: loot.append(e.obj)"],
                ["class X:", "    def __exit__(self, a, b, t): loot.append(t); return True", "    def __enter__(self): return self", "with X(): 1 / 0"],
                ["class X:", "    def __exit__(self, *a): loot.append(a[2].tb_frame); return True", "    def __enter__(self): return self", "with X(): 1 / 0"],
                ["import contextlib", "@contextlib.contextmanager", "def cm():", "    try: yield", "    except Exception as e: loot.append(e.__traceback__)", "with cm(): 1 / 0"],
                ["def h():", "    try: yield", "    except Exception as e: loot.append(e.__traceback__.tb_frame)", "t = h()", "next(t)", "t.throw(ValueError('x'))"],
                ["try: raise ValueError('x').with_traceback(None)", "except ValueError as e: loot.append(e.__context__)"], ["import sys", "try: 1 / 0", "except Exception: loot.append(sys.exc_info())"],
                ["try: import nope_x", "except ImportError as e: loot.append(e.__traceback__ if 0 else e.__reduce__())"], ["loot.append(g.throw)", "g.throw(KeyError)"],
                ["class E(Exception):", "    @property", "    def __traceback__(self): loot.append(self)", "try: raise E", "except E as e: loot.append(e.__traceback__)"],
                ["try:", "    try: 1 / 0", "    finally: raise KeyError", "except KeyError as e: loot.append(e.__context__.__traceback__)"], ["try: len()", "except TypeError as e: loot.append(e.__traceback__.tb_next)"],
            ]
        )  # fmt: skip
        for line in form:
            self.line(line)

    # ---- hooks -------------------------------------------------------------------------------------------------

    @production("attack", 4)
    def shadow(self) -> None:
        """Bind a guard's name by every binder there is, then do what the guard watches."""
        hook = self.pick(*HOOKS)
        evil = "(lambda o, *a, **k: loot.append(o) or loot.append(a) or o)"
        after = [
            f"    (c.x, c.p, [1][0]); c.z = 1; q = [0]; q[0] += 1; a, b = 1, 2; f(*[1]); loot.append(type(1)); loot.append(c.{self.name()})"
        ]
        form = self.random.choice(
            [
                [f"{hook} = {evil}", "if 1:", *after], [f"{hook}: object = {evil}", "if 1:", *after], [f"for {hook} in [{evil}]:", *after], [f"({hook} := {evil})", "if 1:", *after],
                [f"def h({hook}):", *after, f"h({evil})"], [f"def h({hook}, /):", *after, f"h({evil})"], [f"def h(*, {hook}={evil}):", *after, "h()"], [f"def h(*{hook}):", *after, f"h({evil})"],
                [f"def h(**{hook}):", *after, f"h(a={evil})"], ["def h(**k):", *after, f"h(**{{{hook!r}: {evil}}})"], [f"def {hook}(o, *a): return o", "if 1:", *after], [f"class {hook}:", "    pass", "if 1:", *after],
                [f"async def {hook}(o): return o", "if 1:", *after], [f"(lambda {hook}: loot.append(c.{self.name()}))({evil})"], [f"loot.append([c.x for {hook} in [{evil}]])"], [f"loot.append([c.{self.name()} for {hook} in [{evil}]])"],
                [f"match {evil}:", f"    case {hook}: loot.append(c.{self.name()})"], [f"match [{evil}]:", f"    case [{hook}]: loot.append(c.{self.name()})"], ["match [1, 2]:", f"    case [*{hook}]:", *["    " + one for one in after]],
                ["match {'a': 1}:", f"    case {{**{hook}}}:", *["    " + one for one in after]], [f"match {evil}:", f"    case object() as {hook}: loot.append(c.{self.name()})"], [f"import math as {hook}", "if 1:", *after],
                [f"from math import sqrt as {hook}", "if 1:", *after], [f"try: raise ValueError({evil})", f"except ValueError as {hook}:", *after], ["import contextlib", f"with contextlib.nullcontext({evil}) as {hook}:", *after],
                ["def h():", f"    global {hook}", f"    {hook} = {evil}", "h()", "if 1:", *after], ["def h():", f"    {hook} = {evil}", "    def i():", f"        nonlocal {hook}", f"        {hook} = {evil}", "    i()", *after, "h()"],
                ["class H:", f"    {hook} = {evil}", *after], [f"{hook} += 1"], [f"del {hook}", "if 1:", *after], [f"[{hook}, b] = {evil}, 1", "if 1:", *after], [f"(*{hook}, b) = {evil}, 1", "if 1:", *after], [f"loot.append({hook})"],
                [f"loot.append({hook}(c, {self.name()!r}))"], [f"c.{hook} = {evil}", "if 1:", *after], [f"type {hook} = int"], [f"def h[{hook}]({hook}): return {hook}"], [f"print({hook}={evil})"], [f"class K(metaclass={hook}): pass"],
                ["async def h():", f"    async with c as {hook}: pass", f"    async for {hook} in c: pass"], [f"loot.append((lambda *{hook}, b=1: {hook})(1))"], [f"loot.append([({hook} := {evil}) for _ in [1]])", "if 1:", *after],
            ]
        )  # fmt: skip
        for line in form:
            self.line(line)

    @production("attack", 2)
    def class_hooks(self) -> None:
        """Let the machinery call a class's own method with something that it should not see."""
        name, victim = self.name(), self.imports(self.victim())
        form = self.random.choice(
            [
                ["class M(type):", "    def __getattribute__(cls, n): loot.append((cls, n)); return type", "class K(metaclass=M): pass", f"loot.append(K.{name})"], [f"class K({victim}): pass", f"loot.append(K().{name})"],
                ["class M(type):", "    @classmethod", "    def __prepare__(m, *a, **k): return {'__builtins__': 1}", "class K(metaclass=M): x = 1"], ["class K:", "    def __getattribute__(self, n): loot.append((self, n)); return f", f"K().{name}"],
                ["class K:", f"    def __init_subclass__(cls, **k): loot.append(k); cls.{name}", f"class L(K, a={victim}): pass"], ["class K:", "    def __set_name__(self, o, n): loot.append((o, n))", "class L: a = K()"],
                ["class K:", "    def __class_getitem__(cls, i): return i", f"loot.append(K[{victim}].{name})"], ["class K:", "    def __format__(self, s): loot.append(s); return s", f"'{{0:{{1.{name}}}}}'.format(K(), {victim})"],
                ["class K:", "    def __eq__(self, o): loot.append(o); return True", "    def __hash__(self): return hash('x')", "getattr(c, K())" if self.chance(0.5) else f"loot.append({victim} == K())"], ["class K(str):", "    def __hash__(self): return 1", f"loot.append(getattr({victim}, K({name!r})))"],
                ["class K:", "    def __mro_entries__(self, b): loot.append(b); return (C,)", "class L(K()): pass"], ["class K:", "    def __instancecheck__(self, o): loot.append(o); return True", f"isinstance({victim}, K())"], ["class K:", "    def __del__(self): loot.append(self)", "K()"],
                ["class K:", "    def __get__(self, o, t): loot.append((o, t)); return t", "    def __set__(self, o, v): loot.append(v)", "class L: a = K()", f"L().a; L().a = {victim}; L.a"], [f"class K: {name} = {victim}", f"loot.append(K.{name})"], [f"C.{name} = f", f"loot.append(c.{name})"],
                [f"def {name}(self): return self", f"C.q = {name}", "loot.append(c.q())"], ["class K(dict):", f"    def __missing__(self, k): return {victim}", f"loot.append('{{a.{name}}}'.format_map(K()))"], [f"setattr(C, {self.spelt(name)}, f)", f"loot.append(getattr(c, {self.spelt(name)}))"],
                ["class K(C):", f"    def m(self): return super().{name}", "loot.append(K().m())"], ["class K(C):", f"    def m(self): return __class__.{name}", "loot.append(K().m())"], ["class K:", "    __slots__ = ('__dict__', '__weakref__')", f"loot.append(K().{name})"], ["class K:", f"    __{name.strip('_')} = 1", f"    def m(self): return self.__{name.strip('_')}", "loot.append(K().m())"],
                ["class _K:", f"    def m(self, o): return o.__{name.strip('_')}__", f"loot.append(_K().m({victim}))"], ["class K:", f"    def __getattr__(self, n): return getattr({victim}, n)", f"loot.append(K().{name})"], ["class K:", "    def __iadd__(self, o): loot.append(o); return o", f"c.x = K(); c.x += {victim}"],
            ]
        )  # fmt: skip
        for line in form:
            self.line(line)

    # ---- writing -----------------------------------------------------------------------------------------------

    @production("attack", 3)
    def poison(self) -> None:
        """Change something that the next run would share."""
        module, member = self.random.choice([("json", "dumps"), ("math", "pi"), ("re", "sub"), ("functools", "wraps"), ("collections", "Counter"), ("random", "random"), ("collections.Counter", "update"), ("json.JSONEncoder", "default"), ("fractions.Fraction", "limit"), ("datetime.date", "today"), ("string", "digits"), ("enum.Enum", "name"), ("dataclasses", "field"), ("statistics", "mean"), ("decimal.Decimal", "x"), ("textwrap.TextWrapper", "wrap"), ("typing", "Any"), ("contextlib.ExitStack", "close"), ("print", "x"), ("getattr", "x"), ("str", "x"), ("type(getattr)", "x"), ("type(math)", "x"), ("uuid.UUID", "hex"), ("io.StringIO", "x"), ("abc.ABC", "x"), ("copy", "copy")])  # fmt: skip
        root = module.partition(".")[0]
        if root in _MODULES:
            self.line(f"import {root}")
        evil = "(lambda *a, **k: loot.append(a))"
        for line in self.random.choice(
            [
                [f"{module}.{member} = {evil}"], [f"setattr({module}, {member!r}, {evil})"], [f"del {module}.{member}"], [f"delattr({module}, {member!r})"], [f"{module}.{member} += 1"], [f"for {module}.{member} in [{evil}]: pass"], [f"{module}.{member}, a = {evil}, 1"],
                [f"{module}.{member}: int = 1"], ["import contextlib", f"with contextlib.nullcontext({evil}) as {module}.{member}: pass"], [f"[{module}.{member}, *a] = [{evil}]"], [f"vars({module})[{member!r}] = {evil}"], [f"{module}.__dict__[{member!r}] = {evil}"], [f"object.__setattr__({module}, {member!r}, {evil})"],
                [f"type.__setattr__({module}, {member!r}, {evil})"], [f"({module}.__setattr__)({member!r}, {evil})"], ["import functools", f"functools.update_wrapper({module}, c, assigned=['x'])"], ["import functools", f"functools.update_wrapper({module}, f, assigned=['__name__', '__doc__'], updated=['__dict__'])"], ["import abc", f"abc.ABC.register({module})"],
                [f"{module}.{member}.{self.name()} = {evil}"], ["import operator", f"operator.setitem({module}.__dict__, {member!r}, {evil})"], [f"class K({module}): pass", f"K.{member} = {evil}", "loot.append(K.__bases__)"], ["import functools", f"functools.total_ordering({module})"], ["import dataclasses", f"dataclasses.dataclass({module})"], [f"super({module}, {module}).__setattr__('x', 1)"],
                [f"{module}['x'] = 1"], [f"{module}.__class__ = C"], [f"C.__bases__ = ({module},)"], [f"property.__set__({module}.{member}, c, 1)"], ["import functools", f"functools.cached_property({evil}).__set_name__({module}, {member!r})"], [f"({module}.{member} := 1)"], ["import dataclasses", f"loot.append(dataclasses.replace({module}, x=1))"],
            ]
        ):  # fmt: skip
            self.line(line)

    @production("attack", 1.5)
    def run_code(self) -> None:
        """Reach for what runs text, opens files or names modules at run time."""
        self.keep(
            self.pick(
                "eval('1')", "exec('x = 1')", "compile('1', '', 'eval')", "open('/etc/hostname')", "__import__('os')", "globals()", "locals()", "vars()", "input()", "breakpoint()", "__builtins__", "__loader__", "__spec__", "help", "exit", "quit", "license",
                "(eval)", "[eval][0]", "list(map(eval, ['1']))", "getattr(__builtins__, 'eval')", "__builtins__['eval']", "type(f)(f.__code__, {})", "type(g)", "type(c.m)(f, c)", "type(C)('X', (), {})", "type('X', (), {'__del__': f})", "type(f)", "__build_class__(f, 'X')",
                "dict.fromkeys(['eval'])", "print.__self__.eval", "[].__class__.__base__.__subclasses__()", "''.__class__.__mro__[1]", "memoryview(b'a').obj", "classmethod(f).__func__", "staticmethod(f).__wrapped__", "type.mro(C)", "type.__subclasses__(object)", "object.__subclasses__()",
                "object.__reduce_ex__(c, 2)", "int.from_bytes.__self__", "str.maketrans.__self__", "io.open('/etc/hostname')", "io.FileIO('/etc/hostname')", "csv.writer(c)", "json.load(c)", "print('x', file=c)", "print('x', file=loot)", "hashlib.file_digest", "random.SystemRandom()", "time.sleep", "uuid.getnode()", "uuid.uuid1()",
                "datetime.sys", "string._re", "re._compiler", "re.enum.sys", "json.codecs.open", "statistics.sys", "textwrap.re", "functools.RLock", "collections.abc.sys", "enum.bltns", "dataclasses.sys", "contextlib.os", "random._os", "copy.copyreg", "fractions.sys", "typing.sys", "operator.__builtins__", "base64.binascii", "heapq.__doc__", "bisect.__file__", "abc.__loader__", "decimal.__spec__",
            )
        )  # fmt: skip
