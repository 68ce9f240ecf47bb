"""Rewrapping and erasing cards: nothing becomes unreadable, cards that are the same fall together, payments go on.

Not tested here: how cards are found before a rewrap (test_cards), the command (tests/e2e/test_rotation).
"""

import asyncio
import contextlib
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.cards import CardElements
from gateway.domain.catalogue import AuthenticationMode
from gateway.domain.failures import Blame, FailureCode
from gateway.domain.outcomes import Authenticated, Declined, Succeeded
from gateway.domain.payments import Payment, Status
from gateway.ports import CardNotFoundError, DatabaseAwayError, OverloadedError
from gateway.storage.keys import KeyRingError, Keys
from gateway.storage.reading.doctor import examine
from gateway.storage.reading.key_use import key_use, require_order_key
from gateway.storage.writing import rewrap
from gateway.storage.writing.erasing import CardInUseError, erase_card
from gateway.storage.writing.rewrap import Batch, Rewrap
from tests.keys import key, keys
from tests.storage.first_version_rows import first_version_card
from tests.storage.gateway_process import Process, payment_in
from tests.unit.domain.samples import MERCHANT_ID, NOW, card_elements, catalogue, channel, later, opening, order, rule

UP = channel("up", AuthenticationMode.SILENT, authentication_fee=100)
TL = channel("tl", AuthenticationMode.SILENT, authentication_fee=100)
TWO = catalogue((UP, TL), (rule("up", 10), rule("tl", 50)))
PLAIN = CardElements("6222020000000000018", "买买提·阿卜杜拉", "11010519491231002X", "13800000001")
SPELLINGS = [replace(PLAIN, holder_name=f"买买提{dot}阿卜杜拉") for dot in ("•", "‧", "・", "･")]
TYPED = SPELLINGS[0]
START = UUID(int=0)
OLD, BOTH, NEW = keys(1), keys(1, 2, primary=2), keys(2)


@pytest.fixture
async def process(engine: AsyncEngine) -> Process:
    return Process(engine, BOTH, TWO)


@pytest.fixture
async def other(other_engine: AsyncEngine) -> Process:
    """A second process with keys and connections of its own."""
    return Process(other_engine, BOTH, TWO)


async def rewrapped(process: Process, with_keys: Keys | None = None, now: datetime = NOW) -> list[Batch]:
    """Every batch of one round."""
    work, after = Rewrap(process.database, with_keys or process.keys), START
    batches: list[Batch] = []
    while True:
        batch = await work.batch(MERCHANT_ID, after, now)
        if batch.last is None:
            return batches
        batches.append(batch)
        after = batch.last


async def typed(process: Process, card: CardElements = PLAIN, user_id: str = "u1") -> Payment:
    return await process.open_one(card=card, user_id=user_id)


async def typed_until_taken(process: Process, user_id: str) -> Payment:
    """What an app does that is told to send its order again: somebody held the user for longer than the lock waits."""
    while True:
        asked = opening(order(f"order-{uuid4().hex}", card=PLAIN, user_id=user_id), NOW)
        with contextlib.suppress(OverloadedError, DatabaseAwayError):
            return (await process.books.open(asked)).payment


def card_of(payment: Payment) -> UUID:
    assert payment.card is not None
    return payment.card.card_id


async def agreements_of(process: Process, card_id: UUID) -> dict[str, tuple[str, str | None]]:
    rows = await process.rows("SELECT account, status FROM agreements WHERE card_id = $1 ORDER BY 1", card_id)
    return {
        account: (status, await process.due.agreement_no(MERCHANT_ID, card_id, account)) for account, status in rows
    }


async def heads(process: Process) -> dict[UUID, UUID | None]:
    return dict(await process.rows("SELECT card_id, same_as FROM cards"))


# --- keys ---


