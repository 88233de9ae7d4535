#: a constant template
loot = ["{0.__class__.__mro__}".format(1)]
print("ESC" + "APED" if "class" in loot[0] else "")

#: a template made at run time
t = "{0." + "__cla" + "ss__}"
print("ESC" + "APED" if "class" in t.format(1) else "")

#: unbound, with the template as an argument
print("ESC" + "APED" if "class" in str.format("{0.__class__}", 1) else "")

#: format_map with a mapping of one's own
class D(dict):
    def __missing__(self, k): return print
print("ESC" + "APED" if "module" in "{x.__self__}".format_map(D()) else "")

#: a str subclass
class S(str): pass
print("ESC" + "APED" if "class" in S("{0.__class__}").format(1) else "")

#: the method as a callback
print("ESC" + "APED" if "class" in list(map("{0.__class__}".format, [1]))[0] else "")

#: the method by getattr
print("ESC" + "APED" if "class" in getattr("{0.__class__}", "for" + "mat")(1) else "")

#: a nested field in the specification
class F:
    def __format__(self, spec):
        print("ESC" + "APED" if "class" in spec else "")
        return spec
"{0:{1.__class__}}".format(F(), 1)

#: items of a namespace on the way
def f(): pass
print("ESC" + "APED" if "builtins" in "{0.__globals__[__builtins__]}".format(f) else "")

#: a keyword's attribute
print("ESC" + "APED" if "class" in "{a.__class__}".format(a=1) else "")

#: unbound through the type of a value
print("ESC" + "APED" if "class" in type("").format("{0.__class__}", 1) else "")

#: partial and reduce carry the method
import functools
print("ESC" + "APED" if "class" in functools.partial(str.format, "{0.__class__}")(1) else "")

#: a method of a subclass through super
class S(str):
    def go(self, *a): return super().format(*a)
print("ESC" + "APED" if "class" in S("{0.__class__}").go(1) else "")
