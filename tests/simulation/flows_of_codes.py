"""The flows in which a payer types a code, gives a card up, or a withhold stands in line."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from gateway.domain.catalogue import AuthenticationMode
from gateway.domain.catalogue_content import MerchantContent
from router.limits import ChannelLimits
from tests.e2e.business import Shown
from tests.e2e.merchants import Change, only
from tests.simulation.payer import WRONG, Payer, StaysProcessingError
from tests.simulation.play import Play
from tests.simulation.script import Script
from tests.simulation.stage import BANK_AT_LIANLIAN, START

__all__ = ["SCRIPTS_OF_CODES", "SIGNS", "narrow"]

PAID: Final = ("succeeded",)
CLOSED: Final = ("closed",)
SEND_BEFORE: Final = START + timedelta(minutes=2)


def _by(mode: AuthenticationMode) -> Change:
    """Only UnionPay, which authenticates so, and signs by SMS where the payer is there."""

    def change(merchant: MerchantContent) -> MerchantContent:
        channels = tuple(
            replace(channel, authentication={"*": mode}) for channel in merchant.channels if channel.code == "unionpay"
        )
        changed = only("unionpay")(merchant)
        return replace(changed, channels=channels, payout_rules=(), primary_signer="unionpay")

    return change


def _one_call_at_once(merchant: MerchantContent) -> MerchantContent:
    return narrow(only("allinpay"))(merchant)


def narrow(other: Change) -> Change:
    """The same, with one call at once on each channel."""

    def change(merchant: MerchantContent) -> MerchantContent:
        changed, limits = other(merchant), ChannelLimits(calls_at_once=1)
        return replace(changed, channels=tuple(replace(channel, limits=limits) for channel in changed.channels))

    return change


SIGNS, _EACH = _by(AuthenticationMode.SMS), _by(AuthenticationMode.SMS_EACH_PAYMENT)
_SILENT = _by(AuthenticationMode.SILENT)


def _charge(play: Play, **changed: Any) -> Shown:
    return play.order(scene="quick_charge", **changed)


# Signing


async def _opens(play: Play, **changed: Any) -> Shown:
    play.codes_asked += 1
    return await play.pay(_charge(play, **changed))


async def _signs_and_pays(play: Play, _: Any) -> None:
    payer, payment = Payer(play), await _opens(play)
    await payer.types(payment, WRONG)
    await payer.types(payment)


async def _types_the_second_code(play: Play, _: Any) -> None:
    payer, payment = Payer(play), await _opens(play)
    await payer.is_asked(payment)
    await payer.wants_another(payment)
    await payer.types(payment)


async def _types_three_wrong_codes(play: Play, _: Any) -> None:
    payer, payment = Payer(play), await _opens(play)
    for _ in range(3):
        await payer.types(payment, WRONG)


async def _closes_what_waits(play: Play, _: Any) -> None:
    await Payer(play).gives_up(await _opens(play))


async def _nobody_types(play: Play, _: Any) -> None:
    await _opens(play)


async def _silent_needs_a_code(play: Play, _: Any) -> None:
    payer, payment = Payer(play), await _opens(play, card=play.card("0071"))
    await payer.types(payment)


async def _silent_needs_a_code_and_nobody_is_there(play: Play, _: Any) -> None:
    await play.pay(play.order(card=play.card("0071")))


async def _two_of_one_card_to_sign(play: Play, _: Any) -> None:
    user, card, payer = play.user(), play.card(), Payer(play)
    play.codes_asked += 1
    orders = [_charge(play, user_id=user, card=card) for _ in range(2)]
    for payment in await asyncio.gather(*(play.pay(order) for order in orders)):
        await payer.types(payment)


async def _signs_by_itself(play: Play, _: Any) -> None:
    play.codes_asked += 1
    payer, user, card = Payer(play), play.user(), play.card()
    authentication = await play.authenticate(user, card)
    await payer.types(authentication)


# A code at each payment


async def _types_a_code_to_pay(play: Play, _: Any) -> None:
    payer, payment = Payer(play), await play.pay(_charge(play))
    await payer.types(payment, WRONG)
    await payer.types(payment)


async def _nobody_types_to_pay(play: Play, _: Any) -> None:
    await play.pay(_charge(play))


async def _closes_what_waits_to_pay(play: Play, _: Any) -> None:
    await Payer(play).gives_up(await play.pay(_charge(play)))


async def _types_a_code_that_paying_sends(play: Play, _: Any) -> None:
    """Where the answer that tells of the SMS is lost nobody knows of it: the order waits at the PSP until it lapses."""
    payer, payment = Payer(play), await play.pay(_charge(play, bank=BANK_AT_LIANLIAN))
    with suppress(StaysProcessingError):
        await payer.types(payment, WRONG)
        await payer.types(payment)


async def _nobody_types_what_paying_sent(play: Play, _: Any) -> None:
    await play.pay(_charge(play, bank=BANK_AT_LIANLIAN))


# Giving a card up


async def _paid_with_its_card(play: Play) -> str:
    payment = await play.pay(play.order())
    await play.rest()
    [card] = (await play.read(f"/v1/cards?user_id={payment['user_id']}"))["data"]
    return str(card["id"])


async def _gives_the_card_up(play: Play, card_id: str) -> None:
    await play.unbind(card_id)


# In line


async def _two_and_one_place(play: Play, **changed: Any) -> None:
    await play.fault("allinpay", "delay", match={"operation": "pay"}, seconds=0.2)
    orders = [play.cheap_order(**changed) for _ in range(2)]
    await asyncio.gather(*(play.pay(order) for order in orders))


async def _stands_in_line(play: Play, _: Any) -> None:
    await _two_and_one_place(play)


async def _stands_in_line_too_long(play: Play, _: Any) -> None:
    await _two_and_one_place(play, send_before=SEND_BEFORE.isoformat())
    play.stage.move_to(SEND_BEFORE + timedelta(seconds=1))


async def _signs_when_the_place_comes(play: Play, _: Any) -> None:
    """Two withholds whose payers are there; one of them stands in line while the other's SMS is sent."""
    play.codes_asked += 2
    await play.fault("unionpay", "delay", match={"operation": "send_code"}, seconds=0.2)
    phones = [f"1390000{play.number() % 10_000:04d}" for _ in range(2)]
    orders = [play.order(customer_present=True, card=play.card() | {"phone": phone}) for phone in phones]
    payments = await asyncio.gather(*(play.pay(order) for order in orders))
    for phone, payment in zip(phones, payments, strict=True):
        await Payer(play, phone).types(payment)


