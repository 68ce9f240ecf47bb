"""The operators' calls of days and differences, over fakes: what they ask for, what they answer, what they refuse.

Not here: the SQL behind them (tests/storage), real files and payment companies (tests/e2e).
"""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from aiohttp import FormData
from aiohttp.client_exceptions import ClientPayloadError
from aiohttp.test_utils import TestClient, TestServer

from gateway.api.admin import reconciliation
from gateway.api.admin.differences import DifferenceCalls
from gateway.api.admin.fee_proposals import FeeProposalCalls
from gateway.api.admin.reconciliation import ReconciliationCalls
from gateway.api.application import build_app
from gateway.domain.differences import Difference, DifferenceFilter, DifferenceState, Ours, Standing, Theirs
from gateway.domain.ids import DIFFERENCE, ObjectKind, show, show_object
from gateway.domain.reconciled import (
    Class,
    ClassTotals,
    DayClosedError,
    DayFilter,
    DayNotClosableError,
    MissingDay,
    OpenSums,
    OtherStatementError,
    ReconciledDay,
    StatementVersion,
    Totals,
)
from gateway.ports import AnswerLostError, UnusableAccountError
from gateway.ports.statements import StatementFile, StatementNotReadyError, StatementRefusedError
from reconciliation.day_runs import DayRuns
from reconciliation.fee_proposals import TakenFee
from reconciliation.running import DayNotOverError, NoStatementsError
from tests.api.client import Client, Got
from tests.api.fakes import ADMIN, KEY, MERCHANT, NOW, ZONE, FakeGateway, catalogue

BASE = "/v1/admin/merchants/acme"
DAYS = f"{BASE}/reconciliation/days"
DAY = date(2026, 2, 28)
ONE = f"{DAYS}/tlt/{DAY}"
SUMS = ClassTotals(theirs=2, theirs_amount=300, ours=1, ours_amount=100, unknown=1, theirs_fee=3, ours_fee=2)
RECONCILED = ReconciledDay(
    "tlt", DAY, UUID(int=1), 2, Totals({Class.LONG: SUMS}, 2, 300, 1, 100), balanced=True, ran_at=NOW, ran_by="li"
)
LONG = Difference(
    UUID(int=7), "tlt", DAY, Class.LONG, DifferenceState.OPEN, "=HYPERLINK(1)",
    Theirs(3, "payment", 128_800, paid=True, fee=-50, transaction_no="T1", done_at=NOW - timedelta(days=1)),
    Ours(ObjectKind.PAYMENT, UUID(int=9), 128_801, "failed", None, None), None, None, None, None, NOW, None, None, None,
    ({"at": "2026-03-01T04:00:00Z", "by": "li", "did": "reopened", "note": "no"},),
)  # fmt: skip
DIF = show(DIFFERENCE, LONG.difference_id)
OTHER = show(DIFFERENCE, UUID(int=8))
SAID = {"note": "asked them", "by": "li"}


