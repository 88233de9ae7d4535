"""Programs that spend their time in one part of the language each. No imports: peers' own interpreters load this file too.

Written so that every language subset takes them: no augmented assignment on attributes and items, no comprehension with two
loops, no property, no inheritance.
"""

LANGUAGE = {
    "loop": """\
total = 0
i = 0
while i < 60000:
    if i % 3 == 0:
        total = total + i
    i = i + 1
""",
    "attribute": """\
class P:
    def __init__(self):
        self.x = 0
        self.step = 3
p = P()
for i in range(40000):
    p.x = p.x + p.step
""",
    "item": """\
d = {"a": 0, "b": 1}
l = [0, 1, 2, 3, 4, 5, 6, 7]
for i in range(40000):
    d["a"] = d["a"] + d["b"]
    l[i % 8] = l[(i + 1) % 8] + 1
""",
    "call": """\
def add(a, b):
    return a + b
total = 0
for i in range(40000):
    total = add(total, i)
    total = abs(total)
""",
    "list": """\
out = []
for i in range(40000):
    out.append(i * 2)
squares = [x * x for x in out]
total = sum(squares)
""",
}
"""Each workload's name and its program."""
