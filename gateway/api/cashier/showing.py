"""What stands on each page of a checkout: values for its template, in the payer's language. No page is decided here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Any, Final
from zoneinfo import ZoneInfo

from gateway.api.cashier.standing import adds_card, may_offer, may_try, state_of
from gateway.api.cashier.typing_card import TypedCard
from gateway.domain.authentications import Authentication
from gateway.domain.checkouts import SCENE_OF, Method
from gateway.domain.codes import ClosedReason, Purpose
from gateway.domain.failures import Advice, Failure
from gateway.domain.ids import CARD, CHECKOUT, PAYMENT, show
from gateway.domain.payments import Payment
from gateway.domain.return_urls import with_parameter, with_payment
from gateway.domain.scenes import NO_BANK
from gateway.domain.statuses import Status
from gateway.flows.cashier import Shown, Try
from gateway.flows.offers import BankOffer, CardOffer, Offer, Offers
from gateway.pages.banks import bank_name
from gateway.pages.failure_words import advice_text, failure_text, offer_reason
from gateway.pages.wording import Language, Text, clock, said, yuan

__all__ = ["At", "Bill", "Page", "Showing", "Told", "way_back"]

BACK: Final = "back"
"""The parameter of a page whose payer came back from the bank, or says so."""
OTHER: Final = "other"
"""The parameter of a page whose payer wants to choose anew."""
NO_MORE_TRIES: Final = Text("There were too many tries. Please go back to the merchant.")
_METHOD_OF: Final = {scene: method for method, scene in SCENE_OF.items()}


@dataclass(frozen=True, slots=True)
class At:
    """Addresses below one checkout's. `suffix`: what keeps the language that was chosen."""

    path: str
    suffix: str = ""

    def below(self, name: str) -> str:
        return f"{self.path}/{name}{self.suffix}"

    def with_mark(self, mark: str) -> str:
        return f"{self.path}{self.suffix}{'&' if self.suffix else '?'}{mark}=1"

    @property
    def here(self) -> str:
        return f"{self.path}{self.suffix}"

    @property
    def pay(self) -> str:
        return self.below("pay")

    @property
    def sign(self) -> str:
        return self.below("sign")

    @property
    def code(self) -> str:
        return self.below("code")

    @property
    def resend(self) -> str:
        return self.below("resend")

    @property
    def leave(self) -> str:
        return self.below("leave")

    @property
    def state(self) -> str:
        return f"{self.path}/state"

    @property
    def paid(self) -> str:
        return self.with_mark(BACK)

    @property
    def other(self) -> str:
        return self.with_mark(OTHER)


@dataclass(frozen=True, slots=True)
class Bill:
    """What is paid, to whom. `amount` in fen; None where a card is added."""

    merchant: str
    description: str | None
    amount: int | None


@dataclass(frozen=True, slots=True)
class Row:
    """One of several to choose from; with a `reason` it cannot be chosen."""

    value: str
    title: str
    note: str = ""
    reason: str = ""
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class Way:
    """Banks whose pages one method leads to. Without `rows` there is nothing to choose: the bank's page asks."""

    method: str
    title: str
    text: str
    rows: Sequence[Row]
    can_pay: bool


@dataclass(frozen=True, slots=True)
class Again:
    """The same once more."""

    action: str
    fields: dict[str, str]


