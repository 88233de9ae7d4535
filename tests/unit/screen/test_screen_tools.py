"""SBX60x: calls of the client's tools, checked before anything runs. What is not certain is left alone."""

import json

import pytest
from in_process import POLICIES, RULES, screen_source

from sandboxd.events import ToolCallers, ToolSpec
from sandboxd.screen.engine.analysis import analyse
from sandboxd.screen.engine.rules import Rules
from sandboxd.screen.engine.tools import ANY_NAME, Toolbox
from sandboxd.screen.tools import SessionNames, Signatures


def tool(name: str, *required: str, optional=(), more=None, **fields) -> ToolSpec:
    schema = {"type": "object", "properties": {one: {} for one in (*required, *optional)}}
    schema["required"] = list(required)
    if more is not None:
        schema["additionalProperties"] = more
    return ToolSpec(name, "", json.dumps(schema), **fields)


TOOLS = (
    tool("weather", "city", optional=("unit", "days")),
    tool("fetch", "url", is_async=True),
    tool("tag", "key", more={"type": "string"}),
    tool("ping"),
    tool("wipe", callers=ToolCallers.DIRECT),
)


def found(source: str, shadowed=(), tools=TOOLS, policy="default") -> list[tuple[str, str]]:
    findings = screen_source(source, policy, tools=tools, shadowed=shadowed)
    return [(one["rule"], one["symbol"]) for one in findings if one["rule"].startswith("tool-")]


def binds(source: str) -> list[str]:
    return analyse(source, RULES["default"])["binds"]


@pytest.mark.parametrize("call", ["weather", "tools.weather", "tools.weather.aio", "weather.aio"])
@pytest.mark.parametrize(
    ("arguments", "symbols"),
    [
        ("'Paris'", []),
        ("city='Paris'", []),
        ("'Paris', 'C', 3", []),
        ("'Paris', days=3", []),
        ("*places", []),
        ("**options", []),
        ("'Paris', *more", []),
        ("unit='C', **options", []),
        ("", ["city"]),
        ("unit='C'", ["city"]),
        ("'Paris', 'C', 3, 4", ["weather"]),
        ("'Paris', *more, 3, 4, 5", ["weather"]),
        ("town='Paris', **options", ["town"]),
        ("town='Paris'", ["city", "town"]),
        ("'Paris', city='Oslo'", ["city"]),
    ],
)
def test_arguments_bind_as_they_will_inside(call, arguments, symbols):
    assert found(f"x = {call}({arguments})") == [("tool-arguments", symbol) for symbol in symbols]


def test_a_call_is_told_what_the_tool_takes():
    (unknown, missing) = screen_source("weather(citty='Paris')", tools=TOOLS)[::-1]
    assert unknown["message"] == "weather() has no parameter 'citty'"
    assert unknown["hint"] == "Do you mean city? It is weather(city, unit=…, days=…)."
    assert (missing["message"], missing["action"]) == ("weather() lacks 'city'", "deny")
    assert (unknown["line"], unknown["column"]) == (1, 9)


def test_other_keywords_pass_where_the_schema_lets_them():
    assert found("tag('a', color='red')") == []
    assert found("tag(color='red')") == [("tool-arguments", "key")]
    assert found("tag('a', 'b')") == [("tool-arguments", "tag")]


@pytest.mark.parametrize(
    "source", ["tools.wether('x')", "f = tools.wether", "map(tools.wether, x)", "tools.wether.aio('x')"]
)
def test_a_name_that_is_no_tool(source):
    (one,) = screen_source(source, tools=TOOLS)
    assert (one["rule"], one["symbol"], one["action"]) == ("tool-unknown", "wether", "deny")
    assert one["hint"].startswith("Do you mean weather? Tools: weather(city, unit=…, days=…), fetch(url)")
    assert "wipe" not in one["hint"], "no advice to call what code may not call"


@pytest.mark.parametrize(
    "source", ["tools.ToolError", "try:\n    ping()\nexcept tools.ToolTimeout:\n    pass", "wether(1)"]
)
def test_what_is_no_tool_and_nobody_s_mistake(source):
    assert found(source) == []


