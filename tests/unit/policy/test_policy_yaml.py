"""The strict YAML loader: what it reads, and each trap it refuses."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxd.policy.strict_yaml import MAX_BYTES, YamlProblemError, load


def test_reads_plain_data_and_remembers_lines():
    document = load(b"a: 1\nb:\n  - x\n  - {c: true}\nd: 'no'\n")
    assert document.data == {"a": 1, "b": ["x", {"c": True}], "d": "no"}
    assert document.line_of(("b", 1, "c")) == 4
    assert document.line_of(("b", 1, "missing")) == 4
    assert document.line_of(("nowhere",)) == 1


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a: 1\na: 2\n", 2, "duplicate key"),
        ("a:\n  b: 1\n  b: 2\n", 3, "duplicate key"),
        ("a: &x 1\n", 1, "anchors"),
        ("a: &x 1\nb: *x\n", 1, "anchors"),
        ("a: 1\n<<: {b: 2}\n", 2, "merge keys"),
        ("a: !!str 1\n", 1, "tags"),
        ("a: !!python/object/apply:os.system ['id']\n", 1, "tags"),
        ("a: !thing 1\n", 1, "tags"),
        ("a: yes\n", 1, "ambiguous"),
        ("a: no\n", 1, "ambiguous"),
        ("a: Off\n", 1, "ambiguous"),
        ("a: True\n", 1, "ambiguous"),
        ("no: 1\n", 1, "ambiguous"),
        ("a: 12:30\n", 1, "ambiguous"),
        ("a: 0x10\n", 1, "ambiguous"),
        ("a: 010\n", 1, "ambiguous"),
        ("a: 1_000\n", 1, "ambiguous"),
        ("a: 1.5\n", 1, "ambiguous"),
        ("a: .inf\n", 1, "ambiguous"),
        ("a: 2024-01-01\n", 1, "ambiguous"),
        ("a:\n", 1, "no value"),
        ("a: ~\n", 1, "no value"),
        ("a: null\n", 1, "no value"),
        ("1: a\n", 1, "a key must be a word"),
        ("? [a]\n: 1\n", 1, "a key must be a plain word"),
        ("a: 1\n---\nb: 2\n", 2, "second document"),
        ("%YAML 1.1\n---\na: 1\n", 1, "directives"),
        ("a: [1\n", 2, "not YAML"),
        ("a: '\x01'\n", 1, "not YAML"),
        ("", 1, "empty"),
        ("a: " + "[" * 40 + "]" * 40 + "\n", 1, "nested deeper"),
    ],
)
def test_refuses(text, line, said):
    with pytest.raises(YamlProblemError) as caught:
        load(text.encode())
    assert said in caught.value.message
    assert caught.value.line == line


def test_deep_nesting_needs_no_recursion():
    with pytest.raises(YamlProblemError, match="nested deeper"):
        load(b"[" * 100_000)


def test_refuses_other_encodings_and_sizes():
    with pytest.raises(YamlProblemError, match="UTF-8"):
        load(b"a: 1\nb: \xff\n")
    with pytest.raises(YamlProblemError, match="larger"):
        load(b"#" * (MAX_BYTES + 1))


def test_a_quoted_word_is_that_word():
    assert load(b"a: 'yes'\nb: \"0x10\"\nc: |\n  12:30\n").data == {"a": "yes", "b": "0x10", "c": "12:30\n"}


@given(st.binary(max_size=200))
def test_any_bytes_give_data_or_a_problem(content):
    with contextlib.suppress(YamlProblemError):
        assert isinstance(load(content).data, (dict, list, str, int))
