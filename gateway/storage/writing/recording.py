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

from gateway.domain import authentications, payments, refunds
from gateway.domain.authentications import Authentication
from gateway.domain.carrying import CarriesOf, carries_all
from gateway.domain.catalogue import Catalogue
from gateway.domain.codes import Purpose
from gateway.domain.events import ANOMALY_OF, EVENTS_OF
from gateway.domain.failures import FailureCode, failure
from gateway.domain.hearing import Anomaly, AnomalyKind, Heard, Source, hear
from gateway.domain.ids import ObjectKind, caused_id, show_object
from gateway.domain.intents import OBJECT_OF, PRODUCT_OF, Intent, Verb
from gateway.domain.outcomes import Authenticated, Succeeded
from gateway.domain.payments import Payment, begun
from gateway.domain.refunds import Refund
from gateway.domain.repeating import says_news
from gateway.domain.statuses import Status
from gateway.domain.terms import Product, Terms
from gateway.flows.opening import authentication_of, intent_to_pay
from gateway.flows.route import binds_silently, needs_agreement
from gateway.logs import get
from gateway.metrics import ANOMALIES
from gateway.objects.events import event_of
from gateway.ports import GoOn, Observation, PayerAct, Recorded, TermsOf, UnusableAccountError
from gateway.storage.keys import CardBox, DecryptionError, Keys, stand_back
from gateway.storage.server.database import Database
from gateway.storage.writing.observations import COUNTED_BEFORE, anomaly_row, read_known_observations
from gateway.storage.writing.outbox import HandOver, count_ended, count_events, deliveries_of, write_events
from gateway.storage.writing.page import Page
from gateway.storage.writing.payer_acts import PayerActs
from gateway.storage.writing.reading_pages import Item, read_page
from gateway.storage.writing.signing import (
    Signing,
    count_contradiction,
    count_disagreement,
    own_sms,
    tell_authentication,
    tell_payment,
)
from gateway.storage.writing.statement import Row
from gateway.storage.writing.totals import Totals, count_changes
from gateway.storage.writing.users import BusyUsers, lock_users

log = get(__name__)

SilentRefused = Callable[[UUID, Sequence[tuple[str, str, str | None]], datetime], None]
"""Told of banks that an account does not bind silently: merchant, (account, bank, code), when."""


