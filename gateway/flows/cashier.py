"""The cashier (收银台): what a payer does on the pages of a checkout. It opens tries, and acts on the newest one."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol
from uuid import UUID

import orjson

from gateway.domain.blocks import BlockedValue, BlockKind
from gateway.domain.cards import CardElements, bank_of, odd_about
from gateway.domain.carrying import CarriesOf
from gateway.domain.catalogue import Catalogue
from gateway.domain.checkouts import (
    SCENE_OF,
    STANDARD_LIMITS,
    Checkout,
    CheckoutPurpose,
    CheckoutTry,
    Method,
    number_of_try,
)
from gateway.domain.codes import ClosedReason
from gateway.domain.ids import CARD, CHECKOUT, show
from gateway.domain.one_form import as_compared, one_form
from gateway.domain.orders import AuthenticationOrder, Order
from gateway.domain.payments import Payment
from gateway.domain.scenes import Kind, Scene
from gateway.domain.statuses import Status
from gateway.domain.tries import Try
from gateway.flows.offers import Offers, offers_for
from gateway.flows.route import Unable
from gateway.ports import (
    Cancel,
    CardNotFoundError,
    OrderConflictError,
    OverloadedError,
    Providers,
    ShownCard,
    StoredCard,
    UnusableAccountError,
    UserFacts,
)

__all__ = [
    "BankChoice",
    "BankNeededError",
    "CardChoice",
    "Cashier",
    "Choice",
    "NewCard",
    "NotOfThisCheckoutError",
    "Shown",
    "Try",
]

LINK_LIVES: Final = timedelta(days=7)
"""How long after its end a checkout's page still tells how it ended."""
CARDS_SHOWN: Final = 10


class BankNeededError(Exception):
    """The bank cannot be told from the card's number: the payer says which it is."""


class NotOfThisCheckoutError(Exception):
    """What was chosen is not offered by the checkout."""


@dataclass(frozen=True, slots=True)
class CardChoice:
    """A card of the payer's."""

    card_id: UUID


@dataclass(frozen=True, slots=True)
class NewCard:
    """A card as it was typed. `bank`: None where its number tells."""

    elements: CardElements
    bank: str | None = None


@dataclass(frozen=True, slots=True)
class BankChoice:
    """The page of a bank; `bank` is `ANY` where the payer chooses it there."""

    method: Method
    bank: str


Choice = CardChoice | NewCard | BankChoice


@dataclass(frozen=True, slots=True)
class Shown:
    """A checkout with its tries, oldest first."""

    checkout: Checkout
    tries: Sequence[Try]
    max_tries: int = STANDARD_LIMITS.tries

    @property
    def newest(self) -> Try | None:
        """The newest try."""
        return self.tries[-1] if self.tries else None

    @property
    def open_try(self) -> Try | None:
        """The try that has not ended; there is one at most."""
        newest = self.newest
        return newest if newest is not None and not newest.is_final else None

    @property
    def paid_late(self) -> Payment | None:
        """A try that was paid after it had ended: nobody is to pay again before a person has looked."""
        late = (each for each in self.tries if isinstance(each, Payment) and each.was_paid_late)
        return None if self.checkout.status is Status.SUCCEEDED else next(late, None)

    @property
    def was_last(self) -> bool:
        """Whether the newest try was the last one that there may be."""
        return self.checkout.tries >= self.max_tries

    @property
    def next_ordinal(self) -> int:
        """Which try the next one is: what forms carry."""
        return self.checkout.tries + 1


class Books(Protocol):
    """Reads checkouts."""

    async def checkout(self, merchant_id: UUID, checkout_id: UUID) -> tuple[Checkout, Sequence[Try]] | None: ...

    async def look(
        self, merchant_id: UUID, user_id: str, checkout_id: UUID, cause: UUID, now: datetime
    ) -> Checkout: ...


class Cards(Protocol):
    """Finds a card of a user."""

    async def find_card(self, merchant_id: UUID, user_id: str, card_id: UUID) -> StoredCard | None: ...


class Facts(Protocol):
    """Reads what the router knows of a user."""

    async def facts(
        self, merchant_id: UUID, user_id: str, card: CardElements | None, card_id: UUID | None, now: datetime
    ) -> UserFacts: ...


class CardsOfUser(Protocol):
    """Reads the cards of a user as they are shown."""

    async def of_user(self, merchant_id: UUID, user_id: str, limit: int) -> list[ShownCard]: ...


class Opens(Protocol):
    """Opens payments, as for an app."""

    async def open(self, order: Order) -> object: ...


class OpensSignings(Protocol):
    """Opens authentications, as for an app."""

    async def open(self, order: AuthenticationOrder) -> object: ...


class Acts(Protocol):
    """What is done about a try that waits for its payer. Each raises ActRefusedError and OverloadedError."""

    async def confirm(self, waiting: Try, sms_code: str) -> Try: ...

    async def resend(self, waiting: Try) -> Try: ...

    async def close(self, waiting: Try, reason: ClosedReason = ClosedReason.BY_APP) -> Try: ...


