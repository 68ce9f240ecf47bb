"""`sluice reconcile` as a person types it, beside a gateway, the sandbox and a receiver: in one world of all tests.

The bills of the day's channels are what the mocks' books took, to the fen, since this is where they are paid.

Everything was paid on one day, and a whole day more is looked at where moments are moved. Not here: the classes one by
one (tests/storage), each company's format (tests/adapters), the mornings (tests/storage/test_statement_errands.py).
"""

import asyncio
import io
import random
import re
import zipfile
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from gateway.domain.statements import PSP_ZONE, day_of, ends_at
from gateway.run.demo.drive import Drive
from gateway.run.demo.fees import fees_said
from gateway.run.demo.tour import make_tour
from gateway.run.development import Addresses
from gateway.run.keys import key_environment
from tests.e2e.business import App, Shown
from tests.e2e.conftest import NewDatabase
from tests.e2e.stem import ended
from tests.e2e.waiting import until
from tests.e2e.world import World, new_world

BALANCED: Final = "every line and every entry has its class, and the sums balance"
ACCOUNTS: Final = {
    "unionpay_main": "unionpay",
    "allinpay_main": "allinpay",
    "baofoo_main": "baofoo",
    "cpcn_main": "cpcn",
    "lianlian_main": "lianlian",
    "jd_main": "jd",
    "yeepay_main": "yeepay",
    "custody_main": "lanmao",
}
CHANNELS: Final = {"custody_main": ("custody_yeepay", "custody_fuiou")}
"""Where an account has more than the one that is called as its provider."""
GIVEN: Final = frozenset({"lianlian_main", "jd_main", "yeepay_main"})
"""Whose files a person takes from a site."""
CUTS: Final = {"unionpay_main": time(23), "allinpay_main": time(23, 50)}
PAYS_OUT: Final = ("unionpay", "allinpay", "baofoo", "cpcn", "lianlian")