class UnknownIntentError(Exception):
    """An observation of an intent that is not in the books: a bug, since its object was read from them."""


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
    ) -> None:
        self._database = database
        self._busy = busy or BusyUsers(database)
        self._totals = Totals(database)
        self._silent_refused, self._carries_of = silent_refused, carries_of
        self._signing = Signing(keys, catalogue, terms_of, carries_of)
        self._acts = PayerActs(keys, catalogue, terms_of)
        self._keys = keys
        self._catalogue = catalogue
        self._terms_of = terms_of
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
            page = await read_page(connection, merchant_id, items, now.astimezone(self._timezone).date())
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
        if page.silent_refusals and self._silent_refused is not None:
            self._silent_refused(merchant_id, page.silent_refusals, now)
        for anomaly in page.anomalies:
            ANOMALIES.labels(anomaly["kind"]).inc()
            shown = show_object(anomaly["object"], anomaly["object_id"])
            log.warning("an anomaly waits for a person", kind=str(anomaly["kind"]), object_id=shown)
        return results

    def _apply(self, page: Page, item: Item) -> Recorded | Exception:
        if isinstance(item, GoOn):
            return self._go_on(page, item)
        if isinstance(item, PayerAct):
            return self._acts.apply(page, item)
        object_id = item.intent.object_id
        match item.intent.verb:
            case Verb.PAY if payment := page.payments.get(object_id):
                return self._hear_payment(page, item, payment)
            case Verb.REFUND if refund := page.refunds.get(object_id):
                return self._hear_refund(page, item, refund)
            case Verb.AUTHENTICATE if authentication := page.authentications.get(object_id):
                return self._hear_authentication(page, item, authentication)
            case Verb.SEND_PAYMENT_CODE if payment := page.payments.get(object_id):
                return self._signing.hear_sms_to_pay(page, item, payment)
            case Verb.SEND_SIGNING_CODE if authentication := page.authentications.get(object_id):
                return self._signing.hear_sms_to_sign(page, item, authentication)
        return UnknownIntentError(f"{item.intent.verb} {object_id}")

    # Payments

    def _hear_payment(self, page: Page, heard: Observation, payment: Payment) -> Recorded | Exception:
        if heard.observation_id in page.recorded:
            return Recorded(payment, payment)
        if payment.attempt is None:
            after = payment
            if isinstance(heard.outcome, Succeeded):
                anomaly = Anomaly(AnomalyKind.UNEXPECTED_SUCCESS, "paid before it was sent")
                if payment.asked is not None:
                    payment = replace(payment, asked=replace(payment.asked, called_paid=True))
                after = self._tell_payment(page, heard, payment, anomaly)
                page.put_payment(after)
            page.observations.keep(heard, news=after.sequence > payment.sequence)
            return Recorded(after, after)
        if _is_of_another(heard, payment.attempt) and not isinstance(heard.outcome, Succeeded):
            page.observations.keep(heard, news=False)
            return Recorded(payment, payment)
        did, news = self._hear(heard, payment.attempt)
        if did.intent.late_success and not payment.is_final:
            did = replace(did, anomaly=None)  # it went on after what took nothing: now it is paid
        if refused := self._signing.keep_continuation(page, payment, did):
            return refused
        after = payments.after_hearing(payment, did, heard.at)
        count_disagreement(page, after, did)
        if did.voids_agreement and payment.card is not None:
            _void_agreement(page, payment.card.card_id, payment.attempt, heard.at)
        after = self._tell_payment(page, heard, after, did.anomaly)
        page.observations.keep(heard, news=news or after.sequence > payment.sequence)
        page.put_payment(after)
        return Recorded(after, after)

    def _tell_payment(self, page: Page, heard: Observation, after: Payment, anomaly: Anomaly | None) -> Payment:
        """The payment after an observation, with the event of its change and that of a new anomaly counted."""
        if after.status is not page.payments[after.payment_id].status:
            tell_payment(page, heard.observation_id, after, heard.at)
        if anomaly is not None and _is_new(page, after.payment_id, anomaly):
            after = replace(after, sequence=after.sequence + 1)
            _keep_anomaly(page, heard, after, anomaly)
        return after

    # Refunds

    def _hear_refund(self, page: Page, heard: Observation, refund: Refund) -> Recorded:
        if heard.observation_id in page.recorded:
            return Recorded(refund)
        did, news = self._hear(heard, refund.intent)
        status, after = refund.status, refund
        for after in refunds.after_hearing(refund, did, heard.at):
            if after.status is not status:
                status = after.status
                event_id = caused_id(heard.observation_id, after.refund_id, after.status)
                event_type = EVENTS_OF[ObjectKind.REFUND][after.status]
                page.events.append(event_of(after, event_type, event_id, heard.at))
        if did.anomaly is not None and _is_new(page, after.refund_id, did.anomaly):
            after = replace(after, sequence=after.sequence + 1)
            _keep_anomaly(page, heard, after, did.anomaly)
        page.observations.keep(heard, news=news or after.sequence > refund.sequence)
        page.put_refund(after)
        return Recorded(after)

    # Authentications, and the payments that wait for them

    def _hear_authentication(self, page: Page, heard: Observation, before: Authentication) -> Recorded | Exception:
        starter = page.payments.get(before.payment_id) if before.payment_id else None
        agreement_no = heard.outcome.agreement_no if isinstance(heard.outcome, Authenticated) else None
        if heard.observation_id in page.recorded:
            return Recorded(before, starter, _has_begun(heard, starter), agreement_no, _own_sms(page, heard, before))
        try:
            box = self._box(page, heard, before)
        except DecryptionError as error:
            return stand_back(error)
        if before.intent is None or _is_of_another(heard, before.intent):
            if box is not None and agreement_no is not None:  # bound all the same: a code is worth its agreement
                _keep_agreement(page, before, agreement_no, box, heard.at)
            page.observations.keep(heard, news=False)
            return Recorded(before, starter)
        did, news = self._hear(heard, before.intent)
        page.observations.keep(heard, news=news)
        elsewhere = (before.card_id, before.account) in page.verified_elsewhere
        after = self._signing.asks_instead(page, heard, before, did)
        if after is None:
            after = authentications.after_hearing(before, did, elsewhere, heard.at)
            count_contradiction(before, after)
        if did.agreement_no is not None and box is not None:
            _keep_agreement(page, after, did.agreement_no, box, heard.at)
        if after.status is not before.status or after.asked != before.asked:
            self._end_waits(page, heard, after)  # its payment shows what it asks for
        if after.status is not before.status:
            tell_authentication(page, heard.observation_id, after, heard.at)
        page.put_authentication(after)
        starter = page.payments.get(after.payment_id) if after.payment_id else None
        return Recorded(after, starter, _has_begun(heard, starter), agreement_no, _own_sms(page, heard, after))

    def _end_waits(self, page: Page, heard: Observation, ended: Authentication) -> None:
        """Everybody who waits goes on. Whoever heard of it sends the payment of the one that started it."""
        waiting = [p for p in page.payments.values() if p.authentication_id == ended.authentication_id]
        for payment in waiting:
            after = payments.after_authentication(payment, ended, heard.at)
            if ended.status is Status.SUCCEEDED and ended.is_own_of(payment.payment_id) and _has_bearer(heard):
                intent_id = caused_id(heard.observation_id, payment.payment_id, Verb.PAY)
                after = self._begin(page, after, intent_id, heard.at)
            if after.status is not payment.status:
                tell_payment(page, heard.observation_id, after, heard.at)
            page.put_payment(after)

    def _begin(self, page: Page, payment: Payment, intent_id: UUID, at: datetime) -> Payment:
        """Record what comes next of a payment whose card is bound: its intent to pay, or an SMS with a code for it.

        Its PSP may have called it paid already: an anomaly was told of that. Then it is nobody's to send: the intent
        has an id that nobody drew, and the PSP is asked.
        """
        if not (payment.waits_for_authentication or payment.waits_for_place):
            return payment
        if payment.asked is not None and payment.asked.purpose is Purpose.PAY and not payment.asked.by_pay:
            return self._signing.ask_to_pay(page, payment, intent_id, at)
        if payment.asked.called_paid if payment.asked else payment.sequence > 0:
            nobodys = caused_id(intent_id, payment.payment_id, "asked about")
            return begun(payment, intent_to_pay(payment, nobodys, at), at)
        if payment.asked is not None and payment.asked.by_pay and payment.card is not None:
            if not self._signing.may_ask(page, payment):
                return payments.failed(payment, failure(FailureCode.TOO_MANY_TRIES), at)
            page.count_sms(payment.card.card_id)  # to be asked to pay is what sends it
        assert payment.account is not None
        terms = self._terms_of(payment.merchant_id, payment.account, Product.PAYMENT)
        return begun(payment, intent_to_pay(payment, intent_id, at), terms.unanswered(at))

    def _go_on(self, page: Page, item: GoOn) -> Recorded | Exception:
        """A payment that waited for an authentication, or in line: it is sent, it fails, or it waits on."""
        payment = page.payments.get(item.payment_id)
        if payment is None:
            return UnknownIntentError(f"{Verb.PAY} {item.payment_id}")
        if payment.waits_for_place and payment.until_at is not None and item.at >= payment.until_at:
            return self._end_in_line(page, item, payment)
        try:
            agreement_no = self._agreement(page, payment)
        except DecryptionError as error:
            return stand_back(error)
        if payment.attempt is not None:
            # Perhaps by an earlier try of this flush, the answer to whose COMMIT was lost.
            ours = payment.attempt.intent_id == item.intent_id and payment.attempt.is_untouched
            return Recorded(payment, payment, ours, agreement_no)
        if payment.waits_for_place:
            return self._leave_line(page, item, payment, agreement_no)
        if not payment.waits_for_authentication or payment.authentication_id is None:
            return Recorded(payment, payment, False, agreement_no, own_sms(page, payment, item.intent_id))
        ended = page.authentications.get(payment.authentication_id)
        if ended is None:
            return UnknownIntentError(f"{Verb.AUTHENTICATE} {payment.authentication_id}")
        if ended.intent and ended.intent.intent_id == item.intent_id and ended.intent.is_untouched:
            return Recorded(ended, payment, submit=True)  # started by an earlier try of this flush
        if not ended.is_final:
            terms = self._terms_of(payment.merchant_id, ended.account, Product.AUTHENTICATION)
            after = replace(payment, due_at=terms.unanswered(item.at))
        else:
            after = payments.after_authentication(payment, ended, item.at)
            if ended.status is Status.SUCCEEDED:
                after = self._begin(page, after, item.intent_id, item.at)
            if after.status is not payment.status:
                tell_payment(page, item.intent_id, after, item.at)
        page.put_payment(after)
        submit = after.attempt is not None and after.attempt.intent_id == item.intent_id
        return Recorded(after, after, submit, agreement_no, own_sms(page, after, item.intent_id))

    def _end_in_line(self, page: Page, item: GoOn, payment: Payment) -> Recorded:
        """A withhold that stood in line until it was too late. What its PSP calls paid all the same is asked about."""
        if payment.sequence > 0:
            after = self._begin(page, payment, item.intent_id, item.at)
        else:
            after = payments.never_sent(payment, item.at)
            tell_payment(page, item.intent_id, after, item.at)
        page.put_payment(after)
        return Recorded(after, after)

    def _leave_line(self, page: Page, item: GoOn, payment: Payment, agreement_no: str | None) -> Recorded:
        """A withhold that stands in line: it goes on, on the place that it has now."""
        channel = self._catalogue().channels.get((payment.merchant_id, payment.channel or ""))
        if channel is None or payment.account != channel.account or item.authentication_id is None:
            return Recorded(payment, payment)
        bound = () if agreement_no is None else (channel.account,)
        ways = self._carries_of(payment.merchant_id, channel.account).ways
        needs = needs_agreement(channel, payment.scene, payment.bank, ways) and not bound
        if not needs or payment.sequence > 0:
            after = self._begin(page, payment, item.intent_id, item.at)
            page.put_payment(after)
            submit = after.attempt is not None and after.attempt.intent_id == item.intent_id
            return Recorded(after, after, submit, agreement_no)
        if payment.card is None or not binds_silently(self._catalogue(), channel, payment.bank, ways):
            return Recorded(payment, payment)  # it could be authenticated when it was routed
        keeper = page.keepers[payment.card.card_id]
        in_flight = page.in_flight.get((keeper.card_id, channel.account))
        terms = self._terms_of(payment.merchant_id, channel.account, Product.AUTHENTICATION)
        after = payments.authenticating(payment, in_flight or item.authentication_id, terms.unanswered(item.at))
        page.put_payment(after)
        if in_flight is not None:
            return Recorded(after, after)
        started = authentication_of(after, channel, item.intent_id, item.at)
        page.start_authentication(started)
        return Recorded(started, after, submit=True)

    def _agreement(self, page: Page, payment: Payment) -> str | None:
        """The number of the agreement that a payment can use now. Raises DecryptionError."""
        if payment.card is None or payment.account is None:
            return None
        keeper = page.keepers[payment.card.card_id]
        key = (keeper.card_id, payment.account)
        # The flush that binds the card may let those go on, too, who waited for it.
        sealed = page.agreements[key]["agreement_no"] if key in page.agreements else page.sealed.get(key)
        if sealed is None or keeper.erased:
            return None
        return self._keys.box(payment.merchant_id, keeper.card_id, keeper.data_key).open_agreement(
            payment.account, sealed
        )

    def _hear(self, heard: Observation, intent: Intent) -> tuple[Heard, bool]:
        """What a word did to an intent, and whether it said anything new of it."""
        try:
            terms = self._terms_of(heard.intent.merchant_id, intent.account, PRODUCT_OF[intent.verb])
        except UnusableAccountError:
            if heard.source is not Source.OPERATOR:
                raise
            terms = _WHEN_UNUSABLE  # the way out for what nobody can be asked about any more
        did = hear(intent, heard.source, heard.outcome, terms, self._timezone, heard.at)
        return did, says_news(intent, did, terms)

    def _box(self, page: Page, heard: Observation, authentication: Authentication) -> CardBox | None:
        """Where the agreement goes that an observation may tell of. Raises DecryptionError before anything changes."""
        if not isinstance(heard.outcome, Authenticated):
            return None
        keeper = page.keepers[authentication.card_id]
        return None if keeper.erased else self._keys.box(authentication.merchant_id, keeper.card_id, keeper.data_key)


