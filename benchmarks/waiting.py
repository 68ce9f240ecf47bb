"""`python -m benchmarks.waiting`: a long line of withholds beside charges, on a channel that carries 20 calls a second.

The real books on a real PostgreSQL, the real flows and places, and a PSP in the same process that notes when it is
called; the clock is moved, so that two hours pass in minutes. The same charges come with the line and without it. What
a charge takes is measured while the clock goes as clocks do, after all are handed in: the ratio says what a line costs.
"""

import argparse
import asyncio
import base64
import os
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count, pairwise
from pathlib import Path
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from uuid_utils.compat import uuid7

from benchmarks.server import named, new_database
from gateway.domain.cards import CardElements
from gateway.domain.carrying import carries_all
from gateway.domain.catalogue import Account, AuthenticationMode, Catalogue, Channel, Merchant, RouteRule
from gateway.domain.orders import Order
from gateway.domain.outcomes import Outcome, Succeeded
from gateway.domain.scenes import Kind, Scene
from gateway.domain.terms import Product, Terms
from gateway.flows.follow_up import FollowUp
from gateway.flows.observations import ObservationMaker
from gateway.flows.pay import PayFlow
from gateway.flows.route import carries_now
from gateway.flows.submit import Submission
from gateway.ports import AskPayment, Commands, Declaration, OverloadedError, Pay
from gateway.run.calls import ProviderCalls
from gateway.run.lines import ProcessLines
from gateway.run.rooms import ProcessRooms
from gateway.run.running_tasks import RunningTasks
from gateway.storage.keys import Keys
from gateway.storage.server.database import Database
from gateway.storage.server.embedded import EmbeddedPostgres
from gateway.storage.server.migrate import upgrade
from gateway.storage.writing.authenticating import AuthenticatingStore
from gateway.storage.writing.books import Books
from gateway.storage.writing.claims import KnownChannels
from gateway.storage.writing.due import DueStore
from gateway.storage.writing.line import LineStore
from gateway.storage.writing.opening import OpeningStore
from gateway.storage.writing.recording import RecordingStore
from gateway.storage.writing.refunding import RefundingStore
from gateway.storage.writing.users import BusyUsers
from gateway.workers.line import Line
from router.fees import FixedFee

__all__ = ["PER_SECOND", "Seen", "scene"]

PER_SECOND: Final = 20
BEGINNING: Final = datetime(2026, 3, 5, 4, tzinfo=UTC)
ZONE: Final = ZoneInfo("Asia/Shanghai")
MERCHANT: Final = UUID(int=0xA)
STEP_S: Final = 0.25
WARM_UP_S: Final = 10.0
HANDED_IN_AT_A_TIME: Final = 64
TERMS: Final = Terms(poll_gaps_s=(60.0,), not_found=None, answer_timeout_s=30.0)
LINE, BESIDE = "line", "beside"
"""The channel with the line, which charges go to as well, and another one of the same process."""
BANK_OF: Final = {LINE: "ICBC", BESIDE: "ABC"}


@dataclass(slots=True)
class Seen:
    """What one run showed."""

    seconds: float = 0.0
    """That passed until everything was done, by the clock that was moved."""
    sent: int = 0
    never_sent: int = 0
    charges: int = 0
    refused: int = 0
    """Charges for which there was no place."""
    most_in_a_second: int = 0
    """Calls, questions apart, that the channel with the line had in any one second."""
    by_age: float = 1.0
    """How many of those that were sent one after the other came in that order."""
    charges_ms: dict[str, list[float]] = field(default_factory=lambda: {LINE: [], BESIDE: []})

    def p50_ms(self, channel: str) -> float:
        """What half of the charges took at most."""
        return statistics.median(self.charges_ms[channel])


