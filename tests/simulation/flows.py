"""The flows that are played with a crash at every outside action. README.md says how to add one."""

import asyncio
from typing import Any, Final

from tests.e2e.business import Shown
from tests.e2e.merchants import only
from tests.simulation.asked import address_of
from tests.simulation.checkout_payer import CheckoutPayer
from tests.simulation.flows_at_checkouts import SCRIPTS_AT_CHECKOUTS
from tests.simulation.flows_of_codes import SCRIPTS_OF_CODES
from tests.simulation.flows_of_corrections import SCRIPTS_OF_CORRECTIONS
from tests.simulation.flows_of_payouts import SCRIPTS_OF_PAYOUTS
from tests.simulation.flows_of_routes import SCRIPTS_OF_ROUTES
from tests.simulation.flows_on_pages import SCRIPTS_ON_PAGES
from tests.simulation.play import Play
from tests.simulation.script import Script

__all__ = ["REHEARSAL", "SCRIPTS"]

SINGLE: Final = 20_000
"""What the limited merchant takes of a user on one day."""

# Paying


async def _withhold(play: Play, _: Any) -> None:
    await play.pay(play.cheap_order())


async def _withhold_of_a_new_card(play: Play, _: Any) -> None:
    await play.pay(play.order())


async def _charge_that_is_called_back(play: Play, _: Any) -> None:
    paid = await play.pay(play.order(scene="quick_charge"))
    await play.call_back("unionpay", paid["amount"])
    await play.call_back("unionpay", paid["amount"])


async def _two_of_one_new_card(play: Play, _: Any) -> None:
    user, card = play.user(), play.card()
    orders = [play.order(user_id=user, card=card) for _ in range(2)]
    await asyncio.gather(*(play.pay(order, at=place % play.at_once) for place, order in enumerate(orders)))


async def _two_at_a_limit(play: Play, _: Any) -> None:
    user, card = play.user(), play.card()
    orders = [play.cheap_order(user_id=user, card=card, amount=SINGLE - 100 - place) for place in range(2)]
    await asyncio.gather(*(play.pay(order) for order in orders))


# Refusals


async def _declined_in_the_end(play: Play, _: Any) -> None:
    await play.pay(play.order(card=play.card("0061")))


async def _declined_at_once(play: Play, _: Any) -> None:
    await play.pay(play.cheap_order(card=play.card("3008")))


async def _card_that_is_refused(play: Play, _: Any) -> None:
    await play.pay(play.order(card=play.card("0066")))


# What is lost


async def _answer_is_lost(play: Play, _: Any) -> None:
    await play.fault("unionpay", "reset_after", match={"operation": "pay"})
    await play.pay(play.order())


async def _order_never_arrives(play: Play, _: Any) -> None:
    await play.fault("allinpay", "reset_before", match={"operation": "pay"})
    await play.pay(play.cheap_order())


async def _word_of_the_card_is_lost(play: Play, _: Any) -> None:
    await play.fault("unionpay", "reset_after", match={"operation": "authenticate"})
    await play.pay(play.order())


async def _card_never_arrives(play: Play, _: Any) -> None:
    await play.fault("unionpay", "reset_before", match={"operation": "authenticate"})
    await play.pay(play.order())


async def _success_comes_too_late(play: Play, _: Any) -> None:
    await play.fault("unionpay", "reset_after", match={"operation": "pay"})
    await play.fault("unionpay", "not_found", times=None, match={"operation": "query"}, seconds=1)
    paid = await play.pay(play.order())
    await play.rest()
    await play.call_back("unionpay", paid["amount"])


async def _receiver_is_down_at_first(play: Play, _: Any) -> None:
    play.stage.receiver.fails = 2
    await play.pay(play.cheap_order())


# Refunds


async def _paid(play: Play) -> Shown:
    payment = await play.pay(play.order())
    await play.rest()
    return payment


async def _refund(play: Play, paid: Shown) -> None:
    await play.refund(paid, paid["amount"] // 2)


async def _refund_whose_answer_is_lost(play: Play, paid: Shown) -> None:
    await play.fault("unionpay", "reset_after", match={"operation": "refund"})
    refund = await play.refund(paid, 700)
    await play.call_back("unionpay", refund["amount"])


async def _refund_that_came_back(play: Play, paid: Shown) -> None:
    """No company tells of it: an operator does, and it is made again."""
    refund = await play.refund(paid, paid["amount"] // 2)
    await play.rest()
    told = {"object_id": refund["id"], "says": "returned", "return_reason": "payee_account_abnormal"}
    if (await play.read(address_of(refund)))["status"] == "succeeded":  # of what was never sent nobody says so
        await play.operate(refund, "observations", told | {"by": "ops", "note": "a letter"})
    await play.refund(paid, paid["amount"] // 2 - 1)


async def _two_refunds_of_more_than_there_is(play: Play, paid: Shown) -> None:
    more_than_half = paid["amount"] // 2 + 1
    await asyncio.gather(*(play.refund(paid, more_than_half + place) for place in range(2)))


async def _rehearses(play: Play, _: Any) -> None:
    paid = await play.pay(play.order(scene="quick_charge"))
    await play.call_back("unionpay", paid["amount"])
    await play.pay(play.cheap_order())
    await play.rest()
    await play.refund(paid, 100)
    payer = CheckoutPayer(play, await play.open_checkout())
    await payer.pays_with(play.card())
    await payer.looks()


REHEARSAL: Final = Script("a rehearsal, so that those who come later start warm", _rehearses)

SCRIPTS: Final = (
    Script("a withhold that is answered at once", _withhold, pairs=True),
    Script("a withhold whose card is authenticated silently", _withhold_of_a_new_card, pairs=True),
    Script("a charge that is called back twice", _charge_that_is_called_back),
    Script("two payments of one new card at once", _two_of_one_new_card, races=True),
    Script("two payments of one new card at once on two processes", _two_of_one_new_card, at_once=2, races=True),
    Script(
        "two payments at a daily limit",
        _two_at_a_limit,
        merchant=only("allinpay", daily_limit=SINGLE),
        daily_limit=SINGLE,
        races=True,
    ),
    Script("a payment that is declined in the end", _declined_in_the_end),
    Script("a payment that is declined at once", _declined_at_once),
    Script("a card that is refused", _card_that_is_refused),
    Script("a payment whose answer is lost", _answer_is_lost),
    Script("a payment that never arrives", _order_never_arrives, watched=True),
    Script("a payment that never arrives, at a PSP whose word is never proof", _order_never_arrives, never_proof=True),
    Script("an authentication whose answer is lost", _word_of_the_card_is_lost),
    Script("an authentication that never arrives", _card_never_arrives),
    Script("a success that comes after the proof of failure", _success_comes_too_late, lies=True),
    Script("a receiver that is down at first", _receiver_is_down_at_first),
    Script("a refund", _refund, _paid, pairs=True),
    Script("a refund whose answer is lost", _refund_whose_answer_is_lost, _paid),
    Script(
        "a refund that came back by an operator's word, and is made again",
        _refund_that_came_back,
        _paid,
        ends=("succeeded", "returned", "succeeded"),
    ),
    Script("two refunds of more than there is", _two_refunds_of_more_than_there_is, _paid, races=True),
    *SCRIPTS_OF_CODES,
    *SCRIPTS_ON_PAGES,
    *SCRIPTS_OF_ROUTES,
    *SCRIPTS_AT_CHECKOUTS,
    *SCRIPTS_OF_PAYOUTS,
    *SCRIPTS_OF_CORRECTIONS,
)
