from __future__ import annotations

import json

import pytest
from sandboxd_client.agent.code_end import CodeEnd
from sandboxd_client.agent.parsing import ParsedCode, ParseProblem, parse_reply
from sandboxd_client.models import ModelReply, ToolCall

CODE = "x = 1\nprint(x)"


def parse(text: str = "", calls=(), finish: str = "stop"):
    return parse_reply(ModelReply(text, tuple(calls), finish_reason=finish))


@pytest.mark.parametrize(
    "text",
    [
        f"```python\n{CODE}\n```",
        f"```py\n{CODE}\n```",
        f"```Python3\n{CODE}\n```",
        f"```\n{CODE}\n```",
        f"~~~python\n{CODE}\n~~~",
        f"````python\n{CODE}\n````",
        f"```python title=a\n{CODE}\n```",
        f"```{{python}}\n{CODE}\n```",
        f"```python\n{CODE}",
        f"```python\n{CODE}```",
        f"<code>\n{CODE}\n</code>",
        f"<code>{CODE}</code>",
        f"<code>\n{CODE}",
        f"Code: <code>\n{CODE}\n</code>",
        f"<code>\n```python\n{CODE}\n```\n</code>",
        f"```python\r\n{CODE}\r\n```\r\n".replace("\n", "\r\n").replace("\r\r", "\r"),
        "```python\rx = 1\rprint(x)\r```",
        "   ```python\n   x = 1\n   print(x)\n   ```",
        f"Here is the code:```python\n{CODE}\n```",
        json.dumps({"name": "python", "arguments": {"code": CODE}}),
        json.dumps({"name": "python", "parameters": {"code": CODE}}),
        json.dumps({"name": "python", "arguments": json.dumps({"code": CODE})}),
        json.dumps({"type": "function", "function": {"name": "python", "arguments": {"code": CODE}}})[19:],
        "I call it.\n" + json.dumps({"name": "run", "arguments": {"code": CODE}}) + "\nDone.",
        "<tool_call>\n" + json.dumps({"name": "python", "arguments": {"code": CODE}}) + "\n</tool_call>",
        "```json\n" + json.dumps({"name": "python", "arguments": {"code": CODE}}) + "\n```",
        "```\n" + json.dumps({"name": "python", "arguments": {"code": CODE}}) + "\n```",
        json.dumps({"thought": "I see.", "code": CODE}),
    ],
)
def test_every_usual_form_gives_the_code(text):
    parsed = parse(text)
    assert isinstance(parsed, ParsedCode), parsed
    assert parsed.code.strip() == CODE


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (json.dumps({"code": CODE}), CODE),
        (json.dumps({"script": CODE}), CODE),
        (CODE, CODE),
        (json.dumps(CODE), CODE),
    ],
)
def test_native_tool_calls(arguments, code):
    parsed = parse("I call.", [ToolCall("python", arguments)])
    assert parsed == ParsedCode(code, "I call.", "tool_call")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ('{"answer": "it\'s"}', 'final_answer("it\'s")'),
        ('{"answer": {"a": [1, null, true]}}', "final_answer({'a': [1, None, True]})"),
        ('{"a": 1}', "final_answer({'a': 1})"),
        ("plain", "final_answer('plain')"),
        ('"); import os #"', "final_answer('); import os #')"),
    ],
)
def test_a_tool_call_of_final_answer_becomes_a_literal(arguments, code):
    assert parse("", [ToolCall("final_answer", arguments)]).code == code


def test_several_blocks_are_joined_in_order_and_the_thought_is_what_stands_before():
    parsed = parse("First.\n```python\na = 1\n```\nThen.\n```py\nb = a\n```\nEnd.")
    assert parsed == ParsedCode("a = 1\n\nb = a", "First.", "block")


def test_a_block_that_begins_before_the_last_one_ended_is_a_block_of_its_own():
    assert parse("```python\na = 1\n```python\nb = 2\n```").code == "a = 1\n\nb = 2"
    assert parse("```python\na = 1\n```Observation: 1").code == "a = 1"


