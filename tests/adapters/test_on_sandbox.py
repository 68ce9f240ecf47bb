"""The contract over a real socket against the sandbox, a PSP with books of its own and no code of ours.

Every adapter of the catalogue that pays by itself runs each test through its whole stack: `catalogue.build`, the
transport, TCP. Not tested here: payments on pages (a module for each PSP), the complete code tables and altered bytes
(`contract`), nor how the flows use the outcomes.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import httpx
import pytest
from aiohttp import web

from adapters.http import AiohttpTransport
from adapters.registry import PROVIDERS, AccountError, ProviderClass, build, offer_of
from gateway.domain.cards import CardElements
from gateway.domain.failures import FailureCode
from gateway.domain.intents import Verb
from gateway.domain.outcomes import (
    Authenticated,
    CodeSent,
    Declined,
    NotFound,
    NotSent,
    Outcome,
    Processing,
    SmsNeeded,
    Succeeded,
    Unknown,
)
from gateway.domain.scenes import CARD_SCENES, Scene
from gateway.domain.terms import OwnTerms, Product
from gateway.ports import (
    AccountSettings,
    AskAuthentication,
    AskPayment,
    AskRefund,
    Authenticate,
    CallbackRejectedError,
    CallbackRequest,
    Command,
    Pay,
    Provider,
    Refund,
    SendPaymentCode,
    SendSigningCode,
    Sign,
)
from sandbox.app import SandboxConfig, build_app
from tests.adapters.at_sandbox import described
from tests.adapters.contract import callbacks_of, do, is_unknown
from tests.adapters.unionpay_case import as_form

CARD = CardElements("6222020200098761234", "张三丰", "110101199003074477", "13812340077")
AMOUNT = 12_345
IN_TIME_S = 10.0
FORM = {"content-type": "application/x-www-form-urlencoded"}
OTHERS = described()
"""Those that say all this in folders of their own."""
CALLS_BACK = {"baofoo", "cpcn", "jd", "lianlian", "unionpay"} | {name for name in OTHERS if OTHERS[name].calls_back}
REGISTERS_ITS_ADDRESS = frozenset({"cpcn"})
OF_ITS_OWN = frozenset({"cpcn", *OTHERS})
"""Whose bindings and refunds have a module of their own."""
BALANCE_SHORT: Mapping[str, str] = {
    "unionpay": "64",
    "allinpay": "3008",
    "baofoo": "BF00103",
    "cpcn": "51",
    "jd": "EEB0014",
    "lianlian": "6001",
    **{name: other.balance_short for name, other in OTHERS.items()},
}
FAILED_LATER: Mapping[str, tuple[FailureCode, str]] = {
    "jd": (FailureCode.CHANNEL_REFUSED, "0000/7"),
    "lianlian": (FailureCode.INSUFFICIENT_BALANCE, "FAILURE"),
}
"""What is told of an order that failed after it was accepted, where that is less than the reason."""
SPENT, TOO_MUCH, NO_SUCH_PAYMENT = "spent", "too much", "no such payment"
REFUSED_REFUNDS: Mapping[str, Mapping[str, str]] = {
    "unionpay": {SPENT: "45", TOO_MUCH: "36", NO_SUCH_PAYMENT: "35"},
    "lianlian": {SPENT: "5007", TOO_MUCH: "5007", NO_SUCH_PAYMENT: "5002"},
    "jd": {SPENT: "EEN0008", TOO_MUCH: "EEN0008", NO_SUCH_PAYMENT: "EES0037"},
    "allinpay": {SPENT: "3999", TOO_MUCH: "3999", NO_SUCH_PAYMENT: "3999"},
    "baofoo": {SPENT: "BF00111", TOO_MUCH: "BF00111", NO_SUCH_PAYMENT: "BF00111"},
}
REFUNDS_FAIL: Mapping[str, tuple[str, FailureCode, str]] = {
    "unionpay": ("60", FailureCode.RISK_REJECTED, "60"),
    "lianlian": ("5005", FailureCode.CHANNEL_REFUSED, "3"),
    "jd": ("EEB0004", FailureCode.CHANNEL_REFUSED, "0000/7"),
    "allinpay": ("3008", FailureCode.MERCHANT_BALANCE_SHORT, "3008"),
    "baofoo": ("BF00140", FailureCode.CARD_CLOSED, "BF00140"),
}
"""Why one fails after it was accepted, and what is told of it."""
WITHOUT_AGREEMENT = {("allinpay", Scene.WITHHOLD), ("jd", Scene.QUICK_CHARGE)}
WITHOUT_AGREEMENT |= {(name, scene) for name, other in OTHERS.items() for scene in other.without_agreement}
"""What is paid by the card's elements alone."""
CODE_FOR_EACH = frozenset({"jd"})
"""Who wants an SMS code for each payment."""
USER = "user-1"


