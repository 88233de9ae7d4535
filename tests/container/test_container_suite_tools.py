"""Each outcome of a tool call, in containers."""

from __future__ import annotations

from borrowed import borrow

globals().update(borrow("test_tools_outcomes"))
