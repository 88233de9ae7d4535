"""The grammar fuzzer: `python -m tests.static.fuzz --seconds 600 --seed 7`."""