@dataclass
class World:
    """A running sandbox, an adapter bound to its account, and our callback address."""

    name: str
    address: str
    account: AccountSettings
    adapter: Provider
    transport: AiohttpTransport
    session: aiohttp.ClientSession
    notify_url: str
    callbacks: "asyncio.Queue[CallbackRequest]"
    agreements: dict[str, str] = field(default_factory=dict)

    async def fault(self, fault: str, **params: object) -> None:
        """Ask the sandbox for one fault, used up by its first occasion."""
        body = {"fault": fault, "times": 1, **params}
        async with self.session.post(f"{self.address}/_sandbox/{self.name}/faults", json=body) as answer:
            assert answer.status == 201, await answer.text()

    async def books(self, number: str) -> list[dict[str, Any]]:
        """What the PSP has under our number."""
        url = f"{self.address}/_sandbox/{self.name}/transactions"
        async with self.session.get(url, params={"order_no": number}) as answer:
            orders: list[dict[str, Any]] = (await answer.json())["transactions"]
            return orders

    async def payment(self, scene: Scene | None = None, amount: int = AMOUNT) -> Pay:
        """A payment that the account may make: its card is bound, or its SMS code sent, where the protocol asks it."""
        scenes, agreement_no = CARD_SCENES & self.adapter.declaration.scenes, None
        scene = scene or (Scene.WITHHOLD if Scene.WITHHOLD in scenes else min(scenes))
        if Authenticate in self.adapter.commands:
            bound = await do(self.adapter, an_authentication())
            assert isinstance(bound, Authenticated)
            agreement_no = bound.agreement_no
        elif (self.name, scene) not in WITHOUT_AGREEMENT:
            agreement_no = await self.signed()
        pay = Pay(uuid4().hex, now(), scene, amount, "ICBC", CARD, agreement_no, USER, "还款", self.notify_url)
        return await self.with_a_code(pay) if self.name in CODE_FOR_EACH else pay

    async def code(self, phone: str = CARD.phone) -> str:
        """The code of the newest SMS to a phone."""
        async with self.session.get(f"{self.address}/_sandbox/sms", params={"phone": phone}) as answer:
            newest: dict[str, str] = (await answer.json())["sms"][-1]
            assert newest["provider"] == self.name
            return newest["code"]

    async def with_a_code(self, payment: Pay) -> Pay:
        """The payment with the code that the payer got for it by SMS."""
        assert payment.card is not None
        sent = await do(self.adapter, its_sms(payment))
        assert isinstance(sent, CodeSent), sent
        return replace(payment, sms_code=await self.code(payment.card.phone), continuation=sent.continuation)

    async def signed(self, card: CardElements = CARD) -> str:
        """The agreement of a card that was just signed by SMS."""
        sms = replace(a_signing_sms(), card=card)
        sent = await do(self.adapter, sms)
        assert isinstance(sent, CodeSent), sent
        bound = await do(self.adapter, its_signing(sms, sent, await self.code(card.phone)))
        assert isinstance(bound, Authenticated), bound
        return bound.agreement_no

    async def refund(self, amount: int = AMOUNT, scene: Scene | None = None) -> Refund:
        """A refund of a payment that was just made, whose callback is out of the way."""
        payment = await self.payment(scene)
        await do(self.adapter, payment)
        paid = await self.final(payment)
        assert isinstance(paid, Succeeded)
        if self.adapter.callbacks is not None:
            await asyncio.wait_for(self.callbacks.get(), IN_TIME_S)
        return Refund(
            uuid4().hex,
            now(),
            payment.scene,
            amount,
            payment.number,
            payment.told_at,
            paid.channel_transaction_no,
            payment.amount,
            self.notify_url,
        )

    async def final(self, sent: Pay | Refund) -> Outcome:
        """Ask until the order is final."""
        async with asyncio.timeout(IN_TIME_S):
            for tries in range(10_000):
                outcome = await do(self.adapter, its_question(sent, tries))
                if isinstance(outcome, (Succeeded, Declined)):
                    return outcome
                await asyncio.sleep(0.01)
        raise AssertionError