async def test_after_a_rewrap_everything_opens_under_the_new_key_alone(process: Process) -> None:
    first_version = await first_version_card(process, TYPED, live={"up-1": "token-1"}, void={"tl-1": "old"})
    before = Process(process.engine, OLD, TWO)
    ours = await typed(before, card_elements(7), "u2")
    await before.heard_of_card(ours, Authenticated("token-2"))
    assert {number for number, use in (await key_use(process.engine)).items() if use.needed} == {1}

    (batch,) = await rewrapped(process)
    assert (batch.done, batch.together, batch.busy, dict(batch.missing), batch.broken) == (2, 0, 0, {}, [])
    assert {number for number, use in (await key_use(process.engine)).items() if use.needed} == {2}
    after = Process(process.engine, NEW, TWO)
    assert await after.due.card(MERCHANT_ID, first_version) == PLAIN
    assert await after.due.card(MERCHANT_ID, card_of(ours)) == card_elements(7)
    assert await after.due.agreement_no(MERCHANT_ID, first_version, "up-1") == "token-1"
    assert await after.due.agreement_no(MERCHANT_ID, card_of(ours), "up-1") == "token-2"
    found = await typed(after)
    assert card_of(found) == first_version
    assert found.attempt is not None
    assert await process.count("cards") == 2
    assert await process.one("SELECT count(*) FROM cards WHERE fingerprint IS NOT NULL OR number_print IS NULL") == 0


async def test_done_again_it_does_nothing(process: Process) -> None:
    await first_version_card(process, TYPED)
    await rewrapped(process)
    before = await process.rows("SELECT * FROM cards")
    assert await rewrapped(process) == []
    assert await Rewrap(process.database, BOTH).left(MERCHANT_ID) == 0
    assert await process.rows("SELECT * FROM cards") == before


async def test_a_rotation_wraps_the_keys_anew_and_touches_nothing_else(process: Process) -> None:
    await typed(Process(process.engine, OLD, TWO))
    columns = "elements, print, number_print, phone_print, id_print, masked, created_at"
    before = await process.one(f"SELECT {columns} FROM cards")
    wrapped = await process.one("SELECT data_key FROM cards")
    await rewrapped(process)
    assert await process.one(f"SELECT {columns} FROM cards") == before
    assert await process.one("SELECT data_key FROM cards") != wrapped


async def test_killed_at_any_point_it_goes_on_where_it_ended(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewrap, "BATCH", 3)
    ids = [await first_version_card(process, card_elements(n), user_id=f"u{n % 4}") for n in range(10)]
    work = Rewrap(process.database, BOTH)
    first = await work.batch(MERCHANT_ID, START, NOW)
    assert first.done == 3

    async def killed(*_: Any) -> None:
        raise ConnectionError("killed")

    with monkeypatch.context() as broken:
        broken.setattr(Rewrap, "_write", killed)
        assert first.last is not None
        with pytest.raises(ConnectionError):
            await work.batch(MERCHANT_ID, first.last, NOW)
    assert await work.left(MERCHANT_ID) == 7
    again = await rewrapped(process)
    assert sum(batch.done for batch in again) == 7
    for n, card_id in enumerate(ids):
        assert await process.due.card(MERCHANT_ID, card_id) == card_elements(n)


async def test_two_at_once_beside_payments_do_no_harm(
    process: Process, other: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rewrap, "BATCH", 5)
    users = [f"u{n}" for n in range(12)]
    for n, user_id in enumerate(users):
        await first_version_card(process, SPELLINGS[n % 4], user_id=user_id, live={"up-1": f"token-{n}"})
        await first_version_card(process, SPELLINGS[(n + 1) % 4], user_id=user_id, created_at=later(seconds=1))

    async def pay(one: Process) -> list[Payment]:
        paid = []
        for _ in range(3):
            paid += await asyncio.gather(*(typed_until_taken(one, user_id) for user_id in users))
        return paid

    *_, paid, also = await asyncio.gather(rewrapped(process), rewrapped(other), pay(process), pay(other))
    assert await process.count("cards") == 24
    assert {p.waits_for_authentication for p in (*paid, *also)} == {False}
    for user_id in users:
        assert len({card_of(p) for p in (*paid, *also) if p.user_id == user_id}) == 1
    assert await Rewrap(process.database, BOTH).left(MERCHANT_ID) == 0
    assert await process.one("SELECT count(*) FROM cards WHERE same_as IS NOT NULL") == 12
    assert await process.count("authentications") == 0