class _World:
    """One process, its PSP and its clock."""

    callbacks = None
    declaration = Declaration("mock", frozenset(Scene), terms=dict.fromkeys(Product, TERMS))

    def __init__(self, url: str) -> None:
        self.passed_s = 0.0
        self.called: list[tuple[float, str]] = []
        """When each order was sent to the channel with the line, and which."""
        self.database = Database(url, 8)
        ring, order_key = (base64.b64encode(os.urandom(32)).decode() for _ in range(2))
        keys = Keys.parse(f"1:{ring}", None, order_key)
        self.catalogue = catalogue = _catalogue()
        self.rooms = rooms = ProcessRooms(
            10_000, lambda *_: None, calls_per_second=self._per_second, clock=lambda: self.passed_s
        )
        opening = OpeningStore(
            self.database, keys, lambda: catalogue, _terms, ZONE, None, self.now, rooms, lambda _: ()
        )
        recording = RecordingStore(self.database, keys, lambda: catalogue, _terms, ZONE, None)
        refunding = RefundingStore(self.database, keys, _terms, ZONE, self.now, rooms)
        authenticating = AuthenticatingStore(
            self.database,
            keys,
            lambda: catalogue,
            _terms,
            ZONE,
            None,
            self.now,
            rooms,
            lambda _: (),
            BusyUsers(self.database),
            carries_all,
        )
        self.books = Books(opening, recording, refunding, 10_000, authenticating.flush)
        due = DueStore(self.database, keys, KnownChannels(lambda _: ()))
        submission = Submission(self, ProviderCalls(self, rooms), self.books, ObservationMaker(self.now, uuid7))
        follow_up = FollowUp(submission, due)
        self.tasks = RunningTasks()
        self.flow = PayFlow(self.books, submission, self.tasks, self.now, uuid7, 30.0, rooms)
        self.line = Line(
            LineStore(self.database),
            ProcessLines(rooms, lambda: self.passed_s),
            follow_up.send_from_line,
            follow_up.end_wait,
            lambda: [MERCHANT],
            lambda *_: list(BANK_OF),
            lambda payment, now: carries_now(catalogue, payment, now),
            self.now,
        )

    def now(self) -> datetime:
        return BEGINNING + timedelta(seconds=self.passed_s)

    def _per_second(self, _: UUID, channel: str) -> int | None:
        return PER_SECOND if channel == LINE else None

    # What the flows need of a PSP

    @property
    def commands(self) -> Commands:
        return {Pay: self._pay, AskPayment: self._pay}

    def provider(self, merchant_id: UUID, account: str) -> "_World":  # noqa: ARG002 -- every account is this PSP's
        return self

    def notify_url(self, _: UUID, account: str) -> str:
        return f"https://gateway.example/callbacks/acme.{account}"

    async def _pay(self, command: Any) -> Outcome:
        if command.bank == BANK_OF[LINE]:
            self.called.append((self.passed_s, command.description))
        return Succeeded(command.amount)


async def scene(
    url: str, withholds: int, hand_in_s: float, seconds: float, charges_per_second: float, measured_s: float = 0.0
) -> Seen:
    """Hand in so many withholds within `hand_in_s`, two hours to send, while charges come by chance, half of them to
    the same channel; until all are sent and `seconds` have passed. Charges come for ten seconds before. After that the
    clock goes as clocks do for `measured_s`, and what charges take then is kept.

    `url`: a database of its own, with the tables.
    """
    world, seen = _World(url), Seen()
    dice, numbers = random.Random(1), count(1)
    send_before = BEGINNING + timedelta(hours=2)
    left, per_step = withholds, withholds * STEP_S / hand_in_s if withholds else 0.0
    owed = 0.0
    try:
        while world.passed_s < seconds or left or not await _is_done(world):
            began = time.perf_counter()
            measures = measured_s > 0 and 0 <= world.passed_s - WARM_UP_S - hand_in_s < measured_s
            owed = min(left, owed + per_step) if world.passed_s >= WARM_UP_S else 0.0
            work: list[Awaitable[object]] = [world.line.tick()]
            work += [_hand_in(world, [next(numbers) for _ in range(int(owed))], send_before)]
            left, owed = left - int(owed), owed - int(owed)
            if world.passed_s < seconds:
                for channel in BANK_OF:
                    came = sum(dice.random() < charges_per_second / 200 for _ in range(int(100 * STEP_S)))
                    kept = seen.charges_ms[channel] if measures or not measured_s else []
                    pauses = [dice.random() * STEP_S if measures else 0.0 for _ in range(came)]
                    work += [_charge(world, seen, kept, channel, next(numbers), pause) for pause in pauses]
            await asyncio.gather(*work)
            await world.line.is_quiet()
            if measures:
                await asyncio.sleep(max(0.0, began + STEP_S - time.perf_counter()))
            world.passed_s += STEP_S
        return await _told(world, seen)
    finally:
        await world.line.close()
        await world.tasks.finish(5.0)
        await world.books.drain()
        await world.database.close()


async def _hand_in(world: _World, numbers: Sequence[int], send_before: datetime) -> None:
    for begin in range(0, len(numbers), HANDED_IN_AT_A_TIME):
        some = numbers[begin : begin + HANDED_IN_AT_A_TIME]
        orders = [_order(number, Kind.WITHHOLD, Scene.WITHHOLD, LINE, send_before) for number in some]
        await asyncio.gather(*map(world.flow.open, orders))


async def _charge(world: _World, seen: Seen, kept: list[float], channel: str, number: int, pause_s: float) -> None:
    seen.charges += 1
    await asyncio.sleep(pause_s)
    began = time.perf_counter()
    try:
        await world.flow.open(_order(number, Kind.CHARGE, Scene.QUICK_CHARGE, channel, None))
    except OverloadedError:
        seen.refused += 1
    else:
        kept.append(1e3 * (time.perf_counter() - began))


async def _is_done(world: _World) -> bool:
    """Whether nobody stands in line; looked at once in ten seconds of the clock that is moved."""
    if world.passed_s % 10:
        return False
    async with world.database.connection() as connection:
        return not await connection.fetchval("SELECT EXISTS (SELECT 1 FROM payments WHERE status = 'processing')")


