"""Apps that execute elsewhere: they have routes recorded, and report how those ended, whoever died meanwhile."""

from datetime import datetime, timedelta
from typing import Any, Final

from tests.e2e.business import Shown
from tests.simulation.asked import Asked, Said, address_of
from tests.simulation.play import FEW_MS, TRIES, Play

__all__ = ["RouteApp"]

MINUTE: Final = timedelta(minutes=1)
RECORDED: Final = {"record": True, "report_within_s": 3600}


class RouteApp:
    """The app of a play, as far as it executes elsewhere."""

    def __init__(self, play: Play) -> None:
        self._play = play

    async def records(self, order: Shown) -> Shown:
        """Have an order decided and its amount reserved; the route as it was answered first."""
        number = order["merchant_order_no"]
        self._play.asked[number] = Asked(number, "route", order["amount"], order["user_id"])
        return await self._play.ask(number, "/v1/routes", order | RECORDED, 0)

    async def is_missed(self, route: Shown) -> None:
        """Let time pass until its report is overdue, and the gateway has noticed."""
        self._play.stage.move_to(datetime.fromisoformat(route["report_before"]) + FEW_MS)
        for _ in range(TRIES):
            await self._play.work()
            if (await self._play.read(address_of(route)))["unreported"]:
                return
            self._play.stage.move_to(self._play.stage.now + MINUTE)
        raise AssertionError("nobody misses the report of a route")

    async def reports(self, route: Shown, status: str, **more: Any) -> int:
        """Say how it ended until there is an answer: its status."""
        number = route["merchant_order_no"]
        self._play.said.append(Said(number, status, self._play.stage.now))
        answered, _ = await self._play.wish(route, "result", {"status": status, **more})
        return answered
