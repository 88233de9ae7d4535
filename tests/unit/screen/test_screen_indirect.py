"""Attributes and classes that a text reaches without an attribute node: by strings, by patterns, by metaclasses."""

import pytest


@pytest.mark.parametrize(
    ("source", "rule"),
    [
        # a field with a brace in its index: a pattern of one's own would not see that it goes on
        ("'{0[}].__class__}'.format(x)", "format-traversal"),
        (f"'{{0[{'a' * 400}].__class__}}'.format(x)", "format-traversal"),
        ("'{:{:{0.__class__}}}'.format(x)", "format-traversal"),
        ("'{0.__class__} {'.format(x)", "format-traversal"),
        ("getattr(t, 'format')(x)", "dynamic-format"),
        ("import operator\noperator.methodcaller('format', x)(t)", "dynamic-format"),
        ("from operator import attrgetter\nattrgetter('a.format')(t)", "dynamic-format"),
        ("import logging\nlogging.Formatter(t, style='{')", "dynamic-format"),
        ("import logging\nlogging.Formatter(t, None, s)", "dynamic-format"),
        ("from logging import basicConfig\nbasicConfig(format=t, style='{')", "dynamic-format"),
        ("match x:\n    case str(format=f): pass", "dynamic-format"),
        ("match x:\n    case str(format_map=f): pass", "dynamic-format"),
        ("class T:\n    __match_args__ = ('format',)\n", "dynamic-format"),
        # positional patterns of a class with registered subclasses read any object's attributes
        ("from abc import ABC\nclass T(ABC):\n    __match_args__ = ('tb_frame',)\n", "attribute-denied"),
        ("class T:\n    __match_args__: tuple = ['a', '__class__']\n", "attribute-not-allowed"),
        ("class T:\n    __match_args__ = names\n", "dynamic-attribute"),
        ("class T:\n    __match_args__ = ('a' + 'b',)\n", "dynamic-attribute"),
        ("class T:\n    __match_args__ = ()\n    __match_args__ += names\n", "dynamic-attribute"),
        ("class T:\n    (__match_args__ := names)\n", "dynamic-attribute"),
        ("class T:\n    for __match_args__ in names: pass\n", "dynamic-attribute"),
        ("class T:\n    def __match_args__(): pass\n", "dynamic-attribute"),
        ("class T: pass\nT.__match_args__ = ('a',)\n", "dynamic-attribute"),
        ("class T: pass\nsetattr(T, '__match_args__', x)\n", "attribute-not-allowed"),
        # what names a class's fields names what its positional patterns read
        ("class N(NamedTuple):\n    tb_frame: int\n", "attribute-denied"),
        ("class N:\n    def f_back(self): pass\n", "attribute-denied"),
        ("from collections import namedtuple\nN = namedtuple('N', 'x, gi_frame')", "attribute-denied"),
        ("from collections import namedtuple\nN = namedtuple('N', field_names=['a', 'tb_next'])", "attribute-denied"),
        ("import typing\nN = typing.NamedTuple('N', [('gi_frame', object)])", "attribute-denied"),
        ("from collections import namedtuple\nN = namedtuple('N', names)\nmatch x:\n    case N(a): pass", "dynamic-attribute"),
        # what copies attributes by name
        ("import functools\nfunctools.update_wrapper(a, b, ('__globals__',))", "attribute-not-allowed"),
        ("from functools import wraps\n@wraps(f, ('gi_frame',))\ndef g(): pass", "attribute-denied"),
        ("from functools import wraps\n@wraps(f, updated=['__globals__'])\ndef g(): pass", "attribute-not-allowed"),
        ("from functools import wraps\n@wraps(f, assigned=names)\ndef g(): pass", "dynamic-attribute"),
        ("import functools\nu = functools.update_wrapper", "dynamic-attribute"),
        # what makes or changes a class without a class statement
        ("type.__new__(type, 'X', (), {})", "dynamic-class"),
        ("type.__call__(type, 'X', (), {})", "dynamic-class"),
        ("type.__setattr__(C, name, 1)", "dynamic-class"),
        ("f = type.__new__", "dynamic-class"),
        ("from abc import ABCMeta\nABCMeta('X', (), {})", "dynamic-class"),
        ("import abc\nabc.ABCMeta.__new__(abc.ABCMeta, 'X', (), {})", "dynamic-class"),
        ("import enum\nenum.EnumMeta('X', (), {})", "dynamic-class"),
        ("type(M)('X', (), {})", "dynamic-class"),
        ("make = type\nmake('X', (), {})", "dynamic-class"),
        ("from functools import partial\npartial(type, 'X', ())({})", "dynamic-class"),
        ("list(map(type, names, bases, members))", "dynamic-class"),
        ("class X(**options): pass", "metaclass-not-allowed"),
        ("from abc import ABCMeta\nfrom enum import EnumMeta\nclass M(ABCMeta, EnumMeta): pass", "metaclass-not-allowed"),
        ("class M(type):\n    def __new__(m, n, b, ns): return super().__new__(m, n, b, ns)\n", "metaclass-not-allowed"),
        ("class M(type): pass\nclass N(M):\n    if 1:\n        __new__ = f\n", "metaclass-not-allowed"),
        ("from abc import ABCMeta\nclass M(ABCMeta):\n    def __new__(*a): pass\n", "metaclass-not-allowed"),
        ("class M(type):\n    def __prepare__(*a): return {}\n", "reserved-name"),
        # dunders that a setter writes
        ("object.__setattr__(self, '__class__', 1)", "attribute-not-allowed"),
        ("super().__setattr__('__class__', C)", "attribute-not-allowed"),
        ("x.__delattr__('__dict__')", "attribute-not-allowed"),
        ("x.__class__ += 1", "attribute-not-allowed"),
        ("x.__dict__['a'] += 1", "attribute-not-allowed"),
        ("for x.__class__ in y: pass", "attribute-not-allowed"),
        ("with f() as x.__class__: pass", "attribute-not-allowed"),
        ("a, *x.__dict__ = y", "attribute-not-allowed"),
        # strings that are evaluated
        ("import typing\ntyping.get_args(typing.List['print(1)'])[0]", "member-not-allowed"),
        ("x._evaluate({}, {}, frozenset())", "attribute-denied"),
        ("from functools import singledispatch", "member-not-allowed"),
        ("from dataclasses import make_dataclass", "member-not-allowed"),
        # the object behind an error
        ("try:\n    pass\nexcept E as e:\n    getattr(e, 'obj')", "exception-object"),
        ("from operator import attrgetter\nattrgetter('obj')(e)", "exception-object"),
        # out of asyncio into processes
        ("import asyncio\nasyncio.current_task().get_loop()", "attribute-denied"),
        ("import asyncio\nasyncio.Event()._loop.subprocess_exec(p, 'id')", "attribute-denied"),
    ],
)  # fmt: skip
def test_refused(rules_of, source, rule):
    assert rule in rules_of(source)