def now() -> datetime:
    return datetime.now(UTC)


def its_question(sent: Pay | Refund, tries: int = 0) -> AskPayment | AskRefund:
    kind = AskPayment if isinstance(sent, Pay) else AskRefund
    return kind(sent.number, sent.told_at, sent.scene, sent.amount, tries)


def an_authentication() -> Authenticate:
    return Authenticate(uuid4().hex, now(), "ICBC", CARD, USER, "http://127.0.0.1:1/")


def a_signing_sms() -> SendSigningCode:
    return SendSigningCode(uuid4().hex, now(), "ICBC", CARD, USER, "http://127.0.0.1:1/")


def its_signing(sms: SendSigningCode, sent: CodeSent, code: str, ordinal: int = 1) -> Sign:
    return Sign(
        sms.number, sms.told_at, sms.bank, sms.card, sms.user_id, sms.notify_url, code, ordinal, sent.continuation
    )


def its_sms(payment: Pay, ordinal: int = 1) -> SendPaymentCode:
    assert payment.card is not None
    return SendPaymentCode(
        payment.number,
        payment.told_at,
        payment.scene,
        payment.amount,
        payment.bank,
        payment.card,
        payment.agreement_no,
        payment.user_id,
        payment.description,
        payment.notify_url,
        ordinal,
    )


def another(code: str) -> str:
    """A wrong one."""
    return f"{(int(code) + 1) % 1_000_000:06d}"


def the_account(name: str, address: str, keys: Path) -> AccountSettings:
    """The sandbox's merchant of this provider, from the files that the sandbox writes for its merchants."""
    merchant = json.loads((keys / name / "account.json").read_text())
    files = [path for path in (keys / name).iterdir() if path.suffix == ".pem"]
    read = {path.name: path.read_text() for path in files}
    if name == "unionpay":
        settings: dict[str, object] = {
            "base_url": f"{address}/unionpay",
            "mer_id": merchant["mer_id"],
            "tr_id": merchant["tr_id"],
            "signer_cn": merchant["psp_common_name"],
            "statement_url": f"{address}/unionpay/filedownload",
        }
        secrets = {
            "merchant_private_key": read["merchant.key.pem"],
            "merchant_certificate": (keys / name / "merchant.cert.pem").read_text(),
            "root_certificate": (keys / name / "root.pem").read_text(),
            "middle_certificate": (keys / name / "middle.pem").read_text(),
        }
    elif name == "baofoo":
        balance_key = merchant.pop("balance_key")
        settings = {"base_url": f"{address}/baofoo", **merchant}
        secrets = {"merchant_private_key": read["merchant.key.pem"], "psp_certificate": read["psp.cert.pem"]}
        secrets["balance_key"] = balance_key
    elif name == "cpcn":
        declines = {"51": "insufficient_balance", "82": "id_mismatch", "83": "phone_mismatch"}
        settings = {"base_url": f"{address}/cpcn", **merchant, "declines": declines, "sms_wanted": ["71"]}
        settings |= {"balance_account_no": f"{merchant['institution_id']}880001", "balance_account_name": "某公司"}
        settings["payout_declines"] = {"240090": "merchant_balance_short"}
        secrets = {"merchant_private_key": read["merchant.key.pem"], "psp_certificate": read["psp.cert.pem"]}
    elif name == "jd":
        settings = {"url": f"{address}/jd/express.htm", "merchant": merchant["merchant"]}
        settings["refund_declines"] = {"EEN0008": "channel_refused"}
        secrets = {each: merchant[each] for each in ("md5_key", "des_key")}
    elif name == "lianlian":
        settings = {"base_url": f"{address}/lianlian", **merchant, "declines": {"余额不足": "insufficient_balance"}}
        secrets = {"merchant_private_key": read["merchant.key.pem"], "psp_public_key": read["psp.cert.pem"]}
    elif name in OTHERS:
        settings, secrets = OTHERS[name].account(address, merchant)
    else:
        settings = {
            "url": f"{address}/allinpay/aipg/ProcessServlet",
            "merchant_id": merchant["merchant_id"],
            "user_name": merchant["user_name"],
        }
        secrets = {
            "user_pass": merchant["user_pass"],
            "merchant_private_key": read["merchant.key.pem"],
            "psp_certificate": read["psp.cert.pem"],
        }
    assumptions = offer_of(name).declaration.assumptions
    assumed = [each.name for each in assumptions if not each.since_first_version]
    return AccountSettings(f"sandbox-{name}", name, settings | {"assumed": assumed}, secrets, patience(name, 5.0))