async def test_a_card_whose_user_is_held_is_left_for_the_next_round(process: Process, other: Process) -> None:
    await first_version_card(process, card_elements(1), user_id="held")
    await first_version_card(process, card_elements(2), user_id="free")
    async with other.database.transaction() as connection:
        await connection.execute("SELECT 1 FROM users WHERE user_id = 'held' FOR UPDATE")
        (batch,) = await rewrapped(process)
    assert (batch.done, batch.busy) == (1, 1)
    (batch,) = await rewrapped(process)
    assert (batch.done, batch.busy) == (1, 0)


async def test_a_card_whose_key_is_missing_is_counted_and_the_others_are_done(process: Process) -> None:
    await first_version_card(process, card_elements(1), number=3)
    await first_version_card(process, card_elements(2))
    (batch,) = await rewrapped(process)
    assert (batch.done, dict(batch.missing)) == (1, {3: 1})
    (batch,) = await rewrapped(process, keys(1, 2, 3, primary=2))
    assert (batch.done, dict(batch.missing)) == (1, {})


async def test_a_card_that_is_the_same_as_one_whose_key_is_missing_waits_for_it(process: Process) -> None:
    theirs = card_of(await typed(Process(process.engine, keys(3), TWO)))
    mine = await first_version_card(process, TYPED, created_at=later(seconds=-1))
    batches = await rewrapped(process)
    assert sum(batch.done for batch in batches) == 0
    assert sum(batch.missing[3] for batch in batches) >= 1
    await rewrapped(process, keys(1, 2, 3, primary=2))
    assert await heads(process) == {theirs: mine, mine: None}


# --- cards that are the same ---


@pytest.mark.parametrize("live", ["older", "newer", "neither", "both"])
async def test_the_live_card_is_found_from_then_on_else_the_older(process: Process, live: str) -> None:
    older = await first_version_card(process, TYPED, live={"up-1": "a"} if live in ("older", "both") else None)
    newer = await first_version_card(
        process, PLAIN, live={"up-1": "b"} if live in ("newer", "both") else None, created_at=later(seconds=1)
    )
    (batch,) = await rewrapped(process)
    winner, loser = (newer, older) if live == "newer" else (older, newer)
    assert batch.together == 1
    assert await heads(process) == {winner: None, loser: winner}
    assert card_of(await typed(process)) == winner
    # The loser is read by its own id as it was, and a request that names it pays with the one that is found.
    assert await process.due.card(MERCHANT_ID, loser) == PLAIN
    named = await process.due.find_card(MERCHANT_ID, "u1", loser)
    assert named is not None
    assert (named.card.card_id, named.elements) == (winner, PLAIN)
    assert await examine(process.engine, NOW) == []


async def test_agreements_of_both_cards_are_one_persons(process: Process) -> None:
    older = await first_version_card(process, TYPED, live={"up-1": "a"})
    newer = await first_version_card(
        process, PLAIN, live={"up-1": "b", "tl-1": "c"}, void={"zz-1": "d"}, created_at=later(seconds=1)
    )
    await rewrapped(process)
    assert await agreements_of(process, older) == {
        "up-1": ("active", "a"),
        "tl-1": ("active", "c"),
        "zz-1": ("void", None),
    }
    rows = await process.rows("SELECT account, status FROM agreements WHERE card_id = $1 ORDER BY 1", newer)
    assert rows == [("tl-1", "void"), ("up-1", "void"), ("zz-1", "void")]


async def test_a_live_agreement_takes_the_place_of_a_void_one(process: Process) -> None:
    older = await first_version_card(process, TYPED, live={"tl-1": "x"}, void={"up-1": "old"})
    await first_version_card(process, PLAIN, live={"up-1": "new"}, created_at=later(seconds=1))
    await rewrapped(process)
    assert await agreements_of(process, older) == {"tl-1": ("active", "x"), "up-1": ("active", "new")}


