"""The rule engine: what looks at a source text. Standard library only, CPython 3.9 and up.

It runs in the screener process, which loads this folder alone (`import engine`), so nothing here may import the rest of
sandboxd. Only `text` also runs in the daemon: it needs no parser. Everything walks the tree with an explicit stack; no
recursive visitor ever sees hostile source.
"""
