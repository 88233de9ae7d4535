"""Text: patterns, templates, differences, and the escapes of other formats."""

from __future__ import annotations

from sandboxd.guest.restricted.facades.tables.entry import Entry

TABLE = {
    "codecs": Entry("BOM_UTF16 BOM_UTF16_BE BOM_UTF16_LE BOM_UTF32 BOM_UTF8 decode encode"),
    "difflib": Entry(
        "Differ HtmlDiff IS_CHARACTER_JUNK IS_LINE_JUNK Match SequenceMatcher context_diff diff_bytes"
        " get_close_matches ndiff restore unified_diff"
    ),
    "html": Entry("escape unescape", children="parser"),
    "html.parser": Entry("HTMLParser"),
    "pprint": Entry("isreadable isrecursive pformat pp pprint saferepr", sealed="PrettyPrinter"),
    # What a pattern costs is bounded by the jail: a limit here would be a guess.
    "re": Entry(
        "A ASCII DOTALL I IGNORECASE L LOCALE M MULTILINE Match NOFLAG Pattern PatternError RegexFlag S U"
        " UNICODE VERBOSE X compile error escape findall finditer fullmatch match purge search split sub subn"
    ),
    # shlex.shlex opens the files that its text names with source().
    "shlex": Entry("join quote split", implicit="re io"),
    "string": Entry(
        "Template ascii_letters ascii_lowercase ascii_uppercase capwords digits hexdigits octdigits printable"
        " punctuation whitespace",
        # CVE-2023-41039, CVE-2026-76825
        hints={"Formatter": "use str.format() or an f-string"},
    ),
    "textwrap": Entry("TextWrapper dedent fill indent shorten wrap"),
    "unicodedata": Entry(
        "bidirectional category combining decimal decomposition digit east_asian_width is_normalized lookup"
        " mirrored name normalize numeric unidata_version"
    ),
    "urllib": Entry(children="parse"),
    "urllib.parse": Entry(
        "DefragResult ParseResult SplitResult parse_qs parse_qsl quote quote_from_bytes quote_plus unquote"
        " unquote_plus unquote_to_bytes urldefrag urlencode urljoin urlparse urlsplit urlunparse urlunsplit"
    ),
}
