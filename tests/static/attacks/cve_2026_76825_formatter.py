#: an instance
import string
def f(): pass
loot = [string.Formatter().get_field("0.__globals__", (f,), {})[0]]

#: format
import string
print("ESC" + "APED" if "class" in string.Formatter().format("{0.__class__}", 1) else "")

#: vformat
import string
print("ESC" + "APED" if "class" in string.Formatter().vformat("{0.__class__}", (1,), {}) else "")

#: from the module
from string import Formatter
print("ESC" + "APED" if "class" in Formatter().format("{0.__class__}", 1) else "")

#: a subclass with its own get_value
import string
class F(string.Formatter):
    def get_value(self, k, a, w): return print
    def format_field(self, v, s):
        loot.append(v)
        return ""
loot = []
F().format("{0.__self__}")

#: by getattr
import string
print("ESC" + "APED" if "class" in getattr(string, "For" + "matter")().format("{0.__class__}", 1) else "")

#: collections.UserString
import collections
print("ESC" + "APED" if "class" in collections.UserString("{0.__class__}").format(1) else "")

#: the logging and argparse formatters
import logging
print("ESC" + "APED" if "class" in logging.StrFormatStyle("{a.__class__}").format(logging.makeLogRecord({"a": 1})) else "")

#: the parser's own helper
import _string
loot = [_string.formatter_field_name_split("a.__class__")[1], _string.__loader__]
