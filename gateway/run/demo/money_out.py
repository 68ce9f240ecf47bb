"""Refunds, payouts and a settlement, made while the payments of a demonstration are, and followed to their end."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.run.demo.drive import KEY, MAX_TRIES, Drive
from gateway.run.demo.out_orders import AT_SETTLEMENT, Paid, PayoutOrder, make_payouts, settlement

__all__ = ["MoneyOut"]

LOOK_EVERY_S: Final = 0.5
ENDED_WITHIN_S: Final = 180.0
"""After the last payment."""
SETTLED_AT_ONCE: Final = 3
"""Payments of one settlement: two whole ones, and half of another."""
MANY: Final = 3
"""So many payments of a scene on a channel, and a second one of them is refunded."""
NO_REFUNDS: Final = "refunds_not_supported"
ENDS: Final = frozenset({"succeeded", "failed", "returned"})

Shown = dict[str, Any]


@dataclass(slots=True)
class MoneyOut:
    """Money out and back, of one demonstration. Everything is public, for the tables that are drawn of it."""

    drive: Drive
    admin: Mapping[str, str]
    """The header with the admin token."""
    run: str
    dice: random.Random
    refunds: dict[str, Shown] = field(default_factory=dict)
    payouts: dict[str, Shown] = field(default_factory=dict)
    orders: dict[str, PayoutOrder] = field(default_factory=dict)
    """Payout → what was asked for."""
    without_refunds: Counter[str] = field(default_factory=Counter)
    """Channel → how often its PSP has no refunds."""
    confirmed: set[str] = field(default_factory=set)
    """Payouts that were held for a suspicion."""
    waited: set[str] = field(default_factory=set)
    """Payouts that were held since their channel may not send them now."""
    settled: dict[str, int] = field(default_factory=dict)
    """Payment → what of it was settled, in fen."""
    refused: list[str] = field(default_factory=list)
    """What was not taken, in words."""
    asked: set[str] = field(default_factory=set)
    """Payments that a refund was asked for."""

    async def make(self, payments_made: asyncio.Event) -> None:
        """Make all of it and wait until it has ended, or too much time has gone by."""
        for order in make_payouts(await self._rules(), self.run, self.dice):
            await self._pay_out(order)
        give_up_at = None
        while give_up_at is None or (time.monotonic() < give_up_at and self.open):
            if give_up_at is None and payments_made.is_set():
                give_up_at = time.monotonic() + ENDED_WITHIN_S
            await self._refund()
            await self._settle()
            await self._look()
            await asyncio.sleep(LOOK_EVERY_S)
        for key in self.waited:  # nothing is left that another demonstration would find sent
            await self._post(f"/v1/admin/merchants/demo/payouts/{key}/refuse", None, self.admin)

    @property
    def open(self) -> list[str]:
        """What has not ended yet."""
        refunds = [each["id"] for each in self.refunds.values() if each["status"] not in ENDS]
        return refunds + [key for key, each in self.payouts.items() if not self._has_ended(each)]

    @property
    def troubled(self) -> Counter[str]:
        """What was asked for, and how often."""
        return Counter(order.trouble for order in self.orders.values() if order.trouble)

    def _has_ended(self, payout: Shown) -> bool:
        wanted = self.orders[payout["id"]].ends
        return payout["id"] in self.waited or payout["status"] in {wanted, "failed", "returned"}

    # Payouts

    async def _rules(self) -> set[Paid]:
        """Whom the rules in force pay at every bank."""
        base = f"{self.drive.addresses.gateway}/v1/admin/merchants/demo/channels"
        found = set()
        for channel in (await self.drive.get(base, self.admin))["data"]:
            rules = (await self.drive.get(f"{base}/{channel['code']}/payout_rules", self.admin))["data"]
            every = {rule["payee"] for rule in rules if rule["enabled"] and rule["bank"] == "*"}
            found |= {(channel["code"], payee) for payee in every if channel["on"]}
        return found

    async def _pay_out(self, order: PayoutOrder) -> Shown | None:
        payout = await self._post("/v1/payouts", order.body)
        if payout is not None:
            self.orders[payout["id"]], self.payouts[payout["id"]] = order, payout
            if payout["held_for"] == "window":
                self.waited.add(payout["id"])
        return payout

    async def _look(self) -> None:
        """Read what has not ended; an operator confirms what a PSP suspects."""
        for key in self.open:
            kind, known = ("refunds", self.refunds) if key in self.refunds else ("payouts", self.payouts)
            known[key] = await self.drive.get(f"{self.drive.addresses.gateway}/v1/{kind}/{key}")
            if known[key].get("held_for") == "suspicion":
                self.confirmed.add(key)
                await self._post(f"/v1/admin/merchants/demo/payouts/{key}/confirm", None, self.admin)

    async def _settle(self) -> None:
        """Pay on what was collected: once, as soon as enough payments have succeeded that nothing was refunded of."""
        if self.settled or AT_SETTLEMENT not in {order.paid for order in self.orders.values()}:
            return
        free = [p for p in self._paid() if p["id"] not in self.asked]
        if len(free) < SETTLED_AT_ONCE:
            return
        whole, half = free[: SETTLED_AT_ONCE - 1], free[SETTLED_AT_ONCE - 1]
        self.settled = {p["id"]: p["amount"] for p in whole} | {half["id"]: (half["amount"] + 1) // 2}
        payout = await self._pay_out(settlement(self.run, sum(self.settled.values()), self.dice))
        if payout is not None:
            path = f"/v1/payouts/{payout['id']}"
            for payment, amount in self.settled.items():  # a long list comes by parts
                await self._post(f"{path}/settles", {"settles": [{"payment": payment, "amount": amount}]})
            await self._post(f"{path}/release", None)

    # Refunds

    async def _refund(self) -> None:
        """Of each scene on each channel the first payment that succeeded goes back in part, of many another whole."""
        paid = self._paid()
        many = Counter(_place(payment) for payment in paid)
        done = Counter(_place(payment) for payment in paid if payment["id"] in self.asked)
        for payment in paid:
            place = _place(payment)
            wanted = 2 if many[place] >= MANY else 1
            if payment["id"] in self.asked | self.settled.keys() or done[place] >= wanted:
                continue
            done[place] += 1
            self.asked.add(payment["id"])
            amount = payment["amount"] if done[place] > 1 else (payment["amount"] + 1) // 2
            number = f"back-{self.run}-{len(self.asked):03}"
            body = {"merchant_order_no": number, "payment": payment["id"], "amount": amount, "reason": "退款"}
            refund = await self._post("/v1/refunds", body, counts=payment["channel"])
            if refund is not None:
                self.refunds[refund["id"]] = refund

    def _paid(self) -> list[Shown]:
        return [p for p in self.drive.payments.values() if p["status"] == "succeeded"]

    async def _post(
        self, path: str, body: Shown | None, headers: Mapping[str, str] = KEY, *, counts: str | None = None
    ) -> Shown | None:
        """What is answered; None: it was refused. `counts`: the channel, where it may have no refunds."""
        url = f"{self.drive.addresses.gateway}{path}"
        told: Shown = {}
        for _ in range(MAX_TRIES):
            async with self.drive.session.post(url, json=body, headers=headers) as answer:
                told = await answer.json(content_type=None)
            if answer.status != 503:
                break
            await asyncio.sleep(float(answer.headers.get("Retry-After", 1)))
        if answer.status in (200, 201):
            return told
        codes = [error["code"] for error in told.get("errors", ())]
        if counts is not None and codes == [NO_REFUNDS]:
            self.without_refunds[counts] += 1
        else:
            self.refused.append(f"{path}: {answer.status} {', '.join([told.get('code', ''), *codes])}")
        return None

    # What is not as it should be

    async def not_as_asked(self) -> list[str]:
        """What ended otherwise than it was to, what was not driven, and what is not settled as it says, in words."""
        wrong = [f"{key} has not ended" for key in self.open]
        for key, order in self.orders.items():
            payout = self.payouts[key]
            if key not in self.waited and payout["status"] != order.ends:
                code = (payout["failure"] or {}).get("code", "")
                wrong.append(f"payout {order.body['merchant_order_no']} is {payout['status']} {code}, not {order.ends}")
        held = [order for order in self.orders.values() if order.trouble and "suspicion" in order.trouble]
        if len(self.confirmed) < len(held):
            wrong.append("a payout that was to be suspected was not")
        # What a PSP refuses is no mistake of ours, unless it refuses everything.
        asked = {refund["channel"] for refund in self.refunds.values()}
        went = {refund["channel"] for refund in self.refunds.values() if refund["status"] == "succeeded"}
        wrong += [f"no refund succeeded on {channel}" for channel in sorted(asked - went)]
        for payment, amount in self.settled.items():
            now = await self.drive.get(f"{self.drive.addresses.gateway}/v1/payments/{payment}")
            if now["settled"] != amount:
                wrong.append(f"{payment} says that {now['settled']} fen of it were settled, not {amount}")
        return wrong

    def said(self) -> str:
        """All of it in a line, for people."""
        failed = sum(refund["status"] == "failed" for refund in self.refunds.values())
        back = sum(payout["status"] == "returned" for payout in self.payouts.values())
        parts = [
            f"{len(self.refunds)} refunds" + (f" ({failed} refused)" if failed else ""),
            f"{len(self.payouts)} payouts ({len(self.confirmed)} confirmed, {back} came back"
            + (f", {len(self.waited)} outside their window)" if self.waited else ")"),
        ]
        if self.settled:
            parts.append(f"{len(self.settled)} payments settled")
        none = ", ".join(sorted(self.without_refunds))
        return ", ".join(parts) + (f"; no refunds at {none}" if none else "")


def _place(payment: Shown) -> tuple[str, str]:
    return payment["channel"], payment["scene"]
