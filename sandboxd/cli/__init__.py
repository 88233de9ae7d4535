"""The command line: one module per command, imported only when it is called.

What a sandbox printed reaches the terminal through `terminal.escape` alone; what went wrong is told as
`sandboxd: CODE: message` with its remedy, never as a traceback.
"""

from sandboxd.cli.command_line import main

__all__ = ("main",)
