"""`sluice demo`: payments of every scene that exists, refunds and payouts, driven through a system; the books compared.

It talks to everything over HTTP, as outsiders do: at the end of the day as an operator who reconciles.
"""

import asyncio
import random
import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import aiohttp
from rich.console import Console
from rich.live import Live
from rich.table import Table

from gateway.catalogue_file import CatalogueFileError, read_catalogue
from gateway.domain.catalogue_content import MerchantContent
from gateway.domain.money import yuan
from gateway.run.demo.drive import ANSWER_WITHIN_S, FINAL, Drive
from gateway.run.demo.final_books import FinalBooks, read_books
from gateway.run.demo.money_out import MoneyOut
from gateway.run.demo.orders import DemoOrder, make_orders
from gateway.run.demo.reconciling import EndOfDay, end_the_day, say_fees
from gateway.run.demo.tour import LENGTH, make_tour
from gateway.run.development import Addresses, reachable_host, refuse_production, running_system, sample_catalogue
from gateway.run.local import sample_environment
from gateway.run.supervising import answers
from gateway.settings import SAMPLE_ADMIN_TOKEN, SAMPLE_API_KEY, Settings

__all__ = ["run_demo"]

REDRAWS_PER_SECOND = 4
MAX_SHOWN = 20


def run_demo(settings: Settings, count: int, concurrency: int, seed: int | None) -> bool:
    """Drive `count` payments and print the comparison; whether all books agree."""
    refuse_production(settings, "demo")
    out = Console()
    token = settings.admin_token.get_secret_value() if settings.admin_token else SAMPLE_ADMIN_TOKEN
    with _somewhere(settings, out) as (addresses, is_fresh):
        return asyncio.run(_demonstrate(addresses, count, concurrency, seed, out, token, settings, is_fresh=is_fresh))


@contextmanager
def _somewhere(settings: Settings, out: Console) -> Iterator[tuple[Addresses, bool]]:
    """A system that runs here already, or a fresh one for as long as the context."""
    running = Addresses(
        gateway=f"http://{reachable_host(settings.host)}:{settings.port}",
        sandbox=f"http://127.0.0.1:{settings.sandbox_port}",
        receiver=f"http://127.0.0.1:{settings.receiver_port}",
    )
    if answers(f"{running.gateway}/healthz") and answers(f"{running.sandbox}/_sandbox/health"):
        out.print(f"using the system that runs at {running.gateway}", highlight=False)
        yield running, False
        return
    out.print("nothing runs here: starting a system", highlight=False)
    with running_system(settings, quiet=True) as (addresses, _):
        yield addresses, True


async def _demonstrate(
    addresses: Addresses,
    count: int,
    concurrency: int,
    seed: int | None,
    out: Console,
    admin_token: str,
    settings: Settings,
    *,
    is_fresh: bool,
) -> bool:
    seed = secrets.randbelow(2**32) if seed is None else seed
    count = max(count, LENGTH)
    out.print(f"{count} payments, refunds and payouts; seed {seed}", highlight=False)
    run, dice = secrets.token_hex(4), random.Random(seed)  # noqa: S311 -- made-up orders
    orders = [*make_tour(run, dice), *make_orders(count - LENGTH, run, dice)]
    started = datetime.now(UTC)
    timeout = aiohttp.ClientTimeout(total=ANSWER_WITHIN_S)
    connector = aiohttp.TCPConnector(limit=concurrency + 4)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        if not await _knows_sample_key(session, addresses):
            out.print(f"the gateway at {addresses.gateway} does not know the sample key: run it with `sluice run`")
            return False
        drive, admin = Drive(addresses, session), {"Authorization": f"Bearer {admin_token}"}
        sample = _sample(settings, addresses, out)
        if sample is not None:
            await say_fees(drive, sample)
        money_out = MoneyOut(drive, admin, run, dice)
        with Live(_table(drive, money_out, count), console=out, refresh_per_second=REDRAWS_PER_SECOND) as live:
            work = asyncio.create_task(_make(drive, money_out, orders, concurrency))
            try:
                while not work.done():
                    await asyncio.wait({work}, timeout=1 / REDRAWS_PER_SECOND)
                    live.update(_table(drive, money_out, count))
            finally:
                # Interrupted as well, it takes its faults back before the connections are closed.
                await asyncio.wait({work}, timeout=ANSWER_WITHIN_S)
            await work
        seconds = (datetime.now(UTC) - started).total_seconds()
        missing = [*await drive.not_driven(admin_token), *await money_out.not_as_asked()]
        books = await read_books(drive, money_out, started, admin, others_too=is_fresh)
        end = EndOfDay()
        if sample is not None:
            end = await end_the_day(drive, sample, admin, started, dice, others_too=is_fresh)
    troubled = Counter(order.trouble for order in orders if order.trouble) + money_out.troubled
    out.print("\nasked for: " + ", ".join(f"{times} × {what}" for what, times in sorted(troubled.items())))
    differences = [str(difference) for difference in books.differences]
    refused = [*drive.refused, *money_out.refused]
    wrong = [*refused, *missing, *differences, *books.repeated, *drive.unbooked(), *drive.sms.signed_twice, *end.wrong]
    _summarise(drive, money_out, books, end, seconds, wrong, out)
    return not wrong


