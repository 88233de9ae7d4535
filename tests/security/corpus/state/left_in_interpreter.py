# title: poison modules, builtins, environment and the random generator for the next box of the same zygote
# expect: C
# unsandboxed: not-run

import builtins
import json
import random
import sys

builtins.open = None
json.loads = lambda *_: "poisoned"
sys.modules["poison"] = sys
os.environ["POISON"] = "1"
os.umask(0)
print(random.getrandbits(64), os.urandom(8).hex())
# --- next
import json
import random
import sys

if (
    json.loads("1") != 1
    or "poison" in sys.modules
    or "POISON" in os.environ
    or not callable(open)
    or os.umask(0o22) != 0o22
):
    escaped("state of another box")
if str(random.getrandbits(64)) in PREVIOUS:
    escaped("the same random numbers")
