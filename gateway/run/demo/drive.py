"""Makes the demonstration's payments over HTTP, as a business system would, and gathers what everybody says of them."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp

from gateway.run.demo.browser import open_page, press
from gateway.run.demo.orders import FAULTS, Custody, DemoOrder, Paging, Typing
from gateway.run.demo.payers import Payer, SmsSeen, phone_of, sms_seen
from gateway.run.development import Addresses
from gateway.settings import SAMPLE_API_KEY

__all__ = ["ANSWER_WITHIN_S", "FINAL", "KEY", "MAX_TRIES", "ON_PAGES", "Drive"]

FINAL = frozenset({"succeeded", "failed", "closed", "returned"})
ANSWER_WITHIN_S = 30.0
ON_PAGES = frozenset({"netbank_charge", "custody_quick_charge", "custody_netbank_charge"})
FINAL_WITHIN_S = 180.0
BOOKED_WITHIN_S = 60.0
LOOK_EVERY_S = 0.3
KEY = {"Authorization": f"Bearer {SAMPLE_API_KEY}"}
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
    sms: SmsSeen = field(default_factory=lambda: sms_seen((), ()))
    """What the phones of these payers have got."""
    fault_ids: list[tuple[str, str]] = field(default_factory=list)
    payers: dict[str, Payer] = field(default_factory=dict)
    """Payment → who pays it."""
    phones: dict[str, str] = field(default_factory=dict)
    """Payment → where its codes go."""
    ended: dict[str, asyncio.Event] = field(default_factory=dict)
    """Order number → set when nothing more comes of it; of orders that others wait for."""
    numbers: dict[str, str] = field(default_factory=dict)
    """Payment → its order number."""

    async def make(self, orders: list[DemoOrder], concurrency: int) -> None:
        """Make all payments and wait until they are final and booked, or too much time has gone by."""
        try:
            await self._ask_for_faults()
            room = asyncio.Semaphore(concurrency)
            self.ended = {order.after: asyncio.Event() for order in orders if order.after is not None}
            since = datetime.now(UTC)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow(len(orders), since))
                for order in orders:
                    group.create_task(self._make_one(order, room))
        finally:
            await self._take_faults_back()

    async def _make_one(self, order: DemoOrder, room: asyncio.Semaphore) -> None:
        if order.after is not None:
            await self.ended[order.after].wait()
        async with room:
            for _ in range(MAX_TRIES):
                if order.custody is not None:
                    await self._open_custody(order.custody)
                url = self.addresses.gateway + order.path
                async with self.session.post(url, json=order.body, headers=KEY) as answer:
                    if answer.status == 503:
                        await asyncio.sleep(float(answer.headers.get("Retry-After", 1)))
                        continue
                    body = await answer.json(content_type=None)
                    if answer.status in (200, 201, 202):
                        self._take(order, body)
                    else:
                        self._refuse(order, f"{answer.status} {body.get('code')}")
                    break
            else:
                self._refuse(order, "overloaded")
            self.made += 1

    def _take(self, order: DemoOrder, payment: dict[str, Any]) -> None:
        payment_id = payment["id"]
        self.payers[payment_id] = Payer(order.typing, order.paging)
        self.phones[payment_id] = phone_of(order.body)
        self.numbers[payment_id] = order.body["merchant_order_no"]
        self._now(payment)

    def _refuse(self, order: DemoOrder, why: str) -> None:
        order_no = order.body["merchant_order_no"]
        self.refused.append(f"{order_no}: {why}")
        if order_no in self.ended:
            self.ended[order_no].set()

    def _now(self, payment: dict[str, Any]) -> None:
        """Take a payment as it is now; who waits for its end goes on."""
        self.payments[payment["id"]] = payment
        order_no = self.numbers[payment["id"]]
        if payment["status"] in FINAL and order_no in self.ended:
            self.ended[order_no].set()

    async def _follow(self, count: int, since: datetime) -> None:
        """Read payments that are not final, type codes, and read the bookings, until all is known."""
        give_up_at = time.monotonic() + FINAL_WITHIN_S
        booked_by = give_up_at + BOOKED_WITHIN_S
        while time.monotonic() < booked_by:
            await asyncio.sleep(LOOK_EVERY_S)
            open_ids = [key for key, payment in self.payments.items() if payment["status"] not in FINAL]
            inbox = await self._inbox(since)
            for payment_id in open_ids:
                self._now(await self.get(f"{self.addresses.gateway}/v1/payments/{payment_id}"))
                if self.payments[payment_id]["status"] == "requires_action":
                    await self._ask_payer(payment_id, inbox.get(self.phones[payment_id], []))
            listed = await self.get(f"{self.addresses.receiver}/bookings")
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

    async def _inbox(self, since: datetime) -> dict[str, list[dict[str, str]]]:
        """Phone → the SMS that came to it, oldest first."""
        url = f"{self.addresses.sandbox}/_sandbox/sms?since={since.isoformat()}"
        arrived = (await self.get(url.replace("+", "%2B")))["sms"]
        self.sms = sms_seen(arrived, self.phones.values())
        by_phone: dict[str, list[dict[str, str]]] = {}
        for sms in arrived:
            by_phone.setdefault(sms["phone"], []).append(sms)
        return by_phone

    async def _ask_payer(self, payment_id: str, inbox: list[dict[str, str]]) -> None:
        """Let the payer do what they do. What is refused is seen at the next look."""
        url, payer = f"{self.addresses.gateway}/v1/payments/{payment_id}", self.payers[payment_id]
        asked = self.payments[payment_id]["next_action"]
        if asked is not None and asked["type"] == "redirect":
            if not payer.was_on_page:
                payer.was_on_page = True
                with suppress(aiohttp.ClientError):  # the browser says so, and the payer goes away
                    await self._to_the_page(asked["url"], payer.paging)
            if payer.paging is not Paging.LEAVES:
                return
        if Paging.LEAVES is payer.paging or payer.typing is Typing.LEAVES:
            call, body = f"{url}/close", None
        else:
            code = payer.types(inbox)
            if code is None:
                return
            call, body = f"{url}/confirm", {"sms_code": code}
        async with self.session.post(call, json=body, headers=KEY) as answer:
            told = await answer.json(content_type=None)
            if answer.status == 200:
                self._now(told)
            elif told.get("code") == "new_sms_needed":  # a wrong code has ended the PSP's order
                async with self.session.post(f"{url}/resend-sms", headers=KEY):
                    pass
            elif told.get("code") == "may_be_paid":  # its PSP has an order that it takes a code for: the payer is back
                payer.typing, payer.paging, payer.was_on_page = Typing.TYPES, Paging.PAYS, False

    async def _open_custody(self, custody: Custody) -> None:
        """The payer opens an account at the custody bank, binds a card and authorises withholds."""
        told = {"user_no": custody.user_no, "card_no": custody.card_no, "bankcode": custody.bankcode}
        url = f"{self.addresses.sandbox}/_sandbox/lanmao/users"
        async with self.session.post(url, json=told | {"authorised": ["RECHARGE"]}) as answer:
            answer.raise_for_status()

    async def _to_the_page(self, url: str, paging: Paging) -> None:
        """The payer's browser: our page, the bank's, and back."""
        page = await press(self.session, await open_page(self.session, url), "")
        if paging is Paging.LEAVES:
            return
        if paging is Paging.IS_SHORT:
            ended = await press(self.session, page, "insufficient")
            page = await open_page(self.session, page.url)
            if not page.offers("pay"):
                page = ended
        if page.offers("pay"):
            page = await press(self.session, page, "pay")
        if page.offers("back"):
            await press(self.session, page, "back")

    async def get(self, url: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        """What an address answers: of the gateway, to the sample's key unless `headers` says otherwise."""
        if headers is None:
            headers = KEY if url.startswith(self.addresses.gateway) else {}
        async with self.session.get(url, headers=headers) as answer:
            answer.raise_for_status()
            found: dict[str, Any] = await answer.json(content_type=None)
            return found

    async def not_driven(self, admin_token: str) -> list[str]:
        """Scenes on channels that rules in force lead to and no payment of these succeeded by, in words."""
        headers = {"Authorization": f"Bearer {admin_token}"}
        base = f"{self.addresses.gateway}/v1/admin/merchants/demo/channels"
        wanted = set()
        for channel in (await self.get(base, headers))["data"]:
            rules = (await self.get(f"{base}/{channel['code']}/rules", headers))["data"]
            wanted |= {(rule["scene"], channel["code"]) for rule in rules if rule["enabled"] and channel["on"]}
        paid = {(p["scene"], p["channel"]) for p in self.payments.values() if p["status"] == "succeeded"}
        return [f"no {scene} succeeded on {channel}" for scene, channel in sorted(wanted - paid)]

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

    def unbooked(self) -> list[str]:
        """Payments that the business system has otherwise than we do, in words."""
        return [
            f"{payment_id} is {payment['status']}, and {self.bookings.get(payment_id, 'not booked')} at the receiver"
            for payment_id, payment in self.payments.items()
            if self.bookings.get(payment_id) != payment["status"]
        ]