def test_tools_that_code_may_not_call():
    assert found("wipe()") == [("tool-not-for-code", "wipe")]
    assert found("tools.wipe(1)") == [("tool-not-for-code", "wipe")]
    assert found("await tools.wipe.aio()") == [("tool-not-for-code", "wipe")]


@pytest.mark.parametrize(
    "source", ["fetch('x')", "tools.fetch('x')", "weather.aio('x')", "async def f():\n    fetch('x')"]
)
def test_an_awaitable_that_nobody_takes_is_a_warning(source):
    (one,) = screen_source(source, tools=TOOLS)
    assert (one["rule"], one["action"], one["severity"]) == ("tool-not-awaited", "warn", "warning")


@pytest.mark.parametrize(
    "source",
    [
        "await fetch('x')",
        "p = fetch('x')",
        "await asyncio.gather(fetch('x'))",
        "[fetch('x')]",
        "weather('x')",
    ],
)
def test_awaitables_that_somebody_takes(source):
    assert found(source) == []


@pytest.mark.parametrize(
    "source",
    [
        "weather = print\nweather()",
        "weather()\nif x:\n    weather = 1",
        "weather: object = f\nweather()",
        "weather += 1\nweather()",
        "(weather := f)\nweather()",
        "[weather := f for _ in x]\nweather()",
        "def weather(): pass\nweather()",
        "class weather: pass\nweather()",
        "async def weather(): pass\nawait weather()",
        "import weather\nweather()",
        "import weather.paris\nweather()",
        "from x import weather\nweather()",
        "import y as weather\nweather()",
        "def f(weather): weather()",
        "def f(*weather): weather()",
        "def f(**weather): weather()",
        "def f(*, weather=1): weather()",
        "lambda weather: weather()",
        "[weather() for weather in x]",
        "{weather(): 1 for weather, _ in x}",
        "list(weather() for y in x for weather in y)",
        "for weather in x:\n    weather()",
        "for a, (b, *weather) in x:\n    weather()",
        "async def f():\n    async for weather in x: weather()",
        "with x as weather:\n    weather()",
        "with x as (a, weather):\n    weather()",
        "try:\n    pass\nexcept E as weather:\n    weather()",
        "match x:\n    case weather:\n        weather()",
        "match x:\n    case [1, *weather]:\n        weather()",
        "match x:\n    case {'a': 1, **weather}:\n        weather()",
        "match x:\n    case C(a=weather):\n        weather()",
        "def f():\n    global weather\n    weather = 1\nweather()",
        "def f():\n    weather = 1\n    def g():\n        weather()",
        "def f():\n    weather = 1\n    def g():\n        nonlocal weather\n        weather()",
        "class C:\n    weather = 1\n    x = weather()",
        "del weather\nweather()",
        "from x import *\nweather()",
        "import builtins\nweather()",
        "exec('weather = 1')\nweather()",
        "globals()['weather'] = 1\nweather()",
        "f.__globals__['weather'] = 1\nweather()",
        "tools = [1]\ntools.append(2)",
        "def f(tools): return tools.nothing()",
        "import tools\ntools.nothing()",
        "for tools in x:\n    tools.nothing(1)",
        "with x as tools:\n    tools.weather()",
        "tools.extra = f\ntools.extra()",
        "x.weather()",
        "x.tools.weather()",
        "tools().weather()",
        "tools['weather']()",
        "f(weather=1)",
    ],
)
def test_names_of_the_program_s_own_are_left_alone(source):
    assert found(source) == []


@pytest.mark.parametrize(
    "source",
    [
        "def f():\n    weather = 1\nweather()",
        "class C:\n    weather = 1\n    def f(self):\n        weather()",
        "[weather for weather in x]\nweather()",
        "f(weather=1)\nweather()",
        "x.weather = 1\nweather()",
        "def f(weather): pass\nweather()",
        "def f():\n    return [weather() for _ in x]",
        "if 0:\n    weather()",
        "x = f'{weather()}'",
        "@weather()\ndef f(): pass",
        "def f(a=weather()): pass",
    ],
)
def test_a_binding_elsewhere_hides_no_mistake(source):
    assert found(source) == [("tool-arguments", "city")]