SCRIPTS_OF_CODES: Final = (
    Script(
        "a new card that is signed by SMS, after a wrong code",
        _signs_and_pays,
        merchant=SIGNS,
        pairs=True,
        ends=("succeeded",),
    ),
    Script("a second SMS, and its code", _types_the_second_code, merchant=SIGNS, ends=PAID, codes=2),
    Script("three wrong codes", _types_three_wrong_codes, merchant=SIGNS, ends=("failed",)),
    Script("a payment that is closed while it waits to sign", _closes_what_waits, merchant=SIGNS, ends=CLOSED),
    Script("a payment whose card nobody signs", _nobody_types, merchant=SIGNS, ends=CLOSED),
    Script("a silent authentication that needs a code", _silent_needs_a_code, merchant=_SILENT, ends=PAID),
    Script(
        "a silent authentication that needs a code, and nobody is there",
        _silent_needs_a_code_and_nobody_is_there,
        merchant=_SILENT,
        ends=("failed",),
    ),
    Script("two payments of one card to sign", _two_of_one_card_to_sign, merchant=SIGNS, races=True),
    Script("an authentication by itself", _signs_by_itself, merchant=SIGNS, ends=PAID),
    Script(
        "a payment with a code of its own, after a wrong one",
        _types_a_code_to_pay,
        merchant=_EACH,
        pairs=True,
        ends=("succeeded",),
    ),
    Script("a payment whose own code nobody types", _nobody_types_to_pay, merchant=_EACH, ends=CLOSED),
    Script(
        "a payment that is closed while it waits for its own code",
        _closes_what_waits_to_pay,
        merchant=_EACH,
        ends=("closed",),
    ),
    Script(
        "a code that is sent by asking to pay, after a wrong one",
        _types_a_code_that_paying_sends,
        pairs=True,
        never_proof=True,
        ends=PAID,
    ),
    Script(
        "a code that is sent by asking to pay, and that nobody types",
        _nobody_types_what_paying_sent,
        never_proof=True,
        ends=("requires_action",),
    ),
    Script("a card that is given up", _gives_the_card_up, _paid_with_its_card, ends=PAID),
    Script(
        "a withhold that stands in line",
        _stands_in_line,
        merchant=_one_call_at_once,
        races=True,
        ends=("succeeded", "succeeded"),
    ),
    Script(
        "a withhold in line whose card is signed when its place comes",
        _signs_when_the_place_comes,
        merchant=narrow(SIGNS),
        races=True,
        ends=("succeeded", "succeeded"),
    ),
    Script(
        "a withhold that stands in line too long",
        _stands_in_line_too_long,
        merchant=_one_call_at_once,
        races=True,
        ends=("succeeded", "failed"),
    ),
)
