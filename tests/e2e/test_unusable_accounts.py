"""An account whose settings cannot be used: its channels are left out, said, and back when it is put right.

Not tested here: which settings an adapter refuses (tests/adapters), when it is tried again (test_accounts.py).
"""

from dataclasses import replace

from gateway.domain.catalogue_content import MerchantContent
from tests.e2e.merchants import account_with
from tests.e2e.waiting import until
from tests.e2e.world import World


def with_allinpay_at(merchant: MerchantContent, address: str) -> MerchantContent:
    accounts = (
        account_with(account, {"url": address}) if account.provider == "allinpay" else account
        for account in merchant.accounts
    )
    return replace(merchant, accounts=tuple(accounts))


async def test_orders_go_to_other_channels_while_an_account_cannot_be_used_and_it_comes_back(world: World) -> None:
    right: list[MerchantContent] = []

    def broken(merchant: MerchantContent) -> MerchantContent:
        right.append(merchant)
        return with_allinpay_at(merchant, "not an address")

    app = await world.merchant(broken)
    payments = [await app.pay_to_the_end(world.order(world.cheap())) for _ in range(3)]
    assert {payment["channel"] for payment in payments} == {"unionpay"}
    decision = await app.get(f"/v1/payments/{payments[0]['id']}/decision")
    [hidden] = [one for one in decision["candidates"] if one["channel"] == "allinpay"]
    assert (hidden["removed_by_step"], hidden["reason"]) == (1, "account_unusable")

    ready = await world.call("GET", f"{world.gateway}/readyz")
    assert ready.status == 200
    [named] = [each for each in ready.body["unusable_accounts"] if each.startswith(f"{right[0].code}.")]

    await world.apply(right[0])

    async def chosen() -> bool | None:
        payment = await app.pay_to_the_end(world.order(world.cheap()))
        return payment["channel"] == "allinpay" or None

    await until(chosen, "payment by the account that was put right")
    assert named not in (await world.call("GET", f"{world.gateway}/readyz")).body["unusable_accounts"]