@dataclass
class FakeBooks:
    """Days and differences in memory."""

    found: list[Difference] = field(default_factory=lambda: [LONG])
    asked: list[DifferenceFilter] = field(default_factory=list)
    days_asked: list[DayFilter] = field(default_factory=list)
    standing_now: dict[UUID, Standing] = field(default_factory=dict)
    days_kept: list[ReconciledDay] = field(default_factory=lambda: [RECONCILED])
    not_closable: str | None = None
    breaks_after: int | None = None
    held: asyncio.Event | None = None

    async def days(self, merchant_id: UUID, wanted: DayFilter) -> list[ReconciledDay]:
        assert merchant_id == MERCHANT
        self.days_asked.append(wanted)
        return self.days_kept[: wanted.limit]

    async def day(self, _: UUID, account: str, day: date) -> ReconciledDay | None:
        return next((each for each in self.days_kept if (each.account, each.day) == (account, day)), None)

    async def versions(self, _: UUID, account: str, day: date) -> list[StatementVersion]:
        return [StatementVersion(UUID(int=1), 2, "ab", (f"{account}-{day}",), 2, 300, NOW, "li", "their mail", None)]

    async def open(self, _: UUID, places: Sequence[tuple[str, date]]) -> Any:
        return {place: {Class.LONG: OpenSums(2, 300, 0), Class.SUSPENSE: OpenSums(1, 0, 5)} for place in places}

    async def taken(self, _: UUID, account: str, day: date, most: int, within_s: int) -> list[TakenFee]:
        assert most >= 100
        assert within_s <= 30
        if self.held is not None:
            await self.held.wait()
        amounts = [8_000 + 137 * n for n in range(60)]
        return [TakenFee("unionpay", "withhold", None, "ICBC", each, (2 * each + 500) // 1000, 1) for each in amounts]

    async def missing(self, _: UUID, account: str | None = None) -> list[MissingDay]:
        return [MissingDay(account or "unionpay", DAY, NOW, 4, "not ready", late=True)]

    async def close(self, _: UUID, account: str, day: date, by: str, at: datetime) -> bool:
        if self.not_closable:
            raise DayNotClosableError(self.not_closable)
        self.days_kept = [replace(RECONCILED, account=account, day=day, closed_at=at, closed_by=by)]
        return True

    async def differences(self, _: UUID, wanted: DifferenceFilter) -> list[Difference]:
        self.asked.append(wanted)
        return self.found[: wanted.limit]

    async def every(self, _: UUID, wanted: DifferenceFilter) -> AsyncIterator[Difference]:
        self.asked.append(wanted)
        for number, each in enumerate(self.found):
            if number == self.breaks_after:
                raise ConnectionAbortedError
            yield each

    async def resolve(self, _: UUID, differences: Sequence[UUID], by: str, note: str, at: datetime) -> list[UUID]:
        return [each for each in differences if each not in self.standing_now and each.int < 100]

    async def resolve_day(self, _: UUID, account: str, day: date, kind: Class, by: str, note: str, at: datetime) -> int:
        assert (account, day, kind, by, note, at) == ("tlt", DAY, Class.LONG, "li", "asked them", NOW)
        return 12

    reopen = resolve

    async def standing(self, _: UUID, differences: Sequence[UUID]) -> dict[UUID, Standing]:
        return {each: self.standing_now[each] for each in differences if each in self.standing_now}


@dataclass
class FakeReconciler:
    """Runs nothing; keeps what it was given. `held`: until it is set, a run goes on."""

    refuses: Exception | None = None
    given: list[tuple[str, bytes]] = field(default_factory=list)
    replaces: str | None = None
    held: asyncio.Event | None = None
    runs: int = 0
    so_far: bool = False

    async def run(
        self, merchant_id: UUID, account: str, day: date, by: str, files: Sequence[StatementFile] | None = None,
        replaces: str | None = None, *, so_far: bool = False,
    ) -> ReconciledDay:  # fmt: skip
        self.runs, self.so_far = self.runs + 1, so_far
        if self.held is not None:
            await self.held.wait()
        if self.refuses is not None:
            raise self.refuses
        self.given = [(file.name, file.path.read_bytes()) for file in files or ()]
        self.replaces = replaces
        return RECONCILED


@dataclass
class Desk:
    books: FakeBooks
    reconciler: FakeReconciler
    client: Client

    async def get(self, path: str) -> Got:
        return await self.client.get(path, key=ADMIN)

    async def post(self, path: str, body: object) -> Got:
        return await self.client.post(path, body, key=ADMIN)

    async def put(self, path: str, body: Any, **headers: str) -> Got:
        return await self.client.send("PUT", path, body, key=ADMIN, headers=headers)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    books, reconciler, snapshot = FakeBooks(), FakeReconciler(), catalogue()
    runs = DayRuns(reconciler.run, asyncio.create_task, within_s=0.2)
    routes = [
        *ReconciliationCalls(books, books, runs, lambda: snapshot, lambda: NOW).routes(),
        *FeeProposalCalls(books, books, lambda: snapshot).routes(),
        *DifferenceCalls(books, lambda: snapshot, lambda: NOW, ZONE).routes(),
    ]
    async with TestClient(TestServer(build_app(FakeGateway().api(), routes))) as http:
        yield Desk(books, reconciler, Client(http))


@pytest.mark.parametrize("path", [DAYS, ONE, f"{BASE}/differences", f"{BASE}/differences.csv"])
async def test_only_operators_may_look(desk: Desk, path: str) -> None:
    assert (await desk.client.get(path, key=None)).status == 401
    assert (await desk.client.get(path, key=KEY)).status == 403
    assert (await desk.get(path.replace("acme", "nobody"))).status == 404
    assert (await desk.get(path)).status == 200


async def test_days_show_each_class_both_sides_what_is_open_and_what_is_missing(desk: Desk) -> None:
    shown = (await desk.get(DAYS)).json
    (day,), (missing,) = shown["data"], shown["missing"]
    assert (
        day["classes"][0] | {"class": "long", "theirs": 2, "ours": 2, "unknown": 1, "apart": 200} == day["classes"][0]
    )
    assert day["in_all"] == {
        "theirs": 2, "theirs_amount": 300, "ours": 2, "ours_amount": 100, "apart": 200, "theirs_fee": 3, "ours_fee": 2,
    }  # fmt: skip
    assert (day["open"], [each["class"] for each in day["open_by_class"]]) == (2, ["long", "suspense"])
    assert (day["balanced"], day["wrong"], day["statement_version"], day["closed_at"]) == (True, [], 2, None)
    assert missing == {"account": "unionpay", "day": "2026-02-28", "due_at": "2026-03-01T04:00:00.000Z", "tries": 4,
                       "reason": "not ready", "late": True}  # fmt: skip


async def test_days_are_paged_by_day_and_account(desk: Desk) -> None:
    desk.books.days_kept = [replace(RECONCILED, day=date(2026, 2, n)) for n in (28, 27, 26)]
    page = (await desk.get(f"{DAYS}?account=tlt&from=2026-02-01&to=2026-02-28&limit=2")).json
    assert (len(page["data"]), page["next"]) == (2, "2026-02-27/tlt")
    await desk.get(f"{DAYS}?after={page['next']}")
    first, second = desk.books.days_asked
    assert (first.account, first.since, first.until, first.limit) == ("tlt", date(2026, 2, 1), DAY, 3)
    assert second.after == (date(2026, 2, 27), "tlt")


@pytest.mark.parametrize("asked", ["from=1", "to=2026-2-1", "after=x", "after=2026-02-30/tlt", "limit=0", "other=1"])
async def test_days_that_cannot_be_meant_are_refused(desk: Desk, asked: str) -> None:
    assert (await desk.get(f"{DAYS}?{asked}")).fields == [asked.partition("=")[0]]


async def test_one_day_shows_every_statement_that_was_loaded(desk: Desk) -> None:
    day = (await desk.get(ONE)).json
    assert (day["statements"][0]["files"], day["statements"][0]["note"], day["running"]) == (
        ["tlt-2026-02-28"], "their mail", False,
    )  # fmt: skip
    for elsewhere in (f"{DAYS}/tlt/2026-02-27", f"{DAYS}/tlt/2026-02-30", f"{DAYS}/tlt/today"):
        assert (await desk.get(elsewhere)).status == 404


async def test_a_day_is_run_and_goes_on_when_it_takes_long(desk: Desk) -> None:
    assert (await desk.post(f"{ONE}/run", {"by": "li"})).json["state"] == "done"
    desk.reconciler.held = asyncio.Event()
    running = await desk.post(f"{ONE}/run", {"by": "li"})
    assert (running.status, running.json) == (202, {"state": "running", "account": "tlt", "day": "2026-02-28"})
    assert (await desk.get(ONE)).json["running"] is True
    # The same again waits for that run; anything else of the account is told to wait.
    assert (await desk.post(f"{ONE}/run", {"by": "li"})).status == 202
    other = await desk.post(f"{DAYS}/tlt/2026-02-27/run", {"by": "li"})
    assert (other.status, other.problem["code"]) == (409, "run_in_progress")
    given = await desk.put(f"{ONE}/statement?by=li", b"x", **{"Content-Type": "text/csv"})
    assert (given.status, given.problem["code"]) == (409, "run_in_progress")
    desk.reconciler.held.set()
    assert (await desk.post(f"{ONE}/run", {"by": "li"})).status == 200
    assert desk.reconciler.runs <= 3


async def test_a_day_that_is_not_over_is_run_where_that_is_said(desk: Desk) -> None:
    octets = {"Content-Type": "application/octet-stream"}
    for said, wanted in ((True, True), (False, False)):
        assert (await desk.post(f"{ONE}/run", {"by": "li", "so_far": said})).status == 200
        assert desk.reconciler.so_far is wanted
        answer = await desk.put(f"{ONE}/statement?by=li&so_far={str(said).lower()}", b"x", **octets)
        assert (answer.status, desk.reconciler.so_far) == (200, wanted)
    refused = await desk.post(f"{ONE}/run", {"by": "li", "so_far": "yes"})
    assert [each["field"] for each in refused.problem_with("errors")["errors"]] == ["so_far"]


@pytest.mark.parametrize(
    ("refusal", "status", "code"),
    [
        (StatementNotReadyError("E2002"), 409, "statement_not_ready"),
        (OtherStatementError("tlt", DAY, 1, NOW), 409, "other_statement"),
        (DayClosedError("tlt: 2026-02-28 is closed"), 409, "day_closed"),
        (DayNotOverError("tlt: ends later"), 409, "day_not_over"),
        (NoStatementsError("tlt", "tlt states nothing: describe the file"), 409, "no_statements"),
        (UnusableAccountError("tlt"), 409, "account_unusable"),
        (AnswerLostError("reset"), 502, "channel_unreachable"),
    ],
)
async def test_why_a_day_is_not_run_is_said_by_a_code(desk: Desk, refusal: Exception, status: int, code: str) -> None:
    desk.reconciler.refuses = refusal
    more = ["version"] if code == "other_statement" else []
    answer = await desk.post(f"{ONE}/run", {"by": "li"})
    assert (answer.status, answer.problem_with(*more)["code"]) == (status, code)
    # It holds nothing back afterwards.
    desk.reconciler.refuses = None
    assert (await desk.post(f"{ONE}/run", {"by": "li"})).status == 200


async def test_fee_rules_that_explain_a_day_are_proposed_one_search_at_a_time(desk: Desk) -> None:
    desk.books.held = asyncio.Event()
    asked = {asyncio.create_task(desk.get(f"{ONE}/fee-proposals")) for _ in range(2)}
    (refused,), (waiting,) = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
    desk.books.held.set()
    assert (refused.result().status, refused.result().headers["Retry-After"]) == (503, "5")
    shown = (await waiting).json
    (proposed,) = shown["data"]
    assert (shown["object"], shown["account"], shown["day"]) == ("fee_proposals", "tlt", "2026-02-28")
    assert (proposed["channel"], proposed["of"], proposed["banks"]) == ("unionpay", "withhold", ["ICBC"])
    assert (proposed["fee"]["type"], proposed["explained"], proposed["rows"]) == ("percent", 60, 60)
    assert (await desk.get(f"{DAYS}/tlt/2026-02-27/fee-proposals")).status == 404


async def test_a_refused_file_is_told_with_its_place(desk: Desk) -> None:
    desk.reconciler.refuses = StatementRefusedError("is no amount", "day.csv", 3, "金额")
    answer = await desk.put(f"{ONE}/statement?by=li&filename=day.csv", b"x", **{"Content-Type": "text/csv"})
    problem = answer.problem_with("file", "line", "column", "reason")
    assert (answer.status, problem["code"]) == (422, "statement_refused")
    place = (problem["file"], problem["line"], problem["column"], problem["reason"])
    assert place == ("day.csv", 3, "金额", "is no amount")


async def test_a_file_above_the_limit_of_json_is_taken_as_it_is(desk: Desk) -> None:
    content = bytes(range(256)) * 4096
    octets = {"Content-Type": "application/octet-stream"}
    answer = await desk.put(f"{ONE}/statement?by=li&filename=a.zip&replace_note=their+mail", content, **octets)
    assert (answer.status, desk.reconciler.given, desk.reconciler.replaces) == (
        200, [("a.zip", content)], "their mail",
    )  # fmt: skip


async def test_a_form_brings_several_files(desk: Desk) -> None:
    form = FormData()
    form.add_field("a", b"1" * 300_000, filename="pay.txt", content_type="text/plain")
    form.add_field("b", b"", filename="refund.txt", content_type="text/plain")
    answer = await desk.put(f"{ONE}/statement?by=li", form)
    assert answer.status == 200, answer.body
    assert desk.reconciler.given == [("pay.txt", b"1" * 300_000), ("refund.txt", b"")]


async def test_files_that_cannot_be_taken_are_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciliation, "MAX_FILES_BYTES", 1000)
    text = {"Content-Type": "text/csv"}

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"1" * 100

    empty = FormData(default_to_multipart=True)
    empty.add_field("a", "1")
    outside = b'--x\r\nContent-Disposition: form-data; name="a"; filename="../x"\r\n\r\n1\r\n--x--\r\n'
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    for body, headers, status in (
        (b"1" * 1001, text, 413), (pieces(), text, 413), (b"1", {"Content-Type": "image/png"}, 415),
        (b"1", text | {"Content-Encoding": "gzip"}, 415), (outside, form, 422), (empty, {}, 422),
        (b"garbage", form, 400), (outside[:-12], form, 400),
    ):  # fmt: skip
        answer = await desk.put(f"{ONE}/statement?by=li", body, **headers)
        assert answer.status == status, answer.body
    assert (await desk.put(f"{ONE}/statement?by=li&filename=a/b", b"1", **text)).fields == ["filename"]
    assert (await desk.put(f"{DAYS}/nobody/{DAY}/statement?by=li", b"1", **text)).status == 404
    assert (desk.reconciler.runs, (await desk.put(f"{ONE}/statement?by=li", b"1", **text)).status) == (0, 200)


async def test_a_day_is_closed_or_it_is_said_what_is_to_be_done_first(desk: Desk) -> None:
    desk.books.not_closable = "2 of its differences are open: resolve them first"
    refused = await desk.post(f"{ONE}/close", {"by": "li"})
    assert (refused.status, refused.problem["code"]) == (409, "day_not_closable")
    desk.books.not_closable = None
    closed = (await desk.post(f"{ONE}/close", {"by": "li"})).json
    assert (closed["closed_at"], closed["closed_by"]) == ("2026-03-01T04:00:00.000Z", "li")
    assert (await desk.post(f"{ONE}/close", {})).fields == ["by"]


async def test_differences_show_both_sides_and_are_found_by_every_filter(desk: Desk) -> None:
    desk.books.found = [LONG, replace(LONG, difference_id=UUID(int=8))]
    about = show_object(ObjectKind.PAYMENT, UUID(int=9))
    asked = f"account=tlt&day={DAY}&class=long&state=open&object={about}&limit=1&after={OTHER}"
    page = (await desk.get(f"{BASE}/differences?{asked}")).json
    (shown,) = page["data"]
    assert page["next"] == shown["id"] == DIF
    assert (shown["ours"]["id"], shown["theirs"]["amount"], shown["remedy"]) == (about, 128_800, "resolve_anomaly")
    assert shown["history"][0]["did"] == "reopened"
    wanted = DifferenceFilter("tlt", DAY, Class.LONG, DifferenceState.OPEN, UUID(int=9), UUID(int=8), 2)
    assert desk.books.asked == [wanted]
    for bad in ("class=x", "state=x", "object=evt_1", "day=x", "after=1", "limit=201"):
        assert (await desk.get(f"{BASE}/differences?{bad}")).fields == [bad.partition("=")[0]]


async def test_the_export_is_what_a_spreadsheet_reads_and_holds_no_formula(desk: Desk) -> None:
    desk.books.found = [LONG] * 2_000
    answer = await desk.get(f"{BASE}/differences.csv?class=long")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["X-Request-Id"].startswith("req_")
    assert answer.body.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(answer.body.decode("utf-8-sig"))))
    assert len(rows) == 2_000
    row = rows[0]
    assert (row["number"], row["their_amount_yuan"], row["their_amount_fen"]) == ("'=HYPERLINK(1)", "1288.00", "128800")
    assert (row["their_fee_yuan"], row["their_done_at"], row["our_done_at"]) == ("-0.50", "2026-02-28 12:00:00", "")
    head = await desk.client.send("HEAD", f"{BASE}/differences.csv", key=ADMIN)
    assert (head.status, head.body) == (200, b"")


