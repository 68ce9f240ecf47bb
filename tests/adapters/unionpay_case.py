"""UnionPay as the contract suite meets it: its own reader and signer of ACP 5.1.0 messages."""

import base64
import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlencode

import httpx
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from adapters.unionpay import UnionPay
from gateway.domain.failures import FailureCode as F
from gateway.domain.intents import Verb
from gateway.domain.outcomes import (
    Authenticated,
    Closed,
    CodeSent,
    Processing,
    SmsNeeded,
    Succeeded,
    Unbound,
    Unknown,
)
from gateway.domain.scenes import Scene
from gateway.ports import (
    AccountSettings,
    AskPayment,
    AskPayout,
    AskRefund,
    Authenticate,
    CallbackRequest,
    Command,
    Pay,
    Payout,
    Refund,
    SendPaymentCode,
    SendSigningCode,
    Sign,
    Unbind,
)
from tests.adapters.certificates import Identity, identity
from tests.adapters.contract import (
    AGREEMENT_NO,
    AMOUNT,
    CARD,
    NOTIFY_URL,
    NUMBER,
    OTHER_NUMBER,
    PERSON,
    TRANSACTION_NO,
    Case,
    Meaning,
    OnTheWire,
)

SIGNER_CN = "00040000:SIGN"
TR_ID = "62000000001"
MER_IDS = {"first": "777290058110048", "second": "777290058110097"}

ROOT = identity("Test root")
MIDDLE = identity("Test middle", ROOT)
PSP = identity(f"041@Z12@{SIGNER_CN}", MIDDLE)
MERCHANT = identity("041@Z2026@merchant:SIGN", MIDDLE)

REFUSALS: dict[str, Meaning] = {
    "01": F.CHANNEL_REFUSED,
    "02": F.CHANNEL_UNAVAILABLE,
    "10": F.CHANNEL_REFUSED,
    "11": F.CHANNEL_REFUSED,
    "13": F.CHANNEL_REFUSED,
    "14": F.CHANNEL_REFUSED,
    "30": F.RISK_REJECTED,
    "31": F.CHANNEL_REFUSED,
    "32": F.CHANNEL_REFUSED,
    "33": F.CHANNEL_LIMIT_EXCEEDED,
    "37": F.TOO_MANY_TRIES,
    "38": F.RISK_REJECTED,
    "39": F.CHANNEL_UNAVAILABLE,
    "40": F.AGREEMENT_VOID,
    "60": F.RISK_REJECTED,
    "61": F.CARD_INVALID,
    "62": F.CARD_UNSUPPORTED,
    "63": F.CARD_FROZEN,
    "64": F.INSUFFICIENT_BALANCE,
    "65": F.CARD_INVALID,
    "66": F.ID_MISMATCH,
    "67": F.TOO_MANY_TRIES,
    "68": F.CARD_UNSUPPORTED,
    "69": F.SMS_CODE_EXPIRED,
    "71": F.SMS_CODE_WRONG,
    "72": F.AGREEMENT_VOID,
    "73": F.CARD_EXPIRED,
    "76": F.CARD_UNSUPPORTED,
    "77": F.AGREEMENT_VOID,
    "78": F.RISK_REJECTED,
    "79": F.CARD_UNSUPPORTED,
    "80": F.AGREEMENT_VOID,
    "99": F.CHANNEL_REFUSED,
}
REFUSALS_OF_REFUNDS: dict[str, Meaning] = {
    **dict.fromkeys(("01", "10", "11", "13", "14", "31", "32", "35", "36", "45", "99"), F.CHANNEL_REFUSED),
    **dict.fromkeys(("40", "65", "66", "67", "69", "71", "72", "76", "77", "79", "80"), F.CHANNEL_REFUSED),
    **dict.fromkeys(("02", "37", "39"), F.CHANNEL_UNAVAILABLE),
    **dict.fromkeys(("30", "38", "60", "78"), F.RISK_REJECTED),
    "33": F.CHANNEL_LIMIT_EXCEEDED,
    "61": F.CARD_INVALID,
    "62": F.CARD_UNSUPPORTED,
    "63": F.CARD_FROZEN,
    "64": F.MERCHANT_BALANCE_SHORT,
    "68": F.CARD_UNSUPPORTED,
    "73": F.CARD_EXPIRED,
}
REFUSALS_OF_PAYOUTS: dict[str, Meaning] = {
    **dict.fromkeys(("10", "11", "13", "14", "31", "32", "99"), F.CHANNEL_REFUSED),
    **dict.fromkeys(("40", "67", "69", "71", "72", "76", "77", "79", "80"), F.CHANNEL_REFUSED),
    **dict.fromkeys(("02", "37", "39"), F.CHANNEL_UNAVAILABLE),
    **dict.fromkeys(("30", "38", "78"), F.RISK_REJECTED),
    **dict.fromkeys(("61", "63", "65", "66", "73"), F.PAYEE_INVALID),
    **dict.fromkeys(("62", "68"), F.CARD_UNSUPPORTED),
    "33": F.CHANNEL_LIMIT_EXCEEDED,
    "64": F.MERCHANT_BALANCE_SHORT,
    **dict.fromkeys(("01", "60"), Unknown),
}
MONEY_MAY_HAVE_MOVED: dict[str, Meaning] = dict.fromkeys(
    ("12", "34", "35", "36", "41", "42", "45", "74", "75", "98"), Unknown
)