@dataclass(frozen=True, slots=True)
class Told:
    """What a page tells of what was just tried. `kind`: info, good, bad or warn."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Page:
    """A template and its values."""

    template: str
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Showing:
    """One checkout on the way to one payer: what every page of it has in common, and each page."""

    shown: Shown
    merchant: str
    at: At
    token: str
    """Of its forms."""
    language: Language
    now: datetime
    zone: ZoneInfo
    in_app: bool = False
    address: str = ""
    """Of this page, as a browser elsewhere opens it."""
    told: Told | None = None

    # Each page

    def choose(self, offers: Offers, typed: TypedCard, opened: str | None = None) -> Page:
        """How to pay. `opened`: the way whose form was just sent."""
        cards = [self._card_row(each) for each in offers.cards]
        ways = [self._way(method, [each for each in offers.banks if each.method is method]) for method in _PAGES]
        banks = [way for way in ways if way is not None]
        only = [*(["new_card"] if offers.new_card else []), *(way.method for way in banks)]
        alone = only[0] if not any(not row.reason for row in cards) and (len(only) == 1 or "new_card" in only) else None
        taken = [self._bank_row(each) for each in offers.card_banks]
        return self._page(
            "choose",
            cards=[_chosen(row, cards) for row in cards],
            new_card=offers.new_card,
            taken=taken,
            can_type=any(not row.reason for row in taken),
            banks=banks,
            typed=typed,
            open=opened or alone,
            in_app=self.in_app,
            back=self.back,
        )

    def sign(self, typed: TypedCard) -> Page:
        """Which card to add."""
        return self._page("sign", typed=typed, back=self.back)

    def code(self, waiting: Try, error: str = "") -> Page:
        """The code of an SMS."""
        asked = waiting.asked
        assert asked is not None
        until = asked.waits_until(waiting.created_at, waiting.expires_in_s)
        told = self.told or self._wrong_code(waiting)
        return self._page(
            "code",
            notice=(told.kind, told.text) if told else None,
            phone=asked.phone,
            sending=asked.sending,
            signs=asked.purpose is Purpose.SIGN and isinstance(waiting, Payment),
            error=error,
            seconds_left=self._seconds_to(until),
            can_resend=asked.resends_left > 0,
            resend_in=ceil(asked.resend_in(self.now).total_seconds()),
        )

    def bank(self, waiting: Payment, *, may_cancel: bool) -> Page:
        """Paid on the page of a bank."""
        assert waiting.asked is not None
        assert waiting.asked.url is not None
        assert waiting.expires_at is not None
        return self._page(
            "bank",
            go=f"{waiting.asked.url}{self.at.suffix}",
            until=self._clock(waiting.expires_at),
            seconds_left=self._seconds_to(waiting.expires_at),
            can_leave=may_cancel,
            in_app=self.in_app,
            address=self.address,
        )

    def waiting(self, *, on_page: Payment | None = None) -> Page:
        """Nobody knows yet. `on_page`: its bank's page can still be opened."""
        until = on_page.expires_at if on_page else None
        return self._page(
            "waiting",
            go=on_page is not None,
            until=self._clock(until) if until else "",
            again=self.at.paid if on_page else self.at.here,
            back=self.back,
        )

    def succeeded(self) -> Page:
        """Paid, or the card was added."""
        title = Text("The card was added") if self._adds_card else Text("Paid")
        return self._result("good", title, [])

    def failed(self) -> Page:
        """The newest try failed, or was given up: why, and what next."""
        newest = self.shown.newest
        assert newest is not None
        may = may_offer(self.shown, self.now)
        if newest.status is Status.CLOSED:
            text = _CLOSED[newest.closed_reason or ClosedReason.BY_PAYER]
            texts = [said(text, self.language), self._nothing, *self._last]
            return self._result("bad", self._not_done, texts, other=may)
        failure = newest.failure
        assert failure is not None
        texts = [failure_text(failure, self.language), self._nothing, advice_text(failure.advice, self.language)]
        again = self._again(newest, failure) if may else None
        return self._result("bad", self._not_done, texts if may else [*texts[:2], *self._last], again=again, other=may)

    def late(self) -> Page:
        """A try was paid after it had ended."""
        return self._result(
            "wait",
            Text("Your payment arrived late"),
            [said(Text("It is being looked at. Please do not pay again: the merchant will tell you."), self.language)],
        )

    def expired(self) -> Page:
        """Its time is over."""
        text = Text("Please go back to the merchant and begin anew.")
        return self._result("bad", Text("The time for this is over"), [self._nothing, said(text, self.language)])

    def canceled(self) -> Page:
        """The app wants it no more."""
        return self._result("bad", Text("The merchant has called this off"), [self._nothing])

    @property
    def back(self) -> str:
        """Where the payer goes from here."""
        return way_back(self.shown)

    # What they are made of

    def _page(self, name: str, **values: Any) -> Page:
        checkout = self.shown.checkout
        common = {
            "bill": Bill(self.merchant, checkout.description, checkout.amount),
            "at": self.at,
            "here": self.at.here,
            "token": self.token,
            "turn": self.shown.next_ordinal if self.shown.open_try is None else checkout.tries,
            "state": state_of(self.shown, self.now),
            "adds_card": self._adds_card,
            "notice": (self.told.kind, self.told.text) if self.told else None,
            "seconds_left": self._seconds_to(checkout.expires_at),
        }
        return Page(f"checkout/{name}.html", common | values)

    def _result(
        self, mark: str, title: Text, texts: Sequence[str], *, again: Again | None = None, other: bool = False
    ) -> Page:
        return self._page(
            "result",
            mark=mark,
            title=said(title, self.language),
            texts=texts,
            again=again,
            other=self.at.other if other else None,
            back=self.back,
        )

    @property
    def _adds_card(self) -> bool:
        return adds_card(self.shown.checkout)

    @property
    def _not_done(self) -> Text:
        return Text("The card was not added") if self._adds_card else Text("Not paid")

    @property
    def _nothing(self) -> str:
        return said(Text("Nothing was charged."), self.language)

    @property
    def _last(self) -> Sequence[str]:
        if self.told is not None or not (self.shown.was_last and may_try(self.shown, self.now)):
            return ()
        return (said(NO_MORE_TRIES, self.language),)

    def _again(self, newest: Try, failure: Failure) -> Again | None:
        """The same card or bank once more, where that may well work."""
        if failure.advice is not Advice.RETRY_NOW:
            return None
        if isinstance(newest, Authentication):
            return Again(self.at.sign, {"card_id": show(CARD, newest.card_id)})
        if newest.card is not None:
            return Again(self.at.pay, {"method": Method.QUICK.value, "card_id": show(CARD, newest.card.card_id)})
        method = _METHOD_OF.get(newest.scene)
        return Again(self.at.pay, {"method": method.value, "bank": newest.bank}) if method else None

    def _wrong_code(self, waiting: Try) -> Told | None:
        asked = waiting.asked
        assert asked is not None
        if asked.needs_sms and asked.submitted:
            text = Text("This code is not taken any more. Please ask for another SMS.")
            return Told("bad", said(text, self.language))
        if asked.wrong:
            text = Text("The code was wrong. Tries left: %(count)s.")
            return Told("bad", said(text, self.language) % {"count": asked.tries_left})
        return None

    def _card_row(self, each: CardOffer) -> Row:
        ending = said(Text("ending in %(digits)s"), self.language) % {"digits": each.card.masked[-4:]}
        title = f"{bank_name(each.card.bank, self.language)} {ending}"
        return Row(show(CARD, each.card.card_id), title, self._limit(each.offer), self._reason(each.offer))

    def _bank_row(self, each: BankOffer) -> Row:
        any_bank = each.bank == NO_BANK
        title = said(Text("Any bank"), self.language) if any_bank else bank_name(each.bank, self.language)
        return Row(each.bank, title, self._limit(each.offer), self._reason(each.offer))

    def _way(self, method: Method, offered: Sequence[BankOffer]) -> Way | None:
        if not offered:
            return None
        rows = sorted(
            (self._bank_row(each) for each in offered), key=lambda row: (bool(row.reason), row.value != NO_BANK)
        )
        title, text = _WAYS[method]
        return Way(
            method.value,
            said(title, self.language),
            said(text, self.language),
            [_chosen(row, rows) for row in rows],
            any(not row.reason for row in rows),
        )

    def _limit(self, offer: Offer) -> str:
        if offer.single_limit is None:
            return ""
        return said(Text("Up to %(amount)s at once"), self.language) % {"amount": yuan(offer.single_limit)}

    def _reason(self, offer: Offer) -> str:
        return offer_reason(offer.refusal, self.language) if offer.refusal else ""

    def _seconds_to(self, moment: datetime) -> int:
        return max(0, ceil((moment - self.now).total_seconds()))

    def _clock(self, moment: datetime) -> str:
        return clock(moment, self.now, self.zone, self.language)


