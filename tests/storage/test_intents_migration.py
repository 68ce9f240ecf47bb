"""Attempts become intents: migration 0009 on rows in every state that the programs before it could write.

The rows are written by SQL at revision 0008 and read by this program after the upgrade. Not tested here: the first
version's own database (test_first_version), migrations in general (test_migrations).
"""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
import pytest
from alembic import command
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.authentications import Authentication
from gateway.domain.catalogue import AuthenticationMode
from gateway.domain.failures import MEANINGS, Blame, FailureCode
from gateway.domain.hearing import Source
from gateway.domain.ids import ObjectKind
from gateway.domain.intents import IntentState, Verb
from gateway.domain.outcomes import Authenticated, Succeeded
from gateway.domain.payments import Payment
from gateway.domain.statuses import FINAL, Status
from gateway.ports import IntentKey, PaymentFilter
from gateway.storage.reading.doctor import examine
from gateway.storage.reading.reader import Reader
from gateway.storage.server import migrate
from gateway.storage.server.engine import create_engine
from gateway.storage.writing.authentications import authentications_by_id
from gateway.storage.writing.cards import new_card_row
from gateway.storage.writing.orders import TakenOrder, read_orders
from gateway.storage.writing.payments import payments_by_id
from tests.databases import Server, close, database_on, drop, new_database
from tests.keys import keys
from tests.storage.gateway_process import Process
from tests.unit.domain.samples import MERCHANT_ID, NOW, card_elements, catalogue, channel, rule

DAY = date(2026, 3, 5)
DUE = NOW + timedelta(minutes=1)
KEYS = keys(1)
_F = FailureCode


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@dataclass(frozen=True, eq=False)
class Before:
    """A payment as the version before left it."""

    name: str
    status: str = "processing"
    stage: str | None = "paying"
    """None: the router refused it."""
    failure: tuple[FailureCode, Blame] | None = None
    words: tuple[str | None, str | None] = (None, None)
    """The PSP's code and message."""
    authentication: str | None = None
    """The status of the one that it needed."""
    contradicts: bool = False
    late: bool = False
    """The PSP said later that it was paid."""
    user: str | None = None
    """Of its own, unless it is given; a user has one card."""
    account: str = "up-1"
    at: float = 0.0
    """Seconds after NOW; it ended a second after that."""
    due_kind: str = "poll"
    attempt: dict[str, Any] = field(default_factory=dict)

    @property
    def user_id(self) -> str:
        return self.user or self.name

    @property
    def is_open(self) -> bool:
        return Status(self.status) not in FINAL

    @property
    def events(self) -> int:
        """One that it ended or asks the user, one of its anomaly."""
        return (self.status != "processing") + self.late

    def id_of(self, what: int) -> UUID:
        """Of its payment (1), attempt (2), authentication (3), and so on; in the order of time."""
        number = [case.name for case in EVERYTHING].index(self.name)
        return UUID(int=what << 96 | 0x7 << 76 | 0x8 << 60 | int(self.at * 1000) << 16 | number)

    @property
    def payment_id(self) -> UUID:
        return self.id_of(1)

    @property
    def number(self) -> str:
        """What its order is called at the PSP."""
        return self.id_of(2).hex

    @property
    def authentication_id(self) -> UUID | None:
        return self.id_of(3) if self.authentication else None


def ended(name: str, code: FailureCode, blame: Blame, channel_code: str | None, message: str | None, **known: Any) -> Before:  # fmt: skip # noqa: E501
    return Before(name, "failed", failure=(code, blame), words=(channel_code, message), **known)


def unbound(name: str, status: str, code: FailureCode, blame: Blame, **known: Any) -> Before:
    """Failed since its card was not authenticated."""
    words = (None, "refused to connect") if status == "not_sent" else ("99", "words of theirs")
    return Before(name, "failed", "authenticating", (code, blame), words, authentication=status, **known)


PSP_HAS_IT = {"acknowledged": True, "polls": 3, "channel_transaction_no": "T1"}
NOT_FOUND = {"polls": 2, "not_found": 2, "not_found_since": later(30)}