ACCEPTED: dict[str, Meaning] = {
    **dict.fromkeys(("00", "A6", "05", "70"), Processing),
    **dict.fromkeys(("03", "04"), Unknown),
}
STATES: dict[str, Meaning] = {
    **dict.fromkeys(("00", "A6"), Succeeded),
    **dict.fromkeys(("03", "04", "05", "70"), Processing),
}

# While an order is on the page its payer may try again: no refusal is final. 42 was paid too late, and goes back.
STATES_ON_PAGES: dict[str, Meaning] = {
    **dict.fromkeys(REFUSALS, Processing),
    **MONEY_MAY_HAVE_MOVED,
    **STATES,
    "42": Closed,
}

# Openings, SMS and deletions are final at once: what is no success is refused or unknown.
OPENED_OR_NOT: dict[str, Meaning] = {
    **REFUSALS,
    **MONEY_MAY_HAVE_MOVED,
    **dict.fromkeys(("03", "04", "05", "70"), Unknown),
}
WITHOUT_CODE: dict[str, Meaning] = {**OPENED_OR_NOT, "69": F.CHANNEL_REFUSED, "71": F.CHANNEL_REFUSED}
SENT_OR_NOT: dict[str, Meaning] = {**WITHOUT_CODE, "00": CodeSent, "A6": CodeSent}

Fields = dict[str, str]

ON_PAGE = ("01", "01", "000201")
BEIJING = timezone(timedelta(hours=8))
FULL_WIDTH = str.maketrans("＆＝｛｝【】“‘", "&={}[]\"'")
"""How UnionPay's demos write what would separate inside of `{k=v}`: to a payer's eyes it is the same."""


def digest(fields: Mapping[str, str], charset: str = "utf-8") -> bytes:
    text = "&".join(f"{key}={value}" for key, value in sorted(fields.items()) if key != "signature" and value != "")
    return hashlib.sha256(text.encode(charset)).hexdigest().encode()


def signed(fields: Mapping[str, str], by: Identity = PSP, charset: str = "utf-8") -> Fields:
    whole = {**fields, "signPubKeyCert": by.pem}
    signature = by.key.sign(digest(whole, charset), padding.PKCS1v15(), hashes.SHA256())
    return {**whole, "signature": base64.b64encode(signature).decode()}


def pairs(braced: str) -> Fields:
    """`{k=v&k=v}`."""
    assert (braced[0], braced[-1]) == ("{", "}")
    return {name: value for name, _, value in (pair.partition("=") for pair in braced[1:-1].split("&"))}


def customer_of(fields: Mapping[str, str]) -> Fields:
    """customerInfo, opened; empty where there is none."""
    text = base64.b64decode(fields.get("customerInfo", "")).decode()
    return pairs(text) if text else {}


def text_of(fields: Mapping[str, str]) -> httpx.Response:
    return httpx.Response(200, content="&".join(f"{key}={value}" for key, value in fields.items()).encode())


def notification(
    fields: Mapping[str, str], by: Identity = PSP, charset: str = "utf-8", query: str = ""
) -> CallbackRequest:
    body = urlencode(signed(fields, by, charset), encoding=charset).encode()
    return CallbackRequest("POST", query, {"content-type": "application/x-www-form-urlencoded"}, body)


