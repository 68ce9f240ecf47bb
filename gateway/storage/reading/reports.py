"""Sums of recorded rows for reports and bills: one statement each, over business days, on connections of their own.

Nothing here is on the way of a payment. A month is found by the BRIN indexes of the days, so its cost is that of its
rows. Every part names the merchant, by which tables are spread. docs/reports.sql is one finished report.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import ScalarSelect, Table, func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.failures import CODE_REFUSALS
from gateway.domain.reports import COUNTED, Bill, BillLine, By, Charge, Days, Figures, ReportRow
from gateway.storage.reading.search import searching
from gateway.storage.tables import apps, channels, merchants

__all__ = [
    "BILL",
    "REPORT_POOL_SIZE",
    "REPORT_TIMEOUT_MS",
    "ROWS_AT_ONCE",
    "NamedMerchant",
    "Reports",
    "named_in_force",
    "report_sql",
]

REPORT_POOL_SIZE: Final = 2
"""Connections of a process, opened when they are wanted: what is asked beyond them waits."""
REPORT_TIMEOUT_MS: Final = 120_000
ROWS_AT_ONCE: Final = 500
"""That are fetched, and held in memory, at a time."""
SORTS_IN: Final = "SET LOCAL work_mem = '64MB'"
"""The times of a month are sorted in memory, for a moment, on one connection."""

# What is money that moved though it is failed or closed here. An operator may have taken it as paid: then it is counted
# as the payment that says so. A second transaction that was taken as paid has money of its own.
_LATE: Final = """p.fee IS NOT NULL AND p.status <> 'succeeded' AND NOT EXISTS (
        SELECT FROM payments c WHERE c.merchant_id = :merchant AND c.corrects = p.payment_id AND c.corrects_no IS NULL
    )"""

# By their key, one look for each payment: a join would read the decisions of all days.
_WHY: Final = """
LEFT JOIN LATERAL (
    SELECT (d.decision ->> 'saved_against_next')::bigint AS saved,
        CASE d.decision ->> 'chosen_by_step' WHEN '9' THEN (
            SELECT (seen ->> 'rank')::int FROM jsonb_array_elements(d.decision -> 'trace') seen
            WHERE seen ->> 'channel' = d.decision ->> 'chosen'
        ) ELSE 1 END AS rank
    FROM decisions d WHERE d.merchant_id = :merchant AND d.object_id = {object_id}
    OFFSET 0
) why ON {succeeded}"""

_ENDED: Final = "p.status IN ('succeeded', 'failed') AND p.channel IS NOT NULL AND p.corrects IS NULL"
_MILLISECONDS: Final = "(extract(epoch FROM p.finished_at - p.created_at) * 1000)::bigint"


def _sums(table: str, late: str, is_attempt: str) -> dict[str, str]:
    """What payments and recorded routes have in common. `late`: paid there though not here."""
    p = table
    attempt = f"{p}.channel IS NOT NULL{is_attempt}"
    return {
        "payments": f"count(*) FILTER (WHERE {p}.status = 'succeeded')",
        "amount": f"coalesce(sum({p}.amount) FILTER (WHERE {p}.status = 'succeeded'), 0)",
        "late_payments": f"count(*) FILTER (WHERE {late})",
        "late_amount": f"coalesce(sum({p}.amount) FILTER (WHERE {late}), 0)",
        "fee": f"coalesce(sum({p}.fee) FILTER (WHERE {p}.status = 'succeeded' OR {late}), 0)",
        "attempts": f"count(*) FILTER (WHERE {attempt})",
        "succeeded": f"count(*) FILTER (WHERE {attempt} AND {p}.status = 'succeeded')",
        "failed": f"count(*) FILTER (WHERE {attempt} AND {p}.status = 'failed')",
        "failed_by_channel": (
            f"count(*) FILTER (WHERE {attempt} AND {p}.status = 'failed' AND {p}.failure_blame = 'channel')"
        ),
        "closed": f"count(*) FILTER (WHERE {attempt} AND {p}.status = 'closed')",
        "open": f"count(*) FILTER (WHERE {attempt} AND {p}.finished_at IS NULL)",
        "refused": f"count(*) FILTER (WHERE {p}.channel IS NULL)",
        "saved": "coalesce(sum(why.saved) FILTER (WHERE why.rank = 1), 0)",
        "kept": "count(*) FILTER (WHERE why.rank = 2)",
        "kept_cost": "coalesce(-sum(why.saved) FILTER (WHERE why.rank = 2), 0)",
    }


@dataclass(frozen=True, slots=True)
class _Part:
    """Rows of one kind: what they are apart by, what is summed of them, and where they are."""

    day: str
    channel: str
    bank: str
    scene: str
    sums: dict[str, str]
    rows: str


_PARTS: Final = (
    _Part(
        "p.business_day",
        "p.channel",
        "p.bank",
        "p.scene",
        _sums("p", "p.is_late", " AND p.corrects IS NULL")
        | {
            name: f"percentile_disc({part}) WITHIN GROUP (ORDER BY {_MILLISECONDS}) FILTER (WHERE {_ENDED})"
            for name, part in (("p50_ms", 0.5), ("p99_ms", 0.99))
        },
        f"""(SELECT p.*, {_LATE} AS is_late FROM payments p
        WHERE p.merchant_id = :merchant AND p.business_day BETWEEN :first AND :last) p"""
        + _WHY.format(object_id="p.payment_id", succeeded="p.status = 'succeeded' AND p.corrects IS NULL"),
    ),
    _Part(
        "r.business_day",
        "r.channel",
        "r.bank",
        "r.scene",
        _sums("r", "r.late_success", ""),
        "(SELECT r.* FROM routes r WHERE r.merchant_id = :merchant AND r.business_day BETWEEN :first AND :last) r"
        + _WHY.format(object_id="r.route_id", succeeded="r.status = 'succeeded'"),
    ),
    _Part(
        "(a.created_at AT TIME ZONE :zone)::date",
        "nullif(a.channel, '')",
        "a.bank",
        "p.scene",
        {
            "authentications": "count(*) FILTER (WHERE a.was_sent)",
            "authentication_fee": "coalesce(sum(a.fee) FILTER (WHERE a.was_sent), 0)",
            "disagreements": "count(*) FILTER (WHERE a.disagrees)",
        },
        """(
    SELECT a.*, i.state IS NOT NULL AND i.state NOT IN ('not_sent', 'not_received') AS was_sent,
        a.status = 'failed' AND (a.contradicts OR (
            i.state = 'declined' AND a.failure_code <> ALL(CAST(:of_codes AS text[])) AND EXISTS (
                SELECT FROM agreements g WHERE g.merchant_id = :merchant AND g.card_id = a.card_id
                AND g.account <> a.account
            )
        )) AS disagrees
    FROM authentications a LEFT JOIN intents i ON i.merchant_id = :merchant AND i.object_id = a.authentication_id
        AND i.verb = 'authenticate' AND i.ordinal = coalesce(a.intent_ordinal, 1)
    WHERE a.merchant_id = :merchant AND a.created_at >= :begins AND a.created_at < :ends
) a LEFT JOIN payments p ON p.merchant_id = :merchant AND p.payment_id = a.payment_id""",
    ),
    _Part(
        "r.business_day",
        "coalesce(r.channel, p.channel)",
        "p.bank",
        "p.scene",
        {
            "refunds": "count(*) FILTER (WHERE r.status = 'succeeded')",
            "refunded": "coalesce(sum(r.amount) FILTER (WHERE r.status = 'succeeded'), 0)",
            "fee_returned": "coalesce(sum(r.fee_returned) FILTER (WHERE r.status = 'succeeded'), 0)",
            "refunds_returned": "count(*) FILTER (WHERE r.status = 'returned')",
            "refunds_returned_amount": "coalesce(sum(r.amount) FILTER (WHERE r.status = 'returned'), 0)",
        },
        """refunds r JOIN payments p ON p.merchant_id = :merchant AND p.payment_id = r.payment_id
    WHERE r.merchant_id = :merchant AND r.business_day BETWEEN :first AND :last""",
    ),
    _Part(
        "o.business_day",
        "o.channel",
        "o.payee_bank",
        "NULL::text",
        {
            "payouts": "count(*) FILTER (WHERE o.status = 'succeeded')",
            "paid_out": "coalesce(sum(o.amount) FILTER (WHERE o.status = 'succeeded'), 0)",
            "payout_fee": "coalesce(sum(o.fee), 0)",
            "payouts_returned": "count(*) FILTER (WHERE o.status = 'returned')",
            "payouts_returned_amount": "coalesce(sum(o.amount) FILTER (WHERE o.status = 'returned'), 0)",
        },
        "payouts o WHERE o.merchant_id = :merchant AND o.business_day BETWEEN :first AND :last",
    ),
)

_TIMES: Final = ("p50_ms", "p99_ms")

BILL: Final = f"""
SELECT 'payment' AS charge, p.scene, p.bank, count(*) AS number, sum(p.amount) AS amount, sum(p.fee) AS fee
FROM payments p WHERE p.merchant_id = :merchant AND p.channel = :channel AND p.business_day BETWEEN :first AND :last
    AND (p.status = 'succeeded' OR ({_LATE}))