class Proposals(Protocol):
    """Asks a person to block somebody."""

    async def propose(
        self, merchant_id: UUID, wanted: BlockedValue, *, reason: str, by: str, now: datetime
    ) -> bool: ...


class Tokens(Protocol):
    """Makes and reads what stands in addresses and forms."""

    def checkout_token(self, merchant_id: UUID, checkout_id: UUID) -> str: ...

    def checkout_of_token(self, token: str) -> tuple[UUID, UUID] | None: ...

    def form_token(self, merchant_id: UUID, checkout_id: UUID) -> str: ...


@dataclass(frozen=True, slots=True)
class Cashier:
    """What pages call. `public_base`: the address that payers' browsers reach us at."""

    books: Books
    cards: Cards
    facts: Facts
    cards_of_user: CardsOfUser
    payments: Opens
    signings: OpensSignings
    acts: Acts
    proposals: Proposals
    tokens: Tokens
    providers: Providers
    catalogue: Callable[[], Catalogue]
    unable: Callable[[UUID, Scene], Unable]
    carries_of: CarriesOf
    clock: Callable[[], datetime]
    new_id: Callable[[], UUID]
    public_base: str
    max_tries: int = STANDARD_LIMITS.tries

    # Addresses and tokens

    def url_of(self, merchant_id: UUID, checkout_id: UUID) -> str:
        """The address of a checkout's page, which whoever has it may pay at."""
        return f"{self.public_base}/checkout/{self.tokens.checkout_token(merchant_id, checkout_id)}"

    def form_token(self, checkout: Checkout) -> str:
        """What each form on its pages carries."""
        return self.tokens.form_token(checkout.merchant_id, checkout.checkout_id)

    def merchant_name(self, checkout: Checkout) -> str:
        """What the payer knows the merchant by."""
        merchant = self.catalogue().merchants.get(checkout.merchant_id)
        return merchant.name if merchant else ""

    # Reading

    async def of_token(self, token: str) -> Shown | None:
        """The checkout of an address, as it is now; None: there is none, or it ended long ago."""
        named = self.tokens.checkout_of_token(token)
        found = await self.books.checkout(*named) if named else None
        if found is None:
            return None
        checkout, tries = found
        if checkout.finished_at is not None and checkout.finished_at + LINK_LIVES < self.clock():
            return None
        if not checkout.is_final and _is_overdue(checkout, tries, self.clock()):
            cause, user_id = self.new_id(), checkout.user_id
            with contextlib.suppress(OverloadedError):  # then it is shown as it stands
                await self.books.look(checkout.merchant_id, user_id, checkout.checkout_id, cause, self.clock())
            found = await self.books.checkout(checkout.merchant_id, checkout.checkout_id)
            assert found is not None
            checkout, tries = found
        return Shown(checkout, tries, self.max_tries)

    async def offers(self, checkout: Checkout) -> Offers:
        """What it can be paid with (purpose `pay`). Raises OverloadedError."""
        now, merchant_id, user_id = self.clock(), checkout.merchant_id, checkout.user_id
        facts = await self.facts.facts(merchant_id, user_id, None, None, now)
        cards: Sequence[ShownCard] = ()
        if Method.QUICK in checkout.methods:
            cards = await self.cards_of_user.of_user(merchant_id, user_id, CARDS_SHOWN)
        return offers_for(checkout, cards, facts, self.catalogue(), self.unable, self.carries_of, now)

    def sign_banks(self, checkout: Checkout) -> list[str]:
        """Whose cards may be signed (purpose `sign`): those that a rule for cards carries."""
        catalogue, merchant_id = self.catalogue(), checkout.merchant_id
        scenes = (Scene.WITHHOLD, Scene.QUICK_CHARGE)
        return sorted({bank for scene in scenes for bank in catalogue.banks_of(merchant_id, scene)})

    def may_cancel(self, payment: Payment) -> bool:
        """Whether its PSP can be told that the payer did not pay on its page, so that something else can be tried."""
        if not payment.is_on_a_page or payment.account is None:
            return False
        try:
            return Cancel in self.providers.provider(payment.merchant_id, payment.account).commands
        except UnusableAccountError:
            return False

    # Acting

    async def pay(self, checkout: Checkout, ordinal: int, choice: Choice) -> None:
        """Open a try. `ordinal`: which one the payer's page was made for; of an earlier one nothing is opened.

        Raises BankNeededError, CardNotFoundError, NotOfThisCheckoutError; CheckoutRefusedError with why it may not
        begin now; OverloadedError.
        """
        if checkout.purpose is not CheckoutPurpose.PAY or ordinal <= checkout.tries:
            return
        order = await self._order(checkout, ordinal, choice)
        try:
            await self.payments.open(order)
        except OrderConflictError:  # another tab was faster, with another choice: that one is shown
            return

    async def sign(self, checkout: Checkout, ordinal: int, card: NewCard | CardChoice) -> None:
        """The same for a card that is signed."""
        if checkout.purpose is not CheckoutPurpose.SIGN or ordinal <= checkout.tries:
            return
        elements, card_id, bank = await self._card(checkout, card)
        order = AuthenticationOrder(
            merchant_id=checkout.merchant_id,
            app=checkout.app,
            merchant_order_no=number_of_try(checkout.merchant_order_no, ordinal),
            user_id=checkout.user_id,
            bank=bank,
            card=elements,
            card_id=card_id,
            customer_present=True,
            expires_in_s=None,
            metadata=checkout.metadata,
            body=_body(checkout, ordinal, bank, elements, card_id),
            checkout=CheckoutTry(checkout.checkout_id, ordinal),
        )
        try:
            await self.signings.open(order)
        except OrderConflictError:
            return

    async def confirm(self, waiting: Try, sms_code: str) -> Try:
        """Submit the code that the payer typed. Raises ActRefusedError, OverloadedError."""
        return await self.acts.confirm(waiting, sms_code)

    async def resend(self, waiting: Try) -> Try:
        """Have the SMS sent once more. Raises ActRefusedError (`wait_s`: how long to wait), OverloadedError."""
        return await self.acts.resend(waiting)

    async def leave(self, waiting: Try) -> Try:
        """The payer did not pay, and wants something else. Raises ActRefusedError unless that is proved."""
        return await self.acts.close(waiting, ClosedReason.BY_PAYER)

    async def robot(self, checkout: Checkout) -> None:
        """Somebody filled the field that people do not see: a person is asked whether to block the user."""
        shown = show(CHECKOUT, checkout.checkout_id)
        await self.proposals.propose(
            checkout.merchant_id,
            BlockedValue(BlockKind.USER, checkout.user_id),
            reason=f"a robot filled the form of {shown}",
            by="cashier",
            now=self.clock(),
        )

    async def _order(self, checkout: Checkout, ordinal: int, choice: Choice) -> Order:
        assert checkout.amount is not None
        assert checkout.currency is not None
        elements: CardElements | None = None
        card_id: UUID | None = None
        if isinstance(choice, BankChoice):
            scene, bank = SCENE_OF[choice.method], choice.bank
            if choice.method is Method.QUICK or choice.method not in checkout.methods:
                raise NotOfThisCheckoutError
            if bank not in self.catalogue().banks_of(checkout.merchant_id, scene):
                raise NotOfThisCheckoutError
        else:
            if Method.QUICK not in checkout.methods:
                raise NotOfThisCheckoutError
            scene = Scene.QUICK_CHARGE
            elements, card_id, bank = await self._card(checkout, choice)
        custody = scene in {Scene.CUSTODY_QUICK_CHARGE, Scene.CUSTODY_NETBANK_CHARGE}
        return Order(
            merchant_id=checkout.merchant_id,
            app=checkout.app,
            merchant_order_no=number_of_try(checkout.merchant_order_no, ordinal),
            kind=Kind.CHARGE,
            scene=scene,
            user_id=checkout.user_id,
            amount=checkout.amount,
            currency=checkout.currency,
            bank=bank,
            bank_by_bin=bank_of(elements.card_no) if elements is not None and card_id is None else None,
            card=elements,
            card_id=card_id,
            customer_present=True,
            description=checkout.description,
            metadata=checkout.metadata,
            return_url=None,  # the payer comes back to the checkout
            expires_in_s=None,
            body=_body(checkout, ordinal, f"{scene} {bank}", elements, card_id),
            notes=odd_about(elements) if elements is not None else (),
            custody_user_no=checkout.custody_user_no if custody else None,
            checkout=CheckoutTry(checkout.checkout_id, ordinal),
        )

    async def _card(self, checkout: Checkout, choice: CardChoice | NewCard) -> tuple[CardElements, UUID | None, str]:
        """The elements in one form, the card's id where it is known, and its bank."""
        if isinstance(choice, CardChoice):
            stored = await self.cards.find_card(checkout.merchant_id, checkout.user_id, choice.card_id)
            if stored is None:
                raise CardNotFoundError
            return stored.elements, stored.card.card_id, stored.card.bank
        elements = one_form(choice.elements)
        bank = choice.bank or bank_of(elements.card_no)
        if bank is None:
            raise BankNeededError
        return elements, None, bank


def _is_overdue(checkout: Checkout, tries: Sequence[Try], now: datetime) -> bool:
    """Whether our clock ends it now, or a try that succeeded was not heard of: nobody need wait for the workers."""
    won = any(each.status is Status.SUCCEEDED for each in tries)
    return won or (checkout.expires_at <= now and all(each.is_final for each in tries))


def _body(checkout: Checkout, ordinal: int, what: str, elements: CardElements | None, card_id: UUID | None) -> bytes:
    """The canonical form of a choice, so that the same one twice is one try."""
    said: dict[str, object] = {"checkout": show(CHECKOUT, checkout.checkout_id), "try": ordinal, "what": what}
    if card_id is not None:
        said["card_id"] = show(CARD, card_id)
    elif elements is not None:
        card = as_compared(elements)
        said["card"] = {name: getattr(card, name) for name in CardElements.__slots__}
    return orjson.dumps(said, option=orjson.OPT_SORT_KEYS)