SENT = {
    Before("open, acknowledged", attempt=PSP_HAS_IT): IntentState.OPEN,
    Before("open, not found", attempt=NOT_FOUND): IntentState.OPEN,
    Before("open, bound before", authentication="succeeded"): IntentState.OPEN,
    Before("asks the user", "requires_action", due_kind="expire"): IntentState.OPEN,
    Before("asks the user, polled", "requires_action"): IntentState.OPEN,
    Before("paid", "succeeded", attempt={"channel_finished_at": later(1)} | PSP_HAS_IT): IntentState.DONE,
    Before("paid, bound before", "succeeded", authentication="succeeded"): IntentState.DONE,
    Before("closed", "closed"): IntentState.NOT_RECEIVED,
    ended("declined", _F.INSUFFICIENT_BALANCE, Blame.PAYER, "51", "余额不足"): IntentState.DECLINED,
    ended("declined in our words", _F.RISK_REJECTED, Blame.PAYER, None, None): IntentState.DECLINED,
    ended("declined as unavailable", _F.CHANNEL_UNAVAILABLE, Blame.CHANNEL, "96", "busy"): IntentState.DECLINED,
    ended("not sent", _F.CHANNEL_UNAVAILABLE, Blame.CHANNEL, None, "refused to connect"): IntentState.NOT_SENT,
    ended("not sent by us", _F.CHANNEL_UNAVAILABLE, Blame.PLATFORM, None, "not sent: 9 s"): IntentState.NOT_SENT,
    ended("lost", _F.CHANNEL_UNAVAILABLE, Blame.CHANNEL, "34", "not received: 3 answers over 300 s"):
        IntentState.NOT_RECEIVED,
    ended("lost without a code", _F.CHANNEL_UNAVAILABLE, Blame.CHANNEL, None, "not received: 3 answers over 300 s"):
        IntentState.NOT_RECEIVED,
    ended("lost, and paid", _F.CHANNEL_UNAVAILABLE, Blame.CHANNEL, "34", "not received: 3 answers over 300 s",
          late=True): IntentState.NOT_RECEIVED,
    ended("declined, and paid", _F.CARD_FROZEN, Blame.PAYER, "14", "frozen", late=True): IntentState.DECLINED,
}  # fmt: skip
"""What was to be sent, and how its intent stands afterwards."""

UNSENT = (
    Before("refused by the router", "failed", None, (_F.SINGLE_LIMIT_EXCEEDED, Blame.PLATFORM)),
    Before("waits", stage="authenticating", authentication="processing"),
    unbound("rejected", "rejected", _F.AUTHENTICATION_REJECTED, Blame.PAYER),
    unbound("rejected here", "rejected", _F.AUTHENTICATION_REJECTED, Blame.CHANNEL, contradicts=True),
    unbound("binding unknown", "unknown", _F.AUTHENTICATION_UNKNOWN, Blame.CHANNEL),
    unbound("binding not sent", "not_sent", _F.CHANNEL_UNAVAILABLE, Blame.CHANNEL),
    unbound("binding not sent by us", "not_sent", _F.CHANNEL_UNAVAILABLE, Blame.PLATFORM),
)
"""Payments of which nothing was sent."""

ELDER = Before("elder", stage="authenticating", authentication="processing", user="twice")
YOUNGER = Before("younger", stage="authenticating", authentication="processing", user="twice", at=2)
YOUNGEST = Before("youngest", stage="authenticating", authentication="processing", user="twice", at=3)
ELSEWHERE = Before("elsewhere", stage="authenticating", authentication="processing", user="twice", at=1, account="tl-1")
BESIDE = (ELDER, YOUNGER, YOUNGEST, ELSEWHERE)
"""Authentications of one card; all but the last on one account."""

OURS = (_F.CHANNEL_UNAVAILABLE, Blame.PLATFORM)
THEIRS = (_F.CARD_FROZEN, Blame.PAYER)
LAST = (
    Before("paid first", "succeeded", user="last was ours"),
    Before("then not sent", "failed", failure=OURS, words=(None, "not sent: 9 s"), user="last was ours", at=2),
    Before("declined first", "failed", failure=THEIRS, words=("14", "frozen"), user="before ours", at=0),
    Before("then paid", "succeeded", user="before ours", at=2),
    Before("then closed", "closed", user="before ours", at=4),
    Before("at last not sent", "failed", failure=OURS, words=(None, "not sent: 9 s"), user="before ours", at=6),
    Before("only not sent", "failed", failure=OURS, words=(None, "not sent: 9 s"), user="only ours"),
    Before("was paid", "succeeded", user="last was theirs"),
    Before("then declined", "failed", failure=THEIRS, words=("14", "frozen"), user="last was theirs", at=2),
)
"""Several payments of a user on one channel."""

