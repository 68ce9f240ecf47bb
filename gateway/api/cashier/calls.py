"""The routes of a checkout's pages. A GET shows how it stands; a POST does something and leads back there (303).

What is wrong with a form is told on the page itself, in the answer to that very request. Nothing that was typed is kept
anywhere, and nothing of a card is in an address.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from aiohttp import hdrs

from gateway.api.cashier.in_app import is_in_app
from gateway.api.cashier.showing import BACK, NO_MORE_TRIES, OTHER, At, Page, Showing, Told
from gateway.api.cashier.standing import Step, adds_card, may_offer, may_try, state_of, step_of
from gateway.api.cashier.typing_card import TypedCard, asking_bank, card_typed, empty
from gateway.api.cashier.typing_code import code_in
from gateway.api.http.page_answers import in_language, page, switch_of
from gateway.api.http.page_forms import checked_form
from gateway.api.http.problems import not_found
from gateway.api.http.routing import Answer, Call, Reply, Route
from gateway.domain.checkouts import Method, TryRefusal
from gateway.domain.ids import CARD, IdError, read
from gateway.domain.payments import Payment
from gateway.domain.scenes import NO_BANK
from gateway.flows.cashier import (
    BankChoice,
    BankNeededError,
    CardChoice,
    Cashier,
    NewCard,
    NotOfThisCheckoutError,
    Shown,
    Try,
)
from gateway.flows.payer import ActRefusedError
from gateway.pages.wording import Text, said
from gateway.ports import ActRefusal, CardNotFoundError, CheckoutRefusedError

__all__ = ["CashierCalls"]

TAGS: Final = ("payer",)
SEE_OTHER, CONFLICT, WRONG = 303, 409, 422
HONEYPOT: Final = "note_2"
"""A field that people do not see, by a name that no browser fills by itself."""
NEW_CARD: Final = "new_card"
_PLAIN: Final = "text/plain; charset=utf-8"

Fields = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CashierCalls:
    """The calls of payers on a checkout's pages."""

    cashier: Cashier
    zone: ZoneInfo

    def routes(self) -> list[Route]:
        """The routes."""
        about = {"token": "names the checkout; whoever has it may pay"}
        seen = {200: Answer(None, "The page, as it stands now.", content_type="text/html")}
        back = {303: Answer(None, "Done, or there was nothing to do: the page tells.", content_type="*/*")}
        wrong = {
            409: Answer(None, "Not now: the page says why.", content_type="text/html"),
            422: Answer(None, "The page, with what is wrong with the form.", content_type="text/html"),
        }
        acts: Mapping[str, tuple[Callable[[Call], Awaitable[Reply]], str]] = {
            "pay": (self.pay, "Pay: by a card of the payer's, a new one, or on the page of a bank"),
            "sign": (self.sign, "Add a card"),
            "code": (self.code, "Type the code of an SMS"),
            "resend": (self.resend, "Have the SMS sent again"),
            "leave": (self.leave, "Give up what was begun, to choose anew"),
        }
        return [
            Route("GET", "/checkout/{token}", self.page, "The page of a checkout", TAGS, seen, scope="none", page=True,
                  path_about=about),
            Route("GET", "/checkout/{token}/state", self.state, "How it stands, as one word", TAGS,
                  {200: Answer(None, "Another word than before: the page is out of date.", content_type="text/plain")},
                  scope="none", page=True, path_about=about),
            *(
                Route("POST", f"/checkout/{{token}}/{name}", act, summary, TAGS, {**back, **wrong}, scope="none",
                      raw_body=True, page=True, path_about=about, problems=(403,))
                for name, (act, summary) in acts.items()
            ),
            *(
                Route("GET", f"/checkout/{{token}}/{name}", self.to_page, "Back to the page", TAGS, back, scope="none",
                      page=True, path_about=about)
                for name in acts
            ),
        ]  # fmt: skip

    # Reading

    async def page(self, call: Call) -> Reply:
        return await self._show(call, await self._shown(call))

    async def state(self, call: Call) -> Reply:
        state = state_of(await self._shown(call), self.cashier.clock())
        return Reply(state.encode(), content_type=_PLAIN)

    async def to_page(self, call: Call) -> Reply:
        """Somebody reloaded the answer to a form, or opened its address."""
        return _see(_at(call).here)

    # Acting

    async def pay(self, call: Call) -> Reply:
        shown, fields = await self._form(call)
        if await self._caught(shown, fields) or not self._is_next(shown, fields):
            return _see(_at(call).here)
        match fields:
            case {"method": Method.QUICK.value, "card_id": card_id}:
                return await self._pay_by_card(call, shown, card_id)
            case {"method": method, "bank": bank} if method in _ON_PAGES:
                return await self._try(call, shown, BankChoice(Method(method), bank or NO_BANK), opened=method)
            case {"method": Method.QUICK.value}:
                return await self._wrong(call, shown, _CHOOSE_CARD)
            case {"method": method} if method in _ON_PAGES:
                return await self._wrong(call, shown, _CHOOSE_BANK, opened=method)
            case {"card_no": _}:
                return await self._with_new_card(call, shown, fields)
        return await self._wrong(call, shown, _CHOOSE_WAY)

    async def sign(self, call: Call) -> Reply:
        shown, fields = await self._form(call)
        if await self._caught(shown, fields) or not self._is_next(shown, fields):
            return _see(_at(call).here)
        if "card_id" in fields:
            return await self._pay_by_card(call, shown, fields["card_id"])
        return await self._with_new_card(call, shown, fields)

    async def code(self, call: Call) -> Reply:
        shown, fields = await self._form(call)
        waiting = self._waiting(shown, fields)
        if waiting is None or await self._caught(shown, fields):
            return _see(_at(call).here)
        code = code_in(fields.get("sms_code", ""))
        if code is None:
            return await self._show(call, shown, status=WRONG, error=Text("Please type the 4 to 8 digits of the SMS."))
        return await self._act(call, self.cashier.confirm(waiting, code))

    async def resend(self, call: Call) -> Reply:
        shown, fields = await self._form(call)
        waiting = self._waiting(shown, fields)
        if waiting is None or await self._caught(shown, fields):
            return _see(_at(call).here)
        return await self._act(call, self.cashier.resend(waiting))

    async def leave(self, call: Call) -> Reply:
        shown, fields = await self._form(call)
        waiting = self._waiting(shown, fields)
        if waiting is None or await self._caught(shown, fields):
            return _see(_at(call).here)
        return await self._act(call, self.cashier.leave(waiting), then=_at(call).other)

    # What they share

    async def _shown(self, call: Call) -> Shown:
        shown = await self.cashier.of_token(call.path["token"])
        if shown is None:
            raise not_found("page")
        return shown

    async def _form(self, call: Call) -> tuple[Shown, Fields]:
        shown = await self._shown(call)
        return shown, checked_form(call, self.cashier.form_token(shown.checkout), self.cashier.public_base)

    async def _caught(self, shown: Shown, fields: Fields) -> bool:
        """Whether a robot filled what people do not see. It is told nothing."""
        if not fields.get(HONEYPOT):
            return False
        await self.cashier.robot(shown.checkout)
        return True

    def _is_next(self, shown: Shown, fields: Fields) -> bool:
        """Whether the form is of a page that is up to date: of an older one nothing begins."""
        return fields.get("turn") == str(shown.next_ordinal) and may_try(shown, self.cashier.clock())

    def _waiting(self, shown: Shown, fields: Fields) -> Try | None:
        """The try that the form is about, while it is open."""
        return shown.open_try if fields.get("turn") == str(shown.checkout.tries) else None

    async def _pay_by_card(self, call: Call, shown: Shown, card_id: str) -> Reply:
        try:
            choice = CardChoice(read(CARD, card_id))
        except IdError:
            return await self._wrong(call, shown, _CHOOSE_CARD)
        return await self._try(call, shown, choice)

    async def _with_new_card(self, call: Call, shown: Shown, fields: Fields) -> Reply:
        banks = await self._card_banks(shown)
        elements, typed = card_typed(fields, call.language, banks)
        if elements is None:
            told = Told("bad", said(_CHECK, call.language))
            return await self._show(call, shown, told, status=WRONG, typed=typed, opened=NEW_CARD)
        try:
            return await self._try(call, shown, NewCard(elements, typed.bank or None), typed=typed, opened=NEW_CARD)
        except BankNeededError:
            asking, told = asking_bank(typed, call.language), Told("bad", said(_CHECK, call.language))
            return await self._show(call, shown, told, status=WRONG, typed=asking, opened=NEW_CARD)

    async def _card_banks(self, shown: Shown) -> list[str]:
        if adds_card(shown.checkout):
            return self.cashier.sign_banks(shown.checkout)
        return [each.bank for each in (await self.cashier.offers(shown.checkout)).card_banks]

    async def _try(
        self,
        call: Call,
        shown: Shown,
        choice: CardChoice | NewCard | BankChoice,
        *,
        typed: TypedCard | None = None,
        opened: str | None = None,
    ) -> Reply:
        checkout, turn = shown.checkout, shown.next_ordinal
        try:
            if not adds_card(checkout):
                await self.cashier.pay(checkout, turn, choice)
            elif not isinstance(choice, BankChoice):
                await self.cashier.sign(checkout, turn, choice)
        except CardNotFoundError:
            return await self._wrong(call, shown, _CARD_GONE)
        except NotOfThisCheckoutError:
            return await self._wrong(call, shown, _CHOOSE_WAY, opened=opened)
        except CheckoutRefusedError as refused:
            text = _NO_TRY.get(refused.why)
            if text is None:  # something else was faster: the page tells
                return _see(_at(call).here)
            told = Told("bad", said(text, call.language))
            return await self._show(call, shown, told, status=CONFLICT, typed=typed, opened=opened)
        return _see(_at(call).here)

    async def _act(self, call: Call, act: Awaitable[Try], then: str | None = None) -> Reply:
        try:
            await act
        except ActRefusedError as refused:
            text = _NOT_DONE.get(refused.why)
            if text is None:
                return _see(_at(call).here)
            told = said(text, call.language)
            if refused.wait_s:
                told = said(_WAIT, call.language) % {"seconds": refused.wait_s}
            again = await self._shown(call)
            return await self._show(call, again, Told("warn", told), status=CONFLICT)
        return _see(then or _at(call).here)

    async def _wrong(self, call: Call, shown: Shown, text: Text, opened: str | None = None) -> Reply:
        return await self._show(call, shown, Told("bad", said(text, call.language)), status=WRONG, opened=opened)

    async def _show(
        self,
        call: Call,
        shown: Shown,
        told: Told | None = None,
        *,
        status: int = 200,
        typed: TypedCard | None = None,
        opened: str | None = None,
        error: Text | None = None,
    ) -> Reply:
        at, cashier = _at(call), self.cashier
        showing = Showing(
            shown,
            cashier.merchant_name(shown.checkout),
            at,
            cashier.form_token(shown.checkout),
            call.language,
            cashier.clock(),
            self.zone,
            is_in_app(call.request.headers.get(hdrs.USER_AGENT, "")),
            f"{cashier.public_base}{at.path}",
            told,
        )
        typed = typed or empty(call.language)
        made = await self._page(call, showing, typed, opened, said(error, call.language) if error else "")
        switch = switch_of(call.request, call.language, at.path)
        return page(made.template, call.request, call.language, status=status, switch=switch, **made.values)

    async def _page(self, call: Call, showing: Showing, typed: TypedCard, opened: str | None, error: str) -> Page:
        shown, now, query = showing.shown, showing.now, call.request.query
        waiting, step = shown.open_try, step_of(shown, now)
        if step is Step.FAILED and (OTHER in query or call.request.method == "POST") and may_offer(shown, now):
            step = Step.CHOOSE
        match step:
            case Step.CODE if waiting is not None:
                return showing.code(waiting, error)
            case Step.BANK if isinstance(waiting, Payment):
                if BACK in query:
                    return showing.waiting(on_page=waiting)
                return showing.bank(waiting, may_cancel=self.cashier.may_cancel(waiting))
            case Step.SUCCEEDED:
                return showing.succeeded()
            case Step.FAILED:
                return showing.failed()
            case Step.LATE:
                return showing.late()
            case Step.EXPIRED:
                return showing.expired()
            case Step.CANCELED:
                return showing.canceled()
            case Step.CHOOSE if adds_card(shown.checkout):
                return showing.sign(typed)
            case Step.CHOOSE:
                return showing.choose(await self.cashier.offers(shown.checkout), typed, opened)
        return showing.waiting()


