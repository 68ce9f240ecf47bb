"""A payer at the cashier: opens a checkout's page in a browser, types, presses, goes to the bank and comes back."""

from dataclasses import dataclass
from typing import Any, Final

from tests.e2e.business import App, Shown
from tests.e2e.cards import card_number
from tests.e2e.waiting import until
from tests.e2e.world import World
from tests.pages.chromium import Payer

__all__ = ["BANKS_PAGE", "CITIC", "HOLDER", "ICBC", "SPDB", "Visit", "new_card", "new_phone", "open_checkout", "visit"]

ICBC: Final = "622202"
"""How numbers of its cards begin: UnionPay binds them silently."""
CITIC: Final = "620527"
"""CPCN asks for a code each time; UnionPay, which is dearer, binds silently."""
SPDB: Final = "620530"
"""Baofoo signs them by an SMS; UnionPay, which is dearer, binds silently."""
HOLDER: Final = {"holder_name": "张三", "id_no": "11010519491231002X"}
BANKS_PAGE: Final = "**/pages/*"


async def open_checkout(world: World, app: App, **changed: Any) -> Shown:
    """A new checkout of the app."""
    asked = {
        "merchant_order_no": f"co-{world.number()}",
        "user_id": world.user(),
        "amount": 20_000 + world.number(),
        "currency": "CNY",
        "description": "账户充值",
        "return_url": f"{world.receiver.address}/health?o=7&payment=x#/done",
    } | changed
    answer = await app.call(
        "POST", "/v1/checkouts", {name: value for name, value in asked.items() if value is not None}
    )
    assert answer.status == 201, answer.raw
    return dict(answer.body)


@dataclass(slots=True)
class Visit:
    """One payer at one checkout."""

    world: World
    app: App
    checkout: Shown
    one: Payer

    @property
    def url(self) -> str:
        return str(self.checkout["url"])

    # What the payer does

    async def opens(self) -> None:
        await self.one.goes(self.url)

    async def opens_way(self, name: str) -> None:
        """One of the ways to pay, if it is not open."""
        await self.is_whole()
        way = self.one.page.locator("details[name=way]", has_text=name).first
        if await way.get_attribute("open") is None:
            await way.locator("summary").first.click()

    async def types_card(self, card_no: str, phone: str) -> None:
        page = self.one.page
        for name, text in {"card_no": card_no, "phone": phone, **HOLDER}.items():
            await page.locator(f"#{name}").fill(text)

    async def pays_with_new_card(self, card_no: str, phone: str) -> None:
        await self.opens_way("使用新银行卡支付")
        await self.types_card(card_no, phone)
        await self.one.page.locator("form:has(#card_no) button").click()

    async def is_whole(self) -> None:
        """Page and files are here: a form that is sent before takes the place of its page in the history."""
        await self.one.page.wait_for_load_state("load")

    async def presses(self, name: str, *, nth: int = 0) -> None:
        await self.is_whole()
        await self.one.page.get_by_role("button", name=name, exact=True).nth(nth).click()

    async def follows(self, name: str) -> None:
        await self.one.page.get_by_role("link", name=name, exact=True).click()

    async def chooses_bank(self, way: str, method: str, bank: str) -> None:
        await self.opens_way(way)
        form = self.one.page.locator(f"form:has(input[name=method][value={method}])")
        await form.locator(f"input[name=bank][value={bank}]").check()
        await form.locator("button").click()

    async def reads(self, heading: str) -> None:
        """The page with this heading shows, by itself or after a press."""
        await self.one.page.locator("h1", has_text=heading).wait_for()

    async def text(self) -> str:
        return " ".join((await self.one.page.locator("main").inner_text()).split())

    # What happens elsewhere

    async def sms(self, phone: str, count: int = 1) -> list[str]:
        """The codes that arrived at the phone, once there are so many."""

        async def look() -> list[str] | None:
            arrived = (await self.world.control("GET", f"sms?phone={phone}"))["sms"]
            return [each["code"] for each in arrived] if len(arrived) >= count else None

        return await until(look, f"{count} SMS at {phone}")

    async def now(self) -> Shown:
        return dict(await self.app.get(f"/v1/checkouts/{self.checkout['id']}"))

    async def ends(self, status: str) -> Shown:
        """The checkout once it has this status."""

        async def look() -> Shown | None:
            now = await self.now()
            return now if now["status"] == status else None

        return await until(look, f"{self.checkout['id']} {status}")

    async def orders_at(self, provider: str) -> list[Shown]:
        """Everything that moved or was to move this checkout's money at a PSP."""
        rows = await self.world.transactions(provider)
        return [row for row in rows if row["amount"] == self.checkout["amount"]]

    async def back_at_the_shop(self) -> None:
        """By the link on the last page, with what was paid."""
        now = await self.now()
        await self.follows("返回商户")
        last = now["payments"][-1]["id"]
        await self.one.is_at(self.checkout["return_url"].replace("payment=x", f"payment={last}"))


async def visit(world: World, app: App, one: Payer, **changed: Any) -> Visit:
    """A payer opens the page of a new checkout."""
    visit = Visit(world, app, await open_checkout(world, app, **changed), one)
    await visit.opens()
    return visit


def new_card(world: World, issuer: str) -> str:
    return card_number(issuer, world.number(), None)


def new_phone(world: World) -> str:
    return f"137{world.number():08d}"
