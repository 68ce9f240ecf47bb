"""Cards in the books: found whatever way they were typed and whichever key they are under, and never made twice.

Not tested here: the one form itself (tests/unit/domain), rewrapping and erasing (test_rewrap).
"""

from dataclasses import replace
from typing import cast

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.cards import CardElements
from gateway.domain.catalogue import AuthenticationMode
from gateway.domain.failures import Blame, FailureCode
from gateway.domain.one_form import one_form
from gateway.domain.orders import Order
from gateway.domain.outcomes import Authenticated, Declined
from gateway.domain.payments import Payment
from gateway.ports import CardNotFoundError, OpenResult, OverloadedError
from gateway.storage.keys import standing_back
from tests.keys import keys
from tests.storage.first_version_rows import first_version_card
from tests.storage.gateway_process import Process, card_observation, payment_in
from tests.unit.domain.samples import MERCHANT_ID, card_elements, catalogue, channel, later, opening, order, rule

UP = channel("up", AuthenticationMode.SILENT, authentication_fee=100)
TL = channel("tl", AuthenticationMode.SILENT, authentication_fee=100)
ONE = catalogue((UP,), (rule("up", 10),))
TWO = catalogue((UP, TL), (rule("up", 10), rule("tl", 50)))
PLAIN = CardElements("6222020000000000018", "买买提·阿卜杜拉", "11010519491231002X", "13800000001")
TYPED = replace(PLAIN, holder_name="买买提•阿卜杜拉")
SPELLINGS = [replace(PLAIN, holder_name=f"买买提{dot}阿卜杜拉") for dot in ("•", "‧", "・", " ･ ")]


def typed_order(order_no: str, card: CardElements, **known: object) -> Order:
    """An order with a card as it was typed."""
    asked = order(order_no, card=one_form(card), **known)
    return asked if asked.card is card else replace(asked, body_as_typed=asked.body + b" as typed")


@pytest.fixture
async def process(engine: AsyncEngine) -> Process:
    return Process(engine, keys(1), ONE)


@pytest.fixture
async def other(other_engine: AsyncEngine) -> Process:
    """A second process, which has key 2 as its primary."""
    return Process(other_engine, keys(1, 2, primary=2), ONE)


async def open_typed(process: Process, card: CardElements, order_no: str = "typed") -> Payment:
    return (await process.opened(typed_order(order_no, card)))[0]


# --- one form ---


async def test_four_spellings_of_one_person_are_one_card_with_one_authentication(process: Process) -> None:
    first = await open_typed(process, SPELLINGS[0], "first")
    await process.heard_of_card(first, Authenticated("token-1"))
    together = await process.opened(*(typed_order(f"o{n}", card) for n, card in enumerate(SPELLINGS)))
    assert {p.card for p in together} == {first.card}
    assert {p.waits_for_authentication for p in together} == {False}
    assert (await process.count("cards"), await process.count("authentications")) == (1, 1)


async def test_spellings_that_come_in_one_flush_are_one_card(process: Process) -> None:
    together = await process.opened(*(typed_order(f"o{n}", card) for n, card in enumerate(SPELLINGS)))
    assert len({p.card for p in together}) == await process.count("cards") == 1
    assert len({p.authentication_id for p in together}) == await process.count("authentications") == 1
    assert together[0].card is not None
    assert await process.due.card(MERCHANT_ID, together[0].card.card_id) == PLAIN


async def test_prints_of_number_phone_and_id_are_shared_by_cards_and_users(process: Process) -> None:
    await process.opened(
        order("a"), order("b", user_id="u2"), order("c", card=replace(card_elements(), phone="13900000000"))
    )
    rows = await process.rows("SELECT number_print, phone_print, id_print, print FROM cards")
    assert [len({row[place] for row in rows}) for place in range(4)] == [1, 2, 1, 2]
    assert len(rows) == 3


# --- what the first version wrote ---