def _chosen(row: Row, rows: Sequence[Row]) -> Row:
    """The first that can be chosen is, so that one press pays."""
    first = next((each for each in rows if not each.reason), None)
    return Row(row.value, row.title, row.note, row.reason, row is first)


def way_back(shown: Shown) -> str:
    """The app's address, with what the payer did there last: a payment, else the checkout."""
    checkout = shown.checkout
    payments = [each for each in shown.tries if isinstance(each, Payment)]
    won = next((each for each in payments if each.payment_id == checkout.won_by), None)
    payment = won or (payments[-1] if payments else None)
    if payment is None:
        return with_parameter(checkout.return_url, "checkout", show(CHECKOUT, checkout.checkout_id))
    return with_payment(checkout.return_url, show(PAYMENT, payment.payment_id))


_CLOSED: Final = {
    ClosedReason.EXPIRED: Text("The time for this was over."),
    ClosedReason.BY_PAYER: Text("You did not go on with this."),
    ClosedReason.BY_APP: Text("The merchant ended this."),
}
_PAGES: Final = (Method.NETBANK, Method.CUSTODY_QUICK, Method.CUSTODY_NETBANK)
_WAYS: Final = {
    Method.NETBANK: (Text("Online banking"), Text("You pay on the page of your bank.")),
    Method.CUSTODY_QUICK: (
        Text("Custody account: quick payment"),
        Text("You pay on the page of the custody bank, by the card that is bound there."),
    ),
    Method.CUSTODY_NETBANK: (
        Text("Custody account: online banking"),
        Text("You go to the custody bank, and pay on the page of your bank."),
    ),
}
