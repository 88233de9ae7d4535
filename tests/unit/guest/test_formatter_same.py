"""The safe formatter gives what `str.format` gives: the same text, or the same error."""

from __future__ import annotations

import datetime as dt
import decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandboxd.guest.restricted import formatter
from sandboxd.guest.restricted.facades.guards import strict_getattr


class Point:
    """A class of the program's, with a format of its own."""

    def __init__(self, x: Any, y: Any) -> None:
        self.x, self.y = x, y

    def __format__(self, spec: str) -> str:
        return f"<{spec}|{self.x}>"

    def __repr__(self) -> str:
        return "Point(é)"


class Missing(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return f"no {key}"


ARGS = (1, 2.5, "abc", Point(3, Point("in", [7, 8])), [10, {"k": "v", "1": "one", 1: "int"}], 3 + 4j)
KWARGS = {
    "name": "Ada",
    "width": 8,
    "p": Point(1, {"a.b": 2}),
    "d": dt.date(2024, 1, 31),
    "z": decimal.Decimal("1.50"),
}

TEMPLATES = """
{} {} {}|{0} {1!r} {2!s:>5} {2!a}|{3.x} {3.y.x} {3.y.y[1]}|{4[0]} {4[1][k]} {4[1][1]}|{name:*^{width}} {p.x:>{width}}
{p.y[a.b]}|{d:%d %b} {d.year:05d}|{z.real:.3f} {5.imag:+.1e}|{{}} {{{0}}}|{0:{1}}|{3.x:{width}}|{3:{name}-{p.x}}|{3.y!r:>10}
{|}|{0|{0!}|{0!x}|{0!rr}|{3.x!q}|{3.}|{3..x}|{3.x.}|{4[}|{4[]}|{4[0}|{4[0]x}|{4[0].}|{3.x]}|{}{0}|{0}{}|{3.x}{}|{}{3.x}|{9}|{9.x}
{nope}|{nope.x}|{3.nope}|{2.x}|{4[9]}|{4[1][z].x}|{3.y.y[a]}|{0.real:{3.x:{1}}}|{3.x:{0:{1}}}|{99999999999999999999.x}|{p.x:{}}
{3.x!\x1f}|{3.x!ä}|{3.x:{nope}}|{-1.x}|{ 0.x}|{0 .real}|{.x}|{[0]}|{.real} {.real}|{3.y.y[-1]}|{4[1][k].x}|{0.real:{{}}}|{0.real:}}
""".replace("\n", "|").split("|")


def outcome(call: Any) -> tuple[str, str]:
    try:
        return "text", call()
    except Exception as error:  # noqa: BLE001 - compared
        return type(error).__name__, str(error)


def both(template: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
    safe = formatter.safe_method(template, "format", strict_getattr)
    return outcome(lambda: safe(*args, **kwargs)), outcome(lambda: template.format(*args, **kwargs))


@pytest.mark.parametrize("template", [one for one in TEMPLATES if one])
def test_same_as_python(template: str) -> None:
    ours, python = both(template, ARGS, KWARGS)
    assert ours == python


@pytest.mark.parametrize(
    "template", ["{a}", "{a.x} {b.y[0]}", "{}", "{0.x}", "{c.real}", "{a.x:{w}}", "{x.y.z", "{a.nope}"]
)
@pytest.mark.parametrize(
    "mapping", [Missing(a=Point(1, 2), b=Point(3, [4]), w=5), {"a": Point(1, 2)}, [1], None]
)
def test_format_map_is_the_same(template: str, mapping: Any) -> None:
    safe = formatter.safe_method(template, "format_map", strict_getattr)
    assert outcome(lambda: safe(mapping)) == outcome(lambda: template.format_map(mapping))


LAWS = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
FIELDS = st.sampled_from(
    ["", "0", "1", "2", "3", "name", "p", "d", "3.x", "3.y.x", "p.y", "p.x", "4[0]", "4[1][k]", "5.real", "d.year", "z.imag", ".x",
     "3.nope", "nope", "7"]
)  # fmt: skip
SPECS = st.sampled_from(
    [
        "",
        ":",
        ":>9",
        ":^5d",
        ":.2f",
        ":*<{width}",
        ":{}",
        ":{1}",
        ":{p.x}",
        ":{3.x:{0}}",
        ":%Y",
        ":,",
        ":+010.3e",
        ":{",
        ":}}",
    ]
)
PARTS = st.one_of(
    st.text(alphabet="ab é{}:!.[]0", max_size=6),
    st.builds(
        lambda f, c, s: "{" + f + c + s + "}",
        FIELDS,
        st.sampled_from(["", "!r", "!s", "!a", "!x", "!"]),
        SPECS,
    ),
)


@LAWS
@given(st.lists(PARTS, max_size=5).map("".join))
def test_any_template_is_the_same(template: str) -> None:
    ours, python = both(template, ARGS, KWARGS)
    assert ours == python


@LAWS
@given(st.lists(PARTS, max_size=5).map("".join))
def test_any_template_is_the_same_step_by_step(template: str) -> None:
    """Templates without links are left to Python; what is done for the others would do for all."""
    ours = outcome(lambda: formatter._Expansion(ARGS, KWARGS, strict_getattr).expand(template, 2))
    assert ours == outcome(lambda: template.format(*ARGS, **KWARGS))


@LAWS
@given(st.text(alphabet="{}.:![]0ax", max_size=16))
def test_any_text_is_the_same(template: str) -> None:
    ours, python = both(template, (Point(1, [2]), 5), {"a": Point(3, 4), "x": 6})
    assert ours == python


@LAWS
@given(
    st.lists(
        st.one_of(st.integers(), st.floats(), st.text(max_size=5), st.booleans(), st.none()),
        min_size=3,
        max_size=3,
    ),
    st.from_regex(r"\{0\.real(![rsa])?(:[ <>=^+\-#0-9,_.bcdeEfFgGnosxX%]{0,6})?\}", fullmatch=True),
)
def test_any_spec_is_the_same(values: list[Any], template: str) -> None:
    ours, python = both(template, tuple(values), {})
    assert ours == python


def test_fields_are_worked_off_in_python_s_order() -> None:
    def trace(format_it: Any) -> list[str]:
        seen: list[str] = []

        class Loud:
            def __getattr__(self, name: str) -> Any:
                seen.append(name)
                return self

            def __getitem__(self, key: Any) -> Any:
                seen.append(f"[{key!r}]")
                return self

            def __format__(self, spec: str) -> str:
                seen.append(f"format {spec}")
                return "f"

            def __repr__(self) -> str:
                seen.append("repr")
                return "r"

        with pytest.raises(ValueError, match="Single"):
            format_it("{0.a[k].b!r:{0.c:s}>3} {0.e}}", Loud())
        return seen

    safe = trace(lambda template, value: formatter.format_string(template, (value,), {}, strict_getattr))
    assert safe == trace(lambda template, value: template.format(value))
    assert safe[:6] == ["a", "['k']", "b", "repr", "c", "format s"]


def test_the_mini_language_of_own_classes_is_theirs() -> None:
    assert both("{0.y:{1}>x}", (Point(1, Point(2, 3)), 9), {}) == (("text", "<9>x|2>"),) * 2


def test_keyword_names_are_free() -> None:
    assert (
        both("{self.x} {args.x} {template}", (), {"self": Point(1, 2), "args": Point(3, 4), "template": 5})
        == (("text", "1 3 5"),) * 2
    )
