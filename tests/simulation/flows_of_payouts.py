"""The flows of payouts: paid, lost, held, suspected, given back by a bank; and what they settle."""

import asyncio
from typing import Any, Final

from tests.e2e.business import Shown
from tests.simulation.merchant_in_plays import only_at_noon
from tests.simulation.payout_app import DAYS, PayoutApp, parts_of
from tests.simulation.play import Play
from tests.simulation.script import Act, Script

__all__ = ["SCRIPTS_OF_PAYOUTS"]

SUCCEEDED, FAILED, RETURNED, PROCESSING = ("succeeded",), ("failed",), ("returned",), ("processing",)
PAID: Final = ("succeeded", "succeeded")
"""Two payments that a payout settles."""

# Paid, or not


async def _pays_out(play: Play, _: Any) -> None:
    app = PayoutApp(play)
    await app.pays(app.order("allinpay"))


async def _answer_is_lost(play: Play, _: Any) -> None:
    app = PayoutApp(play)
    await play.fault("unionpay", "reset_after", match={"operation": "payout"})
    payout = await app.pays(app.order("unionpay"))
    await play.call_back("unionpay", payout["amount"])


async def _never_arrives(play: Play, _: Any) -> None:
    app = PayoutApp(play)
    await play.fault("allinpay", "reset_before", match={"operation": "payout"})
    await app.pays(app.order("allinpay"))


async def _never_arrives_at_baofoo(play: Play, _: Any) -> None:
    app = PayoutApp(play)
    await play.fault("baofoo", "reset_before", match={"operation": "payout"})
    await app.pays(app.order("baofoo"))


async def _waits_for_its_window(play: Play, _: Any) -> None:
    app = PayoutApp(play)
    await app.pays(app.order("allinpay"))


# Given back


async def _listed_by_baofoo(play: Play, _: Any) -> None:
    app = PayoutApp(play)
    payout = await app.pays(app.order("baofoo"))
    await app.is_over(2 * DAYS)
    if await app.bank_gives_back("baofoo", payout, "bank_rejected"):
        await app.is_heard_to_be_back(payout)


async def _told_by_cpcn(play: Play, _: Any) -> None:
    app = PayoutApp(play)
    payout = await app.pays(app.order("cpcn", to_a_firm=True))
    await play.call_back("cpcn", payout["amount"])
    await app.is_over(3 * DAYS)
    if await app.bank_gives_back("cpcn", payout, "payee_account_invalid"):
        await play.call_back("cpcn", payout["amount"])


async def _success_then_cancel(play: Play, _: Any) -> None:
    app = PayoutApp(play)
    payout = await app.pays(app.order("lianlian"))
    await play.call_back("lianlian", payout["amount"])
    await app.is_over(DAYS)
    if await app.bank_gives_back("lianlian", payout, "payee_name_mismatch"):
        await play.call_back("lianlian", payout["amount"])


async def _cancel_then_success(play: Play, _: Any) -> None:
    app = PayoutApp(play)
    payout = await app.pays(app.order("lianlian"))
    if await app.bank_gives_back("lianlian", payout, "payee_name_mismatch"):
        await play.call_back("lianlian", payout["amount"])
        await play.call_back("lianlian", payout["amount"], of_success=True)


async def _by_an_operators_word(play: Play, _: Any) -> None:
    app = PayoutApp(play)
    payout = await app.pays(app.order("unionpay"))
    await app.is_over(2 * DAYS)
    if await app.bank_gives_back("unionpay", payout, "payee_account_abnormal"):
        await app.hears_that_it_came_back(payout, "payee_account_abnormal")


# Suspected


async def _paid_before(play: Play) -> Shown:
    app = PayoutApp(play)
    account = {"type": "personal", "account_no": "6222021001100004003", "name": "李四", "bank": "ICBC"}
    return app.order("lianlian", account=account)


async def _suspected_and_confirmed(play: Play, suspected: Shown) -> None:
    app = PayoutApp(play)
    await app.confirms(await app.pays(suspected))


async def _suspected_and_confirmed_in_vain(play: Play, suspected: Shown) -> None:
    """The first confirmation is lost on the way: held again, it is said again."""
    app = PayoutApp(play)
    payout = await app.pays(suspected)
    await play.fault("lianlian", "reset_before", times=1, match={"operation": "payout"})
    await app.confirms(payout)


async def _suspected_and_refused(play: Play, suspected: Shown) -> None:
    app = PayoutApp(play)
    await app.refuses(await app.pays(suspected))


async def _suspected_and_nobody_decides(play: Play, suspected: Shown) -> None:
    app = PayoutApp(play)
    await app.decides_nothing(await app.pays(suspected))


# Settling


async def _two_paid(play: Play) -> list[Shown]:
    """The first by UnionPay, which gives money back; the second at once."""
    payments = [await play.pay(play.order()), await play.pay(play.cheap_order())]
    await play.rest()
    return payments