NEVER_SENT_AND_PAID = unbound("rejected, and paid", "rejected", _F.AUTHENTICATION_REJECTED, Blame.PAYER, late=True)
"""The PSP says that it was paid, and we never sent it."""

EVERYTHING = (*SENT, *UNSENT, *BESIDE, *LAST, NEVER_SENT_AND_PAID)

USAGE = """
INSERT INTO channel_usage (merchant_id, user_id, channel, business_day, reserved, succeeded, insufficient)
SELECT p.merchant_id, p.user_id, p.channel, p.business_day,
    coalesce(sum(p.amount) FILTER (WHERE p.status IN ('processing', 'requires_action')), 0),
    coalesce(sum(p.amount) FILTER (WHERE p.status = 'succeeded' OR a.late_success), 0),
    count(*) FILTER (WHERE p.failure_code = 'insufficient_balance')
FROM payments p JOIN attempts a USING (payment_id) GROUP BY 1, 2, 3, 4
"""
LAST_ATTEMPTS = """
INSERT INTO last_attempts (merchant_id, user_id, channel, attempt_id, status, blame, finished_at)
SELECT DISTINCT ON (p.user_id, p.channel) p.merchant_id, p.user_id, p.channel, a.attempt_id, p.status, p.failure_blame,
    p.finished_at
FROM payments p JOIN attempts a USING (payment_id) WHERE p.status IN ('succeeded', 'failed')
ORDER BY p.user_id, p.channel, p.finished_at DESC, a.attempt_id DESC
"""


async def insert(sql: Any, table: str, **row: Any) -> None:
    row = {"merchant_id": MERCHANT_ID} | row
    places = ", ".join(f"${n}" for n in range(1, len(row) + 1))
    await sql.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})", *row.values())


async def write(sql: Any, cases: Iterable[Before]) -> None:
    """The rows of these payments, as the programs of revision 0008 wrote them."""
    cards: dict[str, UUID] = {}
    for case in cases:
        if case.user_id not in cards:
            cards[case.user_id] = case.id_of(4)
            await insert(sql, "users", user_id=case.user_id, created_at=NOW)
            card, _ = new_card_row(
                MERCHANT_ID, cards[case.user_id], case.user_id, card_elements(len(cards)), "ICBC", NOW, KEYS
            )
            await insert(sql, "cards", **card)
        await _write_payment(sql, case, cards[case.user_id])
        if case.authentication:
            await _write_authentication(sql, case, cards[case.user_id])
        await _write_what_was_told(sql, case)
    await sql.execute(USAGE)
    await sql.execute(LAST_ATTEMPTS)


async def _write_payment(sql: Any, case: Before, card_id: UUID) -> None:
    code, blame = case.failure or (None, None)
    is_routed = case.stage is not None
    await insert(
        sql, "payments", payment_id=case.payment_id, app="shop", merchant_order_no=case.name, body_hash=b"hash",
        hash_version=1, hash_form=2, kind="withhold", scene="withhold", user_id=case.user_id, card_id=card_id,
        bank="ICBC", amount=1000, currency="CNY", status=case.status, channel=case.account[:2] if is_routed else None,
        fee=50 if is_routed else None, failure_code=code, failure_blame=blame, channel_code=case.words[0],
        channel_message=case.words[1], decision='{"chosen": "up", "config_version": 7}', metadata='{"a": 1}',
        customer_present=False, sequence=case.events, due_kind=case.due_kind if case.is_open else None,
        due_at=DUE if case.is_open else None, created_at=later(case.at),
        finished_at=None if case.is_open else later(case.at + 1), business_day=DAY,
    )  # fmt: skip
    if is_routed:
        row = {"polls": 0, "acknowledged": False, "not_found": 0, "late_success": case.late} | case.attempt
        await insert(
            sql, "attempts", attempt_id=case.id_of(2), payment_id=case.payment_id, channel=case.account[:2],
            account=case.account, stage=case.stage, authentication_id=case.authentication_id,
            submitted_at=later(case.at), **row,
        )  # fmt: skip