GROUP BY p.scene, p.bank
UNION ALL
SELECT 'payment', r.scene, r.bank, count(*), sum(r.amount), sum(r.fee)
FROM routes r WHERE r.merchant_id = :merchant AND r.channel = :channel AND r.business_day BETWEEN :first AND :last
    AND (r.status = 'succeeded' OR r.late_success)
GROUP BY r.scene, r.bank
UNION ALL
SELECT 'authentication', p.scene, a.bank, count(*), 0, sum(a.fee)
FROM authentications a JOIN intents i ON i.merchant_id = :merchant AND i.object_id = a.authentication_id
    AND i.verb = 'authenticate' AND i.ordinal = coalesce(a.intent_ordinal, 1)
    LEFT JOIN payments p ON p.merchant_id = :merchant AND p.payment_id = a.payment_id
WHERE a.merchant_id = :merchant AND a.channel = :channel AND a.created_at >= :begins AND a.created_at < :ends
    AND i.state NOT IN ('not_sent', 'not_received')
GROUP BY p.scene, a.bank
UNION ALL
SELECT 'payout', NULL, o.payee_bank, count(*), sum(o.amount), sum(o.fee)
FROM payouts o WHERE o.merchant_id = :merchant AND o.channel = :channel AND o.business_day BETWEEN :first AND :last
    AND o.fee IS NOT NULL
