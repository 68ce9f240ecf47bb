"""LianLian's quick pay: the contract suite on respx, and what only its protocol has.

Not tested here: sockets and a PSP with a memory of its own (`test_on_sandbox`, `test_lianlian_on_sandbox`), and the
real LianLian, whose answers to a second request under one number are not public.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest

from adapters.account import AccountError, account_settings
from adapters.lianlian import LianLian, codes
from adapters.lianlian.answers import Answer, read_code, read_payment, read_signing, read_unbinding
from adapters.lianlian.letter import name_of_user
from gateway.catalogue_file import read_catalogue
from gateway.domain.failures import FailureCode as F
from gateway.domain.identities import IdType
from gateway.domain.outcomes import (
    AnyOutcome,
    Authenticated,
    CodeSent,
    Declined,
    NotFound,
    Outcome,
    Processing,
    SmsNeeded,
    Succeeded,
    Unbound,
    Unknown,
)
from gateway.domain.scenes import Scene
from gateway.domain.terms import OwnTerms, Product
from gateway.ports import (
    CallbackReader,
    CallbackRejectedError,
    CallbackRequest,
    Command,
    Pay,
    Provider,
    Refund,
    SendSigningCode,
)
from tests.adapters.case import a_payout, a_signing, a_signing_code, an_unbinding, sent
from tests.adapters.contract import (
    AGREEMENT_NO,
    AMOUNT,
    CARD,
    LATER,
    NUMBER,
    OTHER_NUMBER,
    SMS_CODE,
    Contract,
    Psp,
    Wire,
    a_payment,
    callbacks_of,
    do,
    is_unknown,
    its_question,
)
from tests.adapters.lianlian_case import (
    IN_PROCESS,
    NO_FINAL_WORD,
    REFUSALS,
    SAYS_NOTHING,
    STRANGER,
    TOKEN,
    LianLianCase,
    a_notice,
    as_json,
    notice,
    signed,
)

CASE = LianLianCase()
PAYMENT = a_payment(Scene.QUICK_CHARGE)
BY_CARD = replace(PAYMENT, agreement_no=None)
BY_CODE = replace(PAYMENT, sms_code=SMS_CODE, continuation=TOKEN)
QUESTION = its_question(Scene.QUICK_CHARGE)


class TestLianLian(Contract):
    case = CASE

    async def test_the_same_command_twice_is_the_same_order_on_the_wire(self, sends: type[Command[Any]]) -> None:
        """By what is inside: it is encrypted under keys that are new each time."""
        adapter, wire = self.adapter(self.case.processing)
        await do(adapter, sent(sends, self.scene))
        await do(adapter, sent(sends, self.scene))
        first, second = wire.sent
        assert CASE.checked(first) == CASE.checked(second)
        assert (first.content != second.content) is (sends is not Refund)


def adapter(psp: Psp = CASE.processing, settings: Mapping[str, object] | None = None) -> tuple[Provider, Wire]:
    wire, account = Wire(psp), CASE.account()
    return CASE.build(replace(account, settings={**account.settings, **(settings or {})}), wire), wire


async def told(command: Command[Any], psp: Psp, declines: Mapping[str, str] | None = None) -> Any:
    """What the adapter makes of an answer."""
    return await do(adapter(psp, {"declines": declines or {}})[0], command)


def telling(code: str, **more: str) -> Psp:
    """LianLian answers everything so, and signs it."""
    return lambda request: CASE.told(request, code, **more)


def refusing(code: str) -> Psp:
    """LianLian refuses everything so, as it does: without a signature."""
    return partial(CASE.refused, code=code)


async def said(command: Command[Any]) -> dict[str, str]:
    """What a command says, without the signature."""
    provider, wire = adapter()
    await do(provider, command)
    fields = CASE.checked(wire.sent[0])
    return {name: value for name, value in fields.items() if name != "sign"}


# What goes out


async def test_a_payment_with_an_agreement_says_this_and_nothing_of_the_card() -> None:
    fields = await said(PAYMENT)
    risk = json.loads(fields.pop("risk_item"))
    assert fields == {
        "oid_partner": "201304121000001004",
        "sign_type": "RSA",
        "no_order": NUMBER,
        "dt_order": "20260302003015",
        "no_agree": AGREEMENT_NO,
        "user_id": "user-1",
        "busi_partner": "101001",
        "name_goods": "还款 March",
        "money_order": "123.45",
        "notify_url": PAYMENT.notify_url,
        "valid_order": "30",
        "pay_type": "2",
    }
    assert risk == {
        "frms_ware_category": "2010",
        "frms_client_chnl": "16",
        "user_info_mercht_userno": "user-1",
        "user_info_bind_phone": CARD.phone,
        "goods_name": "还款 March",
    }


async def test_a_payment_without_an_agreement_says_the_card() -> None:
    with_agreement, by_card = await said(PAYMENT), await said(BY_CARD)
    assert by_card.keys() - with_agreement.keys() == {"card_no", "acct_name", "bind_mob", "id_type", "id_no"}
    assert with_agreement.keys() - by_card.keys() == {"no_agree"}


async def test_card_data_goes_out_encrypted_alone() -> None:
    for command in (BY_CARD, a_signing_code()):
        provider, wire = adapter()
        await do(provider, command)
        text = wire.sent[0].content.decode()
        assert not any(secret in text for secret in (CARD.card_no, CARD.id_no, CARD.phone, CARD.holder_name))


async def test_the_code_goes_with_its_token_and_the_amount() -> None:
    assert await said(BY_CODE) == {
        "oid_partner": "201304121000001004",
        "sign_type": "RSA",
        "no_order": NUMBER,
        "money_order": "123.45",
        "token": TOKEN,
        "verify_code": SMS_CODE,
    }


async def test_each_call_has_its_own_address_in_production() -> None:
    hosts = ("mpayapi", "queryapi", "traderapi", "paymentapi")
    addresses = {f"{name}_url": f"https://{name}.example.com" for name in hosts}
    account = CASE.account()
    settings = {name: value for name, value in account.settings.items() if name != "base_url"} | addresses
    wire = Wire(lambda request: httpx.Response(500))
    provider = CASE.build(replace(account, settings=settings), wire)
    for command in (PAYMENT, QUESTION, an_unbinding(), a_payout()):
        await do(provider, command)
    assert [str(request.url) for request in wire.sent] == [
        "https://mpayapi.example.com/v1/bankcardprepay",
        "https://queryapi.example.com/orderquery.htm",
        "https://traderapi.example.com/bankcardunbind.htm",
        "https://paymentapi.example.com/payment.htm",
    ]


@pytest.mark.parametrize("user_id", ["用户", "u" * 33, "a b", "u|1", "user@example.com", "\ud800", "é"])
def test_a_user_id_that_does_not_fit_is_a_digest_and_always_the_same(user_id: str) -> None:
    sent_as = name_of_user(user_id)
    assert sent_as == name_of_user(user_id) != name_of_user(f"{user_id}x")
    assert len(sent_as) == 32
    assert sent_as.isascii()
    assert sent_as.isalnum()
    assert name_of_user("user_1-A") == "user_1-A"


@pytest.mark.parametrize("description", ["", "  ", "长" * 100])
async def test_goods_always_have_a_name_that_fits(description: str) -> None:
    goods = (await said(replace(PAYMENT, description=description)))["name_goods"]
    assert 0 < len(goods) <= 40


async def test_what_the_protocol_cannot_say_is_declined_and_never_sent() -> None:
    provider, wire = adapter()
    passport = replace(CARD, id_type=IdType.PASSPORT)
    for command, code in (
        (replace(BY_CARD, card=passport), F.CARD_UNSUPPORTED),
        (replace(a_signing_code(), card=passport), F.CARD_UNSUPPORTED),
        (replace(BY_CARD, card=replace(CARD, holder_name="\ud800")), F.CARD_UNSUPPORTED),
        (replace(PAYMENT, description="\ud800"), F.CARD_UNSUPPORTED),
        (replace(PAYMENT, scene=Scene.WITHHOLD), F.CARD_UNSUPPORTED),
        (replace(PAYMENT, notify_url="https://example.com/" + "x" * 109), F.CHANNEL_REFUSED),
        (replace(BY_CODE, continuation=None), F.SMS_CODE_EXPIRED),
        (a_signing(None), F.SMS_CODE_EXPIRED),
    ):
        outcome = await do(provider, command)
        assert isinstance(outcome, Declined)
        assert outcome.code is code
    assert wire.sent == []


async def test_whoever_has_an_agreement_pays_whatever_paper_it_was_made_with() -> None:
    passport = replace(PAYMENT, card=replace(CARD, id_type=IdType.PASSPORT))
    assert isinstance(await told(passport, CASE.processing), Processing)


# The code table


def test_every_code_of_the_handbook_is_a_refusal_or_known_not_to_be_one() -> None:
    others = {*IN_PROCESS, *SAYS_NOTHING, *NO_FINAL_WORD, "0000", "8888"}
    assert dict(codes.DECLINES) == REFUSALS
    assert not others & REFUSALS.keys()
    assert len(others | REFUSALS.keys()) == 140
    assert codes.KNOWN - others == {"SUCCESS", "FAILURE", "WAITING", "PROCESSING", "REFUND"}


def test_every_code_beside_money_reads_by_the_same_table() -> None:
    for code in {*REFUSALS, *IN_PROCESS, *SAYS_NOTHING, *NO_FINAL_WORD} - {"3003", "3011"}:
        for is_signed in (True, False):
            answer = Answer({"ret_code": code, "token": TOKEN, "no_agree": AGREEMENT_NO}, is_signed)
            for read in (read_code, read_signing, read_unbinding):
                outcome: AnyOutcome = read(answer, codes.DECLINES)
                meaning = outcome.code if isinstance(outcome, Declined) else None
                is_bound = read is read_signing and code in {"3009", "9913"}
                assert meaning == (None if is_bound else REFUSALS.get(code)), code
                assert isinstance(outcome, (Declined, Unknown))


# Refusals without a signature


@pytest.mark.parametrize("command", [PAYMENT, BY_CODE, a_signing_code(), a_signing(TOKEN), an_unbinding()])
async def test_a_refusal_without_a_signature_is_believed(command: Command[Any]) -> None:
    outcome = await told(command, refusing("1108"))
    assert outcome == Declined(F.ID_MISMATCH, "1108", "说明[1108]")


@pytest.mark.parametrize("command", [PAYMENT, BY_CODE, QUESTION, a_signing_code(), a_signing(TOKEN), an_unbinding()])
@pytest.mark.parametrize("code", ["0000", "8888"])
async def test_nothing_else_is_believed_without_one(command: Command[Any], code: str) -> None:
    def unsigned(request: httpx.Request) -> httpx.Response:
        fields = json.loads(
            CASE.told(request, code, token=TOKEN, no_agree=AGREEMENT_NO, settle_date="20260302").content
        )
        return as_json({name: value for name, value in fields.items() if name != "sign"} | {"result_pay": "SUCCESS"})

    assert is_unknown(await told(command, unsigned), received=False)


async def test_a_code_without_a_meaning_says_that_the_order_is_there_only_under_a_signature() -> None:
    for code in ("7654", "9990"):
        assert is_unknown(await told(PAYMENT, telling(code)), received=True)
        unsigned = await told(PAYMENT, refusing(code))
        assert is_unknown(unsigned, received=False)
    for code in ("1002", "2007", "9983"):
        assert is_unknown(await told(PAYMENT, refusing(code)), received=True)


@pytest.mark.parametrize("field", ["oid_partner", "no_order"])
@pytest.mark.parametrize("code", ["0000", "8888", "1108"])
async def test_an_answer_about_somebody_or_something_else_is_unknown(field: str, code: str) -> None:
    for command in (PAYMENT, BY_CODE, a_signing_code(), a_signing(TOKEN)):
        other = await told(command, telling(code, token=TOKEN, **{field: OTHER_NUMBER}))
        assert is_unknown(other, received=False)


async def test_a_signed_answer_that_does_not_say_what_it_is_about_is_unknown() -> None:
    def bare(request: httpx.Request) -> httpx.Response:
        return as_json(signed({"ret_code": "8888", "token": TOKEN, "sign_type": "RSA"}))

    for command in (PAYMENT, a_signing_code()):
        assert is_unknown(await told(command, bare), received=False)


# Paying


@pytest.mark.parametrize("command", [PAYMENT, BY_CODE])
async def test_handled_is_not_paid_until_something_says_so(command: Pay) -> None:
    paid = Succeeded(AMOUNT, "L1", channel_code="0000")
    for more, outcome in (
        ({}, Processing("0000", "说明[0000]", "L1")),
        ({"settle_date": "20260302"}, paid),
        ({"result_pay": "SUCCESS"}, paid),
        ({"result_pay": "PROCESSING"}, Processing("PROCESSING", "说明[0000]", "L1")),
        ({"result_pay": "FAILURE"}, Declined(F.CHANNEL_REFUSED, "FAILURE", "说明[0000]", "L1")),
    ):
        answer = await told(command, telling("0000", oid_paybill="L1", **more))
        assert answer == outcome


@pytest.mark.parametrize("amount", ["", "123,45", "-123.45", "123.456", "1e5", "１２３", "9" * 40, "0x10"])
async def test_a_success_without_a_readable_amount_is_unknown(amount: str) -> None:
    def paid(request: httpx.Request) -> httpx.Response:
        return CASE.told(request, "0000", settle_date="20260302", result_pay="SUCCESS", money_order=amount)

    for command in (PAYMENT, BY_CODE, QUESTION):
        assert is_unknown(await told(command, paid), received=True)


@pytest.mark.parametrize(("amount", "fen"), [("123.45", 12_345), ("123.4", 12_340), ("123", 12_300), ("0.07", 7)])
async def test_an_amount_is_exact_however_many_decimals_it_has(amount: str, fen: int) -> None:
    paid = await told(QUESTION, telling("0000", result_pay="SUCCESS", money_order=amount))
    assert isinstance(paid, Succeeded)
    assert paid.amount == fen


async def test_an_sms_without_a_token_leads_nowhere() -> None:
    assert is_unknown(await told(PAYMENT, lambda request: CASE.told(request, "8888")), received=True)
    assert isinstance(await told(a_signing_code(), lambda request: CASE.told(request, "8888")), Unknown)
    assert isinstance(await told(a_signing(TOKEN), lambda request: CASE.told(request, "0000")), Unknown)


async def test_a_payment_that_wants_another_code_says_so() -> None:
    again = await told(BY_CODE, telling("8888", token="another"))
    assert again == SmsNeeded("8888", "说明[8888]", sent=True, continuation="another")


# Questions


@pytest.mark.parametrize("memo", ["卡余额不足", "交易失败：账户余额不足，请充值"])
async def test_words_of_a_failure_mean_what_the_account_says(memo: str) -> None:
    def failed(request: httpx.Request) -> httpx.Response:
        fields = json.loads(CASE.state(request, "FAILURE").content)
        return as_json({**fields, "memo": memo, "card_no": "622202*********1234", "bank_name": "工商银行"})

    plain = await told(QUESTION, failed)
    assert plain == Declined(F.CHANNEL_REFUSED, "FAILURE", memo, "2026030213121201")
    explained = await told(QUESTION, failed, declines={"余额不足": "insufficient_balance"})
    assert explained == replace(plain, code=F.INSUFFICIENT_BALANCE)


async def test_numbers_in_the_words_of_a_failure_are_not_taken_for_codes() -> None:
    failed = await told(QUESTION, lambda request: CASE.state(request, "FAILURE", memo="扣款1000元失败"))
    assert isinstance(failed, Declined)
    assert failed.code is F.CHANNEL_REFUSED


async def test_words_of_an_order_that_is_paid_change_nothing() -> None:
    def paid(request: httpx.Request) -> httpx.Response:
        return as_json({**json.loads(CASE.succeeded(request).content), "memo": "余额不足"})

    assert isinstance(await told(QUESTION, paid, declines={"余额不足": "insufficient_balance"}), Succeeded)


async def test_a_lapsed_order_is_what_the_account_says() -> None:
    def closed(request: httpx.Request) -> httpx.Response:
        return CASE.state(request, "CLOSED")

    assert is_unknown(await told(QUESTION, closed), received=True)
    lapsed = await told(QUESTION, closed, declines={"CLOSED": "sms_code_expired"})
    assert isinstance(lapsed, Declined)
    assert (lapsed.code, lapsed.channel_code) == (F.SMS_CODE_EXPIRED, "CLOSED")


@pytest.mark.parametrize("code", ["1001", "1004", "5002", "9093", "9999", "6001"])
async def test_a_question_that_was_refused_says_nothing_of_the_order(code: str) -> None:
    assert is_unknown(await told(QUESTION, refusing(code)), received=False)


async def test_no_record_is_not_found_and_by_itself_never_proof() -> None:
    assert isinstance(await told(QUESTION, CASE.not_found), NotFound)
    assert LianLian.DECLARATION.terms[Product.PAYMENT].not_found is None


# The letter


@pytest.mark.parametrize(
    "content",
    [
        b'{"ret_code":"0000","ret_code":"6001"}',
        b'["ret_code","6001"]',
        b'"6001"',
        b"null",
        b'{"ret_code":6001',
        b'{"ret_code":{"a":"6001"}}',
        b"[" * 100_000,
        b'{"ret_code":"6001","x":"' + b"x" * 300_000 + b'"}',
        '{"ret_code":"6001","ret_msg":"卡余额不足"}'.encode("gbk"),
    ],
)
async def test_what_is_no_flat_json_in_utf_8_is_unknown(content: bytes) -> None:
    assert is_unknown(await told(PAYMENT, lambda request: httpx.Response(200, content=content)), received=False)


async def test_numbers_are_read_as_they_are_written_and_lists_are_left_out() -> None:
    def numbers(request: httpx.Request) -> httpx.Response:
        fields = json.loads(CASE.told(request, "0000", result_pay="SUCCESS", money_order="123.40", count="2").content)
        text = json.dumps({**fields, "agreement_list": [{"no_agree": "1"}], "nothing": None}, ensure_ascii=False)
        return httpx.Response(200, content=text.replace('"123.40"', "123.40").replace('"2"', "2").encode())

    outcome = await told(QUESTION, numbers)
    assert isinstance(outcome, Succeeded)
    assert outcome.amount == 12_340


async def test_a_signature_that_is_none_is_unknown() -> None:
    for wrong in ("", "rubbish", "AAAA", "é", "\ud800"):

        def altered(request: httpx.Request, wrong: str = wrong) -> httpx.Response:
            fields = json.loads(CASE.succeeded(request).content)
            return httpx.Response(200, content=json.dumps({**fields, "sign": wrong}).encode())

        assert is_unknown(await told(QUESTION, altered), received=False)


async def test_a_long_message_is_cut() -> None:
    refused = await told(PAYMENT, lambda request: as_json({"ret_code": "6001", "ret_msg": "长" * 5_000}))
    assert refused == Declined(F.INSUFFICIENT_BALANCE, "6001", "长" * 256)


# Notices


def reader() -> CallbackReader:
    return callbacks_of(adapter()[0])


def test_a_notice_is_answered_with_lianlians_word_of_thanks() -> None:
    answer = reader().answer(accepted=True)
    assert (answer.status, answer.content_type, json.loads(answer.body)) == (
        200,
        "application/json",
        {"ret_code": "0000", "ret_msg": "ok"},
    )
    assert json.loads(reader().answer(accepted=False).body)["ret_code"] != "0000"


@pytest.mark.parametrize(
    "change",
    [
        {"ret_code": "0000"},  # an answer
        {"result_pay": ""},
        {"no_order": "not ours!"},
        {"no_order": ""},
        {"oid_partner": ""},
        {"bank_code": "01&dt_order=1"},
    ],
)
def test_a_signed_message_that_is_no_notice_of_a_payment_is_rejected(change: dict[str, str]) -> None:
    with pytest.raises(CallbackRejectedError):
        reader().read(notice(a_notice() | change))


def test_fields_put_together_in_another_way_under_a_true_signature_are_rejected() -> None:
    true = json.loads(notice(a_notice() | {"bank_code": "01"}).body)
    merged = {**true, "bank_code": f"01&dt_order={true['dt_order']}"}
    del merged["dt_order"]
    with pytest.raises(CallbackRejectedError):
        reader().read(CallbackRequest("POST", "", {}, json.dumps(merged, ensure_ascii=False).encode()))


def test_a_notice_by_somebody_else_is_rejected() -> None:
    with pytest.raises(CallbackRejectedError):
        reader().read(notice(a_notice(), by=STRANGER))


@pytest.mark.parametrize(("state", "kind"), [("WAITING", Processing), ("REFUND", Unknown), ("NEW", Unknown)])
def test_a_notice_of_another_state_makes_nothing_final(state: str, kind: type[Outcome]) -> None:
    assert isinstance(reader().read(notice(a_notice(state=state))).outcome, kind)


# The account


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("base_url", None),
        ("base_url", "ftp://x"),
        ("queryapi_url", "nowhere"),
        ("oid_partner", None),
        ("oid_partner", "12"),
        ("ware_category", None),
        ("busi_partner", "1"),
        ("risk_item", "frms_client_chnl"),
        ("risk_item", {"frms_client_chnl": 16}),
        ("declines", ["6001"]),
        ("declines", {"0000": "card_invalid"}),
        ("declines", {"8901": "card_invalid"}),
        ("declines", {"SUCCESS": "card_invalid"}),
        ("declines", {"2005": "card_invalid"}),
        ("declines", {"足": "card_invalid"}),
        ("declines", {"7654": "no_such_code"}),
        ("assumed", "short_risk_item"),
        ("assumed", ["no_such_name"]),
    ],
)
def test_a_wrong_setting_is_named(field: str, value: object) -> None:
    with pytest.raises(AccountError, match=rf"lianlian-first: {field}"):
        adapter(settings={field: value})


@pytest.mark.parametrize("name", ["merchant_private_key", "psp_public_key"])
def test_a_missing_or_wrong_secret_is_named_and_not_shown(name: str) -> None:
    account = CASE.account()
    for value in ("", "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----"):
        with pytest.raises(AccountError, match=name) as refused:
            CASE.build(replace(account, secrets={**account.secrets, name: value}), Wire(CASE.processing))
        assert "c2VjcmV0" not in str(refused.value)


def test_the_account_in_the_documentation_is_one_that_can_be_used(tmp_path: Path) -> None:
    catalogue = (Path(__file__).parents[2] / "docs/catalogue.md").read_text(encoding="utf-8")
    [settings] = re.findall(r"```toml\n([^`]*mpayapi_url.*?)```", catalogue, re.DOTALL)
    file = tmp_path / "catalogue.toml"
    head = """
        [[merchants]]
        code = "shop"
        name = "商店"
        [[merchants.accounts]]
        code = "ll"
        provider = "lianlian"
    """
    file.write_text(head + settings, encoding="utf-8")
    (tmp_path / "merchant.key.pem").write_text(CASE.account().secrets["merchant_private_key"])
    (tmp_path / "lianlian.pub.pem").write_text(CASE.account().secrets["psp_public_key"])
    [account] = read_catalogue(file, {}).merchants[0].accounts
    provider = LianLian(account_settings(account), Wire(CASE.processing), lambda: LATER)
    assert set(provider.commands) == set(LianLian.COMMANDS)


def test_without_its_assumptions_it_only_asks_and_ends() -> None:
    commands = adapter(settings={"assumed": []})[0].commands
    assert not {Pay, SendSigningCode} & commands.keys()
    assert {type(QUESTION), type(an_unbinding())} <= commands.keys()
    assert not {Pay, SendSigningCode} & adapter(settings={"assumed": ["short_risk_item"]})[0].commands.keys()


async def test_an_account_may_explain_a_code_of_its_own() -> None:
    outcome = await told(PAYMENT, refusing("7654"), declines={"7654": "risk_rejected"})
    assert outcome == Declined(F.RISK_REJECTED, "7654", "说明[7654]")


async def test_each_product_waits_for_an_answer_as_long_as_its_own_terms_say() -> None:
    own = {Product.PAYMENT: OwnTerms(answer_timeout_s=7.0), Product.AUTHENTICATION: OwnTerms(answer_timeout_s=9.0)}
    wire = Wire(CASE.processing)
    provider = CASE.build(replace(CASE.account(), terms=own), wire)
    for command in (PAYMENT, BY_CODE, QUESTION, a_signing_code(), a_signing(TOKEN), an_unbinding()):
        await do(provider, command)
    assert [request.extensions["timeout"]["read"] for request in wire.sent] == [7.0, 7.0, 7.0, 9.0, 9.0, 9.0]


async def test_outcomes_show_neither_token_nor_agreement() -> None:
    shown = [
        repr(await told(PAYMENT, CASE.sms_needed)),
        repr(await told(a_signing_code(), CASE.code_sent)),
        repr(await told(a_signing(TOKEN), CASE.open_binding)),
        repr(await told(an_unbinding(), CASE.unbound)),
    ]
    assert [text.partition("(")[0] for text in shown] == [
        kind.__name__ for kind in (SmsNeeded, CodeSent, Authenticated, Unbound)
    ]
    assert not any(secret in text for text in shown for secret in (TOKEN, AGREEMENT_NO))


def test_a_payments_answer_of_any_code_is_an_outcome_of_a_payment() -> None:
    for code in {*REFUSALS, *IN_PROCESS, *SAYS_NOTHING, *NO_FINAL_WORD, "8888", "0000"}:
        answer = Answer({"ret_code": code, "token": TOKEN}, is_signed=True)
        assert isinstance(read_payment(answer, codes.DECLINES), get_args(Outcome))
