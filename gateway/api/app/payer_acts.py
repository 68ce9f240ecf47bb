"""What is done about a payment that waits for its payer: submit a code, have the SMS sent again, give it up."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Annotated, Final, Protocol, TypeVar

from pydantic import AfterValidator, Field

from gateway.api.app.payments import PAYMENT_ABOUT, TAGS, PaymentAnswer, payment_id_of
from gateway.api.http.fields import RequestModel, wrong
from gateway.api.http.problems import Problem, ProblemCode, conflict, not_found
from gateway.api.http.routing import Answer, Call, Reply, Route
from gateway.domain.authentications import Authentication
from gateway.domain.codes import ClosedReason
from gateway.domain.one_form import number_in_one_form
from gateway.domain.payments import Payment
from gateway.flows.payer import ActRefusedError
from gateway.objects.payments import payment_object
from gateway.ports import ActRefusal, Reading

__all__ = ["CONFIRM_ABOUT", "RESEND_ABOUT", "ConfirmRequest", "PayerActCalls", "PayerActs", "granted"]

W = TypeVar("W", bound=Payment | Authentication)
T = TypeVar("T")

CONFIRM_ABOUT: Final = (
    "Submits the code once. A wrong one may be followed by another: after three it fails. What needs no code any more "
    "is answered as it is, with 200."
)
RESEND_ABOUT: Final = "Three times at most, with a minute between: the answer to an earlier wish says how long to wait."
CLOSE_ABOUT: Final = (
    "Only while it waits for its payer. Where something may have been paid, the payment company is asked first, and it "
    "is closed only if nothing was. It is asked by one at a time and with a few seconds between: `retry_after_s`."
)

CODE_DIGITS: Final = range(4, 9)


def _code(text: str) -> str:
    code = number_in_one_form(text)
    if len(code) not in CODE_DIGITS or not code.isascii() or not code.isdigit():
        raise wrong("wrong_format", "is 4 to 8 digits")
    return code


class ConfirmRequest(RequestModel):
    """The code that the payer typed. Full-width digits and blanks are brought to one form."""

    sms_code: Annotated[
        str, Field(max_length=64, repr=False, json_schema_extra={"examples": ["123456"]}), AfterValidator(_code)
    ]


class PayerActs(Protocol):
    """Does it; each raises ActRefusedError and OverloadedError."""

    async def confirm(self, waiting: W, sms_code: str) -> W: ...

    async def resend(self, waiting: W) -> W: ...

    async def close(self, waiting: W, reason: ClosedReason = ClosedReason.BY_APP) -> W: ...


_DETAILS: Final[dict[ActRefusal, str]] = {
    ActRefusal.CONFIRMATION_IN_PROGRESS: "A code is on its way to the payment company. Ask for the state first.",
    ActRefusal.SMS_IN_PROGRESS: "The SMS is being sent just now. Try again in a moment.",
    ActRefusal.RESEND_TOO_SOON: "An SMS was sent a moment ago. Wait before asking for another.",
    ActRefusal.NO_RESENDS_LEFT: "No more SMS can be sent for this. Open a new one.",
    ActRefusal.SMS_LIMIT_REACHED: "This phone got as many codes today as it may.",
    ActRefusal.NOT_WAITING: "It does not wait for its payer, so there is nothing to do. Ask for the state.",
    ActRefusal.MAY_BE_PAID: "It may have been paid: the payment company has not said otherwise. Ask again later.",
    ActRefusal.NEW_SMS_NEEDED: "No more codes are tried for the SMS that was sent. Ask for another one first.",
}


async def granted(act: Awaitable[T]) -> T:
    """The object after the act. Raises a 409 problem that says why it was not done."""
    try:
        return await act
    except ActRefusedError as refused:
        raise _problem(refused) from None


def _problem(refused: ActRefusedError) -> Problem:
    code: ProblemCode = refused.why.value
    if not refused.wait_s:
        return conflict(code, _DETAILS[refused.why])
    headers, more = {"Retry-After": str(refused.wait_s)}, {"retry_after_s": refused.wait_s}
    return Problem(409, code, _DETAILS[refused.why], headers=headers, more=more)


@dataclass(frozen=True, slots=True)
class PayerActCalls:
    """The calls of payments that wait."""

    acts: PayerActs
    reading: Reading

    def routes(self) -> list[Route]:
        """The routes."""
        done = {200: Answer(PaymentAnswer, "The payment as it is now.")}
        return [
            Route("POST", "/v1/payments/{id}/confirm", self.confirm, "Submit the code of an SMS", TAGS, done,
                  body=ConfirmRequest, problems=(409, 503), path_about=PAYMENT_ABOUT, description=CONFIRM_ABOUT),
            Route("POST", "/v1/payments/{id}/resend-sms", self.resend, "Have the SMS sent again", TAGS, done,
                  problems=(409, 503), path_about=PAYMENT_ABOUT, description=RESEND_ABOUT),
            Route("POST", "/v1/payments/{id}/close", self.close, "Give up a payment that waits for its payer", TAGS,
                  done, problems=(409, 503), path_about=PAYMENT_ABOUT, description=CLOSE_ABOUT),
        ]  # fmt: skip

    async def confirm(self, call: Call) -> Reply:
        asked: ConfirmRequest = call.body
        return self._reply(call, await granted(self.acts.confirm(await self._payment(call), asked.sms_code)))

    async def resend(self, call: Call) -> Reply:
        return self._reply(call, await granted(self.acts.resend(await self._payment(call))))

    async def close(self, call: Call) -> Reply:
        return self._reply(call, await granted(self.acts.close(await self._payment(call))))

    async def _payment(self, call: Call) -> Payment:
        found = await self.reading.payment(call.caller.merchant_id, call.caller.app, payment_id_of(call))
        if found is None:
            raise not_found("payment")
        return found

    def _reply(self, call: Call, payment: Payment) -> Reply:
        return Reply(payment_object(payment, call.language))