GROUP BY o.payee_bank
UNION ALL
SELECT 'refund', p.scene, p.bank, count(*), sum(r.amount), -sum(coalesce(r.fee_returned, 0))
FROM refunds r JOIN payments p ON p.merchant_id = :merchant AND p.payment_id = r.payment_id
WHERE r.merchant_id = :merchant AND coalesce(r.channel, p.channel) = :channel
    AND r.business_day BETWEEN :first AND :last AND r.status = 'succeeded'
GROUP BY p.scene, p.bank
"""

_OPEN: Final = """
SELECT (
    SELECT count(*) FROM payments WHERE merchant_id = :merchant AND channel = :channel
    AND business_day BETWEEN :first AND :last AND finished_at IS NULL
) + (
    SELECT count(*) FROM routes WHERE merchant_id = :merchant AND channel = :channel
    AND business_day BETWEEN :first AND :last AND finished_at IS NULL
) + (
    SELECT count(*) FROM payouts WHERE merchant_id = :merchant AND channel = :channel
    AND business_day BETWEEN :first AND :last AND finished_at IS NULL
)
"""


def report_sql(by: Sequence[By]) -> str:
    """The statement of a report."""
    keys = "".join(f"{each.value}, " for each in by)
    parts = " UNION ALL ".join(_part_sql(part, by) for part in _PARTS)
    sums = ", ".join(f"sum({name})::bigint AS {name}" for name in COUNTED)
    times = ", ".join(f"max({name})::bigint AS {name}" for name in _TIMES)
    grouped = f"GROUP BY {keys.rstrip(', ')} ORDER BY {keys.rstrip(', ')}" if by else ""
    return f"SELECT {keys}{sums}, {times} FROM ({parts}) AS part {grouped}"


def _part_sql(part: _Part, by: Sequence[By]) -> str:
    places = {  # codes are sorted by their bytes: a language's rules take twice as long
        By.DAY: part.day,
        By.MONTH: f"date_trunc('month', {part.day})::date",
        By.CHANNEL: f'{part.channel} COLLATE "C"',
        By.BANK: f'{part.bank} COLLATE "C"',
        By.SCENE: f'{part.scene} COLLATE "C"',
    }
    keys = "".join(f"{places[each]} AS {each.value}, " for each in by)
    sums = ", ".join(f"{part.sums.get(name, '0')} AS {name}" for name in COUNTED)
    times = ", ".join(f"{part.sums.get(name, 'NULL::bigint')} AS {name}" for name in _TIMES)
    grouped = f"GROUP BY {', '.join(str(number + 1) for number in range(len(by)))}" if by else ""
    return f"(SELECT {keys}{sums}, {times} FROM {part.rows} {grouped})"


@dataclass(frozen=True, slots=True)
class Reports:
    """Reads reports. `engine`: connections whose statements may take as long as a report does."""

    engine: AsyncEngine
    zone: ZoneInfo

    async def rows(self, merchant_id: UUID, days: Days, by: Sequence[By]) -> AsyncIterator[ReportRow]:
        """The rows, by key, as they come; what is of nothing comes last. Where nothing happened there is no row.

        Raises SearchCutError when it takes longer than it may.
        """
        names = [each.value for each in by]
        values = self._values(merchant_id, days) | {"of_codes": sorted(CODE_REFUSALS)}
        async with searching(self.engine) as connection, connection.begin():
            await connection.execute(text(SORTS_IN))
            found = await connection.stream(text(report_sql(by)), values, execution_options={"yield_per": ROWS_AT_ONCE})
            async for row in found.mappings():
                figures = Figures(**{name: row[name] for name in (*COUNTED, *_TIMES)})
                if figures != Figures():
                    yield ReportRow(tuple(row[name] for name in names), figures)

    async def bill(self, merchant_id: UUID, channel: str, days: Days, invoiced: int | None = None) -> Bill:
        """What the PSP of a channel should invoice for these days. Raises SearchCutError."""
        values = self._values(merchant_id, days) | {"channel": channel}
        async with searching(self.engine) as connection:
            found = (await connection.execute(text(BILL), values)).mappings().all()
            still_open = await connection.scalar(text(_OPEN), _without_times(values))
        return Bill(channel, days, _lines(found), still_open or 0, invoiced)

    def _values(self, merchant_id: UUID, days: Days) -> dict[str, Any]:
        return {
            "merchant": merchant_id,
            "first": days.first,
            "last": days.last,
            "begins": self._midnight(days.first),
            "ends": self._midnight(days.last + timedelta(days=1)),
            "zone": self.zone.key,
        }

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), tzinfo=self.zone)


class NamedMerchant(NamedTuple):
    """A merchant in force, and the codes of its channels and apps."""

    merchant_id: UUID
    channels: frozenset[str]
    apps: frozenset[str]


async def named_in_force(engine: AsyncEngine) -> dict[str, NamedMerchant]:
    """Every merchant, by its code."""
    m = merchants.c

    def codes(table: Table) -> ScalarSelect[Any]:
        return select(func.array_agg(table.c.code)).where(table.c.merchant_id == m.merchant_id).scalar_subquery()

    every = select(m.code, m.merchant_id, codes(channels), codes(apps)).order_by(m.code)
    async with engine.connect() as connection:
        return {
            code: NamedMerchant(merchant_id, frozenset(having or ()), frozenset(of or ()))
            for code, merchant_id, having, of in await connection.execute(every)
        }


def _lines(found: Sequence[Any]) -> list[BillLine]:
    """Payments and recorded routes of one scene and bank are one line."""
    order = list(Charge)
    sums: dict[tuple[Charge, str | None, str | None], list[int]] = {}
    for row in found:
        line = sums.setdefault((Charge(row["charge"]), row["scene"], row["bank"]), [0, 0, 0])
        for place, name in enumerate(("number", "amount", "fee")):
            line[place] += int(row[name] or 0)
    keys = sorted(sums, key=lambda key: (order.index(key[0]), key[1] or "", key[2] or ""))
    return [BillLine(*key, *sums[key]) for key in keys]


def _without_times(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in ("begins", "ends", "zone")}
