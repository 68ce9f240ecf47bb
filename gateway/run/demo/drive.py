"""Makes the demonstration's payments over HTTP, as a business system would, and gathers what everybody says of them."""

import asyncio
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import aiohttp

from gateway.run.demo.orders import FAULTS, DemoOrder
from gateway.run.development import Addresses
from gateway.settings import SAMPLE_API_KEY
from reconciliation.comparison import Entry

__all__ = ["FINAL", "Drive"]

FINAL = frozenset({"succeeded", "failed", "closed", "returned"})
ANSWER_WITHIN_S = 30.0
FINAL_WITHIN_S = 180.0
BOOKED_WITHIN_S = 60.0
LOOK_EVERY_S = 0.3
MAX_TRIES = 50
"""Of one order that is answered 503."""


@dataclass(slots=True)
class Drive:
    """One demonstration while it runs. Everything is public, for the table that is drawn meanwhile."""

    addresses: Addresses
    session: aiohttp.ClientSession
    payments: dict[str, dict[str, Any]] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    """Orders that were not taken, in words."""
    bookings: dict[str, str] = field(default_factory=dict)
    """Payment → status, as the sample business system has it."""
    made: int = 0
    fault_ids: list[tuple[str, str]] = field(default_factory=list)

    async def make(self, orders: list[DemoOrder], concurrency: int) -> None:
        """Make all payments and wait until they are final and booked, or too much time has gone by."""
        try:
            await self._ask_for_faults()
            room = asyncio.Semaphore(concurrency)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow(len(orders)))
                for order in orders:
                    group.create_task(self._make_one(order, room))
        finally:
            await self._take_faults_back()

    async def _make_one(self, order: DemoOrder, room: asyncio.Semaphore) -> None:
        headers = {"Authorization": f"Bearer {SAMPLE_API_KEY}"}
        async with room:
            for _ in range(MAX_TRIES):
                url = self.addresses.gateway + order.path
                async with self.session.post(url, json=order.body, headers=headers) as answer:
                    if answer.status == 503:
                        await asyncio.sleep(float(answer.headers.get("Retry-After", 1)))
                        continue
                    body = await answer.json(content_type=None)
                    if answer.status in (200, 201, 202):
                        self.payments[body["id"]] = body
                    else:
                        self.refused.append(f"{order.body['merchant_order_no']}: {answer.status} {body.get('code')}")
                    break
            else:
                self.refused.append(f"{order.body['merchant_order_no']}: overloaded")
            self.made += 1

    async def _follow(self, count: int) -> None:
        """Read payments that are not final, and the bookings, until all is known."""
        give_up_at = time.monotonic() + FINAL_WITHIN_S
        booked_by = give_up_at + BOOKED_WITHIN_S
        while time.monotonic() < booked_by:
            await asyncio.sleep(LOOK_EVERY_S)
            open_ids = [key for key, payment in self.payments.items() if payment["status"] not in FINAL]
            for payment_id in open_ids:
                self.payments[payment_id] = await self._get(f"{self.addresses.gateway}/v1/payments/{payment_id}")
            listed = await self._get(f"{self.addresses.receiver}/bookings")
            told = {booking["payment_id"]: booking["status"] for booking in listed["bookings"]}
            self.bookings = {payment_id: told[payment_id] for payment_id in self.payments if payment_id in told}
            if self.made < count:
                continue
            if self._all_told() or (time.monotonic() > give_up_at and self._any_open()):
                return

    def _any_open(self) -> bool:
        return any(payment["status"] not in FINAL for payment in self.payments.values())

    def _all_told(self) -> bool:
        return all(
            payment["status"] in FINAL and self.bookings.get(payment_id) == payment["status"]
            for payment_id, payment in self.payments.items()
        )

    async def _get(self, url: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {SAMPLE_API_KEY}"} if url.startswith(self.addresses.gateway) else {}
        async with self.session.get(url, headers=headers) as answer:
            answer.raise_for_status()
            found: dict[str, Any] = await answer.json(content_type=None)
            return found

    async def _ask_for_faults(self) -> None:
        for provider, faults in FAULTS.items():
            url = f"{self.addresses.sandbox}/_sandbox/{provider}/faults"
            for fault in faults:
                async with self.session.post(url, json=fault) as answer:
                    answer.raise_for_status()
                    self.fault_ids.append((provider, (await answer.json())["id"]))

    async def _take_faults_back(self) -> None:
        for provider, fault_id in self.fault_ids:
            url = f"{self.addresses.sandbox}/_sandbox/{provider}/faults/{fault_id}"
            async with self.session.delete(url):
                pass

    def our_entries(self) -> list[Entry]:
        """Our books: every payment that got as far as a channel."""
        return [
            Entry(payment["channel_order_no"], payment["amount"], payment["status"])
            for payment in self.payments.values()
            if payment["channel_order_no"] is not None
        ]

    async def their_entries(self, since: datetime, *, others_too: bool) -> tuple[list[Entry], list[str]]:
        """The sandboxes' books of these payments, and which orders they got more than once.

        `others_too`: orders that are none of these payments as well, because nobody else can have made them.
        """
        ours = {entry.number for entry in self.our_entries()}
        entries, repeated = [], []
        for provider in FAULTS:
            url = f"{self.addresses.sandbox}/_sandbox/{provider}/transactions?since={since.isoformat()}"
            for row in (await self._get(url.replace("+", "%2B")))["transactions"]:
                if row["kind"] == "open_card" or not (others_too or row["order_no"] in ours):
                    continue
                entries.append(Entry(row["order_no"], row["amount"], row["state"]))
                if row["submissions"] > 1:
                    repeated.append(f"{row['order_no']} was submitted {row['submissions']} times")
        return entries, repeated

    def unbooked(self) -> list[str]:
        """Payments that the business system has otherwise than we do, in words."""
        return [
            f"{payment_id} is {payment['status']}, and {self.bookings.get(payment_id, 'not booked')} at the receiver"
            for payment_id, payment in self.payments.items()
            if self.bookings.get(payment_id) != payment["status"]
        ]