def _at(call: Call) -> At:
    # As it was sent: decoded it may hold what no header takes.
    token = call.request.rel_url.raw_path.split("/")[2]
    return At(f"/checkout/{token}", in_language("", call.request))


def _see(address: str) -> Reply:
    return Reply(b"", SEE_OTHER, "text/plain", {"Location": address})


_ON_PAGES: Final = frozenset({Method.NETBANK.value, Method.CUSTODY_QUICK.value, Method.CUSTODY_NETBANK.value})
_CHECK: Final = Text("Please check what is marked below.")
_CHOOSE_WAY: Final = Text("Please choose one of the ways below.")
_CHOOSE_CARD: Final = Text("Please choose a card.")
_CHOOSE_BANK: Final = Text("Please choose a bank.")
_CARD_GONE: Final = Text("This card is not known any more. Please choose another one, or type it once more.")
_NO_TRY: Final[Mapping[TryRefusal, Text]] = {
    TryRefusal.TOO_MANY_TRIES: NO_MORE_TRIES,
    TryRefusal.TOO_MANY_CARDS: Text("Too many new cards were typed. Please use one of those before, or wait an hour."),
}
_WAIT: Final = Text("Please wait %(seconds)s seconds, then press again.")
_NOT_DONE: Final[Mapping[ActRefusal, Text]] = {
    ActRefusal.SMS_IN_PROGRESS: Text("The SMS is being sent just now."),
    ActRefusal.RESEND_TOO_SOON: Text("An SMS was sent a moment ago. Please wait for it."),
    ActRefusal.NO_RESENDS_LEFT: Text("No more SMS can be sent for this."),
    ActRefusal.SMS_LIMIT_REACHED: Text("No more SMS with codes can be sent. Please use another card or another bank."),
    ActRefusal.MAY_BE_PAID: Text("The bank has not said yet that nothing was paid. Please press again in a moment."),
    ActRefusal.NEW_SMS_NEEDED: Text("This code is not taken any more. Please ask for another SMS."),
}