def patience(name: str, answer_timeout_s: float) -> dict[Product, OwnTerms]:
    """The same patience with every product of a provider."""
    return {product: OwnTerms(answer_timeout_s=answer_timeout_s) for product in offer_of(name).declaration.terms}


def pays_by_card(provider: ProviderClass) -> bool:
    """Whether it has payments for this module; others are paid on pages, or by what a custody bank knows."""
    return Pay in provider.COMMANDS and bool(CARD_SCENES & provider.DECLARATION.scenes)


async def serve(app: web.Application) -> tuple[web.AppRunner, str]:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"


@pytest.fixture(params=sorted(name for name, provider in PROVIDERS.items() if pays_by_card(provider)))
async def world(request: pytest.FixtureRequest, keys: Path) -> AsyncIterator[World]:
    async with a_world(request.param, keys) as world:
        yield world


@asynccontextmanager
async def a_world(name: str, keys: Path) -> AsyncIterator[World]:
    """A running sandbox with one of its merchants."""
    callbacks: asyncio.Queue[CallbackRequest] = asyncio.Queue()

    async def called(asked: web.Request) -> web.Response:
        callbacks.put_nowait(CallbackRequest(asked.method, asked.query_string, dict(asked.headers), await asked.read()))
        return web.Response(body=callbacks_of(adapter).answer(accepted=True).body)

    config = SandboxConfig(
        keys_dir=keys,
        processing_delay_s=0.02,
        callback_delay_s=0.0,
        late_s=0.1,
        not_visible_s=0.0,
        notify_failures=True,
    )
    ours = web.Application()
    ours.router.add_post("/callbacks/a", called)
    sandbox, address = await serve(build_app(config))
    receiver, our_address = await serve(ours)
    account = the_account(name, address, keys)
    notify_url = f"{our_address}/callbacks/a?merchant=m1&x=a%20b"
    async with AiohttpTransport() as transport, aiohttp.ClientSession() as session:
        adapter = build(account, transport)
        if name in REGISTERS_ITS_ADDRESS:
            registered = {"url": notify_url}
            async with session.post(f"{address}/_sandbox/{name}/notice_url", json=registered) as answer:
                assert answer.status == 200
        yield World(name, address, account, adapter, transport, session, notify_url, callbacks)
    await sandbox.cleanup()
    await receiver.cleanup()


def having(kind: type[Command[Any]]) -> list[str]:
    """The providers that can do this, and are tested here."""
    return [name for name in sorted(PROVIDERS) if kind in offer_of(name).commands and name not in OF_ITS_OWN]


