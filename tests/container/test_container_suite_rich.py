"""Rich results, in containers."""

from __future__ import annotations

from borrowed import borrow

globals().update(borrow("test_rich_results"))