@dataclass
class Desk:
    """Somebody who reconciles: what he types, and where he lays files."""

    world: World
    app: App
    folder: Path
    payments: dict[str, Shown]
    billed: dict[str, dict[str, int]] = field(default_factory=dict)
    """Of the day's business alone: what each account's bills say, in fen by what was charged for."""
    taken: dict[str, dict[str, int]] = field(default_factory=dict)
    """And what the mocks' books say that they took."""

    async def bills(self) -> None:
        """Ask both sides for their fees so far. The month of yesterday and the one of tomorrow may not be the same."""
        days = [datetime.now(PSP_ZONE).date() + timedelta(days=n) for n in (-1, 0, 1)]
        for account, provider in ACCOUNTS.items():
            billed, taken = Counter[str](), Counter[str]()
            for channel in CHANNELS.get(account, (provider,)):
                for month in sorted({f"{day:%Y-%m}" for day in days}):
                    bill = await self.world.admin("GET", f"/merchants/demo/channels/{channel}/bill?month={month}")
                    for line in bill.body["lines"]:
                        billed[line["charge"]] += line["fee"]
            for day in days:
                rows = await self.world.control("GET", f"{provider}/statement_rows?day={day}")
                for row in rows["rows"]:
                    taken[row["kind"]] += row["fee"]
            # Nobody's statement states authentications.
            self.billed[account] = {charge: fee for charge, fee in billed.items() if charge != "authentication" and fee}
            self.taken[account] = {kind: fee for kind, fee in taken.items() if fee}

    async def types(self, *words: str) -> tuple[int, str]:
        """`sluice reconcile` with these words: its exit status and what it says, no line longer than 80 columns."""
        settings = self.world.settings
        assert settings.database_url is not None
        environment = {
            "SLUICE_DATABASE_URL": settings.database_url, "SLUICE_LOG_FORMAT": "json", "SLUICE_LOG_LEVEL": "warning",
            **key_environment(settings),
        }  # fmt: skip
        status, said = await asyncio.to_thread(ended, ["reconcile", *words], environment)
        assert [line for line in said.splitlines() if len(line) > 80 and not line.startswith(("sluice: ", "{"))] == []
        return status, said

    def day(self, account: str, at: datetime | None = None) -> date:
        """The PSP's day of a moment, of now where none is given."""
        return day_of(at or datetime.now(PSP_ZONE), CUTS.get(account, time(0)))

    async def file(self, account: str, day: date) -> Path:
        """The file of a day as a person takes it from the site."""
        url = f"{self.world.sandbox}/_sandbox/{ACCOUNTS[account]}/statement?day={day}"
        async with self.world.session.get(url) as answer:
            assert answer.status == 200, await answer.text()
            assert answer.content_disposition is not None
            path = self.folder / str(answer.content_disposition.filename)
            path.write_bytes(await answer.read())
            return path

    async def reconciles(self, account: str, day: date | None = None, *more: str) -> tuple[int, str]:
        """One account's day; today's so far."""
        wanted = day or self.day(account)
        words = ["--account", f"demo.{account}", "--date", str(wanted), *more]
        if day is None or day >= self.day(account):
            words.append("--so-far")
        if account in GIVEN:
            words += ["--file", str(await self.file(account, wanted))]
        return await self.types(*words)

    async def open_differences(self, account: str, day: date | None = None) -> set[tuple[str, str | None]]:
        """Class and number of what is open."""
        rows = await self.world.sql(
            "SELECT class, number FROM differences d JOIN merchants m USING (merchant_id) WHERE m.code = 'demo'"
            " AND d.account = $1 AND d.day = $2 AND d.state = 'open'", account, day or self.day(account),
        )  # fmt: skip
        return {(row["class"], row["number"]) for row in rows}

    async def moves(self, payment: Shown, account: str, ours: datetime, theirs: datetime) -> None:
        """Both sides say that it was paid at other moments than it was."""
        number = payment["channel_order_no"]
        await self.world.sql(
            "UPDATE intents SET recorded_at = $2::timestamptz - interval '1 second', channel_finished_at = $2,"
            " ended_at = $2 WHERE number = $1", number, ours,
        )  # fmt: skip
        url = f"{ACCOUNTS[account]}/orders/{number}/finished_at"
        await self.world.control("POST", url, {"at": theirs.isoformat()})

    async def pays_out(self, channel: str) -> Shown:
        """A payout to the end."""
        number = self.world.number()
        account = {"type": "personal", "account_no": self.world.card()["card_no"], "name": "张三", "bank": "ICBC"}
        asked = {
            "merchant_order_no": f"out-{number}", "channel": channel, "amount": 60_001 + number, "currency": "CNY",
            "account": account, "purpose": "放款",
        }  # fmt: skip
        payout = (await self.app.call("POST", "/v1/payouts", asked)).body

        async def look() -> Shown | None:
            found = dict(await self.app.get(f"/v1/payouts/{payout['id']}"))
            return found if found["status"] != "processing" else None

        return await until(look, f"the end of {payout['id']}")


