"""Record what PSPs say of payouts: one transaction for all the words of a merchant that wait.

Each is applied to its payout as it is under the lock of its channel's day, in memory and in turn; then one statement
writes what changed, the event of each change, and the deliveries of each event.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from asyncpg import UniqueViolationError

from gateway.domain.catalogue import Catalogue
from gateway.domain.events import ANOMALY_OF, EVENTS_OF, Event
from gateway.domain.hearing import Anomaly, Source, hear
from gateway.domain.ids import ObjectKind, caused_id, show_object
from gateway.domain.intents import Intent
from gateway.domain.outcomes import Processing, Succeeded
from gateway.domain.payouts import Payout, after_hearing
from gateway.domain.repeating import says_news
from gateway.domain.statuses import Status
from gateway.domain.terms import Product, Terms
from gateway.domain.waits import Wait, wait_of
from gateway.logs import get
from gateway.metrics import ANOMALIES
from gateway.objects.events import event_of
from gateway.ports import Observation, Recorded, TermsOf, UnusableAccountError
from gateway.storage.keys import DecryptionError, Keys, PayeeBox, stand_back
from gateway.storage.server.database import Connection, Database
from gateway.storage.tables import return_lists
from gateway.storage.writing.going_on import UnknownIntentError
from gateway.storage.writing.hearing import WHEN_UNUSABLE
from gateway.storage.writing.intents import IntentOf, change_intents, intent_key
from gateway.storage.writing.observations import (
    COUNTED_BEFORE,
    Told,
    anomaly_row,
    insert_anomalies,
    read_known_anomalies,
    read_known_observations,
)
from gateway.storage.writing.outbox import HandOver, count_events, count_waits, deliveries_of, write_events
from gateway.storage.writing.payouts import change_payouts, payouts_by_id
from gateway.storage.writing.settling import (
    Day,
    change_days,
    days_of,
    lock_days,
    lock_payments,
    settled_by,
    take_again,
    take_nothing,
)
from gateway.storage.writing.statement import Row, Write

__all__ = ["LISTED_AT", "PayoutWordsStore"]

LISTED_AT = time(6)
"""When the list of what came back on the day before is fetched, in the business zone."""
READ_KEYS = "SELECT payout_id, data_key FROM payouts WHERE merchant_id = $1 AND payout_id = ANY($2::uuid[])"

log = get(__name__)


class _CountedBeforeError(Exception):
    """A word of the flush was counted by an earlier try of it."""


@dataclass(slots=True)
class _Flush:
    """One flush while it is being built. Payouts stand in it as they are now."""

    payouts: dict[UUID, Payout]
    before: dict[UUID, Payout]
    known: set[tuple[UUID, str]]
    """Anomalies: each of an object and a kind is recorded once."""
    keys: dict[UUID, bytes]
    """The wrapped keys of payouts whose words give something to keep."""
    recorded: frozenset[UUID]
    observations: Told = field(default_factory=Told)
    anomalies: list[Row] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    heard: dict[IntentOf, Intent] = field(default_factory=dict)
    given: dict[IntentOf, bytes] = field(default_factory=dict)
    lists: dict[tuple[str, str], Row] = field(default_factory=dict)
    waits: list[Wait] = field(default_factory=list)

    @property
    def changed(self) -> list[Payout]:
        return [self.payouts[key] for key in sorted(self.payouts) if self.payouts[key] is not self.before[key]]

    def taking(self, takes: bool) -> list[UUID]:
        """Payouts with parts that take of their payments now and did not before, or the other way round."""
        return [
            after.payout_id
            for after in self.changed
            if after.parts and after.takes is takes and self.before[after.payout_id].takes is not takes
        ]

    @property
    def more_used(self) -> dict[Day, int]:
        used: dict[Day, int] = {}
        for after in self.changed:
            day = (after.channel, after.business_day)
            used[day] = used.get(day, 0) + after.uses - self.before[after.payout_id].uses
        return used


class PayoutWordsStore:
    """Records observations of payouts; `flush` is what a Batcher calls. `timezone` is that of the business day."""

    def __init__(
        self,
        database: Database,
        keys: Keys,
        catalogue: Callable[[], Catalogue],
        terms_of: TermsOf,
        timezone: ZoneInfo,
        hand_over: HandOver | None,
    ) -> None:
        self._database, self._keys, self._catalogue = database, keys, catalogue
        self._terms_of, self._timezone, self._hand_over = terms_of, timezone, hand_over

    async def flush(self, items: list[Observation]) -> Sequence[Recorded | Exception]:
        """Record many observations of one merchant. The results stand in the order of the observations."""
        try:
            return await self._record(items, tried_before=False)
        except (UniqueViolationError, _CountedBeforeError) as error:
            if isinstance(error, UniqueViolationError) and not _is_of_a_known_observation(error):
                raise
            # The answer to an earlier COMMIT was lost, and the flush was tried again.
            return await self._record(items, tried_before=True)

    async def _record(self, items: list[Observation], *, tried_before: bool) -> Sequence[Recorded | Exception]:
        merchant_id, now = items[0].intent.merchant_id, max(item.at for item in items)
        async with self._database.transaction() as connection:
            flush = await self._read(connection, merchant_id, items, tried_before=tried_before)
            results = [self._apply(flush, item) for item in items]
            due = deliveries_of(flush.events, self._catalogue(), now)
            freed, again = flush.taking(False), flush.taking(True)
            await lock_payments(connection, merchant_id, await settled_by(connection, merchant_id, [*freed, *again]))
            await take_nothing(connection, merchant_id, freed)
            for payout_id in again:
                await take_again(connection, merchant_id, payout_id)
            write = Write(merchant_id)
            change_payouts(write, flush.changed)
            change_intents(write, list(flush.heard.values()), flush.given)
            change_days(write, flush.more_used)
            flush.observations.write(write)
            insert_anomalies(write, flush.anomalies)
            more = "ON CONFLICT (merchant_id, account, day) DO NOTHING"
            write.insert(return_lists, [flush.lists[key] for key in sorted(flush.lists)], conflict=more)
            write_events(write, flush.events, due, leased=self._hand_over is not None)
            counts = flush.observations.counts
            if await write.run(connection, COUNTED_BEFORE if counts else "SELECT 1") and counts and not tried_before:
                raise _CountedBeforeError
        if self._hand_over and due:
            self._hand_over(due)
        count_events(flush.events)
        count_waits(flush.waits)
        for anomaly in flush.anomalies:
            ANOMALIES.labels(anomaly["kind"]).inc()
            shown = show_object(ObjectKind.PAYOUT, anomaly["object_id"])
            log.warning("an anomaly waits for a person", kind=str(anomaly["kind"]), object_id=shown)
        return results

    async def _read(
        self, connection: Connection, merchant_id: UUID, items: Sequence[Observation], *, tried_before: bool
    ) -> _Flush:
        ids = list({item.intent.object_id for item in items})
        await lock_days(connection, merchant_id, await days_of(connection, merchant_id, ids))
        # In later statements: the lock's snapshot is older than the end of its wait.
        payouts = await payouts_by_id(connection, merchant_id, ids)
        giving = [item.intent.object_id for item in items if _gives(item) is not None]
        rows = await connection.fetch(READ_KEYS, merchant_id, giving) if giving else ()
        return _Flush(
            payouts=payouts,
            before=dict(payouts),
            known=await read_known_anomalies(connection, merchant_id, ids),
            keys=dict(rows),
            recorded=await read_known_observations(connection, merchant_id, items) if tried_before else frozenset(),
        )

    def _apply(self, flush: _Flush, heard: Observation) -> Recorded | Exception:
        payout = flush.payouts.get(heard.intent.object_id)
        if payout is None or payout.intent is None:
            return UnknownIntentError(f"{heard.intent.verb} {heard.intent.object_id}")
        if heard.observation_id in flush.recorded:
            return Recorded(payout)
        if _is_of_another(heard, payout.intent) and not isinstance(heard.outcome, Succeeded):
            flush.observations.keep(heard, news=False)
            return Recorded(payout)
        try:
            self._keep_continuation(flush, heard, payout)
        except DecryptionError as error:
            return stand_back(error)
        terms = self._terms(heard, payout)
        did = hear(payout.intent, heard.source, heard.outcome, terms, self._timezone, heard.at)
        if wait := wait_of(payout.intent, heard.source, heard.outcome, did, heard.at):
            flush.waits.append(wait)
        status, after = payout.status, payout
        for after in after_hearing(payout, did, heard.source, heard.outcome, terms, heard.at):
            if after.status is not status:
                status = after.status
                event_id = caused_id(heard.observation_id, after.payout_id, after.status)
                told = EVENTS_OF[ObjectKind.PAYOUT][after.status]
                flush.events.append(event_of(after, told, event_id, heard.at))
                if status is Status.SUCCEEDED:
                    self._list_returns(flush, after, terms, heard.at)
        if did.anomaly is not None and (after.payout_id, did.anomaly.known_as) not in flush.known:
            after = replace(after, sequence=after.sequence + 1)
            _keep_anomaly(flush, heard, after, did.anomaly)
        news = says_news(payout.intent, did, terms) or after.sequence > payout.sequence
        flush.observations.keep(heard, news=news or after.held_for is not payout.held_for)
        flush.payouts[after.payout_id] = after
        if after.intent is not None and after.intent is not payout.intent:
            flush.heard[intent_key(after.intent)] = after.intent
        return Recorded(after)

    def _terms(self, heard: Observation, payout: Payout) -> Terms:
        try:
            return self._terms_of(payout.merchant_id, payout.account, Product.PAYOUT)
        except UnusableAccountError:
            if heard.source not in {Source.OPERATOR, Source.STATEMENT}:
                raise
            return WHEN_UNUSABLE

    def _keep_continuation(self, flush: _Flush, heard: Observation, payout: Payout) -> None:
        """What a suspicion gave to confirm the payout with. Raises DecryptionError before anything changes."""
        given, intent = _gives(heard), payout.intent
        if given is None or intent is None or not intent.is_open:
            return
        box = PayeeBox.of(self._keys.ring, payout.merchant_id, payout.payout_id, flush.keys[payout.payout_id])
        flush.given[intent_key(intent)] = box.seal_continuation(given)
        flush.heard.setdefault(intent_key(intent), intent)

    def _list_returns(self, flush: _Flush, payout: Payout, terms: Terms, now: datetime) -> None:
        """Which days' lists of what came back are to be fetched for this success."""
        days = terms.watch.listed_days if terms.watch is not None else 0
        if not days:
            return
        first = now.astimezone(self._timezone).date()
        for day in (first + timedelta(days=n) for n in range(days + 1)):
            due_at = datetime.combine(day + timedelta(days=1), LISTED_AT, self._timezone)
            row: Row = {"account": payout.account, "day": day, "channel": payout.channel, "due_at": due_at}
            flush.lists[payout.account, day.isoformat()] = row


def _gives(heard: Observation) -> str | None:
    return heard.outcome.continuation if isinstance(heard.outcome, Processing) else None


def _is_of_another(heard: Observation, newest: Intent) -> bool:
    """Whether a word is about an intent that is not the newest: what it says was known when the newest began."""
    return heard.intent.ordinal is not None and heard.intent.ordinal != newest.ordinal


def _keep_anomaly(flush: _Flush, heard: Observation, after: Payout, anomaly: Anomaly) -> None:
    """The anomaly, and the event that tells of it: they have the same causes, so the same id."""
    flush.known.add((after.payout_id, anomaly.known_as))
    anomaly_id = caused_id(heard.observation_id, after.payout_id, anomaly.kind)
    flush.anomalies.append(anomaly_row(anomaly_id, ObjectKind.PAYOUT, heard, anomaly))
    flush.events.append(event_of(after, ANOMALY_OF[ObjectKind.PAYOUT], anomaly_id, heard.at, anomaly))


def _is_of_a_known_observation(error: UniqueViolationError) -> bool:
    return str(error.constraint_name or "").startswith("observations_pkey")
