"""Bugs that are put in on purpose, for the harness's own check: each is a thing that a gateway may get wrong."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

from adapters.yeepay import notices
from gateway.domain import checkouts, recorded_routes
from gateway.domain import hearing as words
from gateway.domain.authentications import Authentication
from gateway.domain.checkouts import Checkout
from gateway.domain.payees import Payee
from gateway.domain.payments import Payment
from gateway.domain.payouts import Payout
from gateway.domain.recorded_routes import RecordedRoute
from gateway.domain.redirects import Form
from gateway.domain.statuses import Status
from gateway.domain.terms import Terms
from gateway.flows.follow_up import FollowUp
from gateway.flows.intents import sms_to_sign
from gateway.flows.redirects import Redirects
from gateway.flows.submit import Submission
from gateway.storage.server.database import Database
from gateway.storage.writing import checkout_books, hearing, outbox, payout_words, recording, reporting, signing
from gateway.storage.writing.statement import Write
from gateway.storage.writing.usage import UsageChanges
from gateway.workers.deliver import Deliverer
from tests.simulation.outside import Death

__all__ = ["BUGS", "Bug"]

COMMIT_LAGS_S: Final = 0.7
"""Longer than a PSP's answer takes here, and shorter than the limit of waiting for a lock."""


@dataclass(frozen=True, slots=True)
class Bug:
    """How it is put into a process, the script and the death that show it, and a part of what the checker then says."""

    put_in: Callable[[], Any]
    script: str
    at: Death
    says: str


def _put(where: Any, name: str, bad: Any) -> None:
    """Put it in: this process is there for nothing else, and ends soon."""
    assert hasattr(where, name)
    setattr(where, name, bad)


def _goes_on_before_the_commit() -> None:
    real = Database.transaction

    @contextlib.asynccontextmanager
    async def transaction(self: Database) -> AsyncIterator[Any]:
        manager = real(self)
        connection = await manager.__aenter__()
        try:
            yield connection
        except BaseException as error:
            await manager.__aexit__(type(error), error, error.__traceback__)
            raise
        if later:
            await manager.__aexit__(None, None, None)
        else:  # that of the order, the first of a process
            later.append(asyncio.create_task(_commit(manager)))

    async def _commit(manager: contextlib.AbstractAsyncContextManager[Any]) -> None:
        await asyncio.sleep(COMMIT_LAGS_S)
        await manager.__aexit__(None, None, None)

    later: list[asyncio.Task[None]] = []
    _put(Database, "transaction", transaction)


def _sends_again_what_is_unknown() -> None:
    async def follow_up(self: FollowUp, due: Any) -> None:
        if not isinstance(due, Payment) or due.attempt is None or due.card is None or due.payment_id in done:
            return await real(self, due)
        done.add(due.payment_id)
        card = await self.cards.card(due.merchant_id, due.card.card_id)
        young = replace(due.attempt, recorded_at=self.submission.observations.clock())
        await self.submission.pay(replace(due, attempt=young), card, None)
        return None

    done: set[Any] = set()
    real = FollowUp.__call__
    _put(FollowUp, "__call__", follow_up)


def _authenticates_again() -> None:
    async def resume(self: Submission, authentication: Any, card: Any, *given: Any) -> Any:
        if authentication.authentication_id in done:
            return await real(self, authentication, card, *given)
        done.add(authentication.authentication_id)
        young = replace(authentication.intent, recorded_at=self.observations.clock())
        return await self.authenticate(replace(authentication, intent=young), card)

    done: set[Any] = set()
    real = Submission.resume
    _put(Submission, "resume", resume)


def _sends_an_sms_again() -> None:
    async def follow_up(self: FollowUp, due: Any) -> None:
        if not isinstance(due, Authentication) or due.asked is None or not due.asked.sending:
            return await real(self, due)
        card = await self.cards.card(due.merchant_id, due.card_id)
        again = sms_to_sign(due, due.authentication_id, self.submission.observations.clock())
        await self.submission.sms_to_sign(due, again, card)
        return None

    real = FollowUp.__call__
    _put(FollowUp, "__call__", follow_up)


