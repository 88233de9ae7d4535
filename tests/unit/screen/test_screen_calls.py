"""SBX40x: builtins and calls."""

import pytest


@pytest.mark.parametrize("name", ["eval", "exec", "compile", "globals", "locals", "vars", "breakpoint"])
@pytest.mark.parametrize(
    "form", ["{}('1')", "f = {}", "map({}, x)", "[{}][0]('1')", "lambda f={}: f", "x = {} if y else 1"]
)
def test_denied_builtins(screen, name, form):
    finding = screen(form.format(name))[0]
    assert (finding["rule"], finding["symbol"]) == ("builtin-not-allowed", name)


def test_a_name_of_ones_own_does_not_unlock_a_builtin(rules_of):
    assert "builtin-not-allowed" in rules_of("if 0:\n    eval = 1\neval('1')")


@pytest.mark.parametrize(
    "source", ["open('a.txt', 'w')", "re.compile('x')", "model.eval()", "input()", "print(dir(x), id(x))"]
)
def test_everyday_builtins_pass(rules_of, source):
    assert rules_of(source) == set()


@pytest.mark.parametrize("name", ["getattr", "setattr", "hasattr", "delattr"])
def test_constant_attribute_names_are_attributes(rules_of, name):
    value = ", 1" if name == "setattr" else ""
    assert rules_of(f"{name}(x, 'real'{value})") == set()
    assert rules_of(f"{name}(x, '__class__'{value})") == {"attribute-not-allowed"}
    assert rules_of(f"{name}(x, 'gi_frame'{value})") == {"attribute-denied"}


@pytest.mark.parametrize(
    "source",
    [
        "getattr(x, name)",
        "getattr(x, 'a' + 'b')",
        "getattr(x, f'{a}')",
        "getattr(*args)",
        "getattr(x, name='a')",
        "g = getattr",
        "functools.reduce(getattr, ['a'], x)",
        "map(hasattr, x, y)",
        "from operator import attrgetter\nattrgetter(name)",
        "from operator import attrgetter as ag\nf(ag)",
        "import operator\noperator.methodcaller(name)(x)",
        "import operator\nf(operator.attrgetter)",
    ],
)
def test_computed_attribute_names(screen, source):
    (finding,) = screen(source)
    assert (finding["rule"], finding["severity"]) == ("dynamic-attribute", "error")
    assert [one["severity"] for one in screen(source, "data-science")] == ["warning"]


def test_operator_with_constant_names(rules_of):
    assert rules_of("from operator import attrgetter\nsorted(x, key=attrgetter('a.b', 'c'))") == set()
    assert rules_of("import operator\noperator.methodcaller('split', sep)") == set()
    assert rules_of("from operator import attrgetter\nattrgetter('a.__class__')") == {"attribute-not-allowed"}
    assert rules_of("import operator\noperator.methodcaller('__reduce__')") == {"attribute-not-allowed"}


def test_setattr_writes_no_dunder(rules_of):
    assert rules_of("setattr(f, '__name__', 'x')") == {"attribute-not-allowed"}


@pytest.mark.parametrize("source", ["type('X', (), {})", "type(*a)", "type('X', bases, dict(a=1), flag=1)"])
def test_classes_by_call(rules_of, source):
    assert rules_of(source) == {"dynamic-class"}


def test_type_of_one_thing(rules_of):
    assert rules_of("print(type(x), list(map(type, y)), type(x)())") == set()


@pytest.mark.parametrize("meta", ["print", "lambda *a: 1", "f()", "getattr(x, 'y')", "len", "a.b"])
def test_metaclasses_that_are_none(rules_of, meta):
    assert "metaclass-not-allowed" in rules_of(f"class X(metaclass={meta}): pass")


def test_metaclasses(rules_of):
    assert rules_of("from abc import ABCMeta\nclass X(metaclass=ABCMeta): pass") == set()
    assert rules_of("import abc\nclass X(abc.ABC, metaclass=abc.ABCMeta): pass") == set()
    assert rules_of("class M(type): pass\nclass X(metaclass=M): pass") == set()


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "/proc/self/environ", "/root", "/home/x/.ssh/id_rsa", "/sys/kernel"]
)
@pytest.mark.parametrize(
    "call",
    [
        "open({!r})",
        "pathlib.Path({!r}).read_text()",
        "import os\nos.listdir({!r})",
        "from pathlib import Path\nPath({!r})",
    ],
)
def test_paths_that_no_sandbox_has(rules_of, path, call):
    assert rules_of(call.format(path)) == {"path-outside-sandbox"}


@pytest.mark.parametrize(
    "path", ["/work/a.csv", "/tmp/x", "a/b.txt", "../etc/passwd", "/dev/null", "/data/x"]
)
def test_other_paths_are_the_jails_affair(rules_of, path):
    assert rules_of(f"open({path!r})") == set()
