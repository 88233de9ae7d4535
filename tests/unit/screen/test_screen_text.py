"""SBX00x, SBX01x: what the raw text must not hold."""

# ruff: noqa: RUF001 - look-alike characters are what is tested

import pytest


@pytest.mark.parametrize(
    ("source", "rule", "line", "column"),
    [
        ("x = 1  # \u202e gnp.exe", "bidi-control", 1, 10),
        ("y = 1\nx = '\u2066abc\u2069'", "bidi-control", 2, 6),
        ("x = '\u200b'", "zero-width-character", 1, 6),
        ("\ufeffx = 1", "zero-width-character", 1, 1),
        ("x = 'a\u200db'", "zero-width-character", 1, 7),
        ("x = 'é\u200c'", "zero-width-character", 1, 7),
        ("x = '\U000e0041'", "zero-width-character", 1, 6),
        ("x = '\x1b[31m'", "control-character", 1, 6),
        ("x = 'a\x0bb'", "control-character", 1, 7),
        ("x = 'a\x85b'", "control-character", 1, 7),
        ("x = 'a\u2028b'", "control-character", 1, 7),
        ("x = 1\r\ny = 2\rz = '\x7f'", "control-character", 3, 6),
        ("x = 1\x00", "nul-character", 1, 6),
        ("x = '\ud800'", "not-unicode", 1, 6),
    ],
)
def test_hidden_characters(screen, source, rule, line, column):
    finding = screen(source)[0]
    assert (finding["rule"], finding["line"], finding["column"]) == (rule, line, column)
    assert finding["severity"] == "error"
    assert finding["symbol"].startswith("U+")


@pytest.mark.parametrize(
    "source",
    [
        "x = 'naïve café'\n",
        "x = '👩\u200d💻 👍🏽'\n",  # joined emoji
        "x = 'می\u200cخواهم'\n",  # Persian needs the non-joiner
        "größe = 3\nprint(größe)\n",
        "x = 1\n\x0cy = 2\n",
        "if True:\n\tx = 1\r\n",
        "x = '\\u202e\\x00'\n",
    ],
)
def test_ordinary_text_passes(rules_of, source):
    assert rules_of(source) == set()


def test_budgets_of_the_text(rules_of):
    assert rules_of("x = 1\n" * 20, source=100) == {"source-too-large"}
    assert rules_of("x = 1 " + " " * 200, line=100) == {"line-too-long"}
    assert rules_of("x = '" + "é" * 60 + "'", line=100) == {"line-too-long"}
    assert rules_of("x = 1\n" * 10, source=100, line=100) == set()


def test_a_huge_source_is_refused_without_reading_it(screen):
    (finding,) = screen("\u202e" * 2_000_000)
    assert finding["rule"] == "source-too-large"


@pytest.mark.parametrize("name", ["ｅｖａｌ", "ﬁ", "ℌ", "x²".replace("²", "ª")])
def test_names_that_python_reads_as_others(rules_of, name):
    assert "identifier-changes" in rules_of(f"{name} = 1\n")


def test_the_nfkc_form_is_what_the_other_rules_see(rules_of):
    assert {"builtin-not-allowed", "identifier-changes"} <= rules_of("ｅｖａｌ('1')\n")
    assert {"attribute-not-allowed", "identifier-changes"} <= rules_of("().__ｃｌａｓｓ__\n")


def test_full_width_text_in_strings_is_data(rules_of):
    assert rules_of("x = 'ｅｖａｌ ﬁ ２'  # ﬁ\n") == set()


@pytest.mark.parametrize(
    ("source", "name", "line", "column"),
    [
        ("x = = 1", "SyntaxError", 1, 5),
        ("def f():\nreturn 1", "IndentationError", 2, 1),
        ("é = 1; return 2", "SyntaxError", 1, 8),
        ("x = 1\nfor i in x: continue\nbreak", "SyntaxError", 3, 1),
        ("def f(): await x", "SyntaxError", 1, 10),
        ("lambda: await x", "SyntaxError", 1, 9),
        ("f(a=1, a=2)", "SyntaxError", 1, 8),
        ("x = " + "9" * 5000, "SyntaxError", 1, 1),
    ],
)
def test_syntax_errors_from_parser_and_compiler(screen, source, name, line, column):
    finding = screen(source)[0]
    assert (finding["rule"], finding["symbol"]) == ("syntax-error", name)
    assert (finding["line"], finding["column"]) == (line, column)
    assert len(finding["message"]) <= 300
    assert "9" * 50 not in finding["message"]


@pytest.mark.parametrize(
    "source",
    ["-" * 10000 + "1", "not " * 8000 + "1", "x" + ".a" * 20000, "1" + "+x" * 20000, "lambda:" * 5000 + "1"],
    ids=["minus", "not", "attributes", "sums", "lambdas"],
)
def test_parser_bombs_are_findings(rules_of, source):
    assert rules_of(source, line=100_000) <= {"source-too-complex", "too-deeply-nested", "too-many-nodes"}
    assert rules_of(source, line=100_000)


def test_warnings_change_nothing(rules_of):
    assert rules_of("x = '\\d' is 1\n") == set()
