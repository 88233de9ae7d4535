"""The client proper. This text exists twice, with and without coroutines: see client/unasync.py."""
