"""Every rule has a page, and what its examples claim is true."""

import pytest
from in_process import screen_source

from sandboxd.screen import pages
from sandboxd.screen.engine.catalogue import BY_ID, RULES
from sandboxd.screen.pages import Page, UnknownRuleError, find_rule, page_of

# No text breaks these: they tell of a process that died, and of an interpreter too old. Their tests make both happen:
# tests/integration/test_screener_process.py, and the restricting compiler's own.
NO_EXAMPLE = {"screen-failed", "restrict-unavailable"}
SECTIONS = ["Why", "Refused", "Instead", "Policy", "References"]
PAGES = [page_of(name) for name in RULES]


def sources(examples):
    for example in examples:
        # The pages are ours: an expression stands for a source that would be too long, or invisible, in a page.
        source = eval(example.code, {"__builtins__": {}}) if example.is_expression else example.code
        yield source, example.policy, pages.EXAMPLE_TOOLS if example.has_tools else ()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.rule.name)
def test_every_rule_has_a_page_of_one_form(page: Page):
    title, _, summary = page.markdown.split("\n")[:3]
    assert title == f"# {page.rule.rule_id} {page.rule.name}"
    assert summary == page.rule.summary
    expected = [
        name for name in SECTIONS if page.rule.name not in NO_EXAMPLE or name not in {"Refused", "Instead"}
    ]
    assert list(page.sections) == expected
    assert all(page.sections.values())


def test_no_page_is_left_without_its_rule():
    files = {path.stem for path in pages._FOLDER.glob("*.md")}
    assert files == RULES.keys()


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page.rule.name not in NO_EXAMPLE],
    ids=lambda page: page.rule.name,
)
def test_examples_do_what_the_page_says(page: Page):
    assert page.bad
    assert page.good
    for source, policy, tools in sources(page.bad):
        assert page.rule.name in {one["rule"] for one in screen_source(source, policy, tools=tools)}
    for source, policy, tools in sources(page.good):
        assert screen_source(source, policy, tools=tools) == []


def test_pages_tell_what_a_policy_may_do():
    for page in PAGES:
        text = page.sections["Policy"]
        assert ("this rule is always denied" in " ".join(text.split())) == (page.rule.actions == {"deny"})
        if page.rule.actions == {"deny", "route"} and "budgets" not in text:
            assert "never softer" in " ".join(text.split())


def test_rules_are_found_by_name_and_id_in_any_case():
    assert find_rule("SBX301") is find_rule("sbx301") is find_rule("Import-Not-Allowed") is BY_ID["SBX301"]
    with pytest.raises(UnknownRuleError) as caught:
        find_rule("import-not-alowed")
    assert caught.value.near[0] == "import-not-allowed"
    with pytest.raises(UnknownRuleError) as caught:
        find_rule("\x1b]0;title\x07")
    assert caught.value.near == ()