def _sample(settings: Settings, addresses: Addresses, out: Console) -> MerchantContent | None:
    """The merchant of the sample, by whose rules the sandbox takes its fees; None: its keys are not in this data
    folder, so the system that runs is another one's."""
    ports = {
        "SLUICE_SANDBOX_PORT": addresses.sandbox.rpartition(":")[2],
        "SLUICE_RECEIVER_PORT": addresses.receiver.rpartition(":")[2],
    }
    try:
        return read_catalogue(sample_catalogue(), sample_environment(settings, ports)).merchants[0]
    except CatalogueFileError as error:
        out.print(f"the day is not held against the statements: {error}", highlight=False, markup=False)
        return None


async def _make(drive: Drive, money_out: MoneyOut, orders: list[DemoOrder], concurrency: int) -> None:
    """Payments, and what leaves beside them, to the end of both."""
    payments_made = asyncio.Event()

    async def payments() -> None:
        try:
            await drive.make(orders, concurrency)
        finally:
            payments_made.set()

    async with asyncio.TaskGroup() as group:
        group.create_task(payments())
        group.create_task(money_out.make(payments_made))


async def _knows_sample_key(session: aiohttp.ClientSession, addresses: Addresses) -> bool:
    headers = {"Authorization": f"Bearer {SAMPLE_API_KEY}"}
    async with session.get(f"{addresses.gateway}/v1/payments?limit=1", headers=headers) as answer:
        return answer.status == 200


def _table(drive: Drive, money_out: MoneyOut, count: int) -> Table:
    final = sum(payment["status"] in FINAL for payment in drive.payments.values())
    title = f"{drive.made}/{count} made · {final} final · {len(drive.bookings)} booked by the business system"
    table = Table(title=title, caption=f"{drive.sms}\n{money_out.said()}", pad_edge=False)
    table.add_column("scene, and channel", no_wrap=True)
    for heading in ("open", "paid", "failed", "closed"):
        table.add_column(heading, no_wrap=True, justify="right")
    for heading, width in (("fen paid", 10), ("fees", 6)):
        # Wide enough for these 300 payments, and all of it fits 80 columns.
        table.add_column(heading, no_wrap=True, justify="right", min_width=width)
    groups = Counter((str(p["channel"] or "(refused)"), p["scene"], p["status"]) for p in drive.payments.values())
    shown = ""
    for scene, channel in sorted({(scene, channel) for channel, scene, _ in groups}):
        if scene != shown:
            table.add_row(f"[bold]{scene}")
            shown = scene
        paid = [
            payment
            for payment in drive.payments.values()
            if (payment["channel"], payment["scene"], payment["status"]) == (channel, scene, "succeeded")
        ]
        still = groups[channel, scene, "processing"] + groups[channel, scene, "requires_action"]
        counts = (str(still), *(str(groups[channel, scene, status]) for status in ("succeeded", "failed", "closed")))
        # Authentications cost their fee whatever became of their payments.
        fees = sum(payment["fee"] or 0 for payment in paid) + sum(
            payment["authentication_fee"] or 0
            for payment in drive.payments.values()
            if (str(payment["channel"] or "(refused)"), payment["scene"]) == (channel, scene)
        )
        table.add_row(f"  {channel}", *counts, f"{sum(payment['amount'] for payment in paid):,}", f"{fees:,}")
    return table


def _summarise(
    drive: Drive,
    money_out: MoneyOut,
    books: FinalBooks,
    end: EndOfDay,
    seconds: float,
    wrong: list[str],
    out: Console,
) -> None:
    codes = Counter(p["failure"]["code"] for p in drive.payments.values() if p["failure"])
    if codes:
        out.print("failures: " + ", ".join(f"{times} × {code}" for code, times in codes.most_common()))
    opened = [payment["authentication_fee"] for payment in drive.payments.values() if payment["authentication_fee"]]
    owed = sum(payment["fee"] or 0 for payment in drive.payments.values())
    out.print(
        f"fees: {yuan(owed)} yuan for payments and {yuan(sum(opened))} yuan for {len(opened)} authentications of cards",
        highlight=False,
    )
    out.print(f"{drive.sms}; no phone got SMS to sign from two" if not drive.sms.signed_twice else str(drive.sms))
    out.print(money_out.said(), highlight=False)
    out.print(books.table())
    out.print(
        f"{len(drive.payments)} payments in {seconds:.1f} s; of {len(books.ours)} orders of ours the sandbox has "
        f"{len(books.theirs)}, {len(books.differences)} differently; the business system booked {len(drive.bookings)}",
        highlight=False,
    )
    if end.days:
        out.print(end.table())
    for sentence in end.said():
        out.print(sentence, highlight=False)
    for sentence in wrong[:MAX_SHOWN]:
        out.print(f"  - {sentence}", highlight=False)
    if len(wrong) > MAX_SHOWN:
        out.print(f"  and {len(wrong) - MAX_SHOWN} more")
    out.print("[bold red]the books differ" if wrong else "[bold green]the books agree")