with_callbacks = pytest.mark.parametrize("world", sorted(CALLS_BACK), indirect=True)
with_binding = pytest.mark.parametrize("world", having(Authenticate), indirect=True)
with_signing = pytest.mark.parametrize("world", having(SendSigningCode), indirect=True)
with_payment_codes = pytest.mark.parametrize("world", having(SendPaymentCode), indirect=True)
REFUND_BY_CARD = [name for name in having(Refund) if pays_by_card(PROVIDERS[name])]
with_refunds = pytest.mark.parametrize("world", REFUND_BY_CARD, indirect=True)
with_refunds_called_back = pytest.mark.parametrize("world", sorted(CALLS_BACK & set(REFUND_BY_CARD)), indirect=True)


# Paying


async def test_a_payment_of_every_scene_succeeds_with_its_exact_amount(world: World) -> None:
    for scene in sorted(CARD_SCENES & world.adapter.declaration.scenes):
        for amount in (1, 1_005, 99_999_999):
            payment = await world.payment(scene, amount)
            assert isinstance(await do(world.adapter, payment), (Processing, Succeeded))
            outcome = await world.final(payment)
            assert isinstance(outcome, Succeeded)
            assert outcome.amount in (amount, None)
            [order] = await world.books(payment.number)
            assert (order["amount"], order["state"], order["submissions"]) == (amount, "succeeded", 1)


async def test_the_same_payment_twice_is_one_order(world: World) -> None:
    payment = await world.payment()
    await do(world.adapter, payment)
    again = await do(world.adapter, payment)
    assert isinstance(again, (Unknown, Processing, Succeeded))
    [order] = await world.books(payment.number)
    assert order["submissions"] == 2
    assert isinstance(await world.final(payment), Succeeded)


async def test_a_payer_without_money_is_declined_at_once_or_later(world: World) -> None:
    for when in ("sync", "final"):
        payment = await world.payment()
        await world.fault("decline", code=BALANCE_SHORT[world.name], when=when)
        at_once = await do(world.adapter, payment)
        outcome = at_once if when == "sync" else await world.final(payment)
        assert isinstance(outcome, Declined)
        told = (FailureCode.INSUFFICIENT_BALANCE, BALANCE_SHORT[world.name])
        assert (outcome.code, outcome.channel_code) == (told if when == "sync" else FAILED_LATER.get(world.name, told))


# Faults


@pytest.mark.parametrize(
    ("fault", "params"),
    [
        ("reset_after", {}),
        ("error_after", {"status": 500}),
        ("wrong_signature", {}),
        ("garbage", {"body": "html"}),
        ("garbage", {"body": "truncated"}),
        ("garbage", {"body": "empty"}),
        ("garbage", {"body": "wrong_charset"}),
    ],
)
async def test_work_done_without_a_readable_answer_is_unknown_sent_once_and_found_by_asking(
    world: World, fault: str, params: dict[str, object]
) -> None:
    payment = await world.payment()
    await world.fault(fault, **params, match={"operation": "pay"})
    assert isinstance(await do(world.adapter, payment), Unknown)
    assert isinstance(await world.final(payment), Succeeded)
    [order] = await world.books(payment.number)
    assert order["submissions"] == 1


async def test_a_connection_reset_before_the_work_is_unknown_and_then_not_found(world: World) -> None:
    payment = await world.payment()
    await world.fault("reset_before", match={"operation": "pay"})
    assert isinstance(await do(world.adapter, payment), Unknown)
    assert isinstance(await do(world.adapter, its_question(payment)), NotFound)
    assert await world.books(payment.number) == []


async def test_an_answer_after_the_timeout_is_unknown_and_sent_once(world: World) -> None:
    payment = await world.payment()
    await world.fault("delay", seconds=3, match={"operation": "pay"})
    hasty = build(replace(world.account, terms=patience(world.name, 0.2)), world.transport)
    assert isinstance(await do(hasty, payment), Unknown)
    assert isinstance(await world.final(payment), Succeeded)
    [order] = await world.books(payment.number)
    assert order["submissions"] == 1


@pytest.mark.parametrize("body", ["html", "truncated", "empty", "wrong_charset"])
async def test_an_unreadable_answer_to_its_question_is_unknown(world: World, body: str) -> None:
    payment = await world.payment()
    await do(world.adapter, payment)
    await world.final(payment)
    await world.fault("garbage", body=body, match={"operation": "query"})
    assert isinstance(await do(world.adapter, its_question(payment)), Unknown)
    await world.fault("wrong_signature", match={"operation": "query"})
    assert isinstance(await do(world.adapter, its_question(payment)), Unknown)


