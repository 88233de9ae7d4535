"""The front as a process: start, main loop, end. `main` is what the command line calls."""

from sandboxd.server.main import main

__all__ = ("main",)
