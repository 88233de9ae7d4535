"""What a program compiled by layer 2 runs among: guards, the builtins it is given, module facades and a safe formatter.

Standard library only, Python 3.9 syntax. Loaded in the zygote, so nothing that lies in a jail can take its place.
"""
