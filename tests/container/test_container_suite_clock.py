"""The clock while a tool runs, in containers."""

from __future__ import annotations

from borrowed import borrow

globals().update(borrow("test_tools_clock"))