@pytest.fixture(scope="module")
async def desk(
    new_database: NewDatabase, psp_keys: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Desk]:
    """A day of business on every channel of the sample, at the fees that its rules say."""
    async with new_world(await new_database(), psp_keys) as world:
        for provider, fees in fees_said(world.merchants["demo"]).items():
            await world.control("POST", f"{provider}/fees", fees)
        drive = Drive(Addresses(world.gateway, world.sandbox, world.receiver.address), world.session)
        await drive.make(list(make_tour("day", random.Random(1))), 16)
        assert drive.refused == []
        desk = Desk(world, world.app, tmp_path_factory.mktemp("desk"), drive.payments)
        for channel in PAYS_OUT:
            assert (await desk.pays_out(channel))["status"] == "succeeded"
        paid = {p["channel"]: p for p in drive.payments.values() if p["status"] == "succeeded"}
        for payment in paid.values():
            answer = await desk.app.refund(payment, payment["amount"] // 2)
            if answer.status == 201:
                await desk.app.refunded(answer.body["id"])
        await desk.bills()
        yield desk
        assert world.system is not None
        assert await world.system.doctor() == []


def near_a_cut() -> bool:
    """Within the hour before a PSP's day ends, or so near that it may end meanwhile."""
    now = datetime.now(PSP_ZONE)
    return any(
        ends_at(now.date(), cut) - timedelta(minutes=35) < now < ends_at(now.date(), cut) + timedelta(minutes=35)
        or now.time() < time(0, 35)
        for cut in (time(0), time(23), time(23, 50))
    )


async def test_the_bill_of_each_account_is_what_the_books_of_its_psp_took_to_the_fen(desk: Desk) -> None:
    assert desk.billed == desk.taken
    assert all(of.get("payment", 0) > 0 for of in desk.billed.values()), "each was paid through"
    assert {account for account, of in desk.billed.items() if of.get("payout")} == {f"{each}_main" for each in PAYS_OUT}
    assert [account for account, of in desk.billed.items() if of.get("refund", 0) < 0] == ["yeepay_main"]


async def test_every_account_of_a_day_balances_and_each_planted_difference_is_found(desk: Desk) -> None:
    if near_a_cut():
        pytest.skip("one-sided rows are in suspense near a cut")
    world = desk.world
    # All of them from one command: of those whose file a person gives there is none so far.
    status, said = await desk.types("--so-far", "--date", str(desk.day("cpcn_main")))
    assert (status, said.count(BALANCED)) == (1, len(ACCOUNTS) - len(GIVEN)), said
    assert said.count("there is no statement so far: a person gives") == len(GIVEN)
    assert "other." not in said, "an account that nothing was sent by has nothing to compare"
    for account in GIVEN:
        status, more = await desk.reconciles(account)
        assert (status, BALANCED in more) == (0, True), more
        said += more
    assert said.count("apart 0.00") == len(ACCOUNTS), said
    for account in ACCOUNTS:
        assert await desk.open_differences(account) == set(), said

    day = desk.day("allinpay_main")
    wanted = ("short", "not_paid", "duplicate", "amount", "fee")
    for _ in wanted:
        await world.app.pay_to_the_end(world.order(world.cheap()))
    planted = [{"difference": name, "day": str(day), "kind": "payment"} for name in wanted]
    planted[3]["by"], planted[4]["by"] = "-5", "3"
    asked: list[Any] = [one | ({"by": int(one["by"])} if "by" in one else {}) for one in planted]
    noon = datetime.now(PSP_ZONE) - timedelta(minutes=1)
    asked += [{"difference": "long", "at": noon.isoformat(), "amount": 777}]
    told = (await world.control("POST", "allinpay/statement_differences", asked))["differences"]
    status, said = await desk.reconciles("allinpay_main")
    assert (status, BALANCED in said) == (0, True), said
    found = {(one["class"], one["order_no"]) for one in told}
    assert await desk.open_differences("allinpay_main") == found
    for name, number in found:
        assert re.search(rf"(?s){name} .*{number}", said), said
    # A corrected statement takes its place, since the day is not over; what they had wrong is gone.
    await world.control("DELETE", "allinpay/statement_differences")
    status, said = await desk.reconciles("allinpay_main")
    assert status == 0
    assert {name for name, _ in await desk.open_differences("allinpay_main")} <= {"status_mismatch"}


async def test_what_is_unknown_is_settled_and_what_they_took_though_it_failed_is_an_anomaly(desk: Desk) -> None:
    world = desk.world
    if near_a_cut():
        pytest.skip("one-sided rows are in suspense near a cut")
    # The answer is lost, and so are the answers to all questions.
    amount = world.cheap()
    await world.fault("allinpay", "reset_after", amount, times=1, match={"operation": "pay"})
    silent = await world.fault("allinpay", "garbage", amount, times=None, body="html", match={"operation": "query"})
    unknown = await world.app.pay(world.order(amount))
    refused_amount = world.cheap()
    await world.fault("allinpay", "decline", refused_amount, code="3999", when="sync")
    refused = await world.app.pay_to_the_end(world.order(refused_amount))
    assert refused["status"] == "failed"
    plant = [{"difference": "long", "order_no": refused["channel_order_no"]}]
    await world.control("POST", "allinpay/statement_differences", plant)

    async def arrived() -> bool | None:
        rows = await world.transactions("allinpay", (await world.app.payment(unknown["id"]))["channel_order_no"])
        return bool(rows and rows[0]["state"] == "succeeded") or None

    await until(arrived, "the order at Allinpay")
    assert (await world.app.payment(unknown["id"]))["status"] == "processing"
    status, said = await desk.reconciles("allinpay_main")
    assert (status, "settled 已勾兑" in said, "resolve anomaly" in said) == (0, True, True), said
    now = await world.app.payment(unknown["id"])
    assert now["status"] == "succeeded"
    [event] = await world.app.told(unknown["id"])
    assert event["type"] == "payment.succeeded"
    assert ("long", refused["channel_order_no"]) in await desk.open_differences("allinpay_main")
    _, anomaly = await world.app.told(refused["id"], 2)
    assert (anomaly["type"], anomaly["body"]["anomaly"]["kind"]) == ("payment.anomaly", "late_success")
    # Once more: nobody hears anything twice.
    status, said = await desk.reconciles("allinpay_main")
    assert (status, BALANCED in said) == (0, True)
    assert len(await world.app.events(unknown["id"])) == 1
    assert len(await world.app.events(refused["id"])) == 2
    await world.control("DELETE", f"allinpay/faults/{silent}")
    await world.control("DELETE", f"allinpay/statement_differences?order_no={refused['channel_order_no']}")


async def test_what_either_side_has_on_another_day_is_held_and_matched_on_the_next_one(desk: Desk) -> None:
    world = desk.world
    second = datetime.now(PSP_ZONE).date() - timedelta(days=2)
    first = second - timedelta(days=1)

    def at(hour: int, minute: int, day: date = first) -> datetime:
        return datetime.combine(day, time(hour, minute), PSP_ZONE)

    # UnionPay's day ends at 23:00: ours of 23:10 stands in the next day's file.
    ours_first = await world.app.pay_to_the_end(world.order(world.dear()))
    assert (ours_first["status"], ours_first["channel"]) == ("succeeded", "unionpay")
    await desk.moves(ours_first, "unionpay_main", at(23, 10), at(23, 10))
    # Their clock says 23:58, ours heard of it after midnight; the day ends then.
    theirs_first = await desk.pays_out("baofoo")
    await desk.moves(theirs_first, "baofoo_main", at(0, 3, second), at(23, 58))
    for account, number in (
        ("unionpay_main", ours_first["channel_order_no"]),
        ("baofoo_main", theirs_first["channel_order_no"]),
    ):
        status, said = await desk.reconciles(account, first)
        assert (status, BALANCED in said, "suspense 存疑" in said) == (0, True, True), said
        assert await desk.open_differences(account, first) == {("suspense", number)}
        status, said = await desk.reconciles(account, second)
        assert (status, BALANCED in said, "held before" in said) == (0, True, True), said
        assert await desk.open_differences(account, first) == set()
        assert await desk.open_differences(account, second) == set()


async def test_files_that_are_not_what_they_must_be_leave_nothing_and_are_told_by_name(
    desk: Desk, tmp_path: Path
) -> None:
    world = desk.world
    day = datetime.now(PSP_ZONE).date() - timedelta(days=5)
    good = await desk.file("unionpay_main", day)
    content, bomb, outside = good.read_bytes(), io.BytesIO(), io.BytesIO()
    name = zipfile.ZipFile(good).namelist()[0]
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, bytes(80_000_000))
    with zipfile.ZipFile(outside, "w") as archive:
        archive.writestr("../x", b"")
    other_merchant = io.BytesIO()
    with zipfile.ZipFile(other_merchant, "w") as archive:
        archive.writestr(re.sub(r"[0-9]{15}", "1" * 15, name), b"")
    before = await world.sql("SELECT count(*) AS n FROM statement_lines")
    bad = {
        "cut.zip": content[: len(content) // 2],
        "other_day.zip": (await desk.file("unionpay_main", day - timedelta(days=1))).read_bytes(),
        "other_merchant.zip": other_merchant.getvalue(),
        "page.zip": "<html>维护中</html>".encode(),
        "bomb.zip": bomb.getvalue(),
        "outside.zip": outside.getvalue(),
        "nothing.zip": b"",
    }
    words = ("--account", "demo.unionpay_main", "--date", str(day), "--file")
    for called, raw in bad.items():
        (tmp_path / called).write_bytes(raw)
    ends = await asyncio.gather(*(desk.types(*words, str(tmp_path / called)) for called in bad))
    for called, (status, said) in zip(bad, ends, strict=True):
        assert (status, "refused, nothing was loaded" in said) == (1, True), (called, said)
        assert re.search(rf"{called}|INN[0-9]{{8}}ZME?_|\.\./x", said), (called, said)
    assert await world.sql("SELECT count(*) AS n FROM statement_lines") == before
    assert await world.sql("SELECT 1 FROM statements WHERE day = $1", day) == []


async def test_the_same_file_changes_nothing_two_at_once_load_it_once_and_another_needs_a_word(
    desk: Desk, tmp_path: Path
) -> None:
    world = desk.world
    day = datetime.now(PSP_ZONE).date() - timedelta(days=7)
    paid = await world.app.pay_to_the_end(world.order(world.dear()))
    noon = datetime.combine(day, time(12), PSP_ZONE)
    await desk.moves(paid, "unionpay_main", noon, noon)
    first = tmp_path / "first.zip"
    first.write_bytes((await desk.file("unionpay_main", day)).read_bytes())
    words = ("--account", "demo.unionpay_main", "--date", str(day), "--file", str(first))
    both = await asyncio.gather(desk.types(*words), desk.types(*words))
    assert [status for status, _ in both] == [0, 0]
    assert sum("nothing changed" in said for _, said in both) == 1
    assert "nothing changed" in (await desk.types(*words))[1]
    row = {"difference": "long", "at": noon.isoformat(), "amount": 900}
    await world.control("POST", "unionpay/statement_differences", [row])
    second = tmp_path / "second.zip"
    second.write_bytes((await desk.file("unionpay_main", day)).read_bytes())
    words = (*words[:-1], str(second))
    status, said = await desk.types(*words)
    assert (status, "--replace" in said) == (1, True), said
    status, said = await desk.types(*words, "--replace", "their mail of Friday", "--by", "ann")
    assert (status, "statement version 2" in said, "long 长款" in said) == (0, True, True), said
    kept = await world.sql("SELECT version, loaded_by, note FROM statements WHERE day = $1 ORDER BY version", day)
    assert [tuple(each) for each in kept] == [(1, "command", None), (2, "ann", "their mail of Friday")]


async def test_what_cannot_be_meant_is_said_in_words(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"")
    tomorrow = datetime.now(PSP_ZONE).date() + timedelta(days=1)
    cases: tuple[tuple[tuple[str, ...], int, str], ...] = (
        (("--account", "nobody"), 2, "there is no account nobody"),
        (("--account", "unionpay_main"), 2, "more than one merchant has unionpay_main"),
        (("--date", "2026-02-30"), 2, "--date 2026-02-30 is no day"),
        (("--file", str(file)), 2, "say --account"),
        (("--replace", "why"), 2, "say --account"),
        (("--account", "demo.cpcn_main", "--file", str(tmp_path / "none")), 2, "Error"),
        (("--account", "demo.cpcn_main", "--date", str(tomorrow)), 1, "ends at"),
        (("--account", "demo.cpcn_main", "--date", str(tomorrow + timedelta(days=1)), "--so-far"), 1, "ends at"),
        (("--account", "demo.lianlian_main"), 1, "a person gives LianLian's files"),
    )
    ends = await asyncio.gather(*(desk.types(*words) for words, *_ in cases))
    for (words, status, sentence), (ended_with, said) in zip(cases, ends, strict=True):
        assert (ended_with, sentence in " ".join(said.split())) == (status, True), (words, said)
    status, said = await desk.types("--help")
    assert (status, "--so-far" in said, "Exit status 1" in said) == (0, True, True)
