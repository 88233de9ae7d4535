"""String formatting that walks attributes goes through the guard, whatever way the method was come by."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from sandboxd.guest.restricted import formatter
from sandboxd.guest.restricted.facades.guards import strict_getattr


class Holder:
    """An object of a program's with something private behind it."""

    def __init__(self) -> None:
        self.a = lambda: None
        self.items = {"k": self.a}

    def __getitem__(self, key: Any) -> Any:
        return self.a


def safe(receiver: Any, name: str = "format") -> Any:
    return formatter.safe_method(receiver, name, strict_getattr)


WALKS = """
{0.__class__}|{0.__class__.__mro__}|{0.__class__.__base__.__subclasses__}|{0.a.__globals__}|{0.a.__globals__[sys]}|{0[k].__globals__}
{0.items[k].__globals__}|{0:{0.__class__}}|{1:{0.__class__}}|{1:>{0.a.__code__}}|{0!r:{0.__dict__}}|{0.__init__.__globals__}
{0.a.func_globals.__class__}|{0.a.__builtins__}|{0._private}|{0.a.__closure__}|{h.__class__}|{h.a.__globals__[sys].modules}
{0.__class__}{|{0.__class__|{0.__class__}}|{0.__class__}{0|{1} {0.__class__}|{{{0.__class__}}}|{0.__reduce_ex__}|{0.__doc__}
""".replace("\n", "|").split("|")


@pytest.mark.parametrize("template", [walk for walk in WALKS if walk])
def test_a_walk_is_refused(template: str) -> None:
    for call in (
        lambda: safe(template)(Holder(), 1, h=Holder()),
        lambda: safe(str)(template, Holder(), 1, h=Holder()),
        lambda: formatter.format_string(template, (Holder(), 1), {"h": Holder()}, strict_getattr),
    ):
        with pytest.raises((AttributeError, ValueError)) as caught:
            call()
        assert not isinstance(caught.value, ValueError) or "{0.__class__" in template


def test_no_step_of_a_walk_is_taken_before_the_refusal() -> None:
    """A template that ends in an error is no reason to follow its links first: their values reach `__format__`."""
    seen: list[str] = []

    class Loud:
        @property
        def a(self) -> Any:
            seen.append("a")
            return self

        def __format__(self, spec: str) -> str:
            seen.append(spec)
            return ""

    for template in ("{0.a.__class__}{", "{0.__class__:{0.a}}{0", "{0.a:{0.__class__}}"):
        with pytest.raises(AttributeError, match="not available in restricted code"):
            safe(template)(Loud())
    assert set(seen) <= {"a"}  # what restricted code may read itself


@pytest.mark.parametrize(
    "template", ["{0.gi_frame}", "{0.gi_frame.f_back}", "{0.gi_code}", "{0.gi_frame.f_globals[x]}"]
)
def test_introspection_is_refused(template: str) -> None:
    with pytest.raises(AttributeError, match="'gi_"):
        safe(template)(x for x in ())


def test_a_walk_to_format_itself_is_guarded() -> None:
    assert "built-in method format" in safe("{0.format}")("{0.__class__}")
    with pytest.raises(AttributeError, match="__self__"):
        safe("{0.format.__self__}")("x")


@pytest.mark.parametrize("name", ["format", "format_map"])
def test_every_way_to_the_method_ends_at_the_safe_one(name: str) -> None:
    class Sub(str):  # noqa: SLOT000 - as programs write it
        def through_super(self) -> Any:
            return formatter.safe_method(super(), name, strict_getattr)

    template = Sub("{x.__class__}")
    given: Any = {"x": 1}
    methods = [
        safe(template, name),
        safe(str(template), name),
        template.through_super(),
        functools.partial(safe(str, name), template),
        functools.partial(safe(Sub, name), template),
        safe(str, name).__get__(template),
    ]
    for method in methods:
        with pytest.raises(AttributeError, match="'__class__'"):
            method(given) if name == "format_map" else method(**given)


def test_an_alias_in_a_class_binds_to_strings_alone() -> None:
    alias = safe(str)

    class Sub(str):  # noqa: SLOT000 - as programs write it
        fmt = alias

    class Other:
        fmt = alias

    assert Sub("{0.real}-{}").fmt is not alias
    assert Sub("<{0.real}>").fmt(5) == "<5>"
    with pytest.raises(AttributeError, match="'__class__'"):
        Sub("{0.__class__}").fmt(5)
    with pytest.raises(TypeError, match="doesn't apply to a 'Other' object"):
        _ = Other().fmt
    with pytest.raises(TypeError, match="doesn't apply to a 'int' object"):
        alias(5)
    with pytest.raises(TypeError, match="needs an argument"):
        alias()


def test_what_is_no_format_of_a_string_stays_what_it_is() -> None:
    class Own(str):  # noqa: SLOT000 - as programs write it
        def format(self, *args: Any) -> str:
            return "own"

    class Report:
        def format(self) -> str:
            return "report"

    report = Report()
    report_too = Report()
    report_too.format = lambda: "instance"  # type: ignore[method-assign]
    assert safe(Own("{0.__class__}"))(1) == "own"
    assert safe(report)() == "report"
    assert safe(report_too)() == "instance"
    with pytest.raises(AttributeError, match="'int' object has no attribute 'format'"):
        safe(1)
    with pytest.raises(AttributeError):
        safe(b"bytes")


def test_a_subclass_s_methods_do_not_answer_for_its_text() -> None:
    class Lie(str):  # noqa: SLOT000 - as programs write it
        def __contains__(self, part: object) -> bool:
            return False

        def __str__(self) -> str:
            return "harmless"

        def __iter__(self) -> Any:
            return iter("harmless")

        def replace(self, *args: Any) -> str:
            return "harmless"

    with pytest.raises(AttributeError, match="'__class__'"):
        safe(Lie("{0.__class__}"))(1)


def test_user_code_cannot_turn_a_checked_name() -> None:
    """A mapping's and an index's answers are values, never names of links."""

    class Turning(dict[str, Any]):
        def __missing__(self, key: str) -> Any:
            return "{0.__class__}"

    assert safe("{x} {y[0]}", "format_map")(Turning()) == "{0.__class__} {"
    assert safe("{0[__class__]}")({"__class__": "an item"}) == "an item"


def test_the_methods_hide_what_they_are_made_of() -> None:
    for method in (safe("{0.x}"), safe(str), safe("{x.y}", "format_map")):
        for name in (
            "__self__",
            "__globals__",
            "__func__",
            "__wrapped__",
            "_string",
            "_guard",
            "_name",
            "__dict__",
        ):
            assert not hasattr(method, name)
        with pytest.raises(AttributeError):
            method.poison = 1
        with pytest.raises(TypeError):
            type("Sub", (type(method),), {})
        with pytest.raises(TypeError):
            type(method).__call__ = None
    assert safe("{0.x}").__name__ == "format"
    assert safe("{}").__self__ == "{}"  # Python's own: no links, so nothing to guard
    assert repr(safe(str, "format_map")) == "<method 'format_map' of 'str' objects>"
