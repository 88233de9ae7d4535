#: string.Formatter's get_field
import string
def f(): pass
loot = [string.Formatter().get_field("0.__globals__", (f,), {})]

#: the formatter's module
import string
loot = [string._re, string._string]

#: AttributeError.obj of a module's proxy
import json
try:
    json.nope
except AttributeError as e:
    loot = [e.obj]

#: AttributeError.obj by a pattern
import json
try:
    json.nope
except AttributeError as e:
    match e:
        case AttributeError(obj=m): loot = [m]

#: AttributeError.obj by getattr
import math
try:
    math.nope
except AttributeError as e:
    loot = [getattr(e, "o" + "bj")]

#: AttributeError.obj by a template
import math
try:
    math.nope
except AttributeError as e:
    print("ESC" + "APED" if "<module" in "{0.obj}".format(e) else "")

#: an ImportError's and an error's reference
import math
try:
    from math import nope
except ImportError as e:
    loot = [getattr(e, "obj", None), e.__traceback__.tb_frame]

#: what __getattr__ of a template's value meets
import string
t = string.Template("${a}")
loot = [t.pattern, t.substitute(a=1), getattr(t, "__class__", None) and type(t).__dict__]

#: the error of a guarded method
try:
    "{0.__class__}".format(1)
except Exception as e:
    loot = [getattr(e, "obj", None), e.__traceback__.tb_frame if hasattr(e, "__traceback__") else None]