@pytest.mark.parametrize("again", [PLAIN, *SPELLINGS], ids=[" plain", *"1234"])
@pytest.mark.parametrize("first", [TYPED, PLAIN, replace(PLAIN, holder_name="买买提 ‧阿卜杜拉")], ids=["•", "·", "‧"])
async def test_a_card_of_the_first_version_is_found_however_it_was_and_is_typed(
    process: Process, first: CardElements, again: CardElements
) -> None:
    card_id = await first_version_card(process, first, live={"up-1": "token-1"})
    await first_version_card(process, replace(first, phone="13900000000"))
    (result,) = await process.opening.flush([opening(typed_order("again", again))])
    opened = cast("OpenResult", result)
    assert opened.payment.card is not None
    assert (opened.payment.card.card_id, opened.agreement_no) == (card_id, "token-1")
    assert await process.count("cards") == 2


@pytest.mark.parametrize("live", ["older", "newer", "neither", "both"])
async def test_of_two_cards_that_are_the_same_the_live_one_is_found_else_the_older(process: Process, live: str) -> None:
    older = await first_version_card(process, TYPED, live={"up-1": "a"} if live in ("older", "both") else None)
    newer = await first_version_card(
        process, PLAIN, live={"up-1": "b"} if live in ("newer", "both") else None, created_at=later(seconds=1)
    )
    found = await open_typed(process, TYPED)
    assert found.card is not None
    assert found.card.card_id == (newer if live == "newer" else older)


async def test_a_first_versions_card_keeps_a_new_agreement_where_the_ring_reads_it(process: Process) -> None:
    card_id = await first_version_card(process, PLAIN)
    payment = await open_typed(process, PLAIN)
    await process.heard_of_card(payment, Authenticated("token-1"))
    assert await process.one("SELECT key_version FROM agreements") == 1
    assert await process.due.agreement_no(MERCHANT_ID, card_id, "up-1") == "token-1"


async def test_a_card_named_by_id_goes_to_the_psp_in_one_form_and_is_followed_up_as_it_was_sent(
    process: Process,
) -> None:
    card_id = await first_version_card(process, TYPED)
    found = await process.due.find_card(MERCHANT_ID, "u1", card_id)
    assert found is not None
    assert found.elements == PLAIN
    assert await process.due.card(MERCHANT_ID, card_id) == TYPED


# --- rotation ---


async def test_cards_and_orders_are_found_whichever_key_encrypts(process: Process, other: Process) -> None:
    process.keys = keys(1, 2)
    knows_both = Process(process.engine, keys(1, 2), ONE)
    first = (await knows_both.opened(order("a")))[0]
    second = (await other.opened(order("b"), order("c", card=card_elements(2))))[0]
    assert first.card == second.card
    await other.heard_of_card(second, Authenticated("token-1"))
    (result,) = await knows_both.opening.flush([opening(order("d"))])
    assert cast("OpenResult", result).agreement_no == "token-1"
    for repeated in ("a", "b", "c"):
        card = card_elements(2 if repeated == "c" else 1)
        for one in (knows_both, other):
            assert (await one.books.open(opening(order(repeated, card=card)))).replayed
    assert await process.count("cards") == 2


async def test_a_card_under_a_key_that_is_missing_here_stands_back_alone(
    process: Process, other: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[str, object]] = []
    monkeypatch.setattr(standing_back.log, "error", lambda _, **said: told.append(said))
    monkeypatch.setattr(standing_back, "_said_at", {})
    (theirs,) = await other.opened(order("theirs", user_id="u2"))
    asked = [order("a"), order("b", user_id="u2"), order("b", user_id="u2"), order("c", user_id="u3")]
    results = await process.opening.flush([opening(one) for one in asked])
    assert [type(result) for result in results] == [OpenResult, OverloadedError, OverloadedError, OpenResult]
    assert await process.rows("SELECT merchant_order_no FROM payments ORDER BY 1") == [("a",), ("c",), ("theirs",)]
    assert await process.count("cards") == 3
    assert [said["reason"] for said in told] == ["key 2 is not in the ring"]
    assert "SLUICE_CARD_KEYS" in str(told[0]["cure"])
    # Where the key is, the same order is taken; and what was taken is answered here, too.
    assert not (await other.books.open(opening(asked[1]))).replayed
    assert (await process.books.open(opening(asked[1]))).replayed
    assert theirs.card is not None
    for reads in (
        process.due.find_card(MERCHANT_ID, "u2", theirs.card.card_id),
        process.due.card(MERCHANT_ID, theirs.card.card_id),
    ):
        with pytest.raises(OverloadedError):
            await reads


