"""Withholds in line whose payer must type a code: asked for it when their place comes, and not before; each once.

On a real PostgreSQL, with the real books and flows and a PSP that counts. Not tested here: the line itself
(test_line.py), what payers may wish (test_payer_acts.py).
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gateway.domain.codes import EXPIRES_IN_S, SIGNING_TIME
from gateway.domain.outcomes import SmsNeeded
from gateway.domain.payments import Payment
from gateway.flows.payer import ActRefusedError
from gateway.ports import ActRefusal
from gateway.storage.reading.doctor import examine
from gateway.storage.server.engine import create_engine
from gateway.workers.line import LEASE_S
from tests.databases import Server, own_url
from tests.storage.payers import EACH, SILENT, SMS, place, that_can
from tests.storage.senders import (
    BIND_REFUSED,
    DUE_AFTER_S,
    FIRST,
    LOST_ANSWER,
    CodeRequest,
    Flush,
    Gateway,
    Place,
    Psp,
    Request,
    Town,
    new,
)
from tests.unit.domain.samples import NOW, card_elements

SMS_TO_SIGN, SIGN, SMS_TO_PAY = CodeRequest
BIND, PAY = Request.BIND, Request.PAY
AN_HOUR_S = 3600.0
CODE = "123456"

WAYS: dict[str, tuple[Any, dict[str, bool], list[Any], list[Any]]] = {
    "by an SMS that signs": (SMS, {}, [SMS_TO_SIGN], [SIGN, PAY]),
    "by an SMS for each": (EACH, {}, [SMS_TO_PAY], [PAY]),
    "by an SMS that asking to pay sends": (EACH, {"by_pay": True}, [PAY], [PAY]),
}
"""How a channel authenticates: what it is asked before its payer waits for a code, and after the code."""


@pytest.fixture(scope="module")
async def url(postgres: Server, template: str) -> AsyncIterator[str]:
    async with own_url(postgres, template) as url:
        yield url


@pytest.fixture(scope="module")
async def town_place(url: str) -> AsyncIterator[Place]:
    place = Place(url)
    yield place
    await place.close()


@pytest.fixture
async def town(town_place: Place, url: str) -> AsyncIterator[Town]:
    """Whatever a test does, the books are sound after it."""
    town = Town(town_place)
    await town.begin()
    town.catalogue, town.carries_of = place(SMS), that_can()
    yield town
    await town.close()
    engine = create_engine(url, 2)
    try:
        assert await examine(engine, NOW) == []
    finally:
        await engine.dispose()


@pytest.fixture
def psp(town: Town) -> Psp:
    return town.psp


@pytest.fixture
def gateway(town: Town) -> Gateway:
    return town.gateway(at_once=2)


@pytest.fixture
def other(town: Town) -> Gateway:
    """Another process."""
    return town.gateway(at_once=2)


def goes(town: Town, way: str) -> tuple[list[Any], list[Any]]:
    """From now on the channel authenticates so."""
    mode, ways, before, after = WAYS[way]
    town.catalogue, town.carries_of = place(mode), that_can(**ways)
    if ways.get("by_pay"):
        town.psp.says(PAY, SmsNeeded("given", sent=True), *town.psp._says[PAY])
    return before, after


async def in_line(gateway: Gateway, *orders: str, **known: Any) -> None:
    """Hand in orders of a payer who is there while all places are taken."""
    holders = gateway.fills_its_places(1)
    for order_no in orders or (FIRST,):
        assert await gateway.pay(order_no, **({"customer_present": True} | known)) == new("processing")
    for holder in holders:
        gateway.rooms.leave(holder)


async def sms_counted(town: Town) -> int:
    async with town._database.connection() as connection:
        return int(await connection.fetchval("SELECT coalesce(sum(sent), 0) FROM code_counts"))


async def events(town: Town) -> list[str]:
    async with town._database.connection() as connection:
        return [row[0] for row in await connection.fetch("SELECT type FROM events ORDER BY sequence")]


def waits_s(payment: Payment, town: Town) -> float:
    """For how much longer the payer may type the code."""
    assert payment.until_at is not None
    return (payment.until_at - town.now()).total_seconds()


# --- when its place comes ---


@pytest.mark.parametrize("way", WAYS)
async def test_its_payer_is_asked_when_its_place_comes_and_not_before(
    town: Town, gateway: Gateway, psp: Psp, way: str
) -> None:
    before, after = goes(town, way)
    send_before = NOW + timedelta(seconds=2 * AN_HOUR_S)
    await in_line(gateway, send_before=send_before)
    waiting = await town.payment(FIRST)
    assert (waiting.waits_for_place, waiting.until_at, psp.heard) == (True, send_before, [])
    assert (await sms_counted(town), await events(town), (await town.books()).to_bind) == (0, [], 0)
    town.pass_time(AN_HOUR_S)
    held = psp.holds(before[0])
    await gateway.looks_at_the_line()
    await held.reached()
    assert (await town.payment(FIRST)).until_at is None  # it stands in line no more
    held.release()
    await gateway.line_is_quiet()
    assert (await town.says(), psp.heard) == ("requires_action", before)
    assert (await sms_counted(town), await events(town)) == (1, ["payment.requires_action"])
    asked = await town.payment(FIRST)
    time_s = SIGNING_TIME.total_seconds() if way == "by an SMS that signs" else EXPIRES_IN_S
    assert asked.asked is not None
    assert asked.asked.phone == "138****0000"
    assert time_s - 1 < waits_s(asked, town) <= time_s
    assert await gateway.types(CODE) == "succeeded"
    assert psp.heard == before + after
    assert await events(town) == ["payment.requires_action", "payment.succeeded"]


@pytest.mark.parametrize("way", WAYS)
async def test_a_code_that_nobody_types_closes_it(town: Town, gateway: Gateway, psp: Psp, way: str) -> None:
    goes(town, way)
    await in_line(gateway, expires_in_s=120)
    town.pass_time(300)
    await gateway.serves_the_line()
    assert await town.says() == "requires_action"
    assert 119 < waits_s(await town.payment(FIRST), town) <= 120
    town.pass_time(130)
    psp.says(Request.ASK, BIND_REFUSED)
    await gateway.follows_up()
    assert await town.says() == "closed"


async def test_with_a_place_its_payer_is_asked_at_once(gateway: Gateway, psp: Psp) -> None:
    assert await gateway.pay(customer_present=True) == new("requires_action")
    assert psp.heard == [SMS_TO_SIGN]


async def test_a_card_that_is_bound_meanwhile_is_paid_with_at_once(town: Town, gateway: Gateway, psp: Psp) -> None:
    await in_line(gateway)
    elsewhere = town.gateway()
    await elsewhere.pay("signs", customer_present=True)
    assert await elsewhere.types(CODE, "signs") == "succeeded"
    psp.heard.clear()
    await gateway.serves_the_line()
    assert (await town.says(), psp.heard, psp.paid_with[-1]) == ("succeeded", [PAY], "token-1")


async def test_a_card_that_must_be_signed_before_each_code_to_pay_is_signed_first(
    town: Town, gateway: Gateway, psp: Psp
) -> None:
    town.catalogue, town.carries_of = place(EACH), that_can(code_wants_agreement=True, silent=False)
    await in_line(gateway)
    town.pass_time(1200)
    await gateway.serves_the_line()
    assert await gateway.types(CODE) == "requires_action"
    assert EXPIRES_IN_S - 60 < waits_s(await town.payment(FIRST), town) <= EXPIRES_IN_S
    assert await gateway.types(CODE) == "succeeded"
    assert psp.heard == [SMS_TO_SIGN, SIGN, SMS_TO_PAY, PAY]
    assert await sms_counted(town) == 2


async def test_a_silent_way_that_needs_a_code_after_all_gives_its_payer_the_whole_time(
    town: Town, gateway: Gateway, psp: Psp
) -> None:
    town.catalogue = place(SILENT)
    psp.says(BIND, SmsNeeded())
    await in_line(gateway)
    town.pass_time(1200)
    await gateway.serves_the_line()
    assert (await town.says(), psp.heard) == ("requires_action", [BIND, SMS_TO_SIGN])
    assert waits_s(await town.payment(FIRST), town) > SIGNING_TIME.total_seconds() - 1
    assert await gateway.types(CODE) == "succeeded"


# --- what is looked at again ---


async def test_another_that_signs_the_card_by_then_has_the_claim(town: Town, gateway: Gateway, psp: Psp) -> None:
    await in_line(gateway)
    elsewhere = town.gateway()
    assert await elsewhere.pay("signs", customer_present=True) == new("requires_action")
    await gateway.serves_the_line()
    assert (await town.says(), psp.heard) == ("failed: signing_in_progress/platform", [SMS_TO_SIGN])
    assert await elsewhere.types(CODE, "signs") == "succeeded"
    assert await sms_counted(town) == 1


async def test_of_two_withholds_of_one_card_that_leave_the_line_together_one_asks(
    town: Town, gateway: Gateway, psp: Psp
) -> None:
    await in_line(gateway, "a", "b")
    gateway.at_once = 10
    await gateway.serves_the_line()
    assert {await town.says(each) for each in "ab"} == {"requires_action", "failed: signing_in_progress/platform"}
    assert psp.heard == [SMS_TO_SIGN]


async def test_a_primary_channel_that_is_another_by_then_fails_it_and_its_payer_hears_nothing(
    town: Town, gateway: Gateway, psp: Psp
) -> None:
    await in_line(gateway)
    town.catalogue = place(SMS, primary="tl")
    await gateway.serves_the_line()
    assert (await town.says(), psp.heard) == ("failed: card_needs_signing/platform", [])
    assert await events(town) == ["payment.failed"]


async def test_a_channel_that_asks_for_a_code_by_then_fails_one_whose_payer_is_not_there(
    town: Town, gateway: Gateway, psp: Psp
) -> None:
    town.catalogue = place(SILENT)
    for order_no, mode in (("a", SMS), ("b", EACH)):
        await in_line(gateway, order_no, customer_present=False)
        town.catalogue = place(mode)
        await gateway.serves_the_line()
        assert await town.says(order_no) == "failed: card_needs_signing/platform"
        town.catalogue = place(SILENT)
    assert psp.heard == []


async def test_a_phone_that_had_its_codes_by_then_gets_no_more(town: Town, gateway: Gateway, psp: Psp) -> None:
    town.catalogue = place(SMS, sms_per_day=1)
    await in_line(gateway)
    same_phone = replace(card_elements(7), phone=card_elements().phone)
    await town.gateway().pay("another", user_id="u7", card=same_phone, customer_present=True)
    await gateway.serves_the_line()
    assert (await town.says(), psp.heard) == ("failed: too_many_tries/payer", [SMS_TO_SIGN])
    assert await sms_counted(town) == 1


async def test_a_phone_that_had_its_codes_may_stand_in_line_until_the_next_day(town: Town, gateway: Gateway) -> None:
    town.catalogue = place(SMS, sms_per_day=1)
    same_phone = replace(card_elements(7), phone=card_elements().phone)
    await gateway.pay("another", user_id="u7", card=same_phone, customer_present=True)
    assert await gateway.pay("no place is needed", customer_present=True) == new("failed: too_many_tries/payer")
    await in_line(gateway)


# --- given up ---


@pytest.mark.parametrize("way", WAYS)
async def test_one_that_is_too_late_fails_by_our_doing_and_its_payer_hears_nothing(
    town: Town, gateway: Gateway, psp: Psp, way: str
) -> None:
    goes(town, way)
    await in_line(gateway)
    town.pass_time(AN_HOUR_S)
    await gateway.serves_the_line()
    assert (await town.says(), psp.heard, await sms_counted(town)) == ("failed: channel_unavailable/platform", [], 0)


async def test_it_cannot_be_closed_in_line_and_can_when_its_payer_was_asked(town: Town, gateway: Gateway) -> None:
    await in_line(gateway)
    with pytest.raises(ActRefusedError) as refused:
        await gateway.gives_up()
    assert refused.value.why is ActRefusal.NOT_WAITING
    assert await gateway.types(CODE) == "processing"  # no code is needed, so none is sent
    await gateway.serves_the_line()
    assert await gateway.gives_up() == "closed"


# --- whatever happens, one SMS ---


@pytest.mark.parametrize("way", WAYS)
async def test_the_answer_to_its_commit_is_lost_and_one_sms_is_sent(
    town: Town, gateway: Gateway, psp: Psp, way: str
) -> None:
    before, _ = goes(town, way)
    await in_line(gateway)
    gateway.loses_commit(Flush.RECORDING)
    await gateway.serves_the_line()
    assert (await town.says(), psp.heard, await sms_counted(town)) == ("requires_action", before, 1)


@pytest.mark.parametrize("way", WAYS)
async def test_a_process_that_dies_after_the_commit_leaves_a_payer_who_waits_and_no_second_sms(
    town: Town, gateway: Gateway, other: Gateway, psp: Psp, way: str
) -> None:
    goes(town, way)
    await in_line(gateway)
    transactions = gateway._transactions[Flush.RECORDING]
    transactions.dies = True
    await gateway.looks_at_the_line()
    await asyncio.wait_for(transactions.dying.wait(), 60)
    await gateway.close()
    await other.serves_the_line()
    town.pass_time(DUE_AFTER_S)
    psp.says(Request.ASK, LOST_ANSWER)
    await other.follows_up()
    await other.serves_the_line()
    assert {*psp.heard} <= {Request.ASK}
    assert await town.says() == ("processing" if WAYS[way][1] else "requires_action")
    assert await sms_counted(town) == 1


@pytest.mark.parametrize("way", WAYS)
async def test_two_processes_at_one_line_ask_once(
    town: Town, gateway: Gateway, other: Gateway, psp: Psp, way: str
) -> None:
    before, _ = goes(town, way)
    await in_line(gateway)
    held = gateway.hold_up(Flush.RECORDING)
    await gateway.looks_at_the_line()
    await held.reached()  # recorded, and not yet known
    town.pass_time(LEASE_S + 1)
    await other.serves_the_line()
    held.release()
    await gateway.line_is_quiet()
    # By then it was too old to be sent.
    assert psp.heard == []
    await in_line(gateway, "next")
    await asyncio.gather(gateway.serves_the_line(), other.serves_the_line())
    assert psp.heard == before