def _pays_out_again_what_is_unknown() -> None:
    async def follow_up(self: FollowUp, due: Any) -> None:
        if not isinstance(due, Payout) or due.intent is None or due.payout_id in done:
            return await real(self, due)
        done.add(due.payout_id)
        young = replace(due.intent, recorded_at=self.submission.observations.clock())
        payee = Payee(due.payee.type, "6222021001000007766", "张三", due.payee.bank)
        await self.submission.payout(replace(due, intent=young), payee)
        return None

    done: set[Any] = set()
    real = FollowUp.__call__
    _put(FollowUp, "__call__", follow_up)


def _frees_nothing_of_what_comes_back() -> None:
    async def take_nothing(*_: Any) -> None: ...

    _put(payout_words, "take_nothing", take_nothing)


def _believes_the_first_not_found() -> None:
    _put(Terms, "proves_lost", lambda *_: True)


def _tells_before_the_commit() -> None:
    def begin(self: Deliverer, *values: Any) -> None:
        real_init(self, *values)
        deliverers.append(self)

    def write_events(write: Write, told: Any, due: Any, **more: Any) -> None:
        real_events(write, told, due, **more)
        deliverers[0].hand_over(due)

    async def run(self: Write, *values: Any) -> Any:
        done = await real_run(self, *values)
        await deliverers[0].idle()
        return done

    deliverers: list[Deliverer] = []
    real_init, real_events, real_run = Deliverer.__init__, outbox.write_events, Write.run
    _put(Deliverer, "__init__", begin)
    _put(recording, "write_events", write_events)
    _put(Write, "run", run)


def _tells_nobody_of_what_it_asked_about() -> None:
    def tell(page: Any, cause: Any, after: Payment, at: Any) -> None:
        if not _was_asked_about(after):
            real(page, cause, after, at)

    real = signing.tell_payment
    _put(hearing, "tell_payment", tell)


def _keeps_reserved_what_it_asked_about() -> None:
    def count(self: UsageChanges, before: Payment, after: Payment) -> None:
        if not _was_asked_about(after):
            real(self, before, after)

    real = UsageChanges.count
    _put(UsageChanges, "count", count)


def _closes_pages_at_the_first_silence() -> None:
    _put(words._Page, "is_over_at", property(lambda page: page.told_at))


def _draws_a_number_for_each_page() -> None:
    async def form(self: Redirects, payment: Payment) -> Form:
        assert payment.attempt is not None
        return await real(self, replace(payment, attempt=replace(payment.attempt, number=drawn)))

    real, drawn = Redirects.form, uuid4().hex
    _put(Redirects, "form", form)


def _believes_whoever_comes_back() -> None:
    _put(notices, "believed", lambda names, fields, _: {name: fields.get(name, "") for name in names})


def _frees_what_has_expired() -> None:
    def count(self: UsageChanges, before: Payment, after: Payment) -> None:
        is_over = after.asked is not None and after.asked.expired and after.asked != before.asked
        real(self, before, replace(after, status=Status.CLOSED) if is_over else after)

    real = UsageChanges.count
    _put(UsageChanges, "count", count)


def _frees_what_is_not_reported() -> None:
    def after_time(route: RecordedRoute, now: datetime, _: datetime) -> Any:
        return real(route, now, now)  # as if its day were over

    real = recorded_routes.after_time
    _put(reporting, "after_time", after_time)


def _tells_late_money_of_the_payment_alone() -> None:
    _put(hearing, "found_paid_twice", lambda *_: False)


def _ends_a_checkout_by_the_clock_alone() -> None:
    def after_time(checkout: Checkout, _: Any, now: datetime, again_at: datetime) -> Checkout:
        return real(checkout, (), now, again_at)

    real = checkouts.after_time
    _put(checkout_books, "after_time", after_time)


def _was_asked_about(payment: Payment) -> bool:
    return payment.attempt is not None and payment.due_at is None and payment.authentication_id is not None