@pytest.mark.parametrize(
    "source",
    [
        "class Point:\n    __match_args__ = ('x', 'y')\nmatch p:\n    case Point(0, y): pass\n",
        "from functools import wraps, update_wrapper\n@wraps(f)\ndef g(): pass\nupdate_wrapper(g, f)\n",
        "from functools import wraps\n@wraps(f, assigned=('__name__', '__doc__'), updated=())\ndef g(): pass",
        "class Singleton(type):\n    _all = {}\n    def __call__(cls, *a):\n        return super().__call__(*a)\n",
        "def f(type):\n    kind = type\n    return kind\n",
        "from collections import namedtuple\nRow = namedtuple('Row', header)\nprint(Row(*line))\n",
        "from collections import namedtuple\nP = namedtuple('P', 'x y')\nmatch p:\n    case P(0, y): pass\n",
        "class S:\n    x: int = 0\n    def run(self): return 1\nclass T(S, flag=1): pass\n",
        "class C:\n    def __new__(cls, *a): return super().__new__(cls)\n",
        "class F:\n    def __setattr__(self, name, value): object.__setattr__(self, name, value)\n",
        "import logging\nlogging.basicConfig(format='{message}', style='{')\nlogging.Formatter(f)\n",
        "df.agg('mean')\ndf.agg(['sum', 'min'])\ndf.apply(lambda r: r)\ndf.query('a.b > 1 and name.str.len() > 3')\n",
        "np.load('x.npy')\nnp.load('x.npy', allow_pickle=False)\n",
        "type(a)(x, y, z)\ntype(a)(*b)\n",
        "from functools import partial\nprint(list(map(type, values)), partial(f, 1, 2), isinstance(x, type))\n",
        "string.Template('$a').substitute(a=1)\nclass T(string.Template):\n    idpattern = '[a-z.]+'\n",
    ],
)
def test_ordinary(rules_of, source):
    assert rules_of(source) == set()


@pytest.mark.parametrize(
    ("source", "rule"),
    [
        ("df.agg('to_pickle', 0, 'x')", "attribute-denied"),
        ("df.agg(['sum', 'to_pickle'])", "attribute-denied"),
        ("df.pipe('to_pickle')", "attribute-denied"),
        ("df.query('@x.__class__')", "attribute-not-allowed"),
        ("df.eval('a = @f.gi_frame')", "attribute-denied"),
        ("import numpy as np\nnp.load('x', allow_pickle=True)", "unsafe-argument"),
        ("import numpy as np\nnp.load('x', allow_pickle=flag)", "unsafe-argument"),
        ("from numpy import load\nload('x', None, True)", "unsafe-argument"),
    ],
)
def test_data_science_strings(rules_of, source, rule):
    assert rules_of(source, "data-science") == {rule}
