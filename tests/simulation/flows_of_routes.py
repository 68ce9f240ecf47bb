"""The flows of recorded routes: decided and reserved here, executed elsewhere, and reported, or not."""

import asyncio
from typing import Any, Final

from tests.e2e.business import Shown
from tests.e2e.merchants import only
from tests.simulation.play import Play
from tests.simulation.route_app import RouteApp
from tests.simulation.script import Script

__all__ = ["SCRIPTS_OF_ROUTES"]

LIMIT: Final = 20_000
"""What the limited merchant takes of a user on one day."""


def _of_one_user(play: Play, orders: int) -> list[Shown]:
    user, card = play.user(), play.card()
    return [play.cheap_order(user_id=user, card=card) for _ in range(orders)]


async def _reports_twice(play: Play, _: Any) -> None:
    app, (first, second) = RouteApp(play), _of_one_user(play, 2)
    paid = await app.records(first)
    short = await app.records(second)
    for _ in range(2):
        await app.reports(paid, "succeeded", fee=88)
        await app.reports(short, "failed", failure_code="insufficient_balance")


async def _reports_late_or_never(play: Play, _: Any) -> None:
    """One on the same day, one on the next, when nothing of it is reserved any more, and one never."""
    app, (first, second, third) = RouteApp(play), _of_one_user(play, 3)
    same_day, next_day, _ = [await app.records(order) for order in (first, second, third)]
    await app.is_missed(same_day)
    await app.reports(same_day, "failed", failure_code="card_frozen")
    await play.rest()
    await app.reports(next_day, "succeeded")


async def _contradicts_itself(play: Play, _: Any) -> None:
    app, (first, second) = RouteApp(play), _of_one_user(play, 2)
    failed = await app.records(first)
    await app.reports(failed, "failed", failure_code="channel_unavailable")
    await app.reports(failed, "succeeded")
    paid = await app.records(second)
    await app.reports(paid, "succeeded")
    await app.reports(paid, "failed", failure_code="card_lost")


async def _route_and_payment_at_a_limit(play: Play, _: Any) -> None:
    user, card = play.user(), play.card()
    one, other = (play.cheap_order(user_id=user, card=card, amount=LIMIT - 100 - place) for place in range(2))
    app = RouteApp(play)
    route, _ = await asyncio.gather(app.records(one), play.pay(other))
    if route["status"] == "open":
        await app.reports(route, "succeeded")


SCRIPTS_OF_ROUTES: Final = (
    Script(
        "recorded routes that are reported twice",
        _reports_twice,
        pairs=True,
        ends=("succeeded", "failed"),
        steady=True,
    ),
    Script(
        "recorded routes that are reported late, or never",
        _reports_late_or_never,
        ends=("failed", "succeeded", "open"),
        steady=True,
    ),
    Script(
        "recorded routes whose app contradicts itself",
        _contradicts_itself,
        ends=("failed", "succeeded"),
        steady=True,
    ),
    Script(
        "a recorded route and a payment at a daily limit",
        _route_and_payment_at_a_limit,
        merchant=only("allinpay", daily_limit=LIMIT),
        daily_limit=LIMIT,
        races=True,
    ),
)