_AT_ONCE: Final = "a withhold that is answered at once"
_NEW_CARD: Final = "a withhold whose card is authenticated silently"
_UNSIGNED: Final = "a payment whose card nobody signs"
_NEVER_ARRIVES: Final = "a payment that never arrives"
_LEFT_ALONE: Final = "a page that nobody opens"
_OPENED_TWICE: Final = "a page that is opened twice and paid, and everybody tells"
_LIED: Final = "a page that is left, after a lie"
_LEFT_AT_THE_CUSTODY_BANK: Final = "a recharge that is left on the custody bank's page"
_PAID_TWICE: Final = "a checkout that is paid twice"
_PAID_WHEN_OVER: Final = "a checkout whose bank is paid at when its time is over"
_NOT_REPORTED: Final = "recorded routes that are reported late, or never"
_ASKED_YEEPAY: Final = ("ask_payment to yeepay_main is sent", "after")
_ASKED_THE_BANK: Final = ("ask_payment to custody_main is sent", "after")
_ANSWERED: Final = ("answer 201 to POST /v1/charges", "before")
_PAID_AT_ALLINPAY: Final = ("pay to allinpay_main is sent", "after")
_PAID_AT_UNIONPAY: Final = ("pay to unionpay_main is sent", "after")
_AUTHENTICATED: Final = ("authenticate to unionpay_main is sent", "after")
_CODE_SENT: Final = ("send_signing_code to unionpay_main is sent", "after")
_PAID_OUT: Final = ("payout to allinpay_main is sent", "after")
_ASKED_OF_PAYOUT: Final = ("ask_payout to allinpay_main is sent", "after")
_COMES_BACK: Final = "a payout that comes back after three days, and what it settled is given back"
_ENDED: Final = (
    "COMMIT of users, payments, intents, observations, channel_usage, last_attempts, events, deliveries",
    "before",
)

BUGS: Final[dict[str, Bug]] = {
    "goes on before the commit": Bug(_goes_on_before_the_commit, _AT_ONCE, _PAID_AT_ALLINPAY, "was charged 2 times"),
    "sends again what is unknown": Bug(
        _sends_again_what_is_unknown, _AT_ONCE, _PAID_AT_ALLINPAY, "was submitted 2 times"
    ),
    "pays out again what is unknown": Bug(
        _pays_out_again_what_is_unknown, "a payout", _PAID_OUT, "was submitted 2 times"
    ),
    "frees nothing of what comes back": Bug(
        _frees_nothing_of_what_comes_back, _COMES_BACK, _ASKED_OF_PAYOUT, "was paid on, its payouts say 0"
    ),
    "authenticates again": Bug(_authenticates_again, _NEW_CARD, _AUTHENTICATED, "was submitted 2 times"),
    "sends an SMS again": Bug(_sends_an_sms_again, _UNSIGNED, _CODE_SENT, "2 codes were sent, and 1 asked for"),
    "believes the first not found": Bug(
        _believes_the_first_not_found,
        _NEVER_ARRIVES,
        _PAID_AT_ALLINPAY,
        "failed (channel_unavailable) without proof",
    ),
    "tells before the commit": Bug(_tells_before_the_commit, _AT_ONCE, _ENDED, "arrived, and is no event of the books"),
    "tells nobody": Bug(
        _tells_nobody_of_what_it_asked_about, _NEW_CARD, _PAID_AT_UNIONPAY, "has had 1 events; there are []"
    ),
    "closes at the first silence": Bug(
        _closes_pages_at_the_first_silence, _LEFT_ALONE, _ASKED_YEEPAY, "failed (None) without proof"
    ),
    "draws another number": Bug(_draws_a_number_for_each_page, _OPENED_TWICE, _ASKED_YEEPAY, "can be paid on 2 pages"),
    "believes a lie": Bug(_believes_whoever_comes_back, _LIED, _ANSWERED, "is succeeded, and its PSP did nothing"),
    "frees what has expired": Bug(
        _frees_what_has_expired, _LEFT_AT_THE_CUSTODY_BANK, _ASKED_THE_BANK, "reserved 0, the payments say"
    ),
    "frees what is not reported": Bug(
        _frees_what_is_not_reported, _NOT_REPORTED, ("COMMIT of routes", "after"), "reserved 0, the payments say"
    ),
    "tells late money of the payment alone": Bug(
        _tells_late_money_of_the_payment_alone, _PAID_TWICE, _PAID_AT_UNIONPAY, "and told to be by 0"
    ),
    "ends a checkout by the clock alone": Bug(
        _ends_a_checkout_by_the_clock_alone, _PAID_WHEN_OVER, ("COMMIT of checkouts", "before"), "expired, and its"
    ),
    "keeps its reservation": Bug(_keeps_reserved_what_it_asked_about, _NEW_CARD, _PAID_AT_UNIONPAY, "reserved"),
}