def as_form(answer: str) -> CallbackRequest:
    """An answer's very fields and signature as a form, which is how somebody would send it to our callback address."""
    head, _, rest = answer.partition("&signPubKeyCert=")
    pem, _, signature = rest.partition("&signature=")
    fields = dict(pair.split("=", 1) for pair in head.split("&"))
    body = urlencode({**fields, "signPubKeyCert": pem, "signature": signature}).encode()
    return CallbackRequest("POST", "", {"content-type": "application/x-www-form-urlencoded"}, body)


class UnionPayCase(Case):
    adapter = UnionPay
    scenes = (Scene.WITHHOLD, Scene.QUICK_CHARGE, Scene.NETBANK_CHARGE)
    codes_on_pages = STATES_ON_PAGES
    codes: ClassVar[Mapping[type[Command[Any]], Mapping[str, Meaning]]] = {
        Pay: {**REFUSALS, **MONEY_MAY_HAVE_MOVED, **ACCEPTED},
        AskPayment: {**REFUSALS, **MONEY_MAY_HAVE_MOVED, **STATES},
        Refund: {**MONEY_MAY_HAVE_MOVED, **REFUSALS_OF_REFUNDS, **ACCEPTED},
        AskRefund: {**MONEY_MAY_HAVE_MOVED, **REFUSALS_OF_REFUNDS, **STATES},
        Payout: {**MONEY_MAY_HAVE_MOVED, **REFUSALS_OF_PAYOUTS, **ACCEPTED},
        AskPayout: {**MONEY_MAY_HAVE_MOVED, **REFUSALS_OF_PAYOUTS, **STATES},
        Authenticate: {**OPENED_OR_NOT, "71": SmsNeeded},
        Sign: {**OPENED_OR_NOT, "00": Authenticated, "A6": Authenticated},
        SendSigningCode: SENT_OR_NOT,
        SendPaymentCode: SENT_OR_NOT,
        Unbind: {**WITHOUT_CODE, **dict.fromkeys(("00", "A6", "40", "72", "77", "80"), Unbound)},
    }
    unmapped_code = "Z9"
    duplicates = ("12",)
    not_received: ClassVar[Mapping[type[Command[Any]], frozenset[str]]] = dict.fromkeys(
        (Pay, Refund, Payout), frozenset({"03", "04"})
    )
    calls_back = frozenset({Verb.PAY, Verb.REFUND, Verb.PAYOUT})

    def account(self, merchant: str = "first") -> AccountSettings:
        settings = {
            "base_url": "https://unionpay.test/unionpay",
            "mer_id": MER_IDS[merchant],
            "tr_id": TR_ID,
            "signer_cn": SIGNER_CN,
            "assumed": ["one_order_for_sms", "form_again", "payout_codes"],
            "bank_pages": {"ICBC": "ICBC"},
        }
        secrets = {
            "merchant_private_key": MERCHANT.key_pem,
            "merchant_certificate": MERCHANT.pem,
            "root_certificate": ROOT.pem,
            "middle_certificate": MIDDLE.pem,
        }
        return AccountSettings(f"unionpay-{merchant}", "unionpay", settings, secrets)

    def read(self, request: httpx.Request) -> OnTheWire:
        fields = self.checked(request)
        return OnTheWire(fields["orderId"], int(fields["txnAmt"]) if "txnAmt" in fields else None)

    def checked(self, request: httpx.Request) -> Fields:
        assert request.method == "POST"
        fields = dict(parse_qsl(request.content.decode("ascii"), strict_parsing=True))
        MERCHANT.key.public_key().verify(
            base64.b64decode(fields["signature"]), digest(fields), padding.PKCS1v15(), hashes.SHA256()
        )
        assert fields["certId"] == str(MERCHANT.certificate.serial_number)
        assert fields["txnTime"] == "20260302003015"
        kind = (fields["txnType"], fields["txnSubType"], fields["bizType"])
        path = "queryTrans.do" if kind[0] == "00" else "frontTransReq.do" if kind == ON_PAGE else "backTransReq.do"
        assert request.url.path == f"/unionpay/gateway/api/{path}"
        common = {"version": "5.1.0", "encoding": "UTF-8", "signMethod": "01", "accessType": "0", "channelType": "07"}
        assert common.items() <= fields.items()
        if kind == ("77", "02", "000902"):
            assert fields["currencyCode"] == "156"
        assert ("backUrl" in fields) == (kind[0] in {"01", "11", "04", "12"})
        if kind in {("01", "01", "000902"), ("11", "00", "000501")}:
            assert (fields["currencyCode"], fields["backUrl"]) == ("156", NOTIFY_URL)
        if kind == ON_PAGE:
            assert fields["currencyCode"] == "156"
        assert ("frontUrl" in fields, "payTimeout" in fields) == (kind == ON_PAGE,) * 2
        if kind[:2] == ("04", "00"):
            assert kind[2] in {"000902", "000501", "000201"}
            assert (fields["currencyCode"], fields["backUrl"]) == ("156", NOTIFY_URL)
            assert fields["origQryId"] == TRANSACTION_NO
            assert not {"accNo", "accType", "customerInfo", "tokenPayData"}.intersection(fields)
        if kind[0] == "12":
            assert kind == ("12", "00", "000401")
            assert (fields["currencyCode"], fields["backUrl"], fields["accType"]) == ("156", NOTIFY_URL, "01")
            assert fields["accNo"] == PERSON.account_no
            assert customer_of(fields).keys() == {"customerNm"}
            return fields
        about = "" if kind == ON_PAGE else kind[0] + kind[1]  # the page asks the payer for everything
        wanted = self.sensitive(about, customer_of(fields).get("smsCode"))
        assert {name: fields.get(name) for name in ("accNo", "tokenPayData")} == {
            name: wanted.get(name) for name in ("accNo", "tokenPayData")
        }
        assert customer_of(fields) == wanted["customer"]
        return fields

    def sensitive(self, kind: str, sms_code: str | None) -> dict[str, Any]:
        """What a transaction of this type and subtype says of the card, the token and the payer."""
        typed = {} if sms_code is None else {"smsCode": sms_code}
        holder = {"certifTp": "01", "certifId": CARD.id_no, "customerNm": CARD.holder_name, "phoneNo": CARD.phone}
        apply, use = f"{{trId={TR_ID}&tokenType=01}}", f"{{token={AGREEMENT_NO}&trId={TR_ID}}}"
        said: dict[str, dict[str, Any]] = {
            "7900": {"accNo": CARD.card_no, "customer": holder | typed, "tokenPayData": apply},
            "1100": {"accNo": CARD.card_no, "customer": holder},
            "7700": {"accNo": CARD.card_no, "customer": {"phoneNo": CARD.phone}},
            "7702": {"customer": {"phoneNo": CARD.phone}, "tokenPayData": use},
            "0101": {"customer": typed, "tokenPayData": use},
            "7401": {"customer": {}, "tokenPayData": use},
        }
        return said.get(kind, {"customer": {}})

    def expiry_told(self, request: httpx.Request) -> datetime:
        told = datetime.strptime(self.checked(request)["payTimeout"], "%Y%m%d%H%M%S")  # noqa: DTZ007
        return told.replace(tzinfo=BEIJING)

    def text_told(self, request: httpx.Request) -> str:
        risk = self.checked(request).get("riskRateInfo", "{commodityName=}")
        return pairs(risk)["commodityName"].translate(FULL_WIDTH)

    def bank_told(self, request: httpx.Request) -> str | None:
        return self.checked(request).get("issInsCode")

    def addresses_told(self, request: httpx.Request) -> tuple[str, str]:
        fields = self.checked(request)
        return fields["backUrl"], fields["frontUrl"]

    def copies(self, number: str, amount: int) -> Mapping[str, CallbackRequest]:
        paid = a_pages_notice(number, amount)
        # Which of them brings the card's number is the merchant's setting.
        return {"browser": notification(paid | {"accNo": "622202******1234"}), "server": notification(paid)}

    def answer(self, request: httpx.Request, code: str) -> httpx.Response:
        asked = self.checked(request)
        if asked["txnType"] == "00":
            settled = {"txnAmt": str(AMOUNT), "settleAmt": str(AMOUNT)}
            return self._reply(request, "00", origRespCode=code, origRespMsg="说明", queryId="Q1", **settled)
        if asked["txnType"] == "79" and code in {"00", "A6"}:
            return self.open_binding(request, code)
        # Whether the real one echoes the amount is not public: here it does, which is the harder case.
        echoed = {name: asked[name] for name in ("txnAmt", "currencyCode") if name in asked}
        return self._reply(request, code, queryId="Q1", **echoed)

    def processing(self, request: httpx.Request) -> httpx.Response:
        return self.answer(request, "05")

    def succeeded(self, request: httpx.Request, amount: int = AMOUNT) -> httpx.Response:
        paid = {"txnAmt": str(amount), "currencyCode": "156", "settleAmt": str(amount)}
        return self._reply(request, "00", origRespCode="00", queryId="Q1", **paid)

    def not_found(self, request: httpx.Request) -> httpx.Response:
        return self._reply(request, "34")

    def query_failed(self, request: httpx.Request) -> httpx.Response:
        return self._reply(request, "02")

    def unsigned(self, response: httpx.Response) -> httpx.Response:
        head, _, rest = response.text.partition("&signPubKeyCert=")
        assert rest
        fields = dict(pair.split("=", 1) for pair in head.split("&"))
        return text_of(signed(fields, by=MERCHANT))

    def of_another_order(self, request: httpx.Request) -> httpx.Response:
        return self._reply(request, "00", origRespCode="00", txnAmt=str(AMOUNT), orderId=OTHER_NUMBER)

    def callback(self, verb: Verb, number: str, amount: int, code: str | None = None) -> CallbackRequest:
        notices = {Verb.PAY: a_notice, Verb.REFUND: a_refunds_notice, Verb.PAYOUT: a_payouts_notice}
        return notification(notices[verb](number, amount, code or "00"))

    def as_callback(self, answer: httpx.Response) -> CallbackRequest:
        return as_form(answer.text)

    def open_binding(self, request: httpx.Request, code: str = "00") -> httpx.Response:
        token = f"{{token={AGREEMENT_NO}&trId={TR_ID}&tokenLevel=40&tokenType=01}}"
        return self._reply(request, code, tokenPayData=token)

    def no_binding(self, request: httpx.Request) -> httpx.Response:
        return self._reply(request, "34")

    def sms_needed(self, request: httpx.Request) -> httpx.Response:
        return self._reply(request, "71")

    def code_sent(self, request: httpx.Request) -> httpx.Response:
        return self._reply(request, "00")

    def wrong_code(self, request: httpx.Request) -> httpx.Response:
        return self._reply(request, "71")

    def expired_code(self, request: httpx.Request) -> httpx.Response:
        return self._reply(request, "69")

    def unbound(self, request: httpx.Request) -> httpx.Response:
        return self._reply(request, "00")

    def unbound_before(self, request: httpx.Request) -> httpx.Response:
        return self._reply(request, "80")

    def typed(self, request: httpx.Request) -> str | None:
        return customer_of(self.checked(request)).get("smsCode")

    def agreement_named(self, request: httpx.Request) -> str | None:
        return pairs(self.checked(request)["tokenPayData"]).get("token")

    def _reply(self, request: httpx.Request, code: str, **more: str) -> httpx.Response:
        asked = self.checked(request)
        echoed = {
            key: asked[key] for key in ("version", "encoding", "txnType", "txnSubType", "bizType", "merId", "orderId")
        }
        return text_of(signed({**echoed, "respCode": code, "respMsg": f"说明[{code}]", **more}))


