"""What a process knows of ailing channels, and what the router is told of one payment.

Not tested here: what the watch has written (tests/storage/test_watched_channels.py), the router
(tests/unit/router/test_ailing.py).
"""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs

from gateway.domain.ailing import SeenAiling, avoided, of_payment, passes
from gateway.domain.catalogue import Catalogue, Merchant
from gateway.domain.rates import Counted, Rate
from gateway.domain.scenes import Scene
from gateway.domain.switches import Switch
from gateway.domain.watch_settings import WatchRule, watch_from_json
from gateway.flows.route import Payer, Unable, candidates_for
from gateway.watch.ailing import AilingChannels
from router.ailing import Ailing
from tests.unit.domain.samples import MERCHANT_ID, NOW, catalogue, channel, rule

JD = Counted("withhold", "ICBC", "jd")


class Seen:
    """What the watch saw; or the database is away."""

    def __init__(self) -> None:
        self.channels = {JD: SeenAiling(Rate(3, 40), NOW)}
        self.asked: list[Collection[UUID]] = []
        self.away = False
        self.asked_again = asyncio.Event()

    async def seen(self, merchants: Collection[UUID]) -> Mapping[UUID, Mapping[Counted, SeenAiling]]:
        self.asked.append(merchants)
        self.asked_again.set()
        if self.away:
            raise OSError("away")
        return dict.fromkeys(merchants, self.channels)


def shop(**watch: Any) -> Catalogue:
    return Catalogue(1, merchants=(Merchant(MERCHANT_ID, "shop", "Shop", watch=watch_from_json(watch)),))


async def test_merchants_who_avoid_nothing_are_not_asked_about() -> None:
    seen = Seen()
    known = AilingChannels(seen, lambda: shop(), lambda: NOW)
    await known.read()
    assert (seen.asked, known.of(MERCHANT_ID)) == ([], {})


async def test_what_is_known_stays_while_the_database_is_away_and_that_is_said_once() -> None:
    seen = Seen()
    known = AilingChannels(seen, lambda: shop(hide=True), lambda: NOW, every_s=0.001)
    with capture_logs() as said:
        await known.start()
        seen.away = True
        for _ in range(3):
            seen.asked_again.clear()
            async with asyncio.timeout(60):
                await seen.asked_again.wait()
        await known.stop()
    assert known.of(MERCHANT_ID) == {JD: Ailing(3, 40, 900, 10)}
    assert [line["event"] for line in said] == ["which channels ail cannot be read"]


async def test_what_nobody_wants_hidden_is_not() -> None:
    seen = Seen()
    known = AilingChannels(seen, lambda: shop(hide=True, own=[{"channel": "jd", "hide": False}]), lambda: NOW)
    await known.read()
    assert known.of(MERCHANT_ID) == {}


HIDES, SWITCHES_OFF = WatchRule(hide=True), WatchRule(hide=True, switch_off=True)
OFF = Switch(NOW, NOW + timedelta(minutes=5))
ILL = Ailing(3, 40, 900, 10)
RESTS, HALF_OPEN = replace(ILL, let_through=None, switched_off=True), replace(ILL, switched_off=True)


@pytest.mark.parametrize(
    ("rule", "switch", "minutes", "told"),
    [
        (WatchRule(), None, 0, None),
        (HIDES, None, 0, ILL),
        (HIDES, None, 3, None),  # nobody has looked for so long
        (HIDES, OFF, 0, ILL),  # switching off was ended by its settings
        (SWITCHES_OFF, None, 0, ILL),
        (SWITCHES_OFF, OFF, 0, RESTS),
        (SWITCHES_OFF, OFF, 4, RESTS),
        (SWITCHES_OFF, OFF, 5, HALF_OPEN),  # the time alone opens it
        (SWITCHES_OFF, replace(OFF, waits=True), 5, RESTS),
        (SWITCHES_OFF, replace(OFF, on_at=NOW), 0, None),  # it has shown that it works
    ],
)
def test_what_the_router_is_told(rule: WatchRule, switch: Switch | None, minutes: int, told: Ailing | None) -> None:
    assert avoided(rule, SeenAiling(Rate(3, 40), NOW, switch), NOW + timedelta(minutes=minutes)) == told


def test_what_is_switched_off_is_so_whether_anything_was_seen_since_or_not() -> None:
    assert avoided(SWITCHES_OFF, SeenAiling(Rate(), None, OFF), NOW) == Ailing(0, 0, 900, switched_off=True)
    assert avoided(HIDES, SeenAiling(Rate(3, 40), None), NOW) is None


def test_about_one_payment_in_n_is_let_through_and_always_the_same_ones() -> None:
    payments = [UUID(int=number << 64) for number in range(4_000)]
    let = [each for each in payments if passes(each, "jd", 10)]
    assert 300 < len(let) < 500
    assert let == [each for each in payments if passes(each, "jd", 10)]
    assert let != [each for each in payments if passes(each, "baofoo", 10)]


def test_a_question_without_a_payment_is_not_let_through_and_nothing_is_where_all_is_closed() -> None:
    every = Ailing(3, 40, 900, 1)
    assert of_payment(every, "jd", None) == every
    told = of_payment(every, "jd", uuid4())
    assert told is not None
    assert told.passes
    closed = Ailing(3, 40, 900, None, switched_off=True)
    assert of_payment(closed, "jd", uuid4()) == closed
    assert of_payment(None, "jd", uuid4()) is None


def test_a_candidate_ails_where_its_scene_bank_and_channel_are_counted_so() -> None:
    known = catalogue((channel("up"), channel("tl")), (rule("up", 10), rule("tl", 50)))
    ail = Ailing(3, 40, 900, 10)

    def ailing(what: Counted) -> dict[str, Ailing | None]:
        unable = Unable(ailing={what: ail})
        found = candidates_for(known, MERCHANT_ID, Scene.WITHHOLD, "ICBC", Payer(), NOW, unable)
        return {each.channel: each.ailing for each in found}

    assert ailing(Counted("withhold", "ICBC", "up")) == {"up": ail, "tl": None}
    assert ailing(Counted("withhold", "CCB", "up")) == {"up": None, "tl": None}
    # What was counted otherwise before is not asked for any more.
    assert ailing(Counted("*", "*", "up")) == {"up": None, "tl": None}
