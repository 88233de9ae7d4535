"""Takes the code out of a model's reply, in whatever of the usual forms the model wrote it.

In order of preference: a native tool call; marked blocks (```python, ```py, `<code>`), joined in order, the
last one possibly unclosed; a bare JSON call in the text, which small models write instead of a native one;
bare fences. The reply is untrusted: nothing here raises on it, compiles it, or takes more than linear time.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from sandboxd_client.agent.fences import Block, find_blocks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sandboxd_client.models.messages import ModelReply, ToolCall

CodeSource: TypeAlias = Literal["tool_call", "block", "json_call", "bare_block"]
ProblemCode: TypeAlias = Literal["no_code", "empty_code", "cut_off", "bad_call", "bad_text", "no_call"]

FINAL_ANSWER = "final_answer"
_CODE_KEYS = ("code", "source", "script", "input")
_ARGUMENT_KEYS = ("arguments", "parameters", "args", "input")
_ANSWER_KEYS = ("answer", "value", "result")
# Where a JSON call may start. Only the first few are tried: each try may read to the end of the text.
_JSON_CALL = re.compile(r"\{\s{0,16}\"(?:name|function|tool|arguments|parameters|thought|code)\"")
_JSON_TRIES = 8
_JSON = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class ParsedCode:
    """The code of a reply, the prose before it, and the form it came in."""

    code: str
    thought: str
    source: CodeSource


@dataclass(frozen=True, slots=True)
class ParseProblem:
    """Why a reply holds no code to run; `message` is written for the model."""

    code: ProblemCode
    message: str
    thought: str = ""


_MESSAGES: dict[ProblemCode, str] = {
    "no_code": (
        "Your reply holds no code. Write a short thought, then exactly one block that starts with ```python"
        f" and ends with ```. If you know the answer, call {FINAL_ANSWER}(...) in that block."
    ),
    "empty_code": "The code block of your reply is empty. Write the Python code that is to run.",
    "cut_off": (
        "Your reply was cut off before its code block ended, so it was not run. Write a shorter block;"
        " variables of earlier blocks are still there."
    ),
    "bad_call": (
        "The arguments of your tool call hold no code. Put the program, as one string, under the key"
        ' "code", or write it in a ```python block.'
    ),
    "bad_text": "Your code holds characters that are not valid Unicode text. Write it again without them.",
    "no_call": (
        'Your reply calls no tool. Call one, natively or as {"name": "...", "arguments": {...}}; if you know the'
        f" answer, call {FINAL_ANSWER}."
    ),
}


def parse_reply(reply: ModelReply) -> ParsedCode | ParseProblem:
    """Return the code of a reply, or what to tell the model instead."""
    text = reply.text.replace("\r\n", "\n").replace("\r", "\n")
    if reply.tool_calls:
        return _from_tool_calls(reply.tool_calls, text.strip())
    blocks = find_blocks(text)
    marked = [block for block in blocks if block.is_python]
    if marked:
        return _from_blocks(marked, text, "block", reply.finish_reason)
    if call := _from_json(text):
        return call
    bare = [block for block in blocks if not block.tag]
    if bare:
        return _from_blocks(bare, text, "bare_block", reply.finish_reason)
    return problem("no_code", text)


def problem(code: ProblemCode, thought: str) -> ParseProblem:
    """Return what to tell a model whose reply cannot be used."""
    return ParseProblem(code, _MESSAGES[code], thought.strip())


def _parsed(code: str, thought: str, source: CodeSource) -> ParsedCode | ParseProblem:
    if not code.strip():
        return problem("empty_code", thought)
    try:
        code.encode()
    except UnicodeEncodeError:  # a lone surrogate, from a JSON escape: it could not be sent
        return problem("bad_text", "")
    return ParsedCode(code, thought.strip(), source)


def _from_blocks(
    blocks: list[Block], text: str, source: CodeSource, finish: str
) -> ParsedCode | ParseProblem:
    thought = text[: blocks[0].start]
    if finish == "length" and not blocks[-1].closed:
        # Half a program may do half of a change: rather let the model write it again.
        return problem("cut_off", thought)
    return _parsed("\n\n".join(_unwrapped(block) for block in blocks), thought, source)


def _unwrapped(block: Block) -> str:
    """Take the fences away that some models put inside <code> tags."""
    if not block.code.lstrip().startswith("```"):
        return block.code
    inner = [found.code for found in find_blocks(block.code) if found.is_python or not found.tag]
    return "\n\n".join(inner)


def _from_tool_calls(calls: Iterable[ToolCall], thought: str) -> ParsedCode | ParseProblem:
    codes = [
        code for call in calls if (code := _call_code(call.name, _arguments(call.arguments))) is not None
    ]
    return _parsed("\n\n".join(codes), thought, "tool_call") if codes else problem("bad_call", thought)


def _arguments(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text  # not JSON: some models write the program itself


def _call_code(name: str, arguments: Any) -> str | None:
    if isinstance(arguments, dict):
        if name == FINAL_ANSWER:
            return _answer_code(arguments)
        return next((value for key in _CODE_KEYS if isinstance(value := arguments.get(key), str)), None)
    if name == FINAL_ANSWER:
        return _answer_code({"answer": arguments})
    return arguments if isinstance(arguments, str) else None


def _answer_code(arguments: dict[str, Any]) -> str | None:
    found = next((arguments[key] for key in _ANSWER_KEYS if key in arguments), arguments)
    try:
        json.dumps(found, allow_nan=False)  # nan and inf have no literal
        literal = repr(found)  # of what JSON gave: nothing in it can run
    except (ValueError, RecursionError):
        return None
    return f"{FINAL_ANSWER}({literal})"


def _from_json(text: str) -> ParsedCode | ParseProblem | None:
    """Find `{"name": …, "arguments": {"code": …}}` or `{"thought": …, "code": …}` in the text."""
    for tries, start in enumerate(_JSON_CALL.finditer(text)):
        if tries == _JSON_TRIES:
            break
        try:
            call, _ = _JSON.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            continue
        if (code := _json_code(call)) is not None:
            thought = call.get("thought")
            return _parsed(code, thought if isinstance(thought, str) else text[: start.start()], "json_call")
    return None


def _json_code(call: dict[str, Any]) -> str | None:
    inner = call.get("function")
    if isinstance(inner, dict):
        call = inner
    name = next(
        (value for key in ("name", "function", "tool") if isinstance(value := call.get(key), str)), ""
    )
    arguments = next((call[key] for key in _ARGUMENT_KEYS if key in call), None)
    if isinstance(arguments, str) and name != FINAL_ANSWER:
        arguments = _arguments(arguments)
    if arguments is not None and name:
        return _call_code(name, arguments)
    return next((value for key in _CODE_KEYS if isinstance(value := call.get(key), str)), None)
