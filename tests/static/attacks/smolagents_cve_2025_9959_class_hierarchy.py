#: base and subclasses
loot = [().__class__.__base__.__subclasses__()]
print("ESC" + "APED")

#: mro
loot = ["".__class__.__mro__[1].__subclasses__()]
print("ESC" + "APED")

#: mro called
loot = [type(1).mro()[-1].__subclasses__()]
print("ESC" + "APED")

#: Popen among them
loot = [c for c in object.__subclasses__() if c.__name__ == "BuiltinImporter"]
print("ESC" + "APED")

#: bases of one's own class
class C: pass
loot = [C.__bases__[0].__subclasses__()]
print("ESC" + "APED")

#: super's class
class C:
    def m(self): return super().__thisclass__.__base__.__subclasses__()
loot = [C().m()]
print("ESC" + "APED")

#: type's own method unbound
loot = [type.__subclasses__(object)]
print("ESC" + "APED")

#: reduce_ex's function
loot = [(1).__reduce_ex__(2)[0].__globals__]