async def _write_authentication(sql: Any, case: Before, card_id: UUID) -> None:
    rejected = case.authentication == "rejected"
    code, message = case.words if case.stage == "authenticating" else ("00", None)
    await insert(
        sql, "authentications", authentication_id=case.authentication_id, payment_id=case.payment_id, card_id=card_id,
        account=case.account, channel=case.account[:2], status=case.authentication, fee=100, channel_code=code,
        channel_message=message, contradicts=case.contradicts, created_at=later(case.at),
        finished_at=None if case.authentication == "processing" else later(case.at + 1),
    )  # fmt: skip
    if case.authentication != "processing":
        says = "authentication_declined" if rejected else "authentication_authenticated"
        await insert(
            sql, "observations", observation_id=case.id_of(5), payment_id=case.payment_id, source="answer", says=says,
            channel_code=code, observed_at=later(case.at + 1),
        )  # fmt: skip


async def _write_what_was_told(sql: Any, case: Before) -> None:
    if case.attempt.get("polls"):
        await insert(
            sql, "observations", observation_id=case.id_of(6), payment_id=case.payment_id, source="poll",
            says="processing", observed_at=later(case.at + 1),
        )  # fmt: skip
    if case.late:
        await insert(
            sql, "anomalies", anomaly_id=case.id_of(7), payment_id=case.payment_id, kind="late_success",
            detail="paid at the channel, failed here", source="callback", found_at=later(case.at + 2),
        )  # fmt: skip
    for sequence in range(1, case.events + 1):
        told = f"payment.{case.status}" if sequence == 1 else "payment.anomaly"
        await insert(
            sql, "events", event_id=case.id_of(7 + sequence), app="shop", type=told, object="payment",
            object_id=case.payment_id, sequence=sequence, body=b"{}", deliveries=0,
            created_at=later(case.at + sequence),
        )  # fmt: skip


async def upgraded(url: str, cases: Iterable[Before]) -> AsyncEngine:
    """An engine on a database of revision 0008 with these payments, upgraded."""
    async with migrate._alone(url) as connection:
        await migrate._run(connection, lambda found: command.upgrade(migrate._config(found), "0008"))
    sql = await asyncpg.connect(url.replace("+asyncpg", ""))
    await write(sql, cases)
    await sql.close()
    assert (await migrate.upgrade(url)).before == "0008"
    assert await migrate.differences(url) == []
    return create_engine(url, 2)


@dataclass(frozen=True)
class After:
    """What the domain reads of the upgraded database."""

    engine: AsyncEngine
    payments: dict[str, Payment]
    authentications: dict[UUID, Authentication]

    def payment(self, case: Before) -> Payment:
        return self.payments[case.name]

    def authentication(self, case: Before) -> Authentication:
        assert case.authentication_id is not None
        return self.authentications[case.authentication_id]

    async def rows(self, sql: str, *values: Any) -> list[Any]:
        async with database_on(self.engine).connection() as connection:
            return [tuple(row) for row in await connection.fetch(sql, *values)]


@pytest.fixture(scope="module")
async def after(postgres: Server) -> AsyncIterator[After]:
    """One upgraded database for all tests that only read."""
    url = await new_database(postgres, "intents_migration")
    engine = await upgraded(url, EVERYTHING)
    async with database_on(engine).connection() as connection:
        payments = await payments_by_id(connection, MERCHANT_ID, [case.payment_id for case in EVERYTHING])
        ids = [case.authentication_id for case in EVERYTHING if case.authentication_id]
        authentications = await authentications_by_id(connection, MERCHANT_ID, ids)
    assert len(payments) == len(EVERYTHING)
    assert len(authentications) == len(ids)
    yield After(engine, {payment.merchant_order_no: payment for payment in payments}, authentications)
    await close(engine)
    await drop(postgres, url)


def named(case: Before) -> str:
    return case.name


