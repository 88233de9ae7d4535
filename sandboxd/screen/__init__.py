"""Layer 1: the screen. It looks at a source text under a policy and says no, or nothing.

A filter that explains itself, not a boundary. Parsing happens in killable processes (`sandboxd.screen.engine`); whatever
goes wrong there is a denial.
"""

from sandboxd.screen.screener import Screener
from sandboxd.screen.verdicts import syntax_error_of

__all__ = ("Screener", "syntax_error_of")