async def test_five_spellings_over_many_batches_end_as_one_card(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rewrap, "BATCH", 1)
    ids = [
        await first_version_card(process, card, live={"up-1": "token"} if n == 3 else None, created_at=later(seconds=n))
        for n, card in enumerate([*SPELLINGS, PLAIN])
    ]
    await rewrapped(process)
    assert await heads(process) == {card_id: None if n == 3 else ids[3] for n, card_id in enumerate(ids)}
    assert card_of(await typed(process)) == ids[3]
    assert await examine(process.engine, NOW) == []


async def test_a_card_that_was_made_anew_before_the_rewrap_falls_together_with_the_old_one(process: Process) -> None:
    ours = await typed(process)
    live = await first_version_card(process, TYPED, live={"tl-1": "token"}, created_at=later(seconds=5))
    await rewrapped(process)
    assert await heads(process) == {card_of(ours): live, live: None}
    # What is open on the loser goes on, and its late answers are the winner's.
    await process.heard_of_card(ours, Authenticated("late"))
    assert await agreements_of(process, live) == {"tl-1": ("active", "token"), "up-1": ("active", "late")}
    done = await process.heard(ours, Succeeded(1000), at=later(seconds=9))
    assert payment_in(done).status is Status.SUCCEEDED
    assert await process.count("agreements") == 2
    assert await examine(process.engine, NOW) == []


async def test_payments_that_wait_on_the_loser_go_on_with_the_agreement_of_the_winner(process: Process) -> None:
    starter, waiter = await typed(process), await typed(process)
    await first_version_card(process, TYPED, live={"tl-1": "token"}, created_at=later(seconds=5))
    await rewrapped(process)
    assert waiter.authentication_id == starter.authentication_id
    await process.heard_of_card(starter, Authenticated("late"))
    recorded = await process.goes_on(waiter)
    assert (recorded.submit, recorded.agreement_no) == (True, "late")


async def test_a_refusal_that_comes_for_the_loser_knows_who_verified_the_winner(process: Process) -> None:
    ours = await typed(process)
    await first_version_card(process, TYPED, live={"tl-1": "token"}, created_at=later(seconds=5))
    await rewrapped(process)
    refused = await process.heard_of_card(ours, Declined(FailureCode.AUTHENTICATION_REJECTED, "1", "no"))
    why = payment_in(refused).failure
    assert why is not None
    assert why.blame is Blame.CHANNEL


async def test_an_agreement_that_a_psp_calls_void_on_the_loser_is_void_on_the_winner(process: Process) -> None:
    loser = await first_version_card(process, PLAIN, live={"up-1": "token"}, created_at=later(seconds=1))
    paying = await typed(process)
    assert card_of(paying) == loser
    winner = await first_version_card(process, TYPED, live={"tl-1": "other"})
    await rewrapped(process)
    assert (await heads(process))[loser] == winner
    await process.heard(paying, Declined(FailureCode.AGREEMENT_VOID, "1", "void"))
    assert await agreements_of(process, winner) == {"tl-1": ("active", "other"), "up-1": ("void", None)}


async def test_a_card_that_lost_while_its_order_was_on_the_way_pays_with_the_winner(process: Process) -> None:
    loser = await first_version_card(process, PLAIN, created_at=later(seconds=1))
    winner = await first_version_card(process, TYPED, live={"up-1": "token"})
    found = await process.due.find_card(MERCHANT_ID, "u1", loser)
    assert found is not None
    await rewrapped(process)
    payment = await process.open_one(card=found.elements, card_id=loser)
    assert card_of(payment) == winner
    assert payment.attempt is not None


async def test_cards_of_two_users_never_fall_together(process: Process) -> None:
    await first_version_card(process, TYPED, user_id="u1")
    await first_version_card(process, PLAIN, user_id="u2")
    await rewrapped(process)
    assert set((await heads(process)).values()) == {None}


# --- the order key ---


async def test_another_order_key_is_refused_before_it_doubles_a_card(process: Process) -> None:
    await require_order_key(process.engine, keys(1, order_key=key(9)))
    await typed(process)
    await require_order_key(process.engine, BOTH)
    await require_order_key(process.engine, keys(3, order_key=key(9)))  # it cannot tell
    with pytest.raises(KeyRingError, match="SLUICE_ORDER_KEY: this is not the order key"):
        await require_order_key(process.engine, keys(2, order_key=key(9)))


