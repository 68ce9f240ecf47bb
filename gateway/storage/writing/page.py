"""The page of a flush of observations: what it has read, what becomes of it, and the one statement that writes it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from uuid import UUID

from gateway.domain.authentications import Authentication
from gateway.domain.checkouts import STANDARD_LIMITS, Checkout, CheckoutLimits
from gateway.domain.events import Event
from gateway.domain.intents import Intent
from gateway.domain.payments import Payment
from gateway.domain.refunds import Refund
from gateway.domain.waits import Wait
from gateway.storage.tables import agreements, anomalies
from gateway.storage.writing.authentications import change_authentications, insert_authentications
from gateway.storage.writing.cards import CardRow
from gateway.storage.writing.checkouts import change_checkouts
from gateway.storage.writing.codes import KnownPhone, KnownSms, count_codes
from gateway.storage.writing.intents import IntentOf, SmsAnswer, change_intents, change_sms, insert_intents, intent_key
from gateway.storage.writing.observations import Told, insert_anomalies
from gateway.storage.writing.payments import change_authenticating, change_payments
from gateway.storage.writing.refunds import change_refunds, free_outflows, free_second_outflows
from gateway.storage.writing.statement import Row, Write, differing
from gateway.storage.writing.usage import UsageChanges

__all__ = ["Page"]


@dataclass(slots=True)
class Page:
    """What one flush of observations knows, and what it changes. Objects stand in it as they are now."""

    day: date
    """The business day."""
    limits: CheckoutLimits = STANDARD_LIMITS
    """What a payer may do on our pages."""
    payments: dict[UUID, Payment] = field(default_factory=dict)
    authentications: dict[UUID, Authentication] = field(default_factory=dict)
    refunds: dict[UUID, Refund] = field(default_factory=dict)
    checkouts: dict[UUID, Checkout] = field(default_factory=dict)
    """Those that payments and authentications of the page are tries of."""
    tries: Mapping[UUID, Sequence[Payment | Authentication]] = field(default_factory=dict)
    """By checkout: its tries as they were read, oldest first."""
    anomalies_known: set[tuple[UUID, str]] = field(default_factory=set)
    verified_elsewhere: set[tuple[UUID, str]] = field(default_factory=set)
    verified_cards: set[UUID] = field(default_factory=set)
    """Cards that some account has verified, of payments that are refused for their identity."""
    """(card, account) for which another account has verified the card."""
    keepers: Mapping[UUID, CardRow] = field(default_factory=dict)
    """For each card of these objects, the row that its agreements stand at."""
    number_prints: dict[UUID, bytes] = field(default_factory=dict)
    """By card: the print of its number, which limits of a card count by."""
    in_flight: dict[tuple[UUID, str], UUID] = field(default_factory=dict)
    """(card, account) → the silent authentication that is in flight; for payments that stood in line."""
    signing: dict[UUID, set[str]] = field(default_factory=dict)
    """Card → the accounts on which it is being signed by an SMS; for the same."""
    sealed: dict[tuple[UUID, str], bytes] = field(default_factory=dict)
    """(card, account) → the sealed number of its agreement; for payments that go on."""
    recorded: frozenset[UUID] = frozenset()
    """Observations that an earlier try of this flush has committed."""

    observations: Told = field(default_factory=Told)
    anomalies: list[Row] = field(default_factory=list)
    money_anomalies: list[Row] = field(default_factory=list)
    """Of checkouts that were paid twice: once for each payment whose money came beside another's."""
    told_better: list[Row] = field(default_factory=list)
    """Anomalies that one of those tells better: resolved by that."""
    events: list[Event] = field(default_factory=list)
    ended: list[Payment] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)
    """How long it took until ends were known, and until late words came."""
    agreements: dict[tuple[UUID, str], Row] = field(default_factory=dict)
    void: dict[tuple[UUID, str], Row] = field(default_factory=dict)
    """Agreements that a PSP calls void, with the time they were used."""
    usage: UsageChanges = field(default_factory=UsageChanges)
    freed: dict[UUID, int] = field(default_factory=dict)
    """By payment: what refunds that failed or came back do not take from it any more. Below zero: they do after all."""
    freed_second: dict[UUID, int] = field(default_factory=dict)
    """The same of second transactions, by the anomaly that tells of each."""
    open_again: list[Row] = field(default_factory=list)
    """Anomalies whose money did not go back after all."""
    changed: set[UUID] = field(default_factory=set)
    """Objects that are written."""
    begun: dict[IntentOf, Intent] = field(default_factory=dict)
    """Intents that are recorded now."""
    heard: dict[IntentOf, Intent] = field(default_factory=dict)
    """Intents that changed."""
    given: dict[IntentOf, bytes] = field(default_factory=dict)
    """What intents that changed gave to go on with, sealed."""
    sms_answers: list[SmsAnswer] = field(default_factory=list)
    sms: dict[UUID, Intent] = field(default_factory=dict)
    """By object: SMS that are asked for now."""
    phones: dict[UUID, KnownPhone] = field(default_factory=dict)
    """By card, where a code may be asked for: what is known of its phone, and whether it is being signed."""
    known_sms: dict[IntentOf, KnownSms] = field(default_factory=dict)
    """SMS that were asked for before, of what is acted upon, and of what goes on while one is being sent."""
    codes_sent: dict[bytes, int] = field(default_factory=dict)
    """By the print of a phone: SMS that are asked for now."""
    silent_refusals: list[tuple[str, str, str | None]] = field(default_factory=list)
    """(account, bank, code): where binding silently was answered with "an SMS is needed" and nobody could be asked."""
    authenticating: set[UUID] = field(default_factory=set)
    """Payments that stood in line, and wait for an authentication now."""
    started: list[Authentication] = field(default_factory=list)
    """Authentications that are recorded now."""

    def put_payment(self, after: Payment) -> None:
        """Take what became of a payment."""
        before = self.payments[after.payment_id]
        if after is before:
            return
        self.payments[after.payment_id] = after
        self.changed.add(after.payment_id)
        if after.authentication_id is not before.authentication_id:
            self.authenticating.add(after.payment_id)
        self.usage.count(before, after)
        self._put_intent(before.attempt, after.attempt)

    def start_authentication(self, started: Authentication) -> None:
        """Take an authentication that a payment starts now; those of the same card wait for it, or find it signed."""
        self.started.append(started)
        card_id = self.keepers[started.card_id].card_id
        if started.asked is None:
            self.in_flight[card_id, started.account] = started.authentication_id
        else:
            self.signs(card_id, started.account)

    def signs(self, card_id: UUID, account: str) -> None:
        """The card is signed by an SMS from now on."""
        self.signing.setdefault(card_id, set()).add(account)

    def put_authentication(self, after: Authentication) -> None:
        """Take what became of an authentication."""
        before = self.authentications[after.authentication_id]
        if after is not before:
            self.authentications[after.authentication_id] = after
            self.changed.add(after.authentication_id)
            self._put_intent(before.intent, after.intent)

    def about(self, object_id: UUID) -> Payment | Authentication | None:
        """The payment or authentication with this id."""
        return self.payments.get(object_id) or self.authentications.get(object_id)

    def put_checkout(self, after: Checkout) -> None:
        """Take what became of a checkout."""
        self.checkouts[after.checkout_id] = after
        self.changed.add(after.checkout_id)

    def ask(self, sms: Intent, card_id: UUID, about: Payment | Authentication) -> None:
        """An SMS is asked for now, for `about`; whoever recorded it has it sent."""
        self.sms[sms.object_id] = sms
        self.begun[intent_key(sms)] = sms
        self.count_sms(card_id, about)

    def count_sms(self, card_id: UUID, about: Payment | Authentication) -> None:
        """The phone of a card gets one more SMS today."""
        phone = self.phones[card_id]
        self.codes_sent[phone.print] = self.codes_sent.get(phone.print, 0) + 1
        if (checkout := self._checkout_of(about)) is not None:
            self.put_checkout(replace(checkout, codes=checkout.codes + 1))

    def may_ask(self, card_id: UUID, most: int, about: Payment | Authentication) -> bool:
        """Whether the phone of a card may get one more SMS today, for `about`."""
        phone, checkout = self.phones[card_id], self._checkout_of(about)
        if checkout is not None and checkout.codes >= self.limits.codes:
            return False
        return phone.sent + self.codes_sent.get(phone.print, 0) < most

    def _checkout_of(self, about: Payment | Authentication) -> Checkout | None:
        if isinstance(about, Authentication) and about.payment_id is not None:
            owner = self.payments.get(about.payment_id)
            return self._checkout_of(owner) if owner is not None else None
        return self.checkouts.get(about.checkout.checkout_id) if about.checkout is not None else None

    def put_refund(self, after: Refund) -> None:
        """Take what became of a refund."""
        before = self.refunds[after.refund_id]
        if after is before:
            return
        self.refunds[after.refund_id] = after
        self.changed.add(after.refund_id)
        self._put_intent(before.intent, after.intent)
        if before.takes is not after.takes:
            freed = after.amount if before.takes else -after.amount
            if after.second is not None and after.anomaly_id is not None:
                self.freed_second[after.anomaly_id] = self.freed_second.get(after.anomaly_id, 0) + freed
            else:
                self.freed[after.payment_id] = self.freed.get(after.payment_id, 0) + freed
        if before.takes and not after.takes and after.anomaly_id is not None:
            self.open_again.append({"anomaly_id": after.anomaly_id})

    def _put_intent(self, before: Intent | None, after: Intent | None) -> None:
        if after is None or after is before:
            return
        key = intent_key(after)
        if key in self.begun or before is None or before.ordinal != after.ordinal:
            self.begun[key] = after
        else:
            self.heard[key] = after

    def write(self, merchant_id: UUID) -> Write:
        """The statement that writes them, noun by noun."""
        statement = Write(merchant_id)
        changed = [each for key, each in self.payments.items() if key in self.changed]
        change_payments(statement, [each for each in changed if each.payment_id not in self.authenticating])
        change_authenticating(statement, [each for each in changed if each.payment_id in self.authenticating])
        change_intents(statement, list(self.heard.values()), self.given)
        change_sms(statement, self.sms_answers)
        to_bind = [each.intent for each in self.started if each.intent is not None]
        insert_intents(statement, [(each.object_id, each) for each in (*self.begun.values(), *to_bind)])
        count_codes(statement, self.codes_sent, self.day)
        insert_authentications(statement, self.started)
        change_authentications(statement, [each for key, each in self.authentications.items() if key in self.changed])
        change_refunds(statement, [each for key, each in self.refunds.items() if key in self.changed])
        free_outflows(statement, self.freed)
        free_second_outflows(statement, self.freed_second)
        self.observations.write(statement)
        change_checkouts(statement, [each for key, each in self.checkouts.items() if key in self.changed])
        self._write_anomalies(statement)
        self._write_agreements(statement)
        self.usage.write(statement)
        return statement

    def _write_anomalies(self, statement: Write) -> None:
        # One that is new and told better at once is written as it is then: an update would not see it.
        better = {(row["object_id"], row["kind"]): row for row in self.told_better}
        insert_anomalies(statement, [row for row in self.anomalies if (row["object_id"], row["kind"]) not in better])
        both = [row | better[key] for row in self.anomalies if (key := (row["object_id"], row["kind"])) in better]
        statement.insert(anomalies, both, part="new_told_better")
        statement.insert(anomalies, self.money_anomalies, part="new_money_anomalies")
        statement.update(
            anomalies,
            self.told_better,
            by=["object_id", "kind"],
            changes="resolved_at = v.resolved_at, resolved_by = v.resolved_by, note = v.note",
            when="t.resolved_at IS NULL",
            part="told_better",
        )
        statement.update(
            anomalies,
            self.open_again,
            by=["anomaly_id"],
            changes="resolved_at = NULL, resolved_by = NULL, note = NULL, resolution = NULL, refund_id = NULL",
            when="t.resolution = 'refunded'",
            part="open_again",
        )

    def _write_agreements(self, statement: Write) -> None:
        news = differing(["agreement_no", "key_version", "status", "verified_at", "voided_at"])
        statement.insert(
            agreements,
            list(self.agreements.values()),
            conflict=f"ON CONFLICT (merchant_id, card_id, account) DO UPDATE SET {news}",
        )
        statement.update(
            agreements,
            list(self.void.values()),
            by=["card_id", "account"],
            changes="status = 'void', voided_at = v.voided_at",
            # One that is newer than the use that was refused is not the one that was meant.
            when="t.status = 'active' AND t.verified_at <= v.verified_at",
            part="voided",
        )
