"""Layers 1 and 2 against plain CPython: differential test, fuzzer, attacks, accept-rates."""
