from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sandboxd_client.agent.code_end import CodeEnd
from sandboxd_client.agent.parsing import ParsedCode, ParseProblem, parse_reply
from sandboxd_client.models import ModelReply, ToolCall

PIECES = st.sampled_from(
    [
        "```python\n", "```py", "```", "~~~", "<code>", "</code>", "\n", "\r\n", "\r", '"""', "'''", '"', "'", "\\",
        "#", "x = 1", "{", "}", '{"name": "python", "arguments": {"code": "', '"}}', '{"code":', "[", "\x00", "\ud800",
        " ", "\t", "final_answer(1)", "\N{RIGHT-TO-LEFT OVERRIDE}", "json", "`", "``",
    ]
)  # fmt: skip
TEXTS = st.lists(PIECES | st.text(max_size=5), max_size=60).map("".join)
CALLS = st.lists(st.builds(ToolCall, st.sampled_from(["python", "final_answer", ""]), TEXTS), max_size=3).map(
    tuple
)
FINISHES = st.sampled_from(["stop", "length", "code_end", ""])


@given(TEXTS, CALLS, FINISHES)
def test_parsing_never_raises_and_gives_code_that_can_be_sent(text, calls, finish):
    parsed = parse_reply(ModelReply(text, calls, finish_reason=finish))
    if isinstance(parsed, ParsedCode):
        assert parsed.code.strip()
        parsed.code.encode()
    else:
        assert isinstance(parsed, ParseProblem)
        assert parsed.message


@given(
    st.text(
        alphabet=st.characters(blacklist_characters="\"'`\\#~\r", blacklist_categories=("Cs",)), min_size=1
    )
)
def test_any_code_without_quotes_or_fences_comes_back_as_it_was(code):
    parsed = parse_reply(ModelReply(f"Thought\n```python\n{code}\n```\n"))
    if code.strip():
        assert parsed.code == code.strip("\n")


@given(TEXTS, st.lists(st.integers(0, 400), max_size=8))
@settings(max_examples=300)
def test_the_code_of_a_watched_stream_does_not_depend_on_its_pieces(text, cuts):
    def kept(pieces: list[str]) -> str:
        watch, out = CodeEnd(), ""
        for piece in pieces:
            keep = watch.feed(piece)
            out += piece[:keep]
            if keep is not None:
                break
        return out

    bounds = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [text[a:b] for a, b in itertools.pairwise(bounds)]
    whole, pieced = (parse_reply(ModelReply(kept(cut))) for cut in ([text], pieces))
    assert getattr(whole, "code", None) == getattr(pieced, "code", None)


HOSTILE = {
    "openers": "```python\n",
    "code tags": "<code>\n",
    "one line of backticks": "`",
    "triple quotes": '"""\n',
    "unclosed strings in blocks": '```python\nx = """\n```\n',
    "json starts": '{"name":',
    "nested json": '{"name":[',
    "spaces": " ",
    "backslashes": "\\",
    "mixed fences": "```python\n'''```\n~~~\n",
    "quotes": "```python '\" ",
    "carriage returns": "\r",
    "backticks and spaces": "``` ",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_time_grows_with_the_text_and_not_with_its_square(name):
    def seconds(size: int) -> float:
        text = (HOSTILE[name] * (size // len(HOSTILE[name]) + 1))[:size]
        reply = ModelReply(text)
        best = float("inf")
        for _ in range(3):
            started = time.process_time()
            parse_reply(reply)
            best = min(best, time.process_time() - started)
        return best

    # A quadratic parser takes 64 times as long for 8 times the text. Below a fifth of a second noise decides.
    short, long = seconds(50_000), seconds(400_000)
    assert long < max(24 * short, 0.2)


@pytest.mark.parametrize("name", HOSTILE)
def test_watching_a_stream_token_by_token_takes_linear_time(name):
    def seconds(size: int) -> float:
        text = "```python\n" + (HOSTILE[name] * (size // len(HOSTILE[name]) + 1))[:size].replace(
            "```\n", "``\n"
        )
        watch = CodeEnd()
        started = time.process_time()
        for at in range(0, len(text), 3):
            watch.feed(text[at : at + 3])
        return time.process_time() - started

    short, long = seconds(20_000), seconds(160_000)
    assert long < max(24 * short, 0.5)