_WHEN_UNUSABLE = Terms(poll_gaps_s=(300.0,), not_found=None, answer_timeout_s=30.0)


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


def _own_sms(page: Page, heard: Observation, authentication: Authentication) -> Intent | None:
    """The SMS that was asked for because of this very observation: to sign the card, or its starter's to pay."""
    to_sign = caused_id(heard.observation_id, authentication.authentication_id, Verb.SEND_SIGNING_CODE)
    if sms := own_sms(page, authentication, to_sign):
        return sms
    starter = page.payments.get(authentication.payment_id) if authentication.payment_id else None
    if starter is None:
        return None
    return own_sms(page, starter, caused_id(heard.observation_id, starter.payment_id, Verb.PAY))


def _user_of(item: Item) -> tuple[UUID, str]:
    key = item.intent if isinstance(item, Observation) else item
    return key.merchant_id, key.user_id


def _has_bearer(heard: Observation) -> bool:
    """Whether somebody holds the card in hand who can go on with it at once."""
    return heard.source in {Source.ANSWER, Source.POLL}


def _has_begun(heard: Observation, payment: Payment | None) -> bool:
    """Whether the intent to pay, as it stands, was recorded by this very observation: its id is made from it."""
    return (
        payment is not None
        and payment.attempt is not None
        and payment.attempt.intent_id == caused_id(heard.observation_id, payment.payment_id, Verb.PAY)
        and payment.attempt.is_untouched
    )