def test_blocks_of_other_languages_are_left_out():
    text = "```bash\npip install x\n```\n```python\na = 1\n```\n```json\n{}\n```\n```text\nthat's it\n```"
    assert parse(text).code == "a = 1"


def test_a_bare_block_counts_only_where_no_marked_one_is():
    assert parse("```\nnot this\n```\n```python\nthis\n```").code == "this"
    assert parse("```\nthis\n```").source == "bare_block"


NESTED = '''text = """
```bash
make
```
"""
print(text)'''


@pytest.mark.parametrize(
    "code",
    [
        NESTED,
        NESTED.replace('"""', "'''"),
        NESTED.replace("text =", "text = f"),
        'x = "```"',
        "x = '''a```\nb'''",
        "# it's a comment with ''' in it\nx = 1",
        'x = "\\""\ny = "```"',
        'a = "continued \\\n```\\\n"',
        '"""a"""\n\'b\' "c"\nx = 2',
        "print('it''s')\nx = 2",
    ],
)
def test_fences_inside_of_strings_do_not_end_a_block(code):
    assert parse(f"Thought.\n```python\n{code}\n```\nObservation: x").code == code


def test_a_closing_tag_inside_of_a_string_does_not_end_a_code_element():
    assert parse("<code>\nx = '<code>a</code>'\ny = 1\n</code> tail").code == "x = '<code>a</code>'\ny = 1"


def test_a_string_that_never_ends_falls_back_to_the_first_closing_fence():
    parsed = parse('```python\nx = """never\n```\nAnd then:\n```python\ny = 2\n```')
    assert parsed.code == 'x = """never\n\ny = 2'


@pytest.mark.parametrize(
    ("text", "finish", "code"),
    [
        ("", "stop", "no_code"),
        ("The answer is 42.", "stop", "no_code"),
        ("Use the <code> tag.", "stop", "no_code"),
        ('{"name": "get_weather", "arguments": {"city": "Oslo"}}', "stop", "no_code"),
        ("```python\n```", "stop", "empty_code"),
        ("```python\n\n   \n```", "stop", "empty_code"),
        ("```python\nfor row in", "length", "cut_off"),
        ('{"code": "\\ud800"}', "stop", "bad_text"),
    ],
)
def test_what_holds_no_code_is_a_problem_with_words_for_the_model(text, finish, code):
    problem = parse(text, finish=finish)
    assert isinstance(problem, ParseProblem)
    assert problem.code == code
    assert problem.message.endswith((".", "block."))


def test_a_reply_cut_off_after_its_block_is_run():
    assert parse("```python\nx = 1\n```\nNow", finish="length").code == "x = 1"


def test_a_tool_call_without_code_is_a_problem():
    assert parse("", [ToolCall("python", '{"city": 1}')]).code == "bad_call"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("```python\n1\n```\nObservation: 1", "```python\n1\n```"),
        ("```bash\nls\n```\n```python\n1\n```\nmore", "```bash\nls\n```\n```python\n1\n```"),
        ("```\nplain\n```\n```py\n1\n```x", "```\nplain\n```\n```py\n1\n```x"),
        ("<code>1</code>\nmore", "<code>1</code>"),
        (f"```python\n{NESTED}\n```\nmore", f"```python\n{NESTED}\n```"),
        ("```python\r\n1\r\n```\r\nmore", "```python\r\n1\r\n```\r"),
    ],
)
def test_a_stream_is_kept_up_to_the_end_of_its_first_python_block(text, kept):
    watch = CodeEnd()
    assert watch.feed(text) == len(kept)


@pytest.mark.parametrize(
    "text", ["no code", "```bash\nls\n```\n", "```python\nx = '''\n```\n", "```\n1\n```\n"]
)
def test_a_stream_without_the_end_of_python_code_goes_on(text):
    assert CodeEnd().feed(text) is None


def test_a_closing_mark_ends_the_stream_before_its_line_does():
    watch = CodeEnd()
    assert [watch.feed(piece) for piece in ("```python\n1\n", "``", "`")] == [None, None, 1]
    watch = CodeEnd()
    assert [watch.feed(piece) for piece in ("````py\n1\n", "```", "`")] == [None, None, 1]
