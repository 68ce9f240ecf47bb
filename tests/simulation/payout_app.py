"""Who pays out in a play: the app that opens and releases, the operator who decides, the bank that gives back."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from tests.e2e.business import Shown
from tests.simulation.asked import Asked, address_of
from tests.simulation.play import FEW_MS, TRIES, Play

__all__ = ["DAYS", "PayoutApp"]

DAYS: Final = timedelta(days=1)
FIRM: Final[Shown] = {
    "type": "corporate", "account_no": "1202021509900012345", "name": "杭州某某融资租赁有限公司", "bank": "ICBC",
    "branch": "中国工商银行杭州西湖支行", "cnaps": "102331000013", "province": "浙江省", "city": "杭州市",
}  # fmt: skip
LONGER_THAN_A_LEASE: Final = timedelta(minutes=11)
DONE: Final = 200
FINAL: Final = {"succeeded", "failed", "returned"}
Part = tuple[Shown, int]


class PayoutApp:
    """Everybody who has to do with payouts, whoever dies meanwhile."""

    def __init__(self, play: Play) -> None:
        self._play = play

    # The app

    def order(self, channel: str, amount: int | None = None, **changed: Any) -> Shown:
        """A payout to a person of ICBC's; an amount of its own, unless it is said."""
        number = self._play.number()
        person = {"type": "personal", "account_no": f"6222021001{number:05d}7766", "name": "张三", "bank": "ICBC"}
        usual = {
            "merchant_order_no": f"payout-{number}",
            "channel": channel,
            "amount": 40_001 + number % 50_000 if amount is None else amount,
            "currency": "CNY",
            "account": FIRM if changed.pop("to_a_firm", False) else person,
            "purpose": "放款",
        }
        return usual | changed

    async def pays(self, order: Shown) -> Shown:
        """Ask for a payout until there is an answer."""
        number = order["merchant_order_no"]
        self._play.asked[number] = Asked(number, "payout", order["amount"], "")
        return await self._play.ask(number, "/v1/payouts", order, 0)

    async def settles(self, payout: Shown, *parts: Part) -> int:
        """Hand in parts until there is an answer: its status."""
        return (await self._play.wish(payout, "settles", {"settles": parts_of(parts)}))[0]

    async def releases(self, payout: Shown) -> int:
        """Release it until there is an answer: its status."""
        return (await self._play.wish(payout, "release"))[0]

    # The operator

    async def confirms(self, payout: Shown) -> None:
        """Say that it is right whenever it is held for a suspicion, until it is over; refuse what cannot be confirmed,
        since what it is confirmed with was lost."""
        for _ in range(TRIES):
            now = await self._suspected(payout)
            if now["status"] in FINAL:
                return
            status, said = await self._play.operate(payout, f"payouts/{payout['id']}/confirm")
            if status != DONE and said["code"] == "cannot_be_confirmed":
                await self.refuses(payout)
                return
        raise AssertionError(f"{payout['id']} is held again and again")

    async def refuses(self, payout: Shown) -> None:
        """Say that it is not right, once it is held for a suspicion."""
        if (await self._suspected(payout))["status"] not in FINAL:
            await self._play.operate(payout, f"payouts/{payout['id']}/refuse")

    async def decides_nothing(self, payout: Shown) -> None:
        """Let its hold end by our clock, whoever has it in hand and dies."""
        stage = self._play.stage
        for _ in range(TRIES):
            now = await self._suspected(payout)
            if now["status"] in FINAL:
                return
            stage.move_to(max(datetime.fromisoformat(now["held_until"]), stage.now + LONGER_THAN_A_LEASE))
        raise AssertionError(f"{payout['id']} is held for ever")

    async def hears_that_it_came_back(self, payout: Shown, reason: str) -> None:
        """Record the PSP's word that it came back, if anything of it was sent."""
        told = {"object_id": payout["id"], "says": "returned", "return_reason": reason, "by": "ops", "note": "a letter"}
        if (await self._now(payout))["status"] == "succeeded":
            await self._play.operate(payout, "observations", told)

    async def _suspected(self, payout: Shown) -> Shown:
        """Let time pass until it is held for a suspicion, or over."""
        for _ in range(TRIES):
            await self._play.work()
            now = await self._now(payout)
            if now["status"] in FINAL or now["held_for"] == "suspicion":
                return now
            due = await self._play.due(watched=False)
            self._play.stage.move_to((due or self._play.stage.now) + FEW_MS)
        raise AssertionError(f"{payout['id']} is neither held nor over")

    async def _now(self, payout: Shown) -> Shown:
        return await self._play.read(address_of(payout))

    # Banks and time

    async def bank_gives_back(self, provider: str, payout: Shown, reason: str) -> bool:
        """Give it back now, if it was paid; whether it was."""
        found = (await self._play.stage.control("GET", f"{provider}/transactions"))["transactions"]
        paid = [row for row in found if (row["amount"], row["state"]) == (payout["amount"], "succeeded")]
        for row in paid:
            told = {"order_no": row["order_no"], "reason": reason}
            await self._play.stage.control("POST", f"{provider}/returns", told)
        return bool(paid)

    async def is_heard_to_be_back(self, payout: Shown) -> None:
        """Let a day pass, and then some time, until it is known."""
        self._play.stage.move_to(self._play.stage.now + DAYS)
        for _ in range(TRIES):
            await self._play.work()
            if (await self._now(payout))["status"] == "returned":
                return
            self._play.stage.move_to(self._play.stage.now + LONGER_THAN_A_LEASE)
        raise AssertionError(f"nobody hears that {payout['id']} came back")

    async def is_over(self, after: timedelta = timedelta()) -> None:
        """Let everything come to its end, and then so much time pass, at once."""
        await self._play.rest()
        self._play.stage.move_to(self._play.stage.now + after)
        await self._play.work()


def parts_of(parts: Iterable[Part]) -> list[Shown]:
    """Parts of payments, as they are asked for."""
    return [{"payment": payment["id"], "amount": amount} for payment, amount in parts]
