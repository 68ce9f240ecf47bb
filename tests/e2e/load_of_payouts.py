"""Clients under load that pay out and settle what was paid, beside refunds; banks that give back, and operators."""

import asyncio
from typing import Final

from tests.e2e.business import Shown
from tests.e2e.load import BOOKS_WITHIN_S, CONFLICT, PAYING, Load
from tests.e2e.waiting import until
from tests.e2e.world import World

__all__ = ["ASKED_AFTERWARDS", "PayingOut", "settlements_add_up"]

PAYS_ON_EVERY: Final = 4
HELD_EVERY: Final = 3
"""Of the payouts; the others are sent at once."""
ANOTHER_NAME: Final = "4003"
"""Of accounts whose holder LianLian suspects to be somebody else."""
FINAL: Final = {"succeeded", "failed", "returned"}
ASKED_AFTERWARDS: Final = ("allinpay", "cpcn", "lianlian")
MAKES_DUE: Final = """
UPDATE payouts SET due_at = created_at WHERE status = 'succeeded' AND due_at IS NOT NULL AND channel = ANY($1)
RETURNING 1
"""
"""Instead of waiting for hours."""
LEFT_WRONGLY: Final = """
SELECT p.payment_id FROM payments p
LEFT JOIN outflows o ON o.merchant_id = p.merchant_id AND o.payment_id = p.payment_id
LEFT JOIN LATERAL (SELECT sum(r.amount) AS fen FROM refunds r
    WHERE r.payment_id = p.payment_id AND r.status IN ('processing', 'succeeded')) back ON true
LEFT JOIN LATERAL (SELECT sum(s.amount) AS fen FROM settles s
    JOIN payouts q ON q.merchant_id = s.merchant_id AND q.payout_id = s.payout_id
    WHERE s.payment_id = p.payment_id AND q.status IN ('processing', 'succeeded')) paid_on ON true
WHERE coalesce(back.fen, 0) + coalesce(paid_on.fen, 0) > p.amount
    OR coalesce(back.fen, 0) <> coalesce(o.refunded, 0) OR coalesce(paid_on.fen, 0) <> coalesce(o.settled, 0)
"""
DAYS_WRONG: Final = """
SELECT channel, business_day FROM payout_days d WHERE used <> (SELECT coalesce(sum(p.amount), 0) FROM payouts p
    WHERE p.merchant_id = d.merchant_id AND p.channel = d.channel AND p.business_day = d.business_day
    AND p.status IN ('processing', 'succeeded') AND p.held_for IS DISTINCT FROM 'app')
"""


class PayingOut(Load):
    """The load of payments and refunds, and payouts at every company that has them, by which payments are settled."""

    def __init__(self, world: World, addresses: list[str]) -> None:
        super().__init__(world, addresses)
        self.paid_out: list[str] = []
        """Ids of payouts."""

    async def _follow(self, payment: Shown, number: int) -> None:
        if number % PAYS_ON_EVERY not in (0, 1):
            await super()._follow(payment, number)
        elif (await self._end_of(payment, number))["status"] == "succeeded":
            # Of some, a refund and a settlement of the whole: one of them, or neither.
            await asyncio.gather(super()._follow(payment, number), self._pay_on(payment, number))

    async def _pay_on(self, payment: Shown, number: int) -> None:
        """Pay all of it on to somebody: at once, or by a payout that is held until it settles it."""
        nth = number // PAYS_ON_EVERY
        part = {"payment": payment["id"], "amount": payment["amount"]}
        tail = ANOTHER_NAME if nth % 2 else "7766"
        order: Shown = {
            "merchant_order_no": f"out-{payment['id']}",
            "channel": PAYING[nth % len(PAYING)],
            "amount": payment["amount"],
            "currency": "CNY",
            "account": {
                "type": "personal",
                "account_no": f"62220210{number:07d}{tail}",
                "name": "张三",
                "bank": "ICBC",
            },
            "purpose": "放款",
        }
        if nth % HELD_EVERY:
            payout = await self._send_if_it_fits("/v1/payouts", order | {"settles": [part]}, number)
            if payout is not None:
                self.paid_out.append(payout["id"])
            return
        payout = await self._send("/v1/payouts", order | {"hold": True}, number)
        self.paid_out.append(payout["id"])
        path = f"/v1/payouts/{payout['id']}"
        if await self._send_if_it_fits(f"{path}/settles", {"settles": [part]}, number):
            await self._send(f"{path}/release", {}, number)
        else:  # what it was to settle was given back
            await self._decide(payout["id"], "refuse")

    async def _decide(self, payout_id: str, how: str) -> None:
        """An operator's word, at a gateway that lives; whether it was taken, or came too late, does not matter."""
        await self._world.admin("POST", f"/merchants/demo/payouts/{payout_id}/{how}")

    # Afterwards

    async def to_the_end(self) -> list[Shown]:
        """The payouts once all are final: operators say of each that is suspected that it is right, or, where that was
        lost which says so, that it is not.
        """

        async def look() -> list[Shown] | None:
            now = await self.payouts()
            for payout in now:
                if payout["held_for"] == "suspicion":
                    answer = await self._world.admin("POST", f"/merchants/demo/payouts/{payout['id']}/confirm")
                    if answer.status == CONFLICT and answer.body["code"] == "cannot_be_confirmed":
                        await self._decide(payout["id"], "refuse")
            return now if all(payout["status"] in FINAL for payout in now) else None

        return await until(look, "end of all payouts", BOOKS_WITHIN_S)

    async def payouts(self) -> list[Shown]:
        """Each as it is now."""
        app = self._world.app
        return list(await asyncio.gather(*(app.get(f"/v1/payouts/{payout_id}") for payout_id in self.paid_out)))

    async def banks_give_back(self, payouts: list[Shown]) -> set[str]:
        """Every other payout that succeeded where a question or a notice tells of it: which."""
        paid = [each for each in payouts if each["status"] == "succeeded" and each["channel"] in ASKED_AFTERWARDS]
        for payout in paid[::2]:
            told = {"order_no": payout["channel_order_no"], "reason": "payee_account_abnormal"}
            await self._world.control("POST", f"{payout['channel']}/returns", told)
        await self._world.sql(MAKES_DUE, list(ASKED_AFTERWARDS))
        return {payout["id"] for payout in paid[::2]}

    async def all_back(self, given_back: set[str]) -> list[Shown]:
        """The payouts once these are returned."""

        async def look() -> list[Shown] | None:
            now = await self.payouts()
            return now if given_back == {each["id"] for each in now if each["status"] == "returned"} else None

        return await until(look, "return of what banks gave back", BOOKS_WITHIN_S)


async def settlements_add_up(world: World) -> None:
    """What left each payment is what its refunds and payouts say that are not failed and not returned, and no more."""
    assert await world.sql(LEFT_WRONGLY) == []
    assert await world.sql(DAYS_WRONG) == []
