"""Functions of the client that code inside, or a model through the client, may call: checked, counted, recorded.

Theory of operation:

- `specs` reads what a client registers, `schemas` the JSON Schema subset that protos/TOOLS.md names;
- `values` reads arguments and results without trust, and writes what was checked anew;
- `rules` asks the policy: patterns of names, constraints of arguments;
- `broker.Broker` belongs to one session and holds its tools and the calls that are out; `turn.Turn` is the port through
  which one execution's guest calls; `calls` writes each call to the log before the client hears of it, hashes only.

Nothing here runs a tool, and nothing of a tool's code ever comes here.
"""

from __future__ import annotations

from sandboxd.tools.broker import Broker
from sandboxd.tools.calls import Answer, Caller
from sandboxd.tools.rules import Rules
from sandboxd.tools.specs import Tool, read
from sandboxd.tools.turn import Turn

__all__ = ("Answer", "Broker", "Caller", "Rules", "Tool", "Turn", "read")
