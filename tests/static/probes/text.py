#: f-strings with conversions, specs, nesting, equals and quotes
x, name, w = 3.14159, "né", 10
d = {"k": [1, 2]}
print(f"{x:.2f} {name!r} {name!a} {name!s:>{w}} {x=:.1f} {d['k'][1]} {{}} {x:{w}.{2}} {'nested ' + f'{w:03}'}")
print(f"{name:*^{w}}|{1e10:,.1f}|{255:#x}|{-5:+d}|{0.25:%}|{1_000_000:_}|{'a' if x else 'b'}|{(lambda v: v * 2)(w)}")
class F:
    def __format__(self, s): return f"<{s}>"
print(f"{F():%Y-%m}", f"{F()!r:.1}"[0], rf"\d{w}", f"""multi
{w}""")

#: str.format with positions, names, attributes, items and specs
class P:
    def __init__(self): self.x = 5; self.d = {"a": [7, 8]}
p = P()
print("{} {}".format(1, 2), "{1} {0!r}".format("a", "b"), "{n:>5}|{n:<5}|{n:^5}".format(n="ab"))
print("{p.x} {p.d[a][1]} {0[0]}".format([9], p=p), "{:{w}.{q}f}".format(3.14159, w=8, q=2), "{{}}{}".format(1))
print("{:,} {:e} {:%} {:b} {:#o}".format(12345678, 12345.678, 0.5, 10, 8))
print("{a} {b}".format_map({"a": 1, "b": 2}), "%s %r %5.2f %03d %x %%" % ("s", "r", 2.345, 7, 255))
print("%(a)s-%(b)03d" % {"a": "x", "b": 5}, "{0:{1}}".format("r", ">4"), "{!s:.2}".format("abcdef"))

#: str.format on templates made at run time, and their errors
for bad in ("{}", "{1}", "{x}", "{0.nope}", "{0[5]}", "{", "{0:z}", "}", "{0!q}", "{}{0}"):
    try:
        print(bad.format(1))
    except (IndexError, KeyError, AttributeError, ValueError, TypeError) as e:
        print(bad, type(e).__name__, e)
print(" ".join(["{:>{w}}"] * 2).format(1, 2, w=3))

#: unbound str.format and templates as callbacks
print(str.format("{}-{:>3}", 1, 2), list(map("{:02d}".format, [1, 2])), [f("x") for f in ("<{}>".format, "{0}{0}".format)])
class S(str): pass
print(S("{}!").format("sub"), S("{a}").format_map({"a": 3}))
fmt = "{:.1f}"
print(fmt.format(2.55), getattr("{}", "format")(4))

#: string methods
s = "  Hello, World  "
print(s.strip().lower().replace("l", "L").split(", "), s.title(), s.find("W"), s.count("l"), s.strip().center(20, "*"), "a-b-c".rsplit("-", 1), "x".zfill(3))
print("abc".startswith(("a", "z")), "a,b;c".translate(str.maketrans(",;", "  ")), "ß".upper(), "ABC".casefold(), "tab\tx".expandtabs(4), "a\nb".splitlines(), "k=v".partition("="))
print("-".join(map(str, range(3))), "abc"[::-1], "ab" * 2, "a" in "abc", "%d items" % 3, b"ab".hex(), "é".encode(), b"\xc3\xa9".decode(), "123".isdigit(), "abc".index("c"))
print(ascii("é€"), "A".swapcase(), "x".ljust(3) + "|", "prefix_x".removeprefix("prefix_"), sorted("hello"), "".join(sorted(set("hello"))))

#: re with groups, callbacks and flags
import re
m = re.match(r"(?P<y>\d{4})-(?P<m>\d\d)", "2024-05 rest")
print(m.group("y"), m.groups(), m.groupdict(), m.span(), m["m"], m.start(1))
print(re.sub(r"\d+", lambda k: str(int(k.group()) * 2), "a1b22"), re.findall(r"(\w)(\d)", "a1 b2"), re.split(r"[,;]\s*", "a, b;c"))
p = re.compile(r"^(\w+)\s", re.M | re.I)
print(p.findall("one x\ntwo y"), p.pattern, [x.group() for x in re.finditer(r"o", "foo")], re.fullmatch("a+", "aaa") is not None, re.escape("a.b"))
try:
    re.compile("(")
except re.error as e:
    print("error", e)

#: json
import json
data = {"a": [1, 2.5, None, True], "b": {"c": "é"}}
t = json.dumps(data, sort_keys=True, indent=2, ensure_ascii=False)
print(t, json.loads(t) == data, json.dumps({1: (1, 2)}), json.loads('[1, "x"]'))
try:
    json.loads("{bad}")
except json.JSONDecodeError as e:
    print(e.msg, e.pos)
try:
    json.dumps({1, 2})
except TypeError as e:
    print(e)
print(json.dumps({"s": {3}}, default=list))

#: csv and io
import csv, io
buf = io.StringIO()
w = csv.writer(buf)
w.writerows([["n", "v"], ["a,b", 1]])
print(repr(buf.getvalue()))
print([dict(r) for r in csv.DictReader(io.StringIO("n,v\nx,1\ny,2\n"))])
b = io.BytesIO(b"abc")
print(b.read(2), b.tell(), b.read())

#: textwrap, string, base64, hashlib, uuid
import textwrap, string, base64, hashlib, uuid
print(textwrap.dedent("  a\n    b\n"), textwrap.fill("the quick brown fox jumps", 10), string.ascii_lowercase[:5], string.digits)
print(textwrap.shorten("hello big world", 12), string.capwords("a b"))
print(base64.b64encode(b"hi"), base64.b64decode("aGk="), hashlib.sha256(b"x").hexdigest()[:12], hashlib.md5(b"y").hexdigest()[:6], uuid.UUID(int=5))
print(uuid.uuid5(uuid.NAMESPACE_DNS, "a"), base64.urlsafe_b64encode(b"\xff\xfe"))
