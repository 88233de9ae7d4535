"""Fixtures that screen a source under a shipped policy."""

from collections.abc import Callable

import pytest
from in_process import screen_source


@pytest.fixture
def screen() -> Callable[..., list[dict]]:
    """All findings on a source, worst first."""
    return screen_source


@pytest.fixture
def rules_of() -> Callable[..., set[str]]:
    """The names of the rules that a source breaks."""

    def rules(source: str, /, policy: str = "default", **budgets: int) -> set[str]:
        return {one["rule"] for one in screen_source(source, policy, **budgets)}

    return rules
