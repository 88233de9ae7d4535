"""The screen says of a tool's call what the interpreter would: it reports a misfit if and only if binding fails inside."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from sandboxd.events import ToolSpec
from sandboxd.guest.tool_errors import ToolArgumentsError
from sandboxd.guest.tools import Form
from sandboxd.policy import PolicySet
from sandboxd.screen.engine.analysis import analyse
from sandboxd.screen.engine.rules import Rules
from sandboxd.screen.engine.tools import Toolbox
from sandboxd.screen.tools import Signatures

RULES = Rules(PolicySet.load(None, default="default", allow_unscreened=False).get("").screen.as_json())
NAMES = st.sampled_from(["a", "b", "city", "unit", "self", "more"])


@st.composite
def schemas(draw):
    names = draw(st.lists(NAMES, unique=True, max_size=4))
    schema = {"type": "object", "properties": {name: {} for name in names}}
    schema["required"] = [name for name in names if draw(st.booleans())]
    if draw(st.booleans()):
        schema["additionalProperties"] = draw(st.sampled_from([True, False, {}]))
    return json.dumps(schema)


def binds(schema: str, positional: int, keywords: list[str]) -> bool:
    raw = {"name": "f", "description": "", "parameters": schema, "returns": "", "is_async": False}
    try:
        Form(raw).bind(tuple(range(positional)), dict.fromkeys(keywords, 1))
    except ToolArgumentsError:
        return False
    return True


@settings(deadline=None, max_examples=300)
@given(
    schema=schemas(),
    positional=st.integers(0, 5),
    keywords=st.lists(NAMES, unique=True, max_size=4),
    call=st.sampled_from(["f", "tools.f", "tools.f.aio"]),
)
def test_a_misfit_is_reported_if_and_only_if_binding_fails(schema, positional, keywords, call):
    signatures = Signatures.of([ToolSpec("f", "", schema)])
    arguments = [*map(str, range(positional)), *(f"{name}=1" for name in keywords)]
    source = f"x = {call}({', '.join(arguments)})"
    findings = analyse(source, RULES, toolbox=Toolbox(**signatures.question()))["findings"]
    assert {one["rule"] for one in findings} <= {"tool-arguments"}
    assert bool(findings) == (not binds(schema, positional, keywords)), (source, schema, findings)
