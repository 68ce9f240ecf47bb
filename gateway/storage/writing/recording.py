"""Record what PSPs say: one transaction for all the observations of a merchant that wait.

Answers, polls, callbacks and operators' words go through here together, whatever they are about, and with them payments
that go on after an authentication. Each is applied to its object as it is under the lock (`domain.hearing`), in memory
and in turn; then one statement writes what changed, the event of each change, and the deliveries of each event.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from asyncpg import UniqueViolationError

from gateway.domain.authentications import Authentication
from gateway.domain.carrying import CarriesOf, carries_all
from gateway.domain.catalogue import Catalogue
from gateway.domain.checkouts import STANDARD_LIMITS, CheckoutLimits
from gateway.domain.ids import show_object
from gateway.domain.intents import Intent
from gateway.domain.payments import Payment
from gateway.logs import get
from gateway.metrics import ANOMALIES
from gateway.ports import GoOn, Observation, PayerAct, Recorded, TermsOf
from gateway.storage.keys import Keys
from gateway.storage.server.database import Database
from gateway.storage.writing.going_on import GoingOn
from gateway.storage.writing.hearing import Hearing
from gateway.storage.writing.observations import COUNTED_BEFORE, read_known_observations
from gateway.storage.writing.outbox import HandOver, count_ended, count_events, count_waits, deliveries_of, write_events
from gateway.storage.writing.page import Page
from gateway.storage.writing.payer_acts import PayerActs
from gateway.storage.writing.reading_pages import Item, read_page
from gateway.storage.writing.signing import Signing
from gateway.storage.writing.totals import Totals, count_changes
from gateway.storage.writing.users import BusyUsers, lock_users

log = get(__name__)

SilentRefused = Callable[[UUID, Sequence[tuple[str, str, str | None]], datetime], None]
"""Told of banks that an account does not bind silently: merchant, (account, bank, code), when."""


class _CountedBeforeError(Exception):
    """A word of the flush was counted by an earlier try of it."""


class RecordingStore:
    """Records observations; `flush` is what a Batcher calls. `timezone` is that of the business day."""

    def __init__(
        self,
        database: Database,
        keys: Keys,
        catalogue: Callable[[], Catalogue],
        terms_of: TermsOf,
        timezone: ZoneInfo,
        hand_over: HandOver | None,
        busy: BusyUsers | None = None,
        carries_of: CarriesOf = carries_all,
        silent_refused: SilentRefused | None = None,
        limits: CheckoutLimits = STANDARD_LIMITS,
    ) -> None:
        self._database = database
        self._busy = busy or BusyUsers(database)
        self._totals = Totals(database)
        self._silent_refused, self._limits = silent_refused, limits
        signing = Signing(keys, catalogue, terms_of, carries_of)
        self._acts = PayerActs(keys, catalogue, terms_of, timezone)
        self._going_on = GoingOn(keys, catalogue, terms_of, carries_of, signing)
        self._hearing = Hearing(keys, terms_of, timezone, signing, self._going_on)
        self._catalogue = catalogue
        self._timezone = timezone
        self._hand_over = hand_over

    async def flush(self, items: list[Item]) -> Sequence[Recorded | Exception]:
        """Record many observations of one merchant. The results stand in the order of the observations.

        Observations of users whom somebody else holds are refused as an overload, so that the others need not wait.
        """
        return await self._busy.without(items, _user_of, self._record_once)

    async def _record_once(self, items: list[Item]) -> Sequence[Recorded | Exception]:
        try:
            return await self._record(items, tried_before=False)
        except (UniqueViolationError, _CountedBeforeError) as error:
            if isinstance(error, UniqueViolationError) and not _is_of_a_known_observation(error):
                raise
            # The answer to an earlier COMMIT was lost, and the flush was tried again.
            return await self._record(items, tried_before=True)

    async def _record(self, items: list[Item], *, tried_before: bool) -> Sequence[Recorded | Exception]:
        merchant_id, now = _user_of(items[0])[0], max(item.at for item in items)
        catalogue = self._catalogue()
        async with self._database.transaction() as connection:
            await lock_users(connection, merchant_id, (_user_of(item)[1] for item in items), now)
            day = now.astimezone(self._timezone).date()
            page = await read_page(connection, merchant_id, items, day, self._limits)
            if tried_before:
                heard = [item for item in items if isinstance(item, Observation)]
                page.recorded = await read_known_observations(connection, merchant_id, heard)
            results = [self._apply(page, item) for item in items]
            results = [_still_to_send(page, result) for result in results]
            due = deliveries_of(page.events, catalogue, now)
            write = page.write(merchant_id)
            if page.usage.used and (counted := catalogue.counted(merchant_id)):
                count_changes(write, page.usage.used, counted, self._totals.part(now), page.number_prints)
            write_events(write, page.events, due, leased=self._hand_over is not None)
            counts = page.observations.counts
            if await write.run(connection, COUNTED_BEFORE if counts else "SELECT 1") and counts and not tried_before:
                raise _CountedBeforeError
        if self._hand_over and due:
            self._hand_over(due)
        count_events(page.events)
        count_ended(catalogue, page.ended)
        count_waits(page.waits)
        if page.silent_refusals and self._silent_refused is not None:
            self._silent_refused(merchant_id, page.silent_refusals, now)
        for anomaly in (*page.anomalies, *page.money_anomalies):
            ANOMALIES.labels(anomaly["kind"]).inc()
            shown = show_object(anomaly["object"], anomaly["object_id"])
            log.warning("an anomaly waits for a person", kind=str(anomaly["kind"]), object_id=shown)
        return results

    def _apply(self, page: Page, item: Item) -> Recorded | Exception:
        if isinstance(item, GoOn):
            return self._going_on.go_on(page, item)
        if isinstance(item, PayerAct):
            return self._acts.apply(page, item)
        return self._hearing.apply(page, item)


def _still_to_send(page: Page, result: Recorded | Exception) -> Recorded | Exception:
    """The same flush may bring the end of what it begins: then it is not to be sent any more."""
    if not isinstance(result, Recorded):
        return result
    if result.code is not None and not _is_newest(page, result.code):
        result = replace(result, code=None)
    if result.sms is not None and (about := page.about(result.sms.object_id)) is not None and about.is_final:
        result = replace(result, sms=None)
    if not result.submit or result.payment is None:
        return result
    if isinstance(result.object, Authentication) and result.object.has_code_in_the_air:
        return result  # it was started now, so nobody has heard of it
    now = page.payments[result.payment.payment_id]
    if now.attempt is not None and now.attempt.is_untouched:
        return result
    return replace(result, payment=now, submit=False)


def _is_newest(page: Page, code: Intent) -> bool:
    about = page.about(code.object_id)
    if about is None:
        return False
    newest = about.attempt if isinstance(about, Payment) else about.intent
    return newest is not None and newest.intent_id == code.intent_id and newest.is_untouched


def _user_of(item: Item) -> tuple[UUID, str]:
    key = item.intent if isinstance(item, Observation) else item
    return key.merchant_id, key.user_id


def _is_of_a_known_observation(error: UniqueViolationError) -> bool:
    return str(error.constraint_name or "").startswith("observations_pkey")