async def test_the_doctor_finds_nothing(after: After) -> None:
    assert await examine(after.engine, NOW) == []


# --- payments and their intents ---


@pytest.mark.parametrize("case", EVERYTHING, ids=named)
async def test_a_payment_says_what_it_said(after: After, case: Before) -> None:
    payment = after.payment(case)
    assert (payment.status, payment.user_id, payment.amount, payment.metadata) == (
        case.status, case.user_id, 1000, {"a": 1},
    )  # fmt: skip
    assert payment.finished_at == (None if case.is_open else later(case.at + 1))
    assert (payment.refunded, payment.settled) == (0, 0)
    if case.failure is None:
        assert payment.failure is None
    else:
        code, blame = case.failure
        assert payment.failure is not None
        assert (payment.failure.code, payment.failure.blame) == (code, blame)
        assert payment.failure.advice is MEANINGS[code].advice
        assert (payment.failure.channel_code, payment.failure.channel_message) == case.words


@pytest.mark.parametrize(("case", "state"), SENT.items(), ids=lambda value: getattr(value, "name", ""))
async def test_what_was_to_be_sent_is_an_intent_to_pay(after: After, case: Before, state: IntentState) -> None:
    payment = after.payment(case)
    attempt = payment.attempt
    assert attempt is not None
    assert (attempt.verb, attempt.ordinal, attempt.object_id) == (Verb.PAY, 1, case.payment_id)
    assert (attempt.state, attempt.late_success, attempt.amount) == (state, case.late, 1000)
    assert attempt.number == payment.channel_order_no == case.number
    assert (attempt.channel, attempt.account) == (payment.channel, payment.account) == (case.account[:2], case.account)
    assert attempt.told_at == attempt.recorded_at == later(case.at)
    assert attempt.ended_at == payment.finished_at
    known = {"acknowledged": False, "polls": 0, "not_found": 0, "not_found_since": None} | case.attempt
    assert (attempt.acknowledged, attempt.questions) == (known["acknowledged"], known["polls"])
    assert (attempt.not_found, attempt.not_found_since) == (known["not_found"], known["not_found_since"])
    assert attempt.channel_transaction_no == known.get("channel_transaction_no")
    assert attempt.channel_finished_at == known.get("channel_finished_at")


@pytest.mark.parametrize("case", [*UNSENT, *BESIDE], ids=named)
async def test_what_was_never_sent_has_no_intent_to_pay(after: After, case: Before) -> None:
    payment = after.payment(case)
    assert payment.attempt is None
    if case.stage is None:
        assert (payment.channel, payment.account, payment.channel_order_no, payment.expected_fee) == (None,) * 4
    else:
        assert (payment.account, payment.channel_order_no) == (case.account, case.number)
        assert payment.waits_for_authentication == case.is_open


async def test_money_that_moved_though_we_never_sent_it_stays_counted(after: After) -> None:
    payment = after.payment(NEVER_SENT_AND_PAID)
    assert payment.attempt is not None
    assert (payment.attempt.state, payment.attempt.late_success, payment.fee) == (IntentState.NOT_SENT, True, 50)


async def test_an_open_payment_is_due_when_it_was(after: After) -> None:
    for case in EVERYTHING:
        payment = after.payment(case)
        expires = case.is_open and case.due_kind == "expire"
        assert payment.until_at == (DUE if expires else None)
        assert payment.due_at == (DUE if case.is_open and not expires else None)


async def test_the_fee_stays_where_the_money_moved(after: After) -> None:
    for case in EVERYTHING:
        payment = after.payment(case)
        assert payment.expected_fee == (None if case.stage is None else 50)
        assert payment.fee == (50 if case.status == "succeeded" or case.late else None), case.name


# --- authentications ---

ENDS = {
    "processing": (Status.PROCESSING, IntentState.OPEN, None),
    "succeeded": (Status.SUCCEEDED, IntentState.DONE, None),
    "rejected": (Status.FAILED, IntentState.DECLINED, _F.AUTHENTICATION_REJECTED),
    "unknown": (Status.FAILED, IntentState.UNKNOWN, _F.AUTHENTICATION_UNKNOWN),
    "not_sent": (Status.FAILED, IntentState.NOT_SENT, _F.CHANNEL_UNAVAILABLE),
}
AUTHENTICATED = [case for case in EVERYTHING if case.authentication and case not in (YOUNGER, YOUNGEST)]


