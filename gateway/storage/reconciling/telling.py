"""What is told of days that were compared: what differs that had not been told, then that the day is finished.

In the transaction of the comparison, at its end. An account's events are numbered without a gap.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID

from gateway.domain.catalogue import Catalogue
from gateway.domain.events import Event, EventType
from gateway.domain.ids import ObjectKind, account_id
from gateway.domain.reconciled import ReconciledDay
from gateway.objects.events import merchant_event
from gateway.objects.reconciled import difference_object, finished_object
from gateway.storage.merchant_events import next_sequences, write_events
from gateway.storage.reconciling.days import open_of
from gateway.storage.reconciling.differences import difference_of
from gateway.storage.server.database import Connection

__all__ = ["MAX_TOLD", "Finished", "tell_days"]

MAX_TOLD: Final = 1_000
"""Differences that are told one by one when a statement is loaded, the greatest amounts of the first day first: whoever
lost a whole statement reads the list. Each is a delivery for each endpoint that wants it."""

# Of a day that is compared anew only what had not been found before, just as it is: twins are told apart by how many
# there are. What suspense holds, or a later statement resolved, waits for nobody.
_SAME: Final = "day, side, class, number, object_id, transaction_no, amount, our_amount, fee, our_fee, paid"
NEW: Final = f"""
WITH stood AS (
    SELECT difference_id, day, greatest(amount, our_amount) AS size, ordinal, state, found_at = $4 AS is_now,
        hash_record_extended(({_SAME}), 0) AS same
    FROM differences WHERE merchant_id = $1 AND account = $2 AND day >= $3
    AND (found_at = $4 OR superseded_at = $4) AND class <> 'suspense' AND resolved_by IS DISTINCT FROM 'statement'
), counted AS (
    SELECT *, count(*) FILTER (WHERE NOT is_now) OVER (PARTITION BY same) AS known,
        row_number() OVER (PARTITION BY same, is_now ORDER BY state = 'open', ordinal, difference_id) AS nth
    FROM stood
), new AS MATERIALIZED (
    SELECT difference_id, day, size FROM counted WHERE is_now AND state = 'open' AND nth > known
)
SELECT c.day AS of_day, c.count, d.*, NULL::uuid AS anomaly_id
FROM (SELECT day, count(*) AS count FROM new GROUP BY day) c
LEFT JOIN (SELECT * FROM new ORDER BY day, size DESC, difference_id LIMIT $5) n ON n.day = c.day
LEFT JOIN differences d ON d.merchant_id = $1 AND d.difference_id = n.difference_id
ORDER BY c.day, n.size DESC, n.difference_id
"""


@dataclass(frozen=True, slots=True)
class Finished:
    """A day that was compared now. `so_far`: it was not over when its statement was loaded."""

    day: ReconciledDay
    so_far: bool


async def tell_days(
    connection: Connection,
    merchant_id: UUID,
    finished: Sequence[Finished],
    at: datetime,
    catalogue: Catalogue,
    new_id: Callable[[], UUID],
    within_s: int,
) -> list[Event]:
    """Tell of days of one account, compared at `at`, in order; what is to be counted once it is committed."""
    account, first = finished[0].day.account, finished[0].day.day
    rows = await connection.fetch(NEW, merchant_id, account, first, at, MAX_TOLD, timeout=within_s)
    counts = {row["of_day"]: row["count"] for row in rows}
    left = await open_of(connection, merchant_id, [(account, each.day.day) for each in finished], within_s)
    shown = []
    for each in finished:
        day = each.day.day
        differences = [difference_object(difference_of(row)) for row in rows if row["day"] == day]
        shown += [(EventType.RECONCILIATION_DIFFERENCE_FOUND, difference) for difference in differences]
        told = finished_object(
            each.day, left.get((account, day), {}), each.so_far, counts.get(day, 0), len(differences)
        )
        shown.append((EventType.RECONCILIATION_FINISHED, told))
    numbers = await next_sequences(connection, merchant_id, ObjectKind.ACCOUNT, account, len(shown))
    event = partial(merchant_event, merchant_id, kind=ObjectKind.ACCOUNT, object_id=account_id(merchant_id, account))
    events = [
        event(event_type=event_type, sequence=number, event_id=new_id(), now=at, shown=told)
        for number, (event_type, told) in zip(numbers, shown, strict=True)
    ]
    await write_events(connection, events, catalogue, within_s)
    return events