def test_an_earlier_snippet_s_names_are_its_own():
    assert found("weather(); tools.weather()", shadowed=["weather"]) == [("tool-arguments", "city")]
    assert found("weather(); tools.wether()", shadowed=["tools"]) == [("tool-arguments", "city")]
    assert found("weather(); tools.wether()", shadowed=[ANY_NAME]) == []


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("x = 1\ndef f(a): b = 2\nimport os.path as p, re\nfor i in y: pass", {"x", "f", "p", "re", "i"}),
        ("def f():\n    global z\n    z = 1", {"f", "z"}),
        ("[w := 1 for _ in x]", {"w"}),
        ("from math import *", {"*"}),
        ("print(1)", set()),
        ("import builtins", {"*"}),
        ("\n".join(f"v{n} = 1" for n in range(300)), {"*"}),
        (f"{'v' * 65} = 1", set()),
    ],
)
def test_a_text_tells_which_names_it_leaves_behind(source, names):
    assert set(binds(source)) == names


def test_the_policy_says_what_comes_of_it():
    form = POLICIES.get("default").screen.as_json()
    toolbox = Toolbox(**Signatures.of(TOOLS).question())
    for action in ("deny", "route", "warn", "audit", "allow"):
        rules = Rules({**form, "actions": {"tool-unknown": action}})
        findings = analyse("tools.nothing", rules, toolbox=toolbox)["findings"]
        assert [one["action"] for one in findings] == ([] if action == "allow" else [action])


def test_restricted_code_is_checked_too():
    assert found("weather()", policy="pure") == [("tool-arguments", "city")]


def test_a_session_keeps_what_its_snippets_took():
    names = SessionNames(TOOLS)
    first = names.signatures
    names.take(["x", "y"])
    assert names.signatures is first, "no new verdicts for names that are no tool's"
    names.take(["weather"])
    assert names.signatures.shadowed == ("weather",)
    clone = names.copy()
    clone.take(["tools"])
    assert (names.signatures.shadowed, clone.signatures.shadowed) == (("weather",), ("tools", "weather"))
    names.register([tool("weather"), tool("x")])
    assert names.signatures.shadowed == ("weather", "x"), "taken before the tool was there"
    names.register([])
    assert names.signatures is None


def test_a_session_s_memory_of_names_is_bounded():
    names = SessionNames(TOOLS)
    for start in range(0, 8000, 200):
        names.take(f"v{number}" for number in range(start, start + 200))
    assert names.signatures.shadowed == (ANY_NAME,)
    assert len(names._taken) == 1


@pytest.mark.parametrize(
    "schema", ["", "[]", "{", "null", '{"properties": 3}', '{"required": 3}', "[" * 100_000]
)
def test_a_schema_that_is_none_checks_nothing_and_breaks_nothing(schema):
    assert Signatures.of([ToolSpec("weather", "", schema)]) is None


def test_names_out_of_a_schema_reach_a_finding_clipped():
    hostile = tool("weather", "\x1b]0;x\x07" * 50, "%s{0.__class__}")
    (one,) = screen_source("weather()", tools=[hostile])
    assert len(one["message"]) <= 300
    assert len(one["hint"]) <= 300


def test_most_snippets_share_their_verdicts():
    signatures = Signatures.of(TOOLS)
    assert not signatures.concern("print(1)")
    assert signatures.concern("x = weather")
    assert signatures.concern("getattr(tools, 'x')")
    assert signatures.digest != Signatures.of(TOOLS, ["weather"]).digest


def test_a_thousand_wrong_names_cost_no_thousand_guesses():
    tools = [tool(f"{'a' * 50}{number}") for number in range(128)]
    source = "\n".join(f"tools.{'b' * 50}{number}" for number in range(1000))
    assert len(found(source, tools=tools)) == 50
