from __future__ import annotations

import contextlib
import dataclasses
import io
import re

import pytest
from sandboxd_client.agent.parsing import ParsedCode, parse_reply
from sandboxd_client.agent.prompts import system_prompt
from sandboxd_client.info import Limits
from sandboxd_client.models import ModelReply
from tiny_sandbox import POLICY


def prompt(**changes) -> str:
    return system_prompt(dataclasses.replace(POLICY, **changes))


def test_it_lists_what_this_policy_allows_and_added_packages_first():
    imports = ("zlib", "json", "numpy.*", "os.path.*", "os.getcwd", "zoneinfo")
    assert "You may import numpy, json, zlib, zoneinfo and nothing else. Of os only" in prompt(
        allowed_imports=imports
    )


def test_no_module_is_left_out_that_is_allowed_in_part_or_whole():
    names = [f"module{number}" for number in range(40)] + [f"part{number}.name" for number in range(40)]
    text = prompt(allowed_imports=tuple(names))
    for name in names:
        assert re.search(rf"\b{name.partition('.')[0]}\b", text)


def test_versions_are_those_of_importable_packages():
    text = prompt()
    assert "numpy 2.4.6" in text
    assert "python-dateutil 2.9" not in text.split("Installed:")[0]
    assert "six" not in text


def test_names_and_limits_come_from_the_policy():
    text = prompt(denied_builtins=("frobnicate",), limits=Limits(wall_seconds=7, memory_bytes=3 * 1024**3))
    assert "frobnicate" in text
    assert "A block may run 7 s, use 3 GiB of memory." in text
    assert prompt(python_version="3.13.1").startswith("You solve tasks by writing Python 3.13.1")


def test_an_unscreened_policy_lists_nothing_as_refused():
    text = prompt(screened=False)
    assert "standard library and the installed packages" in text
    assert "refused: " not in text


def test_a_restricting_policy_says_what_is_different():
    assert "Modules cannot be changed" in prompt(restricted=True)
    assert "Modules cannot be changed" not in prompt()


def test_the_callers_instructions_come_last():
    assert system_prompt(POLICY, "Answer in French.").endswith("\nAnswer in French.\n")


def test_it_stays_short_whatever_the_policy_lists():
    huge = prompt(allowed_imports=tuple(f"package{number}.*" for number in range(5000)))
    assert len(huge) < 6000
    assert "and more and nothing else" in huge


@pytest.mark.parametrize("brace", ["{", "}", "{python}"])
def test_braces_in_the_policys_words_do_no_harm(brace):
    assert brace in prompt(denied_builtins=(brace,))


def test_its_example_is_in_the_form_that_the_parser_takes_and_true():
    blocks = re.findall(r"Thought:.*?\n```python\n.*?\n```", system_prompt(POLICY), re.DOTALL)
    codes = [parse_reply(ModelReply(block)) for block in blocks]
    assert len(codes) == 2
    answers: list[object] = []
    names = {"final_answer": answers.append}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        for code in codes:
            assert isinstance(code, ParsedCode)
            exec(code.code, names)
    assert printed.getvalue() == "114\n"
    assert answers == [114]
    assert "\n114\n</output" in system_prompt(POLICY)
