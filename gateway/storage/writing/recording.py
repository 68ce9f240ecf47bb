"""Record what PSPs say: one transaction for all the observations of a merchant that wait.

Answers, polls, callbacks and authentications go through here together. Each observation is applied to the payment as
it is under the lock (`domain.transitions`), in memory and in turn; then one statement writes what changed, the event
of each change, and the deliveries of each event.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from uuid import UUID

from asyncpg import UniqueViolationError
from sqlalchemy import Uuid, any_, bindparam
from sqlalchemy.dialects.postgresql import ARRAY, asyncpg

from gateway.domain.catalogue import Catalogue
from gateway.domain.events import EVENT_OF_STATUS, EventType
from gateway.domain.ids import caused_id
from gateway.domain.outcomes import Authenticated, Declined, NotFound, NotSent, SmsNeeded, Succeeded, Unknown
from gateway.domain.payments import FINAL, Payment, Stage, Status
from gateway.domain.terms import Product
from gateway.domain.transitions import Verdict, apply, apply_authentication
from gateway.metrics import ANOMALIES
from gateway.objects.events import payment_event
from gateway.ports import AuthenticationObservation, Observation, PaymentObservation, Recorded, TermsOf
from gateway.storage.keys import CardBox, DecryptionError, Keys, stand_back
from gateway.storage.rows import payment_of, payment_select
from gateway.storage.server.database import Connection, Database
from gateway.storage.tables import cards as cards_table
from gateway.storage.tables import payments as payments_table
from gateway.storage.writing.cards import CardRow, agreements_go_to
from gateway.storage.writing.changes import Changes
from gateway.storage.writing.outbox import HandOver, count_events, deliveries_of, write_events
from gateway.storage.writing.statement import Row
from gateway.storage.writing.users import lock_users, without_the_busy


class UnknownPaymentError(Exception):
    """An observation of a payment that is not in the books: a bug, since its ids were read from them."""


class RecordingStore:
    """Records observations; `flush` is what a Batcher calls."""

    def __init__(
        self,
        database: Database,
        keys: Keys,
        catalogue: Callable[[], Catalogue],
        terms_of: TermsOf,
        hand_over: HandOver | None,
    ) -> None:
        self._database = database
        self._keys = keys
        self._catalogue = catalogue
        self._terms_of = terms_of
        self._hand_over = hand_over

    async def flush(self, observations: list[Observation]) -> Sequence[Recorded | Exception]:
        """Record many observations of one merchant. The results stand in the order of the observations.

        Observations of users whom somebody else holds are refused as an overload, so that the others need not wait.
        """
        return await without_the_busy(
            self._database,
            observations,
            lambda heard: (heard.merchant_id, heard.user_id),
            self._record_once,
        )

    async def _record_once(self, observations: list[Observation]) -> Sequence[Recorded | Exception]:
        try:
            return await self._record(observations, tried_before=False)
        except UniqueViolationError as error:
            if not _is_of_a_known_observation(error):
                raise
            # The answer to an earlier COMMIT was lost, and the flush was tried again.
            return await self._record(observations, tried_before=True)

    async def _record(self, observations: list[Observation], *, tried_before: bool) -> Sequence[Recorded | Exception]:
        merchant_id, now = observations[0].merchant_id, max(heard.at for heard in observations)
        catalogue = self._catalogue()
        async with self._database.transaction() as connection:
            await lock_users(connection, merchant_id, (heard.user_id for heard in observations), now)
            changes = await self._read(connection, merchant_id, observations)
            if tried_before:
                ids = [heard.observation_id for heard in observations]
                rows = await connection.fetch(READ_OBSERVATIONS, merchant_id, ids)
                changes.recorded = frozenset(row[0] for row in rows)
            results = [self._apply(changes, heard) for heard in observations]
            due = deliveries_of((event for _, event in changes.events), catalogue, now)
            write = changes.write(merchant_id)
            write_events(write, changes.events, due, leased=self._hand_over is not None, only="told")
            await write.run(connection, "SELECT 1")
        if self._hand_over and due:
            self._hand_over(due)
        count_events(event for _, event in changes.events)
        for anomaly in changes.anomalies:
            ANOMALIES.labels(anomaly["kind"]).inc()
        return results

    async def _read(self, connection: Connection, merchant_id: UUID, observations: list[Observation]) -> Changes:
        ids = {heard.payment_id for heard in observations}
        rows = await connection.fetch(READ_PAYMENTS, merchant_id, list(ids))
        found = {row["payment_id"]: payment_of(row) for row in rows}
        same_as = {row["card_id"]: row["same_as"] for row in rows if row["card_id"] is not None}
        card_rows = {
            row["card_id"]: CardRow(
                row["card_id"], row["data_key"], row["created_at"], erased=row["erased_at"] is not None
            )
            for row in rows
            if row["card_id"] is not None
        }
        keepers = await agreements_go_to(connection, merchant_id, same_as, card_rows)
        suspicious = [f.payment_id for f in observations if _may_contradict(f, found.get(f.payment_id))]
        known = await connection.fetch(READ_ANOMALIES, merchant_id, suspicious) if suspicious else ()
        cards = [
            keepers[payment.card.card_id].card_id
            for heard in observations
            if isinstance(heard, AuthenticationObservation) and isinstance(heard.outcome, Declined)
            if (payment := found.get(heard.payment_id)) and payment.card
        ]
        verified = await connection.fetch(READ_VERIFIERS, merchant_id, cards) if cards else ()
        accounts: dict[UUID, set[str]] = {}
        for card_id, account in verified:
            accounts.setdefault(card_id, set()).add(account)
        elsewhere = {
            (p.card.card_id, p.attempt.account)
            for p in found.values()
            if p.card and p.attempt and accounts.get(keepers[p.card.card_id].card_id, set()) - {p.attempt.account}
        }
        return Changes(found, {(row[0], row[1]) for row in known}, elsewhere, keepers)

    def _apply(self, changes: Changes, heard: Observation) -> Recorded | Exception:
        before = changes.payments.get(heard.payment_id)
        if before is None or before.attempt is None:
            return UnknownPaymentError(str(heard.payment_id))
        if heard.observation_id in changes.recorded:
            return Recorded(before, submit=_has_recorded_intent(heard, before))
        try:
            box = self._box(changes, heard, before)
        except DecryptionError as error:
            return stand_back(error)
        terms = self._terms_of(heard.merchant_id, before.attempt.account, Product.PAYMENT)
        if isinstance(heard, PaymentObservation):
            verdict = apply(before, heard.source, heard.outcome, terms, heard.at)
        else:
            verdict = self._apply_authentication(changes, heard, before)
        changes.observations.append(_observation(heard))
        after = self._tell(changes, heard, before, verdict)
        if verdict.changed or after is not before:
            changes.payments[heard.payment_id] = changes.changed[heard.payment_id] = after
        changes.count_usage(before, after)
        _keep_agreement(changes, heard, after, verdict, box)
        return Recorded(after, verdict.submit)

    def _box(self, changes: Changes, heard: Observation, payment: Payment) -> CardBox | None:
        """Where the agreement goes that an observation may tell of. Raises DecryptionError before anything changes."""
        if payment.card is None or not isinstance(heard.outcome, Authenticated):
            return None
        keeper = changes.keepers[payment.card.card_id]
        return None if keeper.erased else self._keys.box(payment.merchant_id, keeper.card_id, keeper.data_key)

    def _apply_authentication(self, changes: Changes, heard: AuthenticationObservation, before: Payment) -> Verdict:
        assert before.attempt is not None
        elsewhere = (
            before.card is not None and (before.card.card_id, before.attempt.account) in changes.verified_elsewhere
        )
        terms = self._terms_of(heard.merchant_id, before.attempt.account, Product.PAYMENT)
        verdict = apply_authentication(before, heard.outcome, elsewhere, terms, heard.at)
        if verdict.changed and before.attempt.authentication_id is not None:
            rejected = isinstance(heard.outcome, Declined | SmsNeeded)
            code, message = _words(heard)
            changes.authentications[before.attempt.authentication_id] = {
                "authentication_id": before.attempt.authentication_id,
                "status": _AUTHENTICATION_STATUS[type(heard.outcome)],
                "channel_code": code,
                "channel_message": message,
                "contradicts": rejected and elsewhere,
                "finished_at": heard.at,
            }
        return verdict

    def _tell(self, changes: Changes, heard: Observation, before: Payment, verdict: Verdict) -> Payment:
        """The payment after an observation, with the event of its change and that of a new anomaly counted."""
        after = verdict.payment
        if after.status is not before.status and after.status in EVENT_OF_STATUS:
            after = replace(after, sequence=after.sequence + 1)
            event_id = caused_id(heard.observation_id, after.payment_id, after.status)
            event = payment_event(after, EVENT_OF_STATUS[after.status], after.sequence, event_id, heard.at)
            changes.events.append((after.payment_id, event))
        anomaly = verdict.anomaly
        if anomaly is not None and (after.payment_id, anomaly.kind) not in changes.anomalies_known:
            changes.anomalies_known.add((after.payment_id, anomaly.kind))
            after = replace(after, sequence=after.sequence + 1)
            anomaly_id = caused_id(heard.observation_id, after.payment_id, anomaly.kind)
            changes.anomalies.append(
                {
                    "anomaly_id": anomaly_id,
                    "payment_id": after.payment_id,
                    "kind": anomaly.kind,
                    "detail": anomaly.detail,
                    "source": heard.source,
                    "found_at": heard.at,
                }
            )
            # The event that tells of the anomaly has the same causes, so the same id.
            event = payment_event(after, EventType.PAYMENT_ANOMALY, after.sequence, anomaly_id, heard.at, anomaly)
            changes.events.append((after.payment_id, event))
        return after


def _keep_agreement(
    changes: Changes, heard: Observation, payment: Payment, verdict: Verdict, box: CardBox | None
) -> None:
    if payment.card is None or payment.attempt is None:
        return
    card_id, account = key = (changes.keepers[payment.card.card_id].card_id, payment.attempt.account)
    row: Row = {"card_id": card_id, "account": account, "verified_at": heard.at}
    if verdict.agreement_no is not None and box is not None:
        sealed = box.seal_agreement(account, verdict.agreement_no)
        row |= {"agreement_no": sealed, "key_version": box.version, "status": "active", "voided_at": None}
        changes.agreements[key] = row
    elif verdict.voids_agreement:
        used_at = payment.attempt.submitted_at
        changes.void[key] = {
            "card_id": card_id,
            "account": account,
            "voided_at": heard.at,
            "verified_at": used_at,
        }


_p, _c = payments_table.c, cards_table.c
READ_PAYMENTS = str(
    payment_select()
    .add_columns(_c.data_key, _c.same_as, _c.erased_at)
    .where(_p.merchant_id == bindparam("merchant"), _p.payment_id == any_(bindparam("ids", type_=ARRAY(Uuid))))
    .compile(dialect=asyncpg.dialect())  # type: ignore[no-untyped-call]
)

READ_OBSERVATIONS = (
    "SELECT observation_id FROM observations WHERE merchant_id = $1 AND observation_id = ANY($2::uuid[])"
)
READ_ANOMALIES = "SELECT payment_id, kind FROM anomalies WHERE merchant_id = $1 AND payment_id = ANY($2::uuid[])"
READ_VERIFIERS = "SELECT card_id, account FROM agreements WHERE merchant_id = $1 AND card_id = ANY($2::uuid[])"

_AUTHENTICATION_STATUS: dict[type, str] = {
    Authenticated: "succeeded",
    Declined: "rejected",
    SmsNeeded: "rejected",
    Unknown: "unknown",
    NotFound: "unknown",
    NotSent: "not_sent",
}


def _is_of_a_known_observation(error: UniqueViolationError) -> bool:
    return str(error.constraint_name or "").startswith("observations_pkey")


def _has_recorded_intent(heard: Observation, payment: Payment) -> bool:
    """Whether the intent to pay, as it stands, was recorded by this very observation."""
    assert payment.attempt is not None
    return (
        isinstance(heard.outcome, Authenticated)
        and payment.status is Status.PROCESSING
        and payment.attempt.stage is Stage.PAYING
        and payment.attempt.submitted_at == heard.at
        and payment.attempt.polls == 0
    )


def _may_contradict(heard: Observation, payment: Payment | None) -> bool:
    """Whether an observation could be an anomaly: only then are the known ones read."""
    if payment is None or payment.status in FINAL:
        return True
    if not isinstance(heard.outcome, Succeeded):
        return False
    unsent = payment.attempt is None or payment.attempt.stage is not Stage.PAYING
    return unsent or heard.outcome.amount not in (None, payment.amount)


def _observation(heard: Observation) -> Row:
    says = _snake(type(heard.outcome).__name__)
    code, message = _words(heard)
    return {
        "observation_id": heard.observation_id,
        "payment_id": heard.payment_id,
        "source": heard.source,
        "says": f"authentication_{says}" if isinstance(heard, AuthenticationObservation) else says,
        "channel_code": code,
        "channel_message": message,
        "observed_at": heard.at,
    }


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))


def _words(heard: Observation) -> tuple[str | None, str | None]:
    """The PSP's own code and words, or why there are none."""
    outcome = heard.outcome
    if isinstance(outcome, NotSent):
        return None, outcome.reason
    if isinstance(outcome, Unknown):
        return outcome.channel_code, outcome.channel_message or outcome.reason
    return outcome.channel_code, getattr(outcome, "channel_message", None)
