"""The two tasks that tell whether a model is better at code or at JSON calls, and what they told. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from sandboxd_client.tools.definition import tool

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandboxd_client.tools import Tool

Style: TypeAlias = Literal["code", "json"]

_PRICES = {"pen": 1.25, "book": 14.5, "lamp": 31.0, "chair": 89.0}
_STOCK = {"pen": 120, "book": 36, "lamp": 410, "chair": 7}
STEPS = 4
OBSERVED_CHARACTERS = 2000


def _price(item: str) -> float:
    """Return the price of one item of the shop.

    Args:
        item: pen, book, lamp or chair.
    """
    return _PRICES[item]


def _stock(item: str) -> int:
    """Return how many of an item the shop has.

    Args:
        item: pen, book, lamp or chair.
    """
    return _STOCK[item]


TOOLS: tuple[Tool, ...] = (tool(_price, name="shop_price"), tool(_stock, name="shop_stock"))
TASKS: tuple[tuple[str, Callable[[Any], bool]], ...] = (
    (
        "What do 3 pens and 2 books cost together? Answer with the number alone.",
        lambda answer: isinstance(answer, int | float) and abs(answer - 32.75) < 0.005,  # noqa: PLR2004 - of the task
    ),
    (
        "Of pen, book, lamp and chair, which one does the shop have most of? Answer with the one word.",
        lambda answer: isinstance(answer, str) and answer.strip(" .'").lower() == "lamp",
    ),
)


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """How many of the two tasks a model solved in each form; `json` is None where it did not come to that."""

    model: str
    code: int
    json: int | None = None

    @property
    def style(self) -> Style:
        """Return the form to use: code unless JSON was better."""
        return "json" if (self.json or 0) > self.code else "code"

    @property
    def usable(self) -> bool:
        """Say whether it solved any."""
        return self.code > 0 or bool(self.json)
