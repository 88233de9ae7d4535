"""Run by any interpreter: what members import when they are called, each facade alone in a process. Prints what should not be.

An import at a later time takes what lies on the path then; and in restricted code C asks the program's builtins for it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

sys.path.insert(0, sys.argv[1])
from sandboxd.guest.restricted import facades


def dates(datetime: Any) -> None:
    datetime.date(2024, 1, 31).strftime("%a %d %b %Y")
    f"{datetime.date(2024, 1, 31):%a}"
    datetime.datetime.strptime("31 Jan 2024 +0100", "%d %b %Y %z")


def times(time: Any) -> None:
    time.strptime(time.strftime("%c %Z"), "%c %Z")


def calendars(calendar: Any) -> None:
    calendar.month(2024, 1)
    calendar.HTMLCalendar().formatyear(2024)


def decimals(decimal: Any) -> None:
    format(decimal.Decimal("1.5").quantize(decimal.Decimal(1)), "n")
    decimal.Decimal("1.5").as_tuple()
    hash(decimal.Decimal("1.5"))


def zones(zoneinfo: Any) -> None:
    zoneinfo.available_timezones()
    zoneinfo.ZoneInfo("UTC")


def records(dataclasses: Any) -> None:
    @dataclasses.dataclass
    class Record:
        name: str
        sizes: list[int]

    repr(dataclasses.asdict(Record("a", [1])))


def warned(warnings: Any) -> None:
    warnings.simplefilter("always")
    warnings.filterwarnings("error", "nothing", category=UserWarning, module="m")
    warnings.warn("shown", stacklevel=1)


def handled(traceback: Any) -> None:
    try:
        int("x")
    except ValueError:
        traceback.format_exc()


def randoms(random: Any) -> None:
    random.sample(range(9), 3)
    random.Random("seed").gauss(0, 1)


CALLS: dict[str, Callable[[Any], object]] = {
    "asyncio": lambda m: m.run(m.wait_for(m.sleep(0), 5)),
    "base64": lambda m: m.a85decode(m.a85encode(b"abc")),
    "calendar": calendars,
    "codecs": lambda m: m.decode(m.encode("a", "utf-8"), "utf-8"),
    "collections": lambda m: m.UserDict(a=1).copy() | m.namedtuple("T", "a")(1)._asdict(),
    "copy": lambda m: m.deepcopy([range(3), {1: ValueError("a")}]),
    "csv": lambda m: m.Sniffer().sniff("a,b\nc,d\n"),
    "dataclasses": records,
    "datetime": dates,
    "decimal": decimals,
    "difflib": lambda m: m.HtmlDiff().make_file(["a"], ["b"]),
    "enum": lambda m: repr(m.IntFlag("F", "A B")(3)),
    "fractions": lambda m: f"{m.Fraction('1/3') + m.Fraction(0.5)}",
    "functools": lambda m: m.lru_cache(maxsize=2)(len)("a"),
    "hashlib": lambda m: m.new("sha256", m.pbkdf2_hmac("sha256", b"a", b"b", 1)).hexdigest(),
    "heapq": lambda m: m.nlargest(2, m.merge([1], [2])),
    "hmac": lambda m: m.new(b"k", b"m", "sha256").hexdigest(),
    "html.parser": lambda m: m.HTMLParser().feed("<!DOCTYPE html><a href='b'>c</a>&amp;"),
    "json": lambda m: m.dumps(m.loads('{"a": [1.5, null]}'), indent=1, sort_keys=True),
    "pprint": lambda m: m.pformat({1: [2, {3: "x" * 90}]}),
    "queue": lambda m: m.Queue().put(1, timeout=1),
    "random": randoms,
    "re": lambda m: m.sub(r"(a)", r"\1", "aaa", flags=m.IGNORECASE),
    "secrets": lambda m: m.token_urlsafe() + m.choice("ab"),
    "shlex": lambda m: m.split("a 'b c'"),
    "statistics": lambda m: (m.quantiles([1, 2, 3]), m.NormalDist(0, 1).inv_cdf(0.3)),
    "string": lambda m: m.Template("$a").substitute(a=1),
    "textwrap": lambda m: m.shorten("a b " * 9, 9),
    "time": times,
    "tomllib": lambda m: m.loads("a = 2024-01-31"),
    "traceback": handled,
    "typing": lambda m: m.NamedTuple("T", [("a", int)]),
    "unicodedata": lambda m: m.normalize("NFC", "e\u0301"),
    "urllib.parse": lambda m: m.urljoin("http://a/b", m.urlencode({"a": "b"})),
    "uuid": lambda m: (m.uuid4(), m.uuid5(m.NAMESPACE_DNS, "a")),
    "warnings": warned,
    "zoneinfo": zones,
}


def check(name: str) -> str:
    """Load one facade, use it, and tell what that imported."""
    facade = facades.load(name)
    before = set(sys.modules)
    CALLS[name](facade)
    late = sorted(set(sys.modules) - before)
    return f"{name}: {' '.join(late)}\n" if late else ""


def main() -> None:
    for name in CALLS:
        child = os.fork()
        if not child:
            try:
                os.write(1, check(name).encode())
            except BaseException as error:  # noqa: BLE001 - it is the answer
                os.write(1, f"{name}: {error!r}\n".encode())
            os._exit(0)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