async def test_an_order_that_queries_do_not_see_yet_is_not_found_and_then_succeeds(world: World) -> None:
    payment = await world.payment()
    await world.fault("not_found", seconds=0.3, match={"operation": "pay"})
    await do(world.adapter, payment)
    assert isinstance(await do(world.adapter, its_question(payment)), NotFound)
    assert isinstance(await world.final(payment), Succeeded)


async def test_a_closed_port_is_not_sent(world: World) -> None:
    payment = await world.payment()
    field_name = "base_url" if "base_url" in world.account.settings else "url"
    settings = {**world.account.settings, field_name: "http://127.0.0.1:1/unionpay"}
    nowhere = build(replace(world.account, settings=settings), world.transport)
    assert isinstance(await do(nowhere, payment), NotSent)
    assert isinstance(await do(nowhere, its_question(payment)), NotSent)


# Binding cards


@with_binding
async def test_a_lost_binding_is_found_by_its_number_with_the_same_agreement(world: World) -> None:
    command = an_authentication()
    await world.fault("reset_after", match={"operation": "authenticate"})
    assert isinstance(await do(world.adapter, command), Unknown)
    asked = AskAuthentication(command.number, command.told_at, command.bank, command.card, command.user_id)
    found = await do(world.adapter, asked)
    again = await do(world.adapter, an_authentication())
    assert isinstance(found, Authenticated)
    assert isinstance(again, Authenticated)
    assert found.agreement_no == again.agreement_no


@with_binding
async def test_a_binding_that_never_arrived_is_not_found(world: World) -> None:
    command = an_authentication()
    asked = AskAuthentication(command.number, command.told_at, command.bank, command.card, command.user_id)
    assert isinstance(await do(world.adapter, asked), NotFound)


@with_binding
async def test_a_binding_can_be_refused_or_need_the_user(world: World) -> None:
    await world.fault("decline", code="66", match={"operation": "authenticate"})
    refused = await do(world.adapter, an_authentication())
    assert isinstance(refused, Declined)
    assert refused.code is FailureCode.ID_MISMATCH
    await world.fault("sms_needed", match={"operation": "authenticate"})
    assert isinstance(await do(world.adapter, an_authentication()), SmsNeeded)


# Giving back


@with_refunds
async def test_a_refund_of_every_scene_succeeds_with_its_exact_amount_whole_or_in_parts(world: World) -> None:
    for scene in sorted(CARD_SCENES & world.adapter.declaration.scenes):
        refund = await world.refund(1, scene)
        rest = replace(refund, number=uuid4().hex, amount=AMOUNT - 1)
        for part in (refund, rest):
            assert isinstance(await do(world.adapter, part), (Processing, Succeeded))
            outcome = await world.final(part)
            assert isinstance(outcome, Succeeded)
            assert outcome.amount == part.amount
            [order] = await world.books(part.number)
            assert (order["kind"], order["amount"], order["state"]) == ("refund", part.amount, "succeeded")
            assert (order["original"], order["submissions"]) == (part.original_number, 1)
        more = await do(world.adapter, replace(refund, number=uuid4().hex))
        assert isinstance(more, Declined)
        assert (more.code, more.channel_code) == (FailureCode.CHANNEL_REFUSED, REFUSED_REFUNDS[world.name][SPENT])


@with_refunds
async def test_a_refund_of_more_than_is_left_or_of_no_payment_is_declined(world: World) -> None:
    refund, codes = await world.refund(), REFUSED_REFUNDS[world.name]
    wrong = {
        TOO_MUCH: replace(refund, amount=AMOUNT + 1),
        NO_SUCH_PAYMENT: replace(refund, original_transaction_no="0" * 21, original_number=uuid4().hex),
    }
    for why, refused in wrong.items():
        outcome = await do(world.adapter, replace(refused, number=uuid4().hex))
        assert isinstance(outcome, Declined)
        assert (outcome.code, outcome.channel_code) == (FailureCode.CHANNEL_REFUSED, codes[why])


