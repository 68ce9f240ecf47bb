"""The flows in which a payer pays on a page of a bank, or a custody bank charges, or neither happens."""

import asyncio
from datetime import timedelta
from typing import Any, Final

from gateway.domain.catalogue_content import MerchantContent
from tests.e2e.business import Shown
from tests.e2e.merchants import only
from tests.simulation.flows_of_codes import CLOSED, PAID, narrow
from tests.simulation.page_payer import PagePayer
from tests.simulation.payer import Payer
from tests.simulation.play import Play
from tests.simulation.script import Act, Script
from tests.simulation.stage import BANK_AT_CPCN, GRACE_S

__all__ = ["SCRIPTS_ON_PAGES"]

MINUTE: Final = timedelta(minutes=1)
OVER: Final = timedelta(seconds=900 + GRACE_S + 60)
"""From when on no page of a play can be paid, and its PSP has had time to say so."""
_YEEPAY, _UNIONPAY = only("yeepay"), only("unionpay")


async def _waits(play: Play, **changed: Any) -> tuple[Shown, PagePayer]:
    payment = await play.pay(play.page_order(**changed))
    return payment, PagePayer(play, payment)


async def _time_passes(play: Play, by: timedelta = MINUTE) -> None:
    """So that the PSP is asked meanwhile."""
    await play.work()
    play.stage.move_to(play.stage.now + by)
    await play.work()


# Net-bank: paid


async def _pays_comes_back_and_the_bank_tells(play: Play, _: Any) -> None:
    payment, payer = await _waits(play)
    await payer.opens()
    await _time_passes(play)
    await payer.pays()
    await payer.comes_back()
    await play.call_back("yeepay", payment["amount"])


async def _pays_and_comes_back(play: Play, _: Any) -> None:
    _, payer = await _waits(play)
    await payer.pays()
    await payer.comes_back()
    await payer.comes_back()


async def _pays_and_closes_the_tab(play: Play, _: Any) -> None:
    payment, payer = await _waits(play)
    await payer.pays()
    await play.call_back("yeepay", payment["amount"])


async def _pays_and_nobody_tells(play: Play, _: Any) -> None:
    _, payer = await _waits(play)
    await _time_passes(play)  # nobody has been there so far, and the PSP knows of no order
    await payer.pays()


# Net-bank: not paid


async def _opens_lies_and_leaves(play: Play, _: Any) -> None:
    _, payer = await _waits(play)
    await payer.opens()
    await payer.presses("cancel")
    await payer.brings_a_lie()
    await _time_passes(play)


async def _opens_in_its_last_minute(play: Play, _: Any) -> None:
    _, payer = await _waits(play, expires_in_s=3600)
    await _time_passes(play, 59 * MINUTE)
    await payer.opens()


async def _never_goes_there(play: Play, _: Any) -> None:
    await _waits(play)


async def _app_closes_it(play: Play, _: Any) -> None:
    payment, payer = await _waits(play)
    await payer.opens()
    await Payer(play).gives_up(payment)


# Net-bank: too late


async def _pays_just_before_the_app_closes_it(play: Play, _: Any) -> None:
    payment, payer = await _waits(play)
    await payer.pays()
    await Payer(play).gives_up(payment)


async def _pays_while_the_app_closes_it(play: Play, _: Any) -> None:
    payment, payer = await _waits(play)
    await payer.opens()
    await asyncio.gather(payer.presses("pay"), Payer(play).gives_up(payment))
    await _time_passes(play)


async def _pays_after_its_time(play: Play, _: Any) -> None:
    _, payer = await _waits(play)
    await payer.opens()
    await play.rest()
    await play.fault("yeepay", "pay_closed")
    await payer.presses("pay")
    await payer.comes_back()


async def _pays_what_the_app_has_closed(play: Play, _: Any) -> None:
    payment, payer = await _waits(play)
    await payer.opens()
    await Payer(play).gives_up(payment)
    await play.fault("yeepay", "pay_closed")
    await payer.presses("pay")
    await play.call_back("yeepay", payment["amount"])


# Net-bank, elsewhere: two payers each, one beside the other


async def _both_pay_at_unionpay(play: Play, _: Any) -> None:
    """Everybody tells of the first; of the other its payer alone, twice."""
    first, payer = await _waits(play)
    await payer.opens()
    await _time_passes(play)
    await payer.pays()
    await payer.comes_back()
    await play.call_back("unionpay", first["amount"])
    _, payer = await _waits(play)
    await payer.pays()
    await payer.comes_back()
    await payer.comes_back()


async def _both_leave_unionpay(play: Play, _: Any) -> None:
    """And one of them pays when its time is over, and its grace."""
    _, leaves = await _waits(play)
    await leaves.opens()
    await leaves.presses("cancel")
    payment, late = await _waits(play)
    await late.opens()
    await play.rest()
    await play.fault("unionpay", "pay_closed")
    await late.presses("pay")
    await late.comes_back()
    await play.call_back("unionpay", payment["amount"])


async def _one_pays_at_cpcn_and_one_leaves(play: Play, _: Any) -> None:
    payment, payer = await _waits(play, bank=BANK_AT_CPCN)
    _, leaves = await _waits(play, bank=BANK_AT_CPCN)
    await leaves.opens()
    await leaves.presses("cancel")
    await payer.opens()
    await _time_passes(play)
    await payer.pays()
    await play.call_back("cpcn", payment["amount"])
    await _time_passes(play, OVER)


# Through the custody bank, on its page


