"""The flows of checkouts: their payers act on our pages, which any gateway shows."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from gateway.domain.catalogue_content import MerchantContent
from router.fees import FixedFee
from tests.e2e.business import Shown
from tests.e2e.merchants import only
from tests.simulation.checkout_payer import CheckoutPayer
from tests.simulation.flows_of_codes import SIGNS
from tests.simulation.payer import WRONG
from tests.simulation.play import Play
from tests.simulation.script import Script
from tests.simulation.stage import BANK

__all__ = ["SCRIPTS_AT_CHECKOUTS"]

SUCCEEDED, EXPIRED, CANCELED = ("succeeded",), ("expired",), ("canceled",)
_YEEPAY: Final = only("yeepay")
SECOND: Final = "unionpay_dear"


def _two_channels(merchant: MerchantContent) -> MerchantContent:
    """UnionPay as two channels of one account, of which one is dearer."""
    channel = next(each for each in merchant.channels if each.code == "unionpay")
    rules = [each for each in merchant.rules if each.channel == "unionpay"]
    dearer = [replace(each, channel=SECOND, fee=FixedFee(90_000)) for each in rules]
    return replace(merchant, channels=(*merchant.channels, replace(channel, code=SECOND)), rules=(*rules, *dearer))


async def _opens(play: Play, **changed: Any) -> tuple[Shown, CheckoutPayer]:
    checkout = await play.open_checkout(**changed)
    return checkout, CheckoutPayer(play, checkout)


async def _pays_with_a_new_card_and_a_code(play: Play, _: Any) -> None:
    _, payer = await _opens(play)
    play.codes_asked += 1
    await payer.pays_with(play.card())
    await payer.types(WRONG)
    await payer.types()


async def _tries_again_on_another_channel(play: Play, _: Any) -> None:
    _, payer = await _opens(play, expires_in_s=7200)
    await play.fault("unionpay", "decline", code="33", times=1, match={"operation": "pay"})
    await payer.pays_with(play.card())
    first = await payer.is_asked()
    second = await payer.pays_again(first["card"]["id"])
    assert (first["channel"], second["channel"]) == ("unionpay", SECOND) or play.died
    await payer.looks()


async def _pays_at_a_bank_and_comes_back(play: Play, _: Any) -> None:
    checkout, payer = await _opens(play)
    bank = await payer.goes_to(BANK)
    await bank.pays()
    await bank.comes_back()
    await play.call_back("yeepay", checkout["amount"])
    await payer.looks()


async def _leaves_a_bank_after_its_time(play: Play, _: Any) -> None:
    """The checkout is over before the page of the bank is."""
    _, payer = await _opens(play, expires_in_s=60)
    play.stage.move_to(play.stage.now + timedelta(seconds=50))
    bank = await payer.goes_to(BANK)
    await bank.opens()
    await bank.presses("cancel")


async def _pays_at_a_bank_after_its_time(play: Play, _: Any) -> None:
    _, payer = await _opens(play, expires_in_s=60)
    play.stage.move_to(play.stage.now + timedelta(seconds=50))
    bank = await payer.goes_to(BANK)
    play.stage.move_to(play.stage.now + timedelta(seconds=50))
    await play.work()
    await bank.pays()
    await bank.comes_back()


async def _nobody_comes(play: Play, _: Any) -> None:
    await _opens(play)


async def _is_canceled(play: Play, _: Any) -> None:
    checkout, payer = await _opens(play)
    play.codes_asked += 1
    await payer.pays_with(play.card())
    await payer.is_asked()
    await play.wish(checkout, "cancel")


async def _signs_a_card(play: Play, _: Any) -> None:
    _, payer = await _opens(play, purpose="sign")
    play.codes_asked += 1
    await payer.signs(play.card())
    await payer.types()


async def _fails_and_was_paid(play: Play, payer: CheckoutPayer) -> Shown:
    """A first try that UnionPay took, and said for long that it had not."""
    await play.fault("unionpay", "reset_after", times=1, match={"operation": "pay"})
    await play.fault("unionpay", "not_found", times=None, match={"operation": "query"}, seconds=1)
    await payer.pays_with(play.card())
    first = await payer.is_asked()
    await play.stage.control("DELETE", "unionpay/faults")
    return first


async def _is_paid_twice(play: Play, _: Any) -> None:
    checkout, payer = await _opens(play, expires_in_s=7200)
    first = await _fails_and_was_paid(play, payer)
    await payer.pays_again(first["card"]["id"])
    await payer.is_asked()
    await play.call_back("unionpay", checkout["amount"], first["channel_order_no"])
    await play.call_back("unionpay", checkout["amount"], first["channel_order_no"])


async def _is_paid_late_and_not_again(play: Play, _: Any) -> None:
    checkout, payer = await _opens(play, expires_in_s=7200)
    first = await _fails_and_was_paid(play, payer)
    await play.call_back("unionpay", checkout["amount"])
    offered = await payer.is_offered("pay")
    assert play.died or not offered, f"{first['id']} was paid, and may be paid again"  # or it was never sent


SCRIPTS_AT_CHECKOUTS: Final = (
    Script(
        "a checkout that is paid with a new card and a code",
        _pays_with_a_new_card_and_a_code,
        merchant=SIGNS,
        ends=SUCCEEDED,
    ),
    Script(
        "a checkout that fails on one channel and is paid by another",
        _tries_again_on_another_channel,
        merchant=_two_channels,
        ends=SUCCEEDED,
    ),
    Script(
        "a checkout that is paid on the page of a bank",
        _pays_at_a_bank_and_comes_back,
        merchant=_YEEPAY,
        ends=SUCCEEDED,
        steady=True,
    ),
    Script(
        "a checkout whose bank is left when its time is over",
        _leaves_a_bank_after_its_time,
        merchant=_YEEPAY,
        ends=EXPIRED,
        steady=True,
    ),
    Script(
        "a checkout whose bank is paid at when its time is over",
        _pays_at_a_bank_after_its_time,
        merchant=_YEEPAY,
        ends=SUCCEEDED,
        steady=True,
    ),
    Script("a checkout that nobody comes to", _nobody_comes, ends=EXPIRED, steady=True),
    Script("a checkout that is canceled while a code is waited for", _is_canceled, merchant=SIGNS, ends=CANCELED),
    Script("a checkout by which a card is signed", _signs_a_card, merchant=SIGNS, ends=SUCCEEDED),
    Script("a checkout that is paid twice", _is_paid_twice, merchant=_two_channels, ends=SUCCEEDED, lies=True),
    Script(
        "a checkout that is paid late, when nobody can pay it again",
        _is_paid_late_and_not_again,
        ends=EXPIRED,
        lies=True,
    ),
)