def a_notice(number: str = NUMBER, amount: int = AMOUNT, code: str = "00") -> Fields:
    return {
        "version": "5.1.0",
        "encoding": "UTF-8",
        "signMethod": "01",
        "txnType": "11",
        "txnSubType": "00",
        "bizType": "000501",
        "merId": MER_IDS["first"],
        "orderId": number,
        "txnTime": "20260302003015",
        "txnAmt": str(amount),
        "currencyCode": "156",
        "queryId": "202603020030150000001",
        "respCode": code,
        "respMsg": "成功",
        "settleAmt": str(amount),
        "settleCurrencyCode": "156",
        "settleDate": "0302",
        "traceNo": "000001",
        "traceTime": "0302003015",
    }


def a_refunds_notice(number: str = NUMBER, amount: int = AMOUNT, code: str = "00") -> Fields:
    return a_notice(number, amount, code) | {"txnType": "04", "origQryId": TRANSACTION_NO}


def a_payouts_notice(number: str = NUMBER, amount: int = AMOUNT, code: str = "00") -> Fields:
    return a_notice(number, amount, code) | {"txnType": "12", "bizType": "000401"}


def a_pages_notice(number: str = NUMBER, amount: int = AMOUNT, code: str = "00") -> Fields:
    return a_notice(number, amount, code) | dict(zip(("txnType", "txnSubType", "bizType"), ON_PAGE, strict=True))