def _is_of_another(heard: Observation, newest: Intent) -> bool:
    """Whether a word is about an intent that is not the newest: what it says was known when the newest began."""
    return heard.intent.ordinal is not None and heard.intent.ordinal != newest.ordinal


def _is_new(page: Page, object_id: UUID, anomaly: Anomaly) -> bool:
    known = (object_id, anomaly.kind.value) in page.anomalies_known
    page.anomalies_known.add((object_id, anomaly.kind.value))
    return not known


def _keep_anomaly(page: Page, heard: Observation, after: Payment | Refund, anomaly: Anomaly) -> None:
    """The anomaly, and the event that tells of it: they have the same causes, so the same id."""
    kind = OBJECT_OF[heard.intent.verb]
    anomaly_id = caused_id(heard.observation_id, heard.intent.object_id, anomaly.kind)
    page.anomalies.append(anomaly_row(anomaly_id, kind, heard, anomaly))
    page.events.append(event_of(after, ANOMALY_OF[kind], anomaly_id, heard.at, anomaly))


def _keep_agreement(page: Page, authentication: Authentication, agreement_no: str, box: CardBox, at: datetime) -> None:
    card_id, account = key = (page.keepers[authentication.card_id].card_id, authentication.account)
    page.void.pop(key, None)  # that was of the one before
    page.agreements[key] = {
        "card_id": card_id,
        "account": account,
        "verified_at": at,
        "agreement_no": box.seal_agreement(account, agreement_no),
        "key_version": box.version,
        "status": "active",
        "voided_at": None,
    }


def _void_agreement(page: Page, card_id: UUID, attempt: Intent, at: datetime) -> None:
    keeper_id, account = key = (page.keepers[card_id].card_id, attempt.account)
    if key in page.agreements:
        return  # bound anew in this very flush: another one was used
    row: Row = {"card_id": keeper_id, "account": account, "voided_at": at, "verified_at": attempt.recorded_at}
    page.void[key] = row


def _is_of_a_known_observation(error: UniqueViolationError) -> bool:
    return str(error.constraint_name or "").startswith("observations_pkey")
