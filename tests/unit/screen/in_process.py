"""Runs the engine in this process: the rules are the same, only the process around them is missing."""

from sandboxd.policy import PolicySet
from sandboxd.restrict import compile_program
from sandboxd.screen.engine.analysis import analyse
from sandboxd.screen.engine.findings import Findings
from sandboxd.screen.engine.restricting import Compiler
from sandboxd.screen.engine.rules import Rules
from sandboxd.screen.engine.text import check_text
from sandboxd.screen.engine.tools import Toolbox
from sandboxd.screen.tools import Signatures

POLICIES = PolicySet.load(None, default="default", allow_unscreened=True)
COMPILER = Compiler(compile_program, "")
RULES = {name: Rules(POLICIES.get(name).screen.as_json()) for name in POLICIES.names()}


def screen_source(
    source: str, /, policy: str = "default", *, tools=(), shadowed=(), **budgets: int
) -> list[dict]:
    rules = RULES[policy]
    if budgets:
        form = POLICIES.get(policy).screen.as_json()
        rules = Rules({**form, "budgets": {**form["budgets"], **budgets}})
    found = Findings(source)
    check_text(source, rules.budgets, rules.text, found)
    if len(found):
        return found.worst()[0]
    signatures = Signatures.of(tools, shadowed)
    toolbox = Toolbox(**signatures.question()) if signatures else None
    return analyse(source, rules, COMPILER if rules.restricted else None, toolbox=toolbox)["findings"]