@pytest.mark.parametrize("case", AUTHENTICATED, ids=named)
async def test_an_authentication_is_an_object_with_an_intent_of_its_own(after: After, case: Before) -> None:
    payment, authentication = after.payment(case), after.authentication(case)
    status, state, code = ENDS[str(case.authentication)]
    assert payment.authentication_id == authentication.authentication_id
    assert authentication.is_own_of(payment.payment_id)
    assert payment.card is not None
    assert (authentication.user_id, authentication.card_id) == (payment.user_id, payment.card.card_id)
    assert (authentication.bank, authentication.channel, authentication.account, authentication.fee) == (
        "ICBC", case.account[:2], case.account, 100,
    )  # fmt: skip
    assert (authentication.status, authentication.contradicts) == (status, case.contradicts)
    intent = authentication.intent
    assert intent is not None
    assert (intent.verb, intent.state, intent.amount) == (Verb.AUTHENTICATE, state, None)
    assert intent.number == authentication.authentication_id.hex
    assert intent.told_at == intent.recorded_at == later(case.at)
    assert intent.ended_at == authentication.finished_at
    assert authentication.due_at == (DUE if status is Status.PROCESSING else None)
    if code is None:
        assert authentication.failure is None
    else:
        assert authentication.failure is not None
        assert case.failure is not None
        assert (authentication.failure.code, authentication.failure.blame) == (code, case.failure[1])
        assert (authentication.failure.channel_code, authentication.failure.channel_message) == case.words


@pytest.mark.parametrize("case", [case for case in EVERYTHING if case not in BESIDE], ids=named)
async def test_what_an_authentication_costs_stands_at_its_payment_once_it_has_ended(after: After, case: Before) -> None:
    costs = case.authentication in {"succeeded", "rejected", "unknown"}
    assert after.payment(case).authentication_fee == (100 if costs else None)


async def test_of_several_authentications_of_a_card_on_an_account_the_oldest_stays(after: After) -> None:
    for case in (ELDER, YOUNGER, YOUNGEST):
        payment = after.payment(case)
        assert (payment.authentication_id, payment.due_at) == (ELDER.authentication_id, DUE)
        assert payment.waits_for_authentication
    for case in (YOUNGER, YOUNGEST):
        given_up = after.authentication(case)
        assert given_up.intent is not None
        assert (given_up.status, given_up.intent.state) == (Status.FAILED, IntentState.UNKNOWN)
        assert given_up.failure is not None
        assert given_up.failure.code is FailureCode.AUTHENTICATION_UNKNOWN
        assert given_up.due_at == given_up.created_at + timedelta(hours=1)
        assert after.payment(case).authentication_fee == 100
    assert after.payment(ELDER).authentication_fee is None
    assert after.authentication(ELDER).status is Status.PROCESSING
    assert after.payment(ELSEWHERE).authentication_id == ELSEWHERE.authentication_id


# --- what stands beside ---


async def test_last_attempts_that_we_kept_from_being_sent_make_way_for_those_before_them(after: After) -> None:
    by_name = {case.payment_id: case.name for case in EVERYTHING}
    rows = await after.rows("SELECT user_id, payment_id, status, blame, finished_at FROM last_attempts")
    users = {user_id: (by_name[payment_id], *rest) for user_id, payment_id, *rest in rows}
    assert users["last was ours"] == ("paid first", "succeeded", None, later(1))
    assert users["before ours"] == ("then paid", "succeeded", None, later(3))
    assert users["last was theirs"] == ("then declined", "failed", "payer", later(3))
    assert "only ours" not in users
    assert "not sent by us" not in users
    assert users["declined"] == ("declined", "failed", "payer", later(1))
    assert users["not sent"] == ("not sent", "failed", "channel", later(1))
    assert users["rejected"] == ("rejected", "failed", "payer", later(1))
    assert not {"closed", "waits", "refused by the router"} & users.keys()