# --- erasing ---


async def finished(process: Process, payment: Payment) -> None:
    await process.heard_of_card(payment, Authenticated("token-1"))
    await process.heard(payment, Succeeded(1000), at=later(seconds=1))


async def test_an_erased_card_leaves_the_money_and_nothing_of_the_person(process: Process) -> None:
    payment = await typed(process)
    await finished(process, payment)
    erased = await erase_card(process.database, MERCHANT_ID, card_of(payment), NOW)
    assert (erased.cards, erased.perhaps) == ((card_of(payment),), ())
    row = await process.one(
        "SELECT num_nonnulls(data_key, elements, print, number_print, phone_print, id_print, fingerprint), masked, "
        "erased_at FROM cards"
    )
    assert row == (0, "622202*********0018", NOW)
    assert await process.one("SELECT status, agreement_no FROM agreements") == ("void", None)
    assert await process.due.find_card(MERCHANT_ID, "u1", card_of(payment)) is None
    assert await process.due.agreement_no(MERCHANT_ID, card_of(payment), "up-1") is None
    assert (await process.read(payment)).card == payment.card
    assert await examine(process.engine, NOW) == []
    assert await rewrapped(process) == []


async def test_afterwards_the_same_person_is_a_new_card(process: Process) -> None:
    payment = await typed(process)
    await finished(process, payment)
    await erase_card(process.database, MERCHANT_ID, card_of(payment), NOW)
    again = await typed(process)
    assert card_of(again) != card_of(payment)
    assert again.waits_for_authentication
    named = order("named", card=PLAIN, card_id=card_of(payment))
    with pytest.raises(CardNotFoundError):
        await process.books.open(opening(named))


async def test_a_card_is_not_erased_while_a_payment_of_it_is_open(process: Process) -> None:
    payment = await typed(process)
    with pytest.raises(CardInUseError):
        await erase_card(process.database, MERCHANT_ID, card_of(payment), NOW)
    assert await process.due.card(MERCHANT_ID, card_of(payment)) == PLAIN
    await finished(process, payment)
    await erase_card(process.database, MERCHANT_ID, card_of(payment), NOW)


@pytest.mark.parametrize("named", ["winner", "loser"])
async def test_cards_that_are_the_same_are_erased_together(process: Process, named: str) -> None:
    winner = await first_version_card(process, TYPED, live={"up-1": "a"})
    loser = await first_version_card(process, PLAIN, created_at=later(seconds=1))
    await rewrapped(process)
    asked = winner if named == "winner" else loser
    erased = await erase_card(process.database, MERCHANT_ID, asked, NOW)
    assert set(erased.cards) == {winner, loser}
    assert await process.one("SELECT count(*) FROM cards WHERE elements IS NOT NULL OR data_key IS NOT NULL") == 0
    assert await process.due.find_card(MERCHANT_ID, "u1", loser) is None
    assert await examine(process.engine, NOW) == []


async def test_a_card_that_may_be_the_same_and_is_not_rewritten_yet_is_named(process: Process) -> None:
    one = await first_version_card(process, TYPED)
    other = await first_version_card(process, PLAIN)
    erased = await erase_card(process.database, MERCHANT_ID, one, NOW)
    assert (erased.cards, erased.perhaps) == ((one,), (other,))
    assert (await erase_card(process.database, MERCHANT_ID, one, NOW)).cards == ()


async def test_a_card_that_nobody_has_is_not_found(process: Process) -> None:
    with pytest.raises(CardNotFoundError):
        await erase_card(process.database, MERCHANT_ID, UUID(int=1), NOW)


async def test_a_late_answer_leaves_no_agreement_on_an_erased_card(process: Process) -> None:
    payment = await typed(process)
    failed = await process.heard_of_card(payment, Declined(FailureCode.AUTHENTICATION_REJECTED, "1", "no"))
    assert payment_in(failed).is_final
    await erase_card(process.database, MERCHANT_ID, card_of(payment), NOW)
    await process.heard_of_card(payment, Authenticated("late"))
    assert await process.count("agreements") == 0
