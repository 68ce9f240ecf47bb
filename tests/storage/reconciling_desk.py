"""Books and statements of one account for tests of reconciliation: rows of ours, lines of theirs, and what came out.

The rows are as the gateway writes them, but for what a comparison does not read.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from uuid_utils.compat import uuid7

from gateway.domain.catalogue import Catalogue
from gateway.domain.reconciled import Loading, ReconciledDay
from gateway.domain.statements import LineKind, StatementLine
from gateway.storage.reconciling.store import StatementStore
from gateway.storage.server.database import Database

__all__ = ["ACCOUNT", "DAY", "MERCHANT", "ZONE", "Desk", "Line", "at"]

ZONE: Final = ZoneInfo("Asia/Shanghai")
MERCHANT: Final = UUID(int=1)
ACCOUNT: Final = "up-1"
DAY: Final = date(2026, 3, 5)
VERBS: Final = {"pay": "payments", "refund": "refunds", "payout": "payouts"}
TABLES: Final = (
    "differences", "reconciled_days", "statements", "statement_lines", "statement_errands", "intents", "payments",
    "refunds", "payouts", "deliveries", "events", "event_counters",
)  # fmt: skip
ROWS: Final = """
SELECT day, class, side, coalesce(number, '-') AS number, state, word, became FROM differences
WHERE merchant_id = $1 AND account = $2 AND state <> 'superseded' ORDER BY day, number, side, ordinal, found_at, class
"""


def at(clock: str, day: int = 0) -> datetime:
    """A time of the first day, or of a later one: `23:50`, `23:50:01`."""
    return datetime.combine(DAY + timedelta(days=day), time.fromisoformat(clock), ZONE)


def Line(
    number: str | None,
    amount: int,
    kind: LineKind = LineKind.PAYMENT,
    when: datetime | None = None,
    *,
    paid: bool = True,
    fee: int | None = None,
    no: str | None = None,
    original: str | None = None,
) -> StatementLine:
    """A line of theirs, at noon of the first day where nothing is said."""
    return StatementLine(0, kind, number, amount, paid, fee, no, when or at("12:00"), original)


@dataclass(slots=True)
class Desk:
    """The books of one account, and its statements."""

    connection: Any
    database: Database
    catalogue: Catalogue = field(default_factory=lambda: Catalogue(1))
    _ids: dict[str, UUID] = field(default_factory=dict)

    @property
    def store(self) -> StatementStore:
        """What is tested."""
        return StatementStore(self.database, ZONE, lambda: self.catalogue, uuid7)

    async def has(
        self,
        number: str,
        amount: int,
        verb: str = "pay",
        state: str = "done",
        when: datetime | None = None,
        *,
        done_at: datetime | None = None,
        ended_at: datetime | None = None,
        fee: int | None = None,
        turn: int = 1,
        of: str | None = None,
        late: bool = False,
        account: str = ACCOUNT,
        merchant: UUID = MERCHANT,
        same_as: str | None = None,
    ) -> UUID:
        """An intent of ours, sent at `when` (10:00), and its object. `of`: the payment that a refund gives back.
        `same_as`: the number of another intent of the same object."""
        sent = when or at("10:00")
        ended = None if state == "open" else ended_at or done_at or sent
        object_id = self._ids[same_as] if same_as else uuid4()
        self._ids[number] = object_id
        await self.connection.execute(
            """
INSERT INTO intents (merchant_id, object_id, verb, ordinal, intent_id, channel, account, number, told_at, recorded_at,
    amount, state, questions, acknowledged, not_found, channel_finished_at, late_success, looks, ended_at)
VALUES ($1, $2, $3, $4, gen_random_uuid(), 'up', $5, $6, $7, $7, $8, $9, 0, false, 0, $10, $11, 0, $12)""",
            merchant, object_id, verb, turn, account, number, sent, amount, state, done_at, late, ended,
        )  # fmt: skip
        if verb == "refund":
            await self.connection.execute(
                """
INSERT INTO refunds (merchant_id, refund_id, app, merchant_order_no, payment_id, user_id, amount, currency, status,
    metadata, sequence, created_at, finished_at, business_day, fee_returned)
VALUES ($1, $2, 'shop', $3, $4, 'u', $5, 'CNY', 'succeeded', '{}', 0, $6, $7, $8, $9) ON CONFLICT DO NOTHING""",
                merchant, object_id, number, self._ids[of] if of else uuid4(), amount, sent, done_at or sent,
                sent.date(), None if fee is None else -fee,
            )  # fmt: skip
        elif verb == "payout":
            await self.connection.execute(
                """
INSERT INTO payouts (merchant_id, payout_id, app, merchant_order_no, channel, account, payee_type, payee_masked,
    payee_bank, payee, data_key, amount, currency, purpose, status, parts, settles, metadata, sequence, created_at,
    finished_at, business_day, fee, intent_ordinal)
