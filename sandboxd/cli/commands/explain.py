"""`sandboxd explain`: what a rule of the screen refuses, why, and how to write it instead. Needs no daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandboxd.cli import output
from sandboxd.cli.exit_codes import Exit
from sandboxd.errors import Code, SandboxdError

if TYPE_CHECKING:
    import argparse

    from sandboxd.screen.pages import Page

_FAMILIES = {
    "SBX0": "text and limits",
    "SBX1": "syntax",
    "SBX2": "names and attributes",
    "SBX3": "modules",
    "SBX4": "builtins and calls",
    "SBX5": "constants",
    "SBX6": "tools",
    "SBX9": "the screen itself",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "rule",
        metavar="RULE",
        nargs="?",
        help="a rule's name or id, as findings show it; without it all are listed",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from sandboxd.screen.engine.catalogue import RULES  # noqa: PLC0415  # help needs none of it
    from sandboxd.screen.pages import UnknownRuleError, find_rule, page_of  # noqa: PLC0415

    if arguments.rule is None:
        _list([page_of(name) for name in RULES], as_json=arguments.json)
        return Exit.OK
    try:
        page = page_of(find_rule(arguments.rule).name)
    except UnknownRuleError as error:
        near = f"Do you mean {' or '.join(error.near)}?" if error.near else "sandboxd explain lists them all."
        raise SandboxdError(
            Code.INVALID_REQUEST, f"there is no rule {arguments.rule!r}.", remedy=near
        ) from None
    if arguments.json:
        output.emit_json({**_summary(page), "markdown": page.markdown})
    else:
        output.write(page.markdown)
    return Exit.OK


def _list(pages: list[Page], *, as_json: bool) -> None:
    if as_json:
        output.emit_json([_summary(page) for page in pages])
        return
    family = ""
    for page in pages:
        prefix = page.rule.rule_id[:4]
        if prefix != family:
            output.line(("\n" if family else "") + _FAMILIES[prefix], style="bold")
            family = prefix
        output.line(f"  {page.rule.rule_id}  {page.rule.name:22}  {page.rule.summary}")


def _summary(page: Page) -> dict[str, Any]:
    return {
        "rule": page.rule.name,
        "rule_id": page.rule.rule_id,
        "summary": page.rule.summary,
        "actions": sorted(page.rule.actions),
        "cwe": list(page.cwes),
    }