async def test_what_a_psp_says_of_a_card_that_does_not_open_here_comes_again(process: Process, other: Process) -> None:
    (theirs,) = await other.opened(order("theirs", user_id="u2"))
    (ours,) = await process.opened(order("ours"))
    said = [card_observation(payment, Authenticated("token")) for payment in (theirs, ours)]
    results = await process.recording.flush(list(said))
    assert isinstance(results[0], OverloadedError)
    assert not isinstance(results[1], Exception)
    assert await process.count("observations") == 1
    again = await other.books.record(said[0])
    assert again.submit
    assert await process.count("agreements") == 2


async def test_a_first_versions_card_under_a_missing_key_makes_no_second_card(engine: AsyncEngine) -> None:
    process = Process(engine, keys(2), ONE)
    await first_version_card(process, PLAIN, number=1)
    (refused,) = await process.opening.flush([opening(typed_order("same number", PLAIN))])
    assert isinstance(refused, OverloadedError)
    assert await process.count("cards") == 1
    # Another number is certainly another card.
    another = replace(PLAIN, card_no="6222020000000009999")
    assert (await open_typed(process, another)).card is not None
    knows = Process(engine, keys(1, 2), ONE)
    assert await open_typed(knows, PLAIN, "here")
    assert await process.count("cards") == 2


async def test_an_agreement_under_a_missing_key_stands_back_and_is_not_authenticated_anew(engine: AsyncEngine) -> None:
    process = Process(engine, keys(1), ONE)
    card_id = await first_version_card(process, PLAIN, live={"up-1": "token"})
    under_two = keys(2).ring.encrypt(b"token", b"x")
    await process.rows("UPDATE agreements SET agreement_no = $1, key_version = 2 RETURNING 1", under_two)
    (refused,) = await process.opening.flush([opening(typed_order("o", PLAIN))])
    assert isinstance(refused, OverloadedError)
    with pytest.raises(OverloadedError):
        await process.due.agreement_no(MERCHANT_ID, card_id, "up-1")
    assert await process.count("authentications") == 0


async def test_a_row_that_was_altered_poisons_nobody_else(process: Process) -> None:
    await process.opened(order("a"), order("b", user_id="u2"))
    await process.rows("UPDATE cards SET data_key = data_key || '\\x00' WHERE user_id = 'u1' RETURNING 1")
    results = await process.opening.flush([opening(order("c")), opening(order("d", user_id="u2"))])
    assert [type(result) for result in results] == [OverloadedError, OpenResult]


# --- named cards ---


async def test_a_named_card_that_is_gone_refuses_a_new_order_and_replays_an_old_one(process: Process) -> None:
    first = await process.open_one()
    assert first.card is not None
    named = order("named", card_id=first.card.card_id)
    await process.opened(named)
    gone = replace(named, card=None, bank="")
    assert (await process.books.open(opening(gone))).replayed
    with pytest.raises(CardNotFoundError):
        await process.books.open(opening(replace(gone, merchant_order_no="new")))
    assert await process.count("payments") == 2


# --- who verified a card ---


async def test_a_void_agreement_still_counts_as_verified_elsewhere(process: Process) -> None:
    process.catalogue = TWO
    await first_version_card(process, PLAIN, void={"tl-1": "old"})
    payment = await open_typed(process, PLAIN)
    refused = await process.heard_of_card(payment, Declined(FailureCode.AUTHENTICATION_REJECTED, "1", "no"))
    why = payment_in(refused).failure
    assert why is not None
    assert why.blame is Blame.CHANNEL
