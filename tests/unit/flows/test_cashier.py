"""What the cashier makes of what payers press: which order is opened, and what is not opened at all.

Not here: that one try is open at a time (tests/storage/test_checkouts), what pages show (tests/api/test_cashier_pages).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID, uuid4

import pytest

from gateway.domain.blocks import BlockedValue, BlockKind
from gateway.domain.cards import Card
from gateway.domain.carrying import carries_all
from gateway.domain.catalogue import Account, Catalogue, Merchant
from gateway.domain.checkouts import Checkout, CheckoutPurpose, CheckoutTry, Method, TryRefusal, opened
from gateway.domain.codes import Asked, ClosedReason, Purpose
from gateway.domain.ids import CHECKOUT, show
from gateway.domain.orders import AuthenticationOrder, Order
from gateway.domain.scenes import Kind, Scene
from gateway.domain.statuses import Status
from gateway.flows.cashier import (
    LINK_LIVES,
    BankChoice,
    BankNeededError,
    CardChoice,
    Cashier,
    Choice,
    NewCard,
    NotOfThisCheckoutError,
    Shown,
    Try,
)
from gateway.flows.route import ABLE
from gateway.ports import Cancel as CancelCommand
from gateway.ports import (
    CardNotFoundError,
    CheckoutRefusedError,
    OrderConflictError,
    OverloadedError,
    ShownCard,
    StoredCard,
    UnusableAccountError,
    UserFacts,
)
from tests.unit.domain.samples import (
    BANK,
    CARD_ID,
    MERCHANT_ID,
    NOW,
    attempt,
    authentication,
    card_elements,
    channel,
    checkout_order,
    later,
    payment,
    rule,
)

CHECKOUT_ID = UUID(int=9)
KNOWN = StoredCard(Card(CARD_ID, "622202******1234", BANK), card_elements())
SCENES = (Scene.QUICK_CHARGE, Scene.NETBANK_CHARGE, Scene.CUSTODY_QUICK_CHARGE, Scene.WITHHOLD)
CATALOGUE = Catalogue(
    7,
    merchants=(Merchant(MERCHANT_ID, "acme", "Acme"),),
    accounts=(Account(MERCHANT_ID, "up-1", "mock", {}),),
    channels=(channel("up"),),
    rules=(*(rule("up", scene=each) for each in SCENES), rule("up", scene=Scene.CUSTODY_NETBANK_CHARGE, bank="ANY")),
)
UNKNOWN_BIN = replace(card_elements(), card_no="0000000000000000")


def a_checkout(**known: Any) -> Checkout:
    return opened(checkout_order(**known), CHECKOUT_ID, NOW)


def to_sign(**known: Any) -> Checkout:
    return replace(a_checkout(), purpose=CheckoutPurpose.SIGN, amount=None, currency=None, methods=(), **known)


@dataclass
class World:
    """Everything that a cashier asks: it answers what it is told to, and keeps what it was asked."""

    checkout: Checkout = field(default_factory=a_checkout)
    tries: Sequence[Try] = ()
    refuses: Exception | None = None
    now: datetime = NOW
    orders: list[Order | AuthenticationOrder] = field(default_factory=list)
    looks: int = 0
    done: list[tuple[Any, ...]] = field(default_factory=list)
    commands: frozenset[type] = frozenset()

    def cashier(self) -> Cashier:
        here = cast("Any", self)
        return Cashier(
            _Books(self), here, here, here, here, here, here, here, here, here, lambda: CATALOGUE,
            lambda *_: ABLE, carries_all, lambda: self.now, uuid4, "https://pay.example",
        )  # fmt: skip

    async def find_card(self, merchant_id: UUID, user_id: str, card_id: UUID) -> StoredCard | None:
        return KNOWN if (user_id, card_id) == ("u1", CARD_ID) else None

    async def facts(self, *_: Any) -> UserFacts:
        return UserFacts()

    async def of_user(self, merchant_id: UUID, user_id: str, limit: int) -> list[ShownCard]:
        self.done.append(("cards of", user_id))
        return [ShownCard(CARD_ID, user_id, "622202******1234", BANK, NOW, ())]

    async def open(self, order: Order | AuthenticationOrder) -> None:
        self.orders.append(order)
        if self.refuses:
            raise self.refuses

    async def close(self, waiting: Try, reason: ClosedReason) -> Try:
        self.done.append(("closed", reason))
        return waiting

    async def propose(self, merchant_id: UUID, wanted: BlockedValue, *, reason: str, by: str, now: datetime) -> bool:
        self.done.append((wanted, reason, by))
        return True

    def checkout_token(self, merchant_id: UUID, checkout_id: UUID) -> str:
        return f"token-{checkout_id}"

    def checkout_of_token(self, token: str) -> tuple[UUID, UUID] | None:
        return (MERCHANT_ID, CHECKOUT_ID) if token == f"token-{CHECKOUT_ID}" else None

    def provider(self, merchant_id: UUID, account: str) -> Any:
        if account != "up-1":
            raise UnusableAccountError(account)
        return self

    def only_order(self) -> Order:
        [order] = self.orders
        assert isinstance(order, Order)
        return order


@dataclass
class _Books:
    """The checkout of the world. `look` ends it as the clock would."""

    world: World

    async def checkout(self, merchant_id: UUID, checkout_id: UUID) -> tuple[Checkout, Sequence[Try]] | None:
        return (self.world.checkout, self.world.tries) if checkout_id == CHECKOUT_ID else None

    async def look(self, merchant_id: UUID, user_id: str, checkout_id: UUID, cause: UUID, now: datetime) -> Checkout:
        world = self.world
        world.looks += 1
        if world.refuses:
            raise world.refuses
        world.checkout = replace(world.checkout, status=Status.EXPIRED, until_at=None, finished_at=now)
        return world.checkout


# --- paying ---


async def test_a_new_card_is_a_charge_whose_bank_its_number_tells() -> None:
    world = World(a_checkout(metadata={"a": 1}))
    await world.cashier().pay(world.checkout, 1, NewCard(card_elements()))
    order = world.only_order()
    assert (order.merchant_order_no, order.checkout) == ("recharge-1~1", CheckoutTry(CHECKOUT_ID, 1))
    assert (order.kind, order.scene, order.bank, order.bank_by_bin) == (Kind.CHARGE, Scene.QUICK_CHARGE, BANK, BANK)
    assert (order.amount, order.currency, order.user_id, order.app) == (1000, "CNY", "u1", "shop")
    assert (order.card, order.card_id, order.customer_present) == (card_elements(), None, True)
    assert (order.return_url, order.expires_in_s, order.metadata) == (None, None, {"a": 1})
    assert order.custody_user_no is None


async def test_a_bound_card_is_a_charge_with_its_id() -> None:
    world = World()
    await world.cashier().pay(world.checkout, 1, CardChoice(CARD_ID))
    order = world.only_order()
    assert (order.card_id, order.card, order.bank) == (CARD_ID, KNOWN.elements, BANK)


async def test_the_card_of_somebody_else_is_not_found_and_nothing_is_opened() -> None:
    world = World(a_checkout(user_id="u2"))
    for choice in (CardChoice(CARD_ID), CardChoice(uuid4())):
        with pytest.raises(CardNotFoundError):
            await world.cashier().pay(world.checkout, 1, choice)
        with pytest.raises(CardNotFoundError):
            await world.cashier().sign(to_sign(user_id="u2"), 1, choice)
    assert world.orders == []


async def test_a_number_that_tells_no_bank_needs_one_and_the_bank_that_is_said_wins() -> None:
    world = World()
    with pytest.raises(BankNeededError):
        await world.cashier().pay(world.checkout, 1, NewCard(UNKNOWN_BIN))
    assert world.orders == []
    await world.cashier().pay(world.checkout, 1, NewCard(UNKNOWN_BIN, "ABC"))
    await world.cashier().pay(world.checkout, 1, NewCard(card_elements(), "ABC"))
    said = [(each.bank, each.bank_by_bin) for each in world.orders if isinstance(each, Order)]
    assert said == [("ABC", None), ("ABC", BANK)]


async def test_one_card_typed_in_several_ways_is_one_choice() -> None:
    typed = card_elements()
    spellings = [
        typed,
        replace(typed, card_no=f"{typed.card_no[:4]} {typed.card_no[4:]}"),
        replace(typed, holder_name="张 三", phone="１３８００００００００"),
    ]
    world = World()
    for each in spellings:
        await world.cashier().pay(world.checkout, 1, NewCard(each))
    assert len({each.body for each in world.orders}) == 1
    await world.cashier().pay(world.checkout, 1, NewCard(replace(typed, phone="13900000000")))
    await world.cashier().pay(world.checkout, 1, CardChoice(CARD_ID))
    await world.cashier().pay(world.checkout, 1, BankChoice(Method.NETBANK, BANK))
    await world.cashier().pay(world.checkout, 2, NewCard(typed))
    assert len({each.body for each in world.orders}) == 5


@pytest.mark.parametrize(
    ("choice", "scene", "custody_user_no"),
    [
        (BankChoice(Method.NETBANK, BANK), Scene.NETBANK_CHARGE, None),
        (BankChoice(Method.CUSTODY_QUICK, BANK), Scene.CUSTODY_QUICK_CHARGE, "c-1"),
        (BankChoice(Method.CUSTODY_NETBANK, "ANY"), Scene.CUSTODY_NETBANK_CHARGE, "c-1"),
        (CardChoice(CARD_ID), Scene.QUICK_CHARGE, None),
    ],
)
async def test_each_method_is_its_scene_and_only_custody_names_the_payer_there(
    choice: Choice, scene: Scene, custody_user_no: str | None
) -> None:
    world = World(a_checkout(custody_user_no="c-1"))
    await world.cashier().pay(world.checkout, 1, choice)
    order = world.only_order()
    assert (order.scene, order.custody_user_no) == (scene, custody_user_no)
    assert (order.card is None) == isinstance(choice, BankChoice)


@pytest.mark.parametrize(
    ("methods", "choice"),
    [
        ((Method.NETBANK,), CardChoice(CARD_ID)),
        ((Method.NETBANK,), NewCard(card_elements())),
        ((Method.NETBANK,), BankChoice(Method.CUSTODY_QUICK, BANK)),
        ((Method.QUICK,), BankChoice(Method.NETBANK, BANK)),
        (tuple(Method), BankChoice(Method.QUICK, BANK)),
        (tuple(Method), BankChoice(Method.NETBANK, "ABC")),
        (tuple(Method), BankChoice(Method.NETBANK, "ANY")),
        (tuple(Method), BankChoice(Method.CUSTODY_QUICK, "ANY")),
        (tuple(Method), BankChoice(Method.NETBANK, "")),
    ],
)
async def test_what_a_checkout_does_not_offer_is_not_opened(methods: tuple[Method, ...], choice: Choice) -> None:
    world = World(a_checkout(methods=methods))
    with pytest.raises(NotOfThisCheckoutError):
        await world.cashier().pay(world.checkout, 1, choice)
    assert world.orders == []


# --- twice, late, and elsewhere ---


@pytest.mark.parametrize("ordinal", [2, 1, 0, -5])
async def test_what_comes_from_a_page_of_an_earlier_try_opens_nothing(ordinal: int) -> None:
    world = World(replace(a_checkout(), tries=2))
    await world.cashier().pay(world.checkout, ordinal, CardChoice(CARD_ID))
    await world.cashier().sign(to_sign(tries=2), ordinal, CardChoice(CARD_ID))
    assert world.orders == []


async def test_where_another_tab_was_faster_with_another_choice_that_one_is_shown() -> None:
    world = World(refuses=OrderConflictError("recharge-1~1"))
    await world.cashier().pay(world.checkout, 1, CardChoice(CARD_ID))
    await world.cashier().sign(to_sign(), 1, CardChoice(CARD_ID))
    assert len(world.orders) == 2


@pytest.mark.parametrize("refused", [CheckoutRefusedError(TryRefusal.EXPIRED), OverloadedError(1)])
async def test_why_it_may_not_begin_now_is_told(refused: Exception) -> None:
    world = World(refuses=refused)
    with pytest.raises(type(refused)):
        await world.cashier().pay(world.checkout, 1, CardChoice(CARD_ID))
    with pytest.raises(type(refused)):
        await world.cashier().sign(to_sign(), 1, CardChoice(CARD_ID))


async def test_a_checkout_to_sign_takes_no_payment_and_one_to_pay_no_signing() -> None:
    world = World()
    await world.cashier().pay(to_sign(), 1, CardChoice(CARD_ID))
    await world.cashier().sign(a_checkout(), 1, CardChoice(CARD_ID))
    assert world.orders == []


# --- signing ---


async def test_a_card_that_is_signed_is_an_authentication_of_the_checkout() -> None:
    world = World()
    await world.cashier().sign(to_sign(), 1, NewCard(card_elements()))
    await world.cashier().sign(to_sign(tries=1), 2, CardChoice(CARD_ID))
    first, second = world.orders
    assert isinstance(first, AuthenticationOrder)
    assert isinstance(second, AuthenticationOrder)
    assert (first.merchant_order_no, first.checkout) == ("recharge-1~1", CheckoutTry(CHECKOUT_ID, 1))
    assert (first.card, first.card_id, first.bank, first.customer_present) == (card_elements(), None, BANK, True)
    assert (second.merchant_order_no, second.card_id) == ("recharge-1~2", CARD_ID)
    assert first.body != second.body
    with pytest.raises(BankNeededError):
        await world.cashier().sign(to_sign(), 1, NewCard(UNKNOWN_BIN))


def test_banks_whose_cards_may_be_signed_are_those_of_rules_for_cards() -> None:
    assert World().cashier().sign_banks(to_sign()) == [BANK]


# --- the address ---


async def test_an_address_shows_the_checkout_with_its_tries() -> None:
    tries = [payment(Status.FAILED), payment(Status.PROCESSING, payment_id=UUID(int=2))]
    world = World(replace(a_checkout(), tries=2), tries)
    cashier = world.cashier()
    token = cashier.url_of(MERCHANT_ID, CHECKOUT_ID).removeprefix("https://pay.example/checkout/")
    shown = await cashier.of_token(token)
    assert shown is not None
    assert (shown.newest, shown.open_try, shown.next_ordinal, shown.paid_late) == (tries[1], tries[1], 3, None)
    assert world.looks == 0


@pytest.mark.parametrize("token", ["", "token", "token-" + str(UUID(int=8)), "token-" + str(CHECKOUT_ID) + "x"])
async def test_an_address_that_was_guessed_shows_nothing(token: str) -> None:
    assert await World().cashier().of_token(token) is None


async def test_an_address_tells_how_it_ended_for_seven_days() -> None:
    ended = replace(a_checkout(), status=Status.SUCCEEDED, won_by=UUID(int=1), until_at=None, finished_at=NOW)
    token = f"token-{CHECKOUT_ID}"
    assert await World(ended, now=NOW + LINK_LIVES).cashier().of_token(token) is not None
    assert await World(ended, now=NOW + LINK_LIVES + timedelta(seconds=1)).cashier().of_token(token) is None
    waits = replace(a_checkout(expires_in_s=604_800), tries=1)
    late = NOW + timedelta(days=30)  # its payment is open still
    assert await World(waits, [payment()], now=late).cashier().of_token(token) is not None


async def test_whose_time_is_over_is_shown_as_expired_whether_a_worker_came_or_not() -> None:
    world = World(now=later(minutes=10))
    shown = await world.cashier().of_token(f"token-{CHECKOUT_ID}")
    assert shown is not None
    assert (shown.checkout.status, world.looks) == (Status.EXPIRED, 1)
    busy = World(now=later(minutes=10), refuses=OverloadedError(1))
    shown = await busy.cashier().of_token(f"token-{CHECKOUT_ID}")
    assert shown is not None
    assert (shown.checkout.status, busy.looks) == (Status.OPEN, 1), "it is shown as it stands"


@pytest.mark.parametrize("waits", [payment(), payment(Status.REQUIRES_ACTION), authentication()])
async def test_what_is_open_when_its_time_is_over_is_not_ended(waits: Try) -> None:
    world = World(replace(a_checkout(), tries=1), [waits], now=later(minutes=10))
    assert await world.cashier().of_token(f"token-{CHECKOUT_ID}") is not None
    assert world.looks == 0


async def test_a_success_that_nobody_heard_of_is_heard_when_the_page_is_read() -> None:
    world = World(replace(a_checkout(), tries=1), [payment(Status.SUCCEEDED)])
    await world.cashier().of_token(f"token-{CHECKOUT_ID}")
    assert world.looks == 1


def test_money_that_came_late_is_shown_until_the_checkout_is_paid() -> None:
    late = payment(Status.FAILED, attempt=replace(attempt(), late_success=True))
    shown = Shown(replace(a_checkout(), tries=1), [late])
    assert shown.paid_late == late
    assert Shown(replace(a_checkout(), status=Status.SUCCEEDED), [late]).paid_late is None
    assert Shown(a_checkout(), []).newest is None


# --- acts ---


async def test_who_leaves_gives_the_payment_up_as_a_payer() -> None:
    world = World()
    await world.cashier().leave(payment(Status.REQUIRES_ACTION))
    assert world.done == [("closed", ClosedReason.BY_PAYER)]


async def test_a_robot_is_proposed_to_be_blocked_by_its_user_with_the_checkout_as_the_reason() -> None:
    world = World()
    await world.cashier().robot(world.checkout)
    [(wanted, reason, by)] = world.done
    assert (wanted, by) == (BlockedValue(BlockKind.USER, "u1"), "cashier")
    assert show(CHECKOUT, CHECKOUT_ID) in reason
    assert world.orders == []


def on_page(**known: Any) -> Any:
    asked = Asked(Purpose.REDIRECT, "", "number", NOW, url="https://pay.example/pay/x")
    return payment(Status.REQUIRES_ACTION, **({"scene": Scene.NETBANK_CHARGE, "asked": asked} | known))


@pytest.mark.parametrize(
    ("waiting", "commands", "may"),
    [
        (on_page(), {CancelCommand}, True),
        (on_page(), set(), False),
        (on_page(account="gone-1"), {CancelCommand}, False),
        (on_page(account=None), {CancelCommand}, False),
        (payment(Status.REQUIRES_ACTION, asked=Asked(Purpose.PAY, "138****0000", "n", NOW)), {CancelCommand}, False),
        (payment(), {CancelCommand}, False),
    ],
)
def test_a_payer_may_say_that_they_did_not_pay_where_the_psp_can_be_told(
    waiting: Any, commands: set[type], may: bool
) -> None:
    assert World(commands=frozenset(commands)).cashier().may_cancel(waiting) is may


async def test_offers_are_of_the_checkouts_user_and_cards_are_read_only_where_they_can_pay() -> None:
    world = World()
    offers = await world.cashier().offers(world.checkout)
    assert [each.card.card_id for each in offers.cards] == [CARD_ID]
    assert world.done == [("cards of", "u1")]
    world = World(a_checkout(methods=(Method.NETBANK,)))
    assert (await world.cashier().offers(world.checkout)).cards == ()
    assert world.done == []