async def _told(world: _World, seen: Seen) -> Seen:
    async with world.database.connection() as connection:
        rows = await connection.fetch(
            "SELECT status, count(*) FROM payments WHERE kind = 'withhold' GROUP BY status ORDER BY status"
        )
    counts = {row[0]: row[1] for row in rows}
    seen.seconds, seen.sent, seen.never_sent = world.passed_s, counts.pop("succeeded", 0), sum(counts.values())
    times = [at for at, _ in world.called]
    first = 0
    for last, at in enumerate(times):
        while times[first] <= at - 1.0:
            first += 1
        seen.most_in_a_second = max(seen.most_in_a_second, last - first + 1)
    ages = [(at, int(name[1:])) for at, name in world.called if name.startswith("w")]
    later = [(one, other) for one, other in pairwise(ages) if one[0] < other[0]]
    if later:
        seen.by_age = sum(one[1] < other[1] for one, other in later) / len(later)
    return seen


def _order(number: int, kind: Kind, scene: Scene, channel: str, send_before: datetime | None) -> Order:
    name = f"{'w' if kind is Kind.WITHHOLD else 'c'}{number}"
    return Order(
        merchant_id=MERCHANT,
        app="shop",
        merchant_order_no=name,
        kind=kind,
        scene=scene,
        user_id=f"u{number}",
        amount=1000,
        currency="CNY",
        bank=BANK_OF[channel],
        bank_by_bin=None,
        # A well-formed number of nobody.
        card=CardElements(f"622202{number:013d}", "张三", "11010519491231002X", "13800138000"),
        card_id=None,
        customer_present=kind is Kind.CHARGE,
        description=None,
        metadata={},
        return_url=None,
        expires_in_s=None,
        body=name.encode(),
        send_before=send_before,
    )


def _terms(merchant_id: UUID, account: str, product: Product) -> Terms:  # noqa: ARG001 -- all have the same
    return TERMS


def _catalogue() -> Catalogue:
    channels = [
        Channel(MERCHANT, code, f"{code}-1", code, on=True, authentication={"*": AuthenticationMode.NONE})
        for code in BANK_OF
    ]
    rules = [
        RouteRule(MERCHANT, code, scene, bank, enabled=True, fee=FixedFee(10))
        for code, bank in BANK_OF.items()
        for scene in (Scene.WITHHOLD, Scene.QUICK_CHARGE)
    ]
    accounts = tuple(Account(MERCHANT, channel.account, "mock", {}) for channel in channels)
    merchants = (Merchant(MERCHANT, "acme", "Acme"),)
    return Catalogue(1, merchants, accounts=accounts, channels=tuple(channels), rules=rules)


async def _compare(
    withholds: int, hand_in_s: float, seconds: float, charges_per_second: float, measured_s: float
) -> None:
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder, EmbeddedPostgres(_within(folder)) as server:
        told = {}
        for name, many in (("without", 0), ("with", withholds)):
            await new_database(server, name)
            await upgrade(named(server, name))
            run = partial(scene, named(server, name), many, hand_in_s, seconds, charges_per_second, measured_s)
            began = time.perf_counter()
            told[name] = seen = await run()
            print(
                f"{name} a line: {seen.sent} sent and {seen.never_sent} never sent in {seen.seconds:.0f} s,"
                f" at most {seen.most_in_a_second} calls in a second, {seen.by_age:.1%} by age;"
                f" {seen.charges} charges, {seen.refused} refused;"
                f" p50 {seen.p50_ms(LINE):.1f} ms beside the line, {seen.p50_ms(BESIDE):.1f} ms on the other channel"
                f" ({time.perf_counter() - began:.0f} s of real time)",
                flush=True,
            )
        for channel in BANK_OF:
            ratio = told["with"].p50_ms(channel) / told["without"].p50_ms(channel)
            print(f"charges' p50 on the channel {channel}: {ratio:.2f} times that without a line")


def _within(folder: str) -> Path:
    Path(folder).chmod(0o711)  # the database's own user passes through it
    return Path(folder) / "postgres"


def main() -> None:
    """Run it with and without a line, and compare."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.waiting", description=__doc__)
    parser.add_argument("--withholds", type=int, default=20_000)
    parser.add_argument("--hand-in-s", type=float, default=600.0)
    parser.add_argument("--seconds", type=float, default=3600.0, help="that charges come for, by the clock moved")
    parser.add_argument("--charges-per-second", type=float, default=4.0, help="over both channels")
    parser.add_argument("--measured-s", type=float, default=60.0, help="for which the clock is not moved")
    args = parser.parse_args()
    asyncio.run(_compare(args.withholds, args.hand_in_s, args.seconds, args.charges_per_second, args.measured_s))


if __name__ == "__main__":
    main()