@pytest.mark.parametrize("world", ["unionpay"], indirect=True)
async def test_a_refund_names_the_business_of_its_payment(world: World) -> None:
    outcome = await do(world.adapter, replace(await world.refund(), scene=Scene.QUICK_CHARGE))
    assert isinstance(outcome, Declined)
    assert (outcome.code, outcome.channel_code) == (FailureCode.CHANNEL_REFUSED, "36")


@pytest.mark.parametrize(
    ("fault", "params"),
    [("reset_after", {}), ("error_after", {"status": 500}), ("wrong_signature", {}), ("garbage", {"body": "html"})],
)
@with_refunds
async def test_a_refund_whose_answer_is_lost_is_unknown_sent_once_and_found_by_asking(
    world: World, fault: str, params: dict[str, object]
) -> None:
    refund = await world.refund()
    await world.fault(fault, **params, match={"operation": "refund"})
    assert isinstance(await do(world.adapter, refund), Unknown)
    assert isinstance(await world.final(refund), Succeeded)
    [order] = await world.books(refund.number)
    assert order["submissions"] == 1


@with_refunds
async def test_a_refund_that_never_arrived_is_not_found_and_nothing_was_given_back(world: World) -> None:
    refund = await world.refund()
    await world.fault("reset_before", match={"operation": "refund"})
    assert isinstance(await do(world.adapter, refund), Unknown)
    assert isinstance(await do(world.adapter, its_question(refund)), NotFound)
    assert await world.books(refund.number) == []


@with_refunds
async def test_the_same_refund_twice_is_one_order(world: World) -> None:
    refund = await world.refund(1)
    await do(world.adapter, refund)
    again = await do(world.adapter, refund)
    assert is_unknown(again, received=True) or isinstance(again, Processing)
    [order] = await world.books(refund.number)
    assert order["submissions"] == 2
    assert isinstance(await world.final(refund), Succeeded)


@with_refunds
async def test_a_refund_may_fail_later(world: World) -> None:
    refund = await world.refund()
    reason, failure, code = REFUNDS_FAIL[world.name]
    await world.fault("decline", code=reason, when="final", match={"operation": "refund"})
    assert isinstance(await do(world.adapter, refund), Processing)
    outcome = await world.final(refund)
    assert isinstance(outcome, Declined)
    assert (outcome.code, outcome.channel_code) == (failure, code)
    anew = replace(refund, number=uuid4().hex)
    assert isinstance(await do(world.adapter, anew), (Processing, Succeeded))
    assert isinstance(await world.final(anew), Succeeded)


@with_refunds_called_back
async def test_a_refund_is_called_back_as_a_refund_and_by_its_own_number(world: World) -> None:
    refund = await world.refund(400)
    await do(world.adapter, refund)
    callback = callbacks_of(world.adapter).read(await asyncio.wait_for(world.callbacks.get(), IN_TIME_S))
    assert (callback.number, callback.verb) == (refund.number, Verb.REFUND)
    assert isinstance(callback.outcome, Succeeded)
    assert callback.outcome.amount == 400


# Callbacks


async def paid_and_called_back(world: World) -> tuple[Pay, CallbackRequest]:
    payment = await world.payment()
    await do(world.adapter, payment)
    return payment, await asyncio.wait_for(world.callbacks.get(), IN_TIME_S)


@with_callbacks
async def test_a_callback_tells_success_and_the_amount(world: World) -> None:
    payment, request = await paid_and_called_back(world)
    callback = callbacks_of(world.adapter).read(request)
    assert (callback.number, callback.verb) == (payment.number, Verb.PAY)
    assert isinstance(callback.outcome, Succeeded)
    assert callback.outcome.amount == AMOUNT


@with_callbacks
async def test_a_callback_of_another_amount_is_reported_as_stated(world: World) -> None:
    await world.fault("wrong_amount_callback")
    _, request = await paid_and_called_back(world)
    outcome = callbacks_of(world.adapter).read(request).outcome
    assert isinstance(outcome, Succeeded)
    assert outcome.amount == AMOUNT + 1