VALUES ($1, $2, 'shop', $3, 'up', $4, 'personal', '', '', '', '', $5, 'CNY', '', 'succeeded', 0, 0, '{}', 0, $6, $7,
    $8, $9, 1) ON CONFLICT DO NOTHING""",
                merchant, object_id, number, account, amount, sent, done_at or sent, sent.date(), fee,
            )  # fmt: skip
        elif fee is not None:
            await self.pays(object_id, number, amount, sent, fee=fee)
        return object_id

    async def pays(
        self, payment_id: UUID, number: str, amount: int, when: datetime, *, fee: int | None = None,
        corrects: UUID | None = None,
    ) -> None:  # fmt: skip
        """A payment that succeeded. `corrects`: it takes another's money as paid."""
        await self.connection.execute(
            """
INSERT INTO payments (merchant_id, payment_id, app, merchant_order_no, kind, scene, user_id, bank, amount, currency,
    status, channel, account, channel_order_no, metadata, customer_present, sequence, created_at, finished_at,
    business_day, fee, corrects)
VALUES ($1, $2, 'shop', $3, 'withhold', 'withhold', 'u', 'ICBC', $4, 'CNY', 'succeeded', 'up', $5, $3, '{}', false, 0,
    $6, $6, $7, $8, $9)""",
            MERCHANT, payment_id, number, amount, ACCOUNT, when, when.date(), fee, corrects,
        )  # fmt: skip

    async def takes_as_paid(self, number: str, when: datetime) -> None:
        """A person takes the money of a payment that failed as paid."""
        await self.pays(uuid4(), f"{number}-again", 1, when, corrects=self._ids[number])

    async def becomes(
        self, number: str, state: str, ended_at: datetime, done_at: datetime | None = None, *, turn: int = 1
    ) -> None:
        """Our books have heard how an intent ended."""
        changed = await self.connection.execute(
            "UPDATE intents SET state = $2, ended_at = $3, channel_finished_at = coalesce($4, channel_finished_at) "
            "WHERE number = $1 AND ordinal = $5 AND merchant_id = $6 AND account = $7",
            number, state, ended_at, done_at, turn, MERCHANT, ACCOUNT,
        )  # fmt: skip
        assert changed == "UPDATE 1"

    async def resolves(self, number: str, note: str = "seen") -> None:
        """A person closes what differs under a number."""
        entry = '[{"by": "ann", "did": "resolved"}]'
        changed = await self.connection.execute(
            "UPDATE differences SET state = 'resolved', resolved_at = $3, resolved_by = 'ann', note = $2, "
            "history = history || $4::jsonb WHERE number = $1 AND state = 'open'",
            number, note, datetime.now(UTC), entry,
        )  # fmt: skip
        assert changed == "UPDATE 1"

    def loading(
        self, day: int, *, cut: str = "00:00", sha: str | None = None, why: str | None = None, account: str = ACCOUNT
    ) -> Loading:
        """A statement of the n-th day."""
        return Loading(
            uuid4(), MERCHANT, account, DAY + timedelta(days=day), time.fromisoformat(cut), ["one.txt"],
            sha or uuid4().hex, "ann", datetime.now(UTC), why,
        )  # fmt: skip

    async def compares(
        self, day: int, lines: Iterable[StatementLine], *, cut: str = "00:00", sha: str | None = None,
        why: str | None = None,
    ) -> ReconciledDay:  # fmt: skip
        """Load the n-th day. Whatever it has, the sums by class are those of both sides."""
        numbered = (line._replace(line=n) for n, line in enumerate(lines, 1))
        done = await self.store.load(self.loading(day, cut=cut, sha=sha, why=why), numbered)
        assert done.totals.wrong() == []
        assert done.balanced
        return done

    async def differs(self) -> list[str]:
        """What stands in the differences, a sentence each: day, class, side, number, state, word, what it became."""
        rows = await self.connection.fetch(ROWS, MERCHANT, ACCOUNT)
        return [
            f"{(row['day'] - DAY).days} {row['class']} {row['side']} {row['number']} {row['state']}"
            + (f", tell {row['word']}" if row["word"] else "")
            + (f", became {row['became']}" if row["became"] else "")
            for row in rows
        ]

    async def empty(self) -> None:
        """Begin anew."""
        self._ids.clear()
        await self.connection.execute("; ".join(f"DELETE FROM {table}" for table in TABLES))


def counted(done: ReconciledDay) -> dict[str, str]:
    """Of each class how many lines of theirs, entries of ours, and unknown ones; what earlier days had held in
    brackets."""
    told = {}
    for name, each in done.totals.classes.items():
        held = f" ({each.theirs_held}/{each.ours_held})" if each.theirs_held or each.ours_held else ""
        told[name.value] = f"{each.theirs}/{each.ours}" + (f"+{each.unknown}?" if each.unknown else "") + held
    return told
