"""Layer 2: model-written code through RestrictedPython's compiler, for guards and facades to mediate what it touches.

Imported by screener processes alone, on the environment's own interpreter, by the name `restrict`: no import of ours here.
"""