@pytest.mark.parametrize("fault", ["corrupt_callback", "forge_callback"])
@with_callbacks
async def test_an_altered_or_forged_callback_is_rejected(world: World, fault: str) -> None:
    await world.fault(fault)
    _, request = await paid_and_called_back(world)
    with pytest.raises(CallbackRejectedError):
        callbacks_of(world.adapter).read(request)


@with_callbacks
async def test_a_callback_sent_twice_reads_the_same(world: World) -> None:
    await world.fault("duplicate_callback")
    _, first = await paid_and_called_back(world)
    second = await asyncio.wait_for(world.callbacks.get(), IN_TIME_S)
    assert callbacks_of(world.adapter).read(first) == callbacks_of(world.adapter).read(second)


@pytest.mark.parametrize("world", ["unionpay"], indirect=True)
async def test_a_failure_is_called_back_as_a_decline(world: World) -> None:
    await world.fault("decline", code=BALANCE_SHORT[world.name], when="final", match={"operation": "pay"})
    _, request = await paid_and_called_back(world)
    outcome = callbacks_of(world.adapter).read(request).outcome
    assert isinstance(outcome, Declined)
    failure, _ = FAILED_LATER.get(world.name, (FailureCode.INSUFFICIENT_BALANCE, ""))
    assert outcome.code is failure


@pytest.mark.parametrize("world", ["unionpay"], indirect=True)
async def test_the_psps_own_answer_sent_to_our_callback_address_makes_nothing_final(world: World) -> None:
    heard: list[bytes] = []

    async def listening(request: httpx.Request) -> httpx.Response:
        answer = await world.transport(request)
        heard.append(answer.content)
        return answer

    adapter = build(world.account, listening)
    payment = await world.payment()
    assert isinstance(await do(adapter, payment), Processing)
    accepted = callbacks_of(world.adapter).read(as_form(heard[-1].decode()))
    assert (accepted.number, type(accepted.outcome)) == (payment.number, Processing)
    assert isinstance(await do(adapter, payment), Unknown)
    duplicate = callbacks_of(world.adapter).read(as_form(heard[-1].decode()))
    assert isinstance(duplicate.outcome, Unknown)
    await world.final(payment)
    assert isinstance(await do(adapter, its_question(payment)), Succeeded)
    with pytest.raises(CallbackRejectedError):
        callbacks_of(world.adapter).read(as_form(heard[-1].decode()))


@pytest.mark.parametrize("world", ["unionpay"], indirect=True)
async def test_a_refusal_that_a_stranger_provoked_with_our_order_number_is_no_callback(world: World) -> None:
    heard: list[bytes] = []

    async def altering(request: httpx.Request) -> httpx.Response:
        content = request.content.replace(b"txnAmt=12345", b"txnAmt=12346")
        altered = httpx.Request("POST", request.url, headers=FORM, content=content, extensions=request.extensions)
        answer = await world.transport(altered)
        heard.append(answer.content)
        return answer

    payment = await world.payment()
    await do(build(world.account, altering), payment)
    assert b"&respCode=11&" in heard[0]
    assert isinstance(callbacks_of(world.adapter).read(as_form(heard[0].decode())).outcome, Unknown)


# The catalogue


async def test_the_catalogue_says_what_each_protocol_can_do(world: World) -> None:
    declaration = offer_of(world.name).declaration
    assert declaration.provider == world.name
    assert set(world.adapter.commands) == offer_of(world.name).commands
    assert (world.adapter.callbacks is not None) == (world.name in CALLS_BACK)
    terms = {product: replace(said, answer_timeout_s=5.0) for product, said in declaration.terms.items()}
    assert world.adapter.declaration == replace(declaration, terms=terms)


async def test_the_catalogue_refuses_what_it_does_not_know(world: World) -> None:
    with pytest.raises(AccountError, match=r"sandbox-.*provider"):
        build(replace(world.account, provider="nopay"), world.transport)
