"""Expressions of the accepted subset, by the kind of their value.

Kinds: i int, b bool, s str, l list of ints, d dict of str to int, e set of ints, u tuple of ints, g list of lists, o object
of a class `C…` that the program defined, f function of one int. What could grow without end is cut (`% 1009`, `[:8]`).
"""

from __future__ import annotations

import re

from .writer import Writer, production

DEPTH = 4
_HOLE = re.compile("«([a-z]+)(!?)»")
_WORDS = ("a", "bee", "See", "", "x y", "1", "é", "{}", "%", "n-1")


class Expressions(Writer):
    """Writes expressions. `of(kind)` is the way in; past the depth it writes a leaf."""

    def of(self, kind: str) -> str:
        """Return an expression of a kind."""
        if self.depth >= DEPTH or self.chance(0.15):
            return self.leaf(kind)
        self.depth += 1
        try:
            return self.fill(self.write(kind))
        finally:
            self.depth -= 1

    def fill(self, template: str) -> str:
        """Put an expression in each hole: «il» takes an int or a list, «i!» a leaf, «key» a dictionary's key.

        Holes of the alternative that was taken are filled, and no others: what is hit is what is in the program.
        """
        return _HOLE.sub(lambda hole: self._hole(hole[1], leaf=bool(hole[2])), template)

    def _hole(self, kinds: str, *, leaf: bool) -> str:
        if kinds == "key":
            return self.key()
        kind = self.pick(*kinds)
        return self.leaf(kind) if leaf else self.of(kind)

    def line(self, text: str) -> None:
        super().line(self.fill(text))

    def leaf(self, kind: str) -> str:
        """Return a name, or a literal."""
        names = self.known(kind)
        if names and self.chance(0.75):
            return self.random.choice(names)
        number = self.random.randrange
        return {
            "i": str(number(-3, 12)),
            "b": self.pick("True", "False"),
            "s": repr(self.pick(*_WORDS)),
            "l": f"[{number(9)}, {number(9)}]" if self.chance(0.8) else "[]",
            "d": f"{{'a': {number(9)}, 'b': {number(9)}}}",
            "e": f"{{{number(9)}, {number(9)}}}",
            "u": f"({number(9)}, {number(9)})",
            "g": f"[[{number(9)}], [{number(9)}, {number(9)}]]",
            "f": f"(lambda q: q + {number(9)})",
            "o": "None",
        }[kind]

    def key(self) -> str:
        return self.pick("'a'", "'b'", "'c'", "'bee'") if self.chance(0.8) else self.leaf("s")

    # ---- int -------------------------------------------------------------------------------------------------

    @production("i", 4)
    def int_arithmetic(self) -> str:
        return f"(«i» {self.pick('+', '-', '*', '&', '|', '^')} «i») % 1009"

    @production("i", 2)
    def int_division(self) -> str:
        divisor = "«i»" if self.chance(0.02) else "(«i» or 7)"
        return f"«i» {self.pick('//', '%')} {divisor}"

    @production("i")
    def int_shift(self) -> str:
        return f"(«i» {self.pick('<<', '>>')} abs(«i») % 9) % 4099"

    @production("i")
    def int_power(self) -> str:
        return f"«i» ** {self.pick('2', '3', '0')} % 997"

    @production("i")
    def int_unary(self) -> str:
        return f"{self.pick('-', '+', '~')}(«i»)"

    @production("i", 2)
    def int_item(self) -> str:
        if self.chance(0.02):
            return "«l!»[«i»]"
        return f"(«l!» or [5])[{self.pick('0', '-1')}]"

    @production("i")
    def int_tuple_item(self) -> str:
        return f"«u!»[{self.pick('0', '-1', '1')}]"

    @production("i")
    def int_grid_item(self) -> str:
        return f"«g!»[{self.pick('0', '-1')}][{self.pick('0', '-1')}]"

    @production("i", 2)
    def int_dict_item(self) -> str:
        key = self.key()
        return f"«d!»[{key}]" if self.chance(0.03) else f"«d!».get({key}, «i»)"

    @production("i", 2)
    def int_length(self) -> str:
        return "len(«slde»)"

    @production("i", 2)
    def int_fold(self) -> str:
        return self.pick("sum(«leu»)", "max(«leu», default=0)", "min(«leu», default=1)")

    @production("i")
    def int_builtin(self) -> str:
        return self.pick(
            "abs(«i»)", "max(«i», «i»)", "int(«b»)", "divmod(«i», 7)[1]", "round(«i» / 3)",
            "pow(«i», 2, 97)", "(«i»).bit_length()", "ord(str(«i»)[0])", "int(str(«i»))",
        )  # fmt: skip

    @production("i", 2)
    def int_call(self) -> str:
        return "«f»(«i»)"

    @production("i", 2)
    def int_attribute(self) -> str:
        owner = self.leaf("o")
        return f"{owner}.{self.pick('n', 'n', '_p', 'twice', 'kind')}" if owner != "None" else "«i»"

    @production("i", 2)
    def int_method(self) -> str:
        owner = self.leaf("o")
        return f"{owner}.{self.pick('step', 'step', 'hidden')}(«i»)" if owner != "None" else "«i»"

    @production("i")
    def int_choice(self) -> str:
        return "(«i» if «b» else «i»)"

    @production("i")
    def int_list_method(self) -> str:
        return f"«l».{self.pick('count', 'index') if self.chance(0.03) else 'count'}(«i»)"

    @production("i")
    def int_next(self) -> str:
        return "next((«i» for _ in «l»), «i»)"

    @production("i")
    def int_star_call(self) -> str:
        return self.pick(
            "(lambda *a, **k: len(a) + len(k))(*«l», **«d»)",
            "(lambda a, b=2, *c: a + b + len(c))(1, *«l»)",
            "(lambda a, /, *, b=3: a * b)(«i», b=«i»)",
            "max(*«u»)",
        )

    # ---- bool ------------------------------------------------------------------------------------------------

    @production("b", 3)
    def bool_compare(self) -> str:
        return f"«i» {self.pick('<', '<=', '==', '!=', '>', '>=')} «i»"

    @production("b")
    def bool_chain(self) -> str:
        return f"(«i» < «i» {self.pick('<=', '!=')} «i»)"

    @production("b")
    def bool_logic(self) -> str:
        return f"(«b» {self.pick('and', 'or')} «b»)"

    @production("b")
    def bool_not(self) -> str:
        return "(not «bils»)"

    @production("b")
    def bool_in(self) -> str:
        pair = self.pick("«i» IN «leu»", "«key» IN «d»", "«s» IN «s»")
        return f"({pair.replace('IN', self.pick('in', 'not in'))})"

    @production("b")
    def bool_is(self) -> str:
        return f"(«old!» {self.pick('is', 'is not')} None)"

    @production("b")
    def bool_all(self) -> str:
        return f"{self.pick('all', 'any')}({self.pick('q > 2', 'q', 'q % 2')} for q in «l»)"

    @production("b")
    def bool_type(self) -> str:
        return f"isinstance(«ilsd», {self.pick('int', 'str', '(list, dict)')})"

    # ---- str -------------------------------------------------------------------------------------------------

    @production("s", 2)
    def str_join(self) -> str:
        return "(«s» + «s»)[:24]"

    @production("s")
    def str_repeat(self) -> str:
        return "(«s» * (abs(«i») % 4))[:24]"

    @production("s", 3)
    def str_fstring(self) -> str:
        conversion = self.pick("", "!r", "!s", "!a")
        spec = self.pick("", ":>8", ":<{5}", "") if conversion else ""
        return f'f"<{{«isl!»{conversion}{spec}}}{{«i!»:{self.pick("04", "x", "+d", ",", "b")}}}>"'

    @production("s", 2)
    def str_format(self) -> str:
        return self.pick(
            "'{}-{:>3}'.format(«s», «i»)",
            "'{0!r}{k}'.format(«s», k=«i»)",
            "'{0[0]}'.format([«i»])",
            "'{a}'.format_map({'a': «i»})",
            "'%s/%03d' % («s», «i»)",
        )

    @production("s", 2)
    def str_method(self) -> str:
        return self.pick(
            "«s».upper()", "«s».strip('x ')", "«s».replace('e', «s!»)[:24]", "«s».title()", "«s».zfill(4)",
            "«s».center(7, '*')", "'-'.join(sorted(«s»))", "«s».partition('e')[0]", "str(«ilbu»)[:30]",
            "repr(«isl»)[:30]", "' '.join(«s».split())",
        )  # fmt: skip

    @production("s")
    def str_slice(self) -> str:
        return f"«s»[{self.pick(':2', '::-1', '1:', '-2:', ':-1:2')}]"

    @production("s")
    def str_choice(self) -> str:
        return "(«s» or «s»)"

    # ---- containers ------------------------------------------------------------------------------------------

    @production("l", 2)
    def list_display(self) -> str:
        return "[«i», «i», *«lu»][:8]"

    @production("l", 3)
    def list_comprehension(self) -> str:
        body = self.pick("q * 2", "q", "abs(q)", "(q + 1) % 7")
        text = f"[{body} for q in «lu»"
        if self.chance(0.3):
            text += f" for _ in range({self.pick('1', '2')})"
        if self.chance(0.4):
            text += f" if q {self.pick('> 1', '% 2', '!= 3')}"
        return f"{text}][:8]"

    @production("l")
    def list_slice(self) -> str:
        return f"«l»[{self.pick('1:', ':2', '::-1', '::2', ':')}]"

    @production("l")
    def list_builtin(self) -> str:
        return self.pick(
            "sorted(«leu»)", "sorted(«leu», key=lambda q: -q)", "list(map(«f», «leu»))", "list(range(abs(«i») % 6))",
            "list(filter(lambda q: q % 2, «leu»))", "[a + b for a, b in zip(«leu», «l»)]", "list(«d».values())",
            "[a * b for a, b in enumerate(«leu»)]", "list(reversed(«l»))", "[*map(int, «u»)]",
        )  # fmt: skip

    @production("l")
    def list_sum(self) -> str:
        return "(«l» + «l»)[:8]"

    @production("l")
    def list_nested_unpack(self) -> str:
        return "[a + sum(b) for a, *b in «g»]"

    @production("d", 2)
    def dict_display(self) -> str:
        return "{'a': «i», **«d», «key»: «i»}"

    @production("d")
    def dict_comprehension(self) -> str:
        return f"{{{self.pick('k', 'k + k')}: v {self.pick('+ 1', '* 2', '')} for k, v in «d».items()}}"

    @production("d")
    def dict_builtin(self) -> str:
        return self.pick("dict(a=«i»)", "dict(zip('abc', «l»))", "(«d» | «d»)", "dict(«d»)")

    @production("e")
    def set_display(self) -> str:
        return "{«i», *«l»}"

    @production("e")
    def set_comprehension(self) -> str:
        return "{q % 5 for q in «l»}"

    @production("e")
    def set_operator(self) -> str:
        return f"(«e» {self.pick('|', '&', '-', '^')} «e»)"

    @production("u")
    def tuple_display(self) -> str:
        return "(«i», «i», *«u»)[:6]"

    @production("u")
    def tuple_builtin(self) -> str:
        return f"(0, *{self.pick('tuple', 'sorted')}(«le»))[:6]"

    @production("g")
    def grid_comprehension(self) -> str:
        return f"[[«i» for _ in range(2)] for _ in range({self.pick('1', '2')})]"

    @production("g")
    def grid_display(self) -> str:
        return "[[«i»], [«i», *«l»]]"

    @production("f", 2)
    def function_lambda(self) -> str:
        return f"(lambda q, w=«i»: (q {self.pick('+', '*', '-')} w) % 1009)"

    @production("f")
    def function_choice(self) -> str:
        return "(«f» if «b» else abs)"

    @production("f")
    def function_bound(self) -> str:
        return self.pick("abs", "«l!».count", "int", "(lambda q: -q)")

    @production("o", 3)
    def object_new(self) -> str:
        classes = self.known("C")
        return f"{self.random.choice(classes)}(«i»)" if classes else "None"

    @production("o")
    def object_sum(self) -> str:
        left = self.leaf("o")
        return f"({left} {self.pick('+', '-')} «i»)" if left != "None" else self.object_new()
