# title: predict the original's random numbers in a clone
# expect: B
# unsandboxed: not-run

import random

state = random.getstate()
print("next", random.random())
random.setstate(state)
# --- clone
import random

if PREVIOUS.split("next ")[1].split()[0] == str(random.random()):
    escaped("the same numbers")