async def _recharges(play: Play, _: Any) -> None:
    payment, payer = await _waits(play, scene="custody_quick_charge", user_id=await play.custody_user())
    await _time_passes(play)
    await payer.pays()
    await payer.comes_back()
    await play.call_back("lanmao", payment["amount"])


async def _recharges_without_the_money(play: Play, _: Any) -> None:
    _, payer = await _waits(play, scene="custody_quick_charge", user_id=await play.custody_user())
    await payer.opens()
    await payer.presses("insufficient")
    await payer.comes_back()


async def _leaves_the_custody_bank(play: Play, _: Any) -> None:
    _, payer = await _waits(play, scene="custody_quick_charge", user_id=await play.custody_user())
    await payer.opens()
    await payer.presses("cancel")
    await _time_passes(play)
    await _time_passes(play, OVER)


async def _recharges_from_any_bank(play: Play, _: Any) -> None:
    user = await play.custody_user()
    payment, payer = await _waits(play, scene="custody_netbank_charge", user_id=user, bank=None)
    await payer.opens()
    await payer.presses("insufficient")  # another bank may do
    await payer.pays()
    await play.call_back("lanmao", payment["amount"])


# Through the custody bank, by what was authorised there


async def _authorised(play: Play, **bank: Any) -> str:
    return await play.custody_user(authorised=["RECHARGE"], **bank)


async def _custody_withhold(play: Play, _: Any) -> None:
    await play.pay(play.page_order("custody_withhold", user_id=await _authorised(play)))


async def _custody_answer_is_lost(play: Play, _: Any) -> None:
    await play.fault("lanmao", "reset_after", match={"operation": "pay"})
    await play.pay(play.page_order("custody_withhold", user_id=await _authorised(play)))


async def _another_company_takes_it(play: Play, _: Any) -> None:
    """The card is bound at the bank, but the company that is cheaper refuses its holder: the next goes elsewhere."""
    user = await _authorised(play, refused_by=["YEEPAY"])
    for _ in range(2):
        await play.pay(play.page_order("custody_withhold", user_id=user))
        await play.rest()


async def _custody_stands_in_line(play: Play, _: Any) -> None:
    await play.fault("lanmao", "delay", match={"operation": "pay"}, seconds=0.2)
    orders = [play.page_order("custody_withhold", user_id=await _authorised(play)) for _ in range(2)]
    await asyncio.gather(*(play.pay(order) for order in orders))


def _on_yeepay(name: str, act: Act, ends: tuple[str, ...], *, pairs: bool = False) -> Script:
    return Script(name, act, merchant=_YEEPAY, ends=ends, steady=True, pairs=pairs)


def _on_unionpay(name: str, act: Act, end: str) -> Script:
    return Script(name, act, merchant=_UNIONPAY, ends=(end, end), steady=True)


def _one_call_at_once(merchant: MerchantContent) -> MerchantContent:
    return narrow(only("custody_yeepay"))(merchant)


SCRIPTS_ON_PAGES: Final = (
    _on_yeepay(
        "a page that is opened twice and paid, and everybody tells",
        _pays_comes_back_and_the_bank_tells,
        PAID,
        pairs=True,
    ),
    _on_yeepay("a page that is paid, and only the payer comes back", _pays_and_comes_back, PAID),
    _on_yeepay("a page that is paid, and only the bank tells", _pays_and_closes_the_tab, PAID),
    _on_yeepay("a page that is paid, and nobody tells", _pays_and_nobody_tells, PAID),
    _on_yeepay("a page that is left, after a lie", _opens_lies_and_leaves, CLOSED),
    _on_yeepay("a page that is opened in its last minute", _opens_in_its_last_minute, CLOSED),
    _on_yeepay("a page that nobody opens", _never_goes_there, CLOSED),
    _on_yeepay("a page that the app closes", _app_closes_it, CLOSED),
    _on_yeepay("a page that is paid just before it is closed", _pays_just_before_the_app_closes_it, PAID),
    Script("a page that is paid while it is closed", _pays_while_the_app_closes_it, merchant=_YEEPAY, races=True),
    _on_yeepay("a page that is paid after its time", _pays_after_its_time, CLOSED),
    _on_yeepay("a page that is paid after the app has closed it", _pays_what_the_app_has_closed, CLOSED),
    _on_unionpay("two pages of UnionPay's that are paid", _both_pay_at_unionpay, "succeeded"),
    _on_unionpay(
        "two pages of UnionPay's that are left, and one is paid after its time", _both_leave_unionpay, "closed"
    ),
    Script(
        "two pages at CPCN, one that is paid and one that is left",
        _one_pays_at_cpcn_and_one_leaves,
        never_proof=True,
        ends=("succeeded", "requires_action"),
        steady=True,
    ),
    Script("a recharge on the custody bank's page", _recharges, ends=PAID, steady=True),
    Script(
        "a recharge that is refused on the custody bank's page",
        _recharges_without_the_money,
        ends=("failed",),
        steady=True,
    ),
    Script(
        "a recharge that is left on the custody bank's page",
        _leaves_the_custody_bank,
        never_proof=True,
        ends=("requires_action",),
        steady=True,
    ),
    Script("a recharge from any bank, at the second try", _recharges_from_any_bank, ends=PAID, steady=True),
    Script("a custody withhold", _custody_withhold, ends=PAID),
    Script("a custody withhold whose answer is lost", _custody_answer_is_lost, ends=PAID),
    Script("a custody withhold that one company refuses", _another_company_takes_it, ends=("failed", "succeeded")),
    Script(
        "a custody withhold that stands in line",
        _custody_stands_in_line,
        merchant=_one_call_at_once,
        races=True,
        ends=("succeeded", "succeeded"),
    ),
)