def _halves(payments: list[Shown]) -> list[tuple[Shown, int]]:
    return [(payment, payment["amount"] // 2) for payment in payments]


async def _settles_by_parts(play: Play, payments: list[Shown]) -> None:
    app, parts = PayoutApp(play), _halves(payments)
    total = sum(amount for _, amount in parts)
    payout = await app.pays(app.order("allinpay", total, hold=True, to_a_firm=True))
    for part in parts:
        await app.settles(payout, part)
    await app.releases(payout)


async def _nobody_releases(play: Play, payments: list[Shown]) -> None:
    app, parts = PayoutApp(play), _halves(payments)
    payout = await app.pays(app.order("allinpay", 1 + sum(amount for _, amount in parts), hold=True))
    await app.settles(payout, *parts)


async def _settles(play: Play, payments: list[Shown], **changed: Any) -> Shown:
    """A payout that pays on two payments whole."""
    app, whole = PayoutApp(play), [(payment, payment["amount"]) for payment in payments]
    total = sum(amount for _, amount in whole)
    return await app.pays(app.order("allinpay", total, settles=parts_of(whole), **changed))


async def _refused_and_given_back(play: Play, payments: list[Shown]) -> None:
    await play.fault("allinpay", "decline", code="3008", match={"operation": "payout"})
    await _settles(play, payments)
    await play.rest()
    await play.refund(payments[0], payments[0]["amount"])


async def _comes_back_and_is_given_back(play: Play, payments: list[Shown]) -> None:
    app, payout = PayoutApp(play), await _settles(play, payments, to_a_firm=True)
    await app.is_over(3 * DAYS)
    await app.bank_gives_back("allinpay", payout, "payee_name_mismatch")
    await play.rest(watched=True)
    await play.refund(payments[0], payments[0]["amount"])


async def _refund_and_settlement_at_once(play: Play, payments: list[Shown]) -> None:
    await asyncio.gather(_settles(play, payments), play.refund(payments[0], payments[0]["amount"] // 2))


async def _refund_whose_answer_is_lost_and_a_settlement(play: Play, payments: list[Shown]) -> None:
    await play.fault("unionpay", "reset_after", match={"operation": "refund"})
    refund = await play.refund(payments[0], payments[0]["amount"] // 2)
    app, rest = PayoutApp(play), payments[0]["amount"] - refund["amount"]
    await app.pays(app.order("allinpay", rest, settles=parts_of([(payments[0], rest)])))


def _suspects(name: str, act: Act, end: tuple[str, ...]) -> Script:
    return Script(name, act, _paid_before, ends=end)


SCRIPTS_OF_PAYOUTS: Final = (
    Script("a payout", _pays_out, ends=SUCCEEDED, pairs=True),
    Script("a payout whose answer is lost", _answer_is_lost, ends=SUCCEEDED),
    Script("a payout that never arrives", _never_arrives, ends=FAILED, watched=True),
    Script(
        "a payout that never arrives at Baofoo, whose word is never proof",
        _never_arrives_at_baofoo,
        ends=PROCESSING,
        never_proof=True,
    ),
    Script("a payout that waits for its window", _waits_for_its_window, merchant=only_at_noon, ends=SUCCEEDED),
    Script("a payout that Baofoo lists as returned", _listed_by_baofoo, ends=RETURNED),
    Script("a payout of which CPCN tells that it came back", _told_by_cpcn, ends=RETURNED, watched=True),
    Script("a payout of which LianLian tells SUCCESS, then CANCEL", _success_then_cancel, ends=RETURNED, watched=True),
    Script("a payout of which LianLian tells CANCEL, then SUCCESS", _cancel_then_success, ends=RETURNED, watched=True),
    Script("a payout that came back by an operator's word", _by_an_operators_word, ends=RETURNED),
    _suspects("a payout that is suspected and confirmed", _suspected_and_confirmed, SUCCEEDED),
    _suspects("a payout whose confirmation is lost", _suspected_and_confirmed_in_vain, SUCCEEDED),
    _suspects("a payout that is suspected and refused", _suspected_and_refused, FAILED),
    _suspects("a payout that is suspected, and nobody decides", _suspected_and_nobody_decides, FAILED),
    Script(
        "a payout that is held, settles two payments by parts and is released",
        _settles_by_parts,
        _two_paid,
        ends=(*PAID, "succeeded"),
    ),
    Script("a payout that nobody releases", _nobody_releases, _two_paid, ends=(*PAID, "failed"), steady=True),
    Script(
        "a payout that is refused, and what it settled is given back",
        _refused_and_given_back,
        _two_paid,
        ends=(*PAID, "failed", "succeeded"),
    ),
    Script(
        "a payout that comes back after three days, and what it settled is given back",
        _comes_back_and_is_given_back,
        _two_paid,
        ends=(*PAID, "returned", "succeeded"),
        watched=True,
    ),
    Script("a refund and a settlement of one payment at once", _refund_and_settlement_at_once, _two_paid, races=True),
    Script(
        "a refund whose answer is lost, and a settlement of the rest",
        _refund_whose_answer_is_lost_and_a_settlement,
        _two_paid,
        ends=(*PAID, "succeeded", "succeeded"),
    ),
)