async def test_observations_are_about_the_object_that_was_spoken_of(after: After) -> None:
    rows = await after.rows("SELECT object_id, verb, says FROM observations")
    paying = {(case.payment_id, "pay", "processing") for case in EVERYTHING if case.attempt.get("polls")}
    bound = {
        (case.authentication_id, "authenticate", "declined" if case.authentication == "rejected" else "authenticated")
        for case in EVERYTHING
        if case.authentication not in (None, "processing")
    }
    assert set(rows) == paying | bound
    assert len(rows) == len(paying) + len(bound)


async def test_anomalies_are_of_payments(after: After) -> None:
    rows = await after.rows("SELECT object, object_id FROM anomalies")
    assert set(rows) == {("payment", case.payment_id) for case in EVERYTHING if case.late}


async def test_every_order_number_is_taken_by_its_payment(after: After) -> None:
    asked = [("shop", case.name) for case in EVERYTHING]
    async with database_on(after.engine).connection() as connection:
        taken = await read_orders(connection, MERCHANT_ID, asked)
    assert taken == {
        ("shop", case.name): TakenOrder(ObjectKind.PAYMENT, case.payment_id, b"hash", 1, 2) for case in EVERYTHING
    }


async def test_every_payment_is_found_and_told_whole(after: After) -> None:
    reader = Reader(after.engine, database_on(after.engine), KEYS, ZoneInfo("Asia/Shanghai"))
    for case in EVERYTHING:
        (found,) = (await reader.payments(MERCHANT_ID, "shop", PaymentFilter(merchant_order_no=case.name))).page
        assert found == after.payment(case)
        assert await reader.decision(MERCHANT_ID, "shop", case.payment_id) == {"chosen": "up", "config_version": 7}
        assert await reader.timeline(MERCHANT_ID, "shop", case.payment_id, after=None, limit=9)


# --- and it goes on ---


async def test_payments_of_the_version_before_go_on(empty_database_url: str) -> None:
    open_one, lost = next(iter(SENT)), next(case for case in SENT if case.name == "lost")
    engine = await upgraded(empty_database_url, [open_one, lost, *BESIDE])
    up, tl = channel("up", AuthenticationMode.SILENT), channel("tl", AuthenticationMode.SILENT)
    process = Process(engine, KEYS, catalogue((up, tl), (rule("up"), rule("tl"))))
    payments = {
        case.name: (await process.rows("SELECT user_id FROM payments WHERE payment_id = $1", case.payment_id))[0][0]
        for case in (open_one, lost, *BESIDE)
    }

    async def read(case: Before) -> Payment:
        async with process.database.connection() as connection:
            return (await payments_by_id(connection, MERCHANT_ID, [case.payment_id]))[0]

    # Callbacks find them by the numbers that they had.
    key = IntentKey(MERCHANT_ID, payments[open_one.name], open_one.payment_id, Verb.PAY)
    assert await process.due.intent_of_number(MERCHANT_ID, "up-1", open_one.number, Verb.PAY) == key
    await process.heard(await read(open_one), Succeeded(1000, "T1"), Source.CALLBACK, later(90))
    paid = await read(open_one)
    assert (paid.status, paid.fee) == (Status.SUCCEEDED, 50)

    await process.heard(await read(lost), Succeeded(1000, "T2"), Source.CALLBACK, later(90))
    late = await read(lost)
    assert (late.status, late.fee) == (Status.FAILED, 50)
    assert await process.count("anomalies") == 1

    # The oldest authentication ends: its own payment is sent at once, those that wait are due now.
    recorded = await process.heard_of_card(await read(ELDER), Authenticated("AGR"), Source.POLL, later(90))
    assert recorded.submit
    elder, younger, elsewhere = [await read(case) for case in (ELDER, YOUNGER, ELSEWHERE)]
    assert elder.attempt is not None
    assert (elder.attempt.number, elder.authentication_fee) == (ELDER.number, 100)
    assert (younger.attempt, younger.due_at) == (None, later(90))
    assert elsewhere.attempt is None
    assert (await process.goes_on(younger, later(91))).submit
    younger = await read(YOUNGER)
    assert younger.attempt is not None
    assert (younger.attempt.number, younger.authentication_fee) == (YOUNGER.number, 100)
    assert await examine(engine, later(60)) == []
    await close(engine)
