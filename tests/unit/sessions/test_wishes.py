"""How long a session lives: what a client may ask for, and what it gets unasked."""

from __future__ import annotations

import math

import pytest

from sandboxd.errors import Code, FailureClass, SandboxdError
from sandboxd.sessions import OpenWish, Terms
from sandboxd.sessions.wishes import Life

TERMS = Terms(60, 3600, 14_400, 86_400)


def test_unasked_it_gets_the_daemon_s_terms():
    assert TERMS.life(OpenWish()) == Life(60, 14_400, 86_400)


def test_a_client_may_narrow_each_and_lengthen_the_lease():
    assert TERMS.life(OpenWish(lease_seconds=3600, idle_seconds=5, lifetime_seconds=7)) == Life(3600, 5, 7)


@pytest.mark.parametrize(
    ("name", "above"), [("lease_seconds", 3601), ("idle_seconds", 14_401), ("lifetime_seconds", 86_401)]
)
def test_what_is_above_the_terms_is_refused_by_name(name, above):
    for seconds in (above, -1, math.nan, math.inf):
        with pytest.raises(SandboxdError) as caught:
            TERMS.life(OpenWish(**{name: seconds}))
        assert (caught.value.code, caught.value.failure) == (
            Code.LIMIT_ABOVE_POLICY,
            FailureClass.NOT_STARTED,
        )
        assert caught.value.metadata == {"limit": name}