async def test_an_export_that_breaks_is_never_taken_for_the_whole(desk: Desk) -> None:
    desk.books.found, desk.books.breaks_after = [LONG] * 2_000, 1_500
    with pytest.raises(ClientPayloadError):
        await desk.get(f"{BASE}/differences.csv")
    desk.books.breaks_after = 0
    assert (await desk.get(f"{BASE}/differences.csv")).problem["status"] in {500, 503}


async def test_differences_are_resolved_by_their_ids_and_it_is_said_which_were_not_and_why(desk: Desk) -> None:
    standing = {
        20: (Standing(DifferenceState.OPEN, Class.SUSPENSE, False), "suspense", "already_so"),
        21: (Standing(DifferenceState.RESOLVED, Class.LONG, False), "already_so", "day_closed"),
        22: (Standing(DifferenceState.RESOLVED, Class.LONG, True), "already_so", "by_statement"),
        23: (Standing(DifferenceState.SUPERSEDED, Class.LONG, False), "superseded", "superseded"),
    }
    desk.books.standing_now = {UUID(int=n): each[0] for n, each in standing.items()}
    ids = [show(DIFFERENCE, UUID(int=n)) for n in (7, *standing, 100)]
    for number, call in ((1, "resolve"), (2, "reopen")):
        answer = (await desk.post(f"{BASE}/differences/{call}", {"ids": ids, **SAID})).json
        why = [each[number] for each in standing.values()] + ["not_found"]
        assert (answer["count"], answer["changed"]) == (1, [DIF])
        assert [each["reason"] for each in answer["unchanged"]] == why


async def test_a_whole_class_of_a_day_is_resolved_at_once(desk: Desk) -> None:
    body = {"account": "tlt", "day": str(DAY), "class": "long", **SAID}
    answer = (await desk.post(f"{BASE}/differences/resolve", body)).json
    assert answer == {"count": 12, "changed": None, "unchanged": []}


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["note", "by"]),
        (SAID, ["account"]),
        (SAID | {"account": "tlt", "day": str(DAY)}, ["class"]),
        (SAID | {"ids": [DIF], "account": "tlt"}, ["account"]),
        (SAID | {"ids": []}, ["ids"]),
        (SAID | {"ids": ["pay_1"]}, ["ids.0"]),
        (SAID | {"ids": [DIF] * 501}, ["ids"]),
        ({"ids": [DIF], "note": " ", "by": "li"}, ["note"]),
    ],
)
async def test_what_cannot_be_resolved_is_refused_by_its_field(desk: Desk, body: object, fields: list[str]) -> None:
    assert (await desk.post(f"{BASE}/differences/resolve", body)).fields == fields
