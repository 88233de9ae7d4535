from __future__ import annotations

import re

import pytest

from sandboxd.errors import Code, FailureClass, SandboxdError
from sandboxd.identity import SessionIds

KEY = b"k" * 32


def refused(ids: SessionIds, token: str) -> SandboxdError:
    with pytest.raises(SandboxdError) as caught:
        ids.verify(token)
    return caught.value


def test_a_token_verifies_to_its_display_id() -> None:
    ids = SessionIds(KEY, "0000000001-ab")
    token, display_id = ids.mint()
    assert ids.verify(token) == display_id
    assert re.fullmatch(r"s-[a-z2-7]{12}", display_id)
    assert SessionIds(KEY, "0000000001-ab").verify(token) == display_id


def test_tokens_and_display_ids_differ() -> None:
    ids = SessionIds(KEY, "1")
    minted = [ids.mint() for _ in range(1000)]
    assert len({token for token, _ in minted}) == len({display_id for _, display_id in minted}) == 1000


def test_a_token_holds_160_random_bits_and_not_its_display_id() -> None:
    token, display_id = SessionIds(KEY, "1").mint()
    incarnation, random, mac = token.split(".")
    assert (incarnation, len(random), len(mac)) == ("1", 32, 52)
    assert display_id.removeprefix("s-") not in token


def test_every_changed_character_is_noticed() -> None:
    ids = SessionIds(KEY, "0000000001-ab")
    token, _ = ids.mint()
    for index, character in enumerate(token):
        for other in {"a", "b", "0", ".", "A"} - {character}:
            error = refused(ids, token[:index] + other + token[index + 1 :])
            assert error.code is Code.SESSION_NOT_FOUND
            assert error.failure is FailureClass.NOT_STARTED


@pytest.mark.parametrize(
    "token", ["", ".", "..", "x", "a.b.c", "é.ü.ö", "\ud800", "x" * 10_000_000, "a." * 128]
)
def test_what_is_no_token_is_not_found(token: str) -> None:
    assert refused(SessionIds(KEY, "1"), token).code is Code.SESSION_NOT_FOUND


def test_the_mac_of_nothing_is_no_token() -> None:
    ids = SessionIds(KEY, "1")
    assert refused(ids, "." + ids._mac("")).code is Code.SESSION_NOT_FOUND
    assert refused(ids, ids._mac("")).code is Code.SESSION_NOT_FOUND


def test_another_key_s_token_is_not_found() -> None:
    token, _ = SessionIds(b"x" * 32, "1").mint()
    assert refused(SessionIds(KEY, "1"), token).code is Code.SESSION_NOT_FOUND


def test_an_earlier_daemon_s_token_is_a_lost_session() -> None:
    token, display_id = SessionIds(KEY, "1").mint()
    error = refused(SessionIds(KEY, "2"), token)
    assert error.code is Code.SESSION_LOST
    assert error.failure is FailureClass.SESSION_LOST
    assert error.metadata == {"session": display_id}
    assert token not in str(error)


def test_refusals_do_not_quote_the_token() -> None:
    ids = SessionIds(KEY, "1")
    token, _ = ids.mint()
    assert token[:20] not in str(refused(ids, token + "x"))
