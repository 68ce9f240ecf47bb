"""Allinpay TLT as the contract suite meets it: its own reader (lxml) and signer of AIPG messages."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar

import httpx
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from lxml import etree

from adapters.allinpay import Allinpay
from gateway.domain.failures import FailureCode as F
from gateway.domain.intents import Verb
from gateway.domain.outcomes import Authenticated, CodeSent, NotFound, Processing, Returned, Succeeded, Unbound, Unknown
from gateway.domain.scenes import Scene
from gateway.ports import (
    AccountSettings,
    AskPayment,
    AskPayout,
    AskRefund,
    Command,
    Pay,
    Payout,
    Refund,
    SendSigningCode,
    Sign,
    Unbind,
)
from tests.adapters.certificates import Identity, identity
from tests.adapters.contract import AGREEMENT_NO, AMOUNT, NUMBER, OTHER_NUMBER, Case, Meaning, OnTheWire

URL = "http://tlt.example.com/aipg/ProcessServlet"
SIGNED_MSG = re.compile(rb"<SIGNED_MSG>([0-9a-f]+)</SIGNED_MSG>")

PSP = identity("Test TLT")
STRANGER = identity("Test stranger")
MERCHANTS = {"first": "100000000000001", "second": "100000000000002"}

OF_A_FINISHED_ORDER: dict[str, Meaning] = {
    "0000": Succeeded,
    "3001": F.RISK_REJECTED,
    "3002": F.RISK_REJECTED,
    "3004": F.CARD_INVALID,
    "3006": F.CARD_LOST,
    "3008": F.INSUFFICIENT_BALANCE,
    "3009": F.CARD_INVALID,
    "3010": F.CARD_EXPIRED,
    "3011": F.AUTHENTICATION_REJECTED,
    "3013": F.CHANNEL_LIMIT_EXCEEDED,
    "3015": F.TOO_MANY_TRIES,
    "3017": F.CARD_FROZEN,
    "3018": F.CARD_CLOSED,
    "3020": F.CARD_FROZEN,
    "3028": F.CHANNEL_UNAVAILABLE,
    "3031": F.NAME_MISMATCH,
    "3043": F.AGREEMENT_VOID,
    "3044": F.CHANNEL_UNAVAILABLE,
    "3045": F.AGREEMENT_VOID,
    "3046": F.AGREEMENT_VOID,
    "3047": F.AGREEMENT_VOID,
    "3050": F.CHANNEL_UNAVAILABLE,
    "3051": Unknown,
    "3056": Unknown,
    "3057": F.CARD_FROZEN,
    "3058": F.CHANNEL_REFUSED,
    "3097": F.CARD_UNSUPPORTED,
    "3999": F.CHANNEL_REFUSED,
    "4000": Unknown,
}
IN_PROCESS: dict[str, Meaning] = dict.fromkeys(("2000", "2001", "2003", "2005", "2007", "2008"), Processing)

TO_PAY: dict[str, Meaning] = {
    **OF_A_FINISHED_ORDER,
    **IN_PROCESS,
    "3044": Unknown,
    "3050": Unknown,
    "2002": Unknown,
    "2004": Unknown,
    "2006": Unknown,
    "1000": F.CHANNEL_REFUSED,
    "1001": F.CHANNEL_REFUSED,
    "1002": F.CHANNEL_REFUSED,
}
TO_A_QUERY: dict[str, Meaning] = {
    **OF_A_FINISHED_ORDER,
    **IN_PROCESS,
    "1000": Unknown,
    "1001": Unknown,
    "1002": NotFound,
    "2002": Unknown,
    "2004": F.CHANNEL_REFUSED,
    "2006": Unknown,
}
# What moves no money and is not asked about: refused or unknown, and 3044 and 3050 are never sure.
REFUSED_OR_NOT: dict[str, Meaning] = {
    **TO_PAY,
    **dict.fromkeys(IN_PROCESS, Unknown),
}
ABOUT_PAYEES: dict[str, Meaning] = {
    "3008": F.MERCHANT_BALANCE_SHORT,
    **dict.fromkeys(("3004", "3006", "3009", "3010", "3017", "3018", "3020", "3031", "3057"), F.PAYEE_INVALID),
    "3015": F.CHANNEL_LIMIT_EXCEEDED,
    **dict.fromkeys(("3011", "3043", "3045", "3046", "3047"), F.CHANNEL_REFUSED),
}
TO_PAY_OUT: dict[str, Meaning] = {**TO_PAY, **ABOUT_PAYEES}
TO_A_PAYOUTS_QUERY: dict[str, Meaning] = {**TO_A_QUERY, **ABOUT_PAYEES, "3056": Returned}
# A refund brings no PIN, no agreement and no code, and is paid out of the merchant's money.
ABOUT_REFUNDS: dict[str, Meaning] = {
    "3008": F.MERCHANT_BALANCE_SHORT,
    "3015": F.CHANNEL_LIMIT_EXCEEDED,
    **dict.fromkeys(("3011", "3031", "3043", "3045", "3046", "3047"), F.CHANNEL_REFUSED),
}
TO_REFUND: dict[str, Meaning] = {**TO_PAY, **ABOUT_REFUNDS}
TO_A_REFUNDS_QUERY: dict[str, Meaning] = {**TO_A_QUERY, **ABOUT_REFUNDS, "3056": Returned}
BODIES = {
    "REFUND": ("REFUND", "TRANSRET"),
    "100014": ("TRANS", "TRANSRET"),
    "100011": ("TRANS", "TRANSRET"),
    "310001": ("FAGRA", "FAGRARET"),
    "310002": ("FAGRC", "FAGRCRET"),
    "310003": ("FAGRCNL", "FAGRCNLRET"),
    "310011": ("FASTTRX", "FASTTRXRET"),
}
"""Of each transaction: what the request's body is called, and the answer's."""
OWN_NUMBERS = {"310001": r"(.*)S\d+", "310002": r"(.*)C\d+"}
"""Requests with a REQ_SN of their own, made from the order's."""


def signed(inside: str, by: Identity = PSP, head: str = '<?xml version="1.0" encoding="GBK"?>') -> httpx.Response:
    """An answer of TLT with this inside, in which SIGNED_MSG stands where `@` does."""
    before, after = (part.encode("gbk") for part in f"{head}{inside}".split("@"))
    signature = by.key.sign(before + after, padding.PKCS1v15(), hashes.SHA1()).hex().encode()
    return httpx.Response(200, content=before + b"<SIGNED_MSG>" + signature + b"</SIGNED_MSG>" + after)


def read_xml(content: bytes) -> "etree._Element":
    return etree.fromstring(content, etree.XMLParser(resolve_entities=False, no_network=True))


def field(request: httpx.Request, path: str) -> str:
    value = read_xml(request.content).findtext(path)
    assert value is not None, path
    return str(value)


class AllinpayCase(Case):
    """One TLT merchant and the platform it talks to."""

    adapter = Allinpay
    scenes = (Scene.WITHHOLD, Scene.QUICK_CHARGE)
    codes: ClassVar[Mapping[type[Command[Any]], Mapping[str, Meaning]]] = {
        Pay: TO_PAY,
        AskPayment: TO_A_QUERY,
        Payout: TO_PAY_OUT,
        AskPayout: TO_A_PAYOUTS_QUERY,
        Refund: TO_REFUND,
        AskRefund: TO_A_REFUNDS_QUERY,
        SendSigningCode: {**REFUSED_OR_NOT, "0000": CodeSent},
        Sign: {**REFUSED_OR_NOT, "0000": Authenticated},
        Unbind: {**REFUSED_OR_NOT, **dict.fromkeys(("0000", "3043", "3045", "3047"), Unbound)},
    }
    without_question = frozenset({Verb.AUTHENTICATE})
    continuation = f"{NUMBER}S1"
    unmapped_code = "3998"
    duplicates = ("3051",)
    not_received: ClassVar[Mapping[type[Command[Any]], frozenset[str]]] = {
        AskPayment: frozenset({"1000", "1001", "2002", "2006"}),
        AskPayout: frozenset({"1000", "1001", "2002", "2006"}),
        AskRefund: frozenset({"1000", "1001", "2002", "2006"}),
    }
    balance_fields: ClassVar[Mapping[str, str]] = {"BALANCE": "total", "USABLEBAL": "for_payouts"}
    charset = "gbk"
    wrong_charset = "utf-8"

    def account(self, merchant: str = "first") -> AccountSettings:
        return AccountSettings(
            code=f"allinpay-{merchant}",
            provider="allinpay",
            settings={
                "url": URL,
                "merchant_id": MERCHANTS[merchant],
                "user_name": f"{MERCHANTS[merchant]}04",
                "assumed": [
                    "sms_codes",
                    "payout_fields",
                    "late_returns",
                    "refund_question",
                    "refund_codes",
                    "balance_fields",
                ],
            },
            secrets={
                "user_pass": "the password of the merchant",
                "merchant_private_key": identity(merchant).key_pem,
                "psp_certificate": PSP.pem,
            },
        )

    def read(self, request: httpx.Request) -> OnTheWire:
        before, signature, after = SIGNED_MSG.split(request.content)
        key = identity("first").key.public_key()
        key.verify(bytes.fromhex(signature.decode()), before + after, padding.PKCS1v15(), hashes.SHA1())
        assert before.startswith(b'<?xml version="1.0" encoding="GBK"?><AIPG><INFO>')
        assert request.method == "POST"
        assert request.headers["content-type"] == "text/xml; charset=GBK"
        assert request.url.params["REQ_SN"] == field(request, "INFO/REQ_SN")
        assert len(field(request, "INFO/REQ_SN")) <= 40
        assert field(request, "INFO/USER_PASS") == "the password of the merchant"
        if field(request, "INFO/TRX_CODE") == "200004":
            return OnTheWire(field(request, "QTRANSREQ/QUERY_SN"), None)
        trx_code = field(request, "INFO/TRX_CODE")
        body, _ = BODIES[trx_code]
        assert field(request, f"{body}/MERCHANT_ID") == request.url.params["MERCHANT_ID"]
        if trx_code not in {"100011", "100014"}:
            assert field(request, "INFO/MERCHANT_ID") == request.url.params["MERCHANT_ID"]
        if trx_code == "REFUND":
            named = (field(request, "REFUND/ORGBATCHID"), field(request, "REFUND/ORGBATCHSN"))
            assert named == (OTHER_NUMBER, "0")
        amounts = {"100011", "100014", "310011", "REFUND"}
        amount = int(field(request, f"{body}/AMOUNT")) if trx_code in amounts else None
        number = re.fullmatch(OWN_NUMBERS.get(trx_code, "(.*)"), field(request, "INFO/REQ_SN"))
        assert number is not None
        return OnTheWire(number.group(1), amount)

    def answer(self, request: httpx.Request, code: str) -> httpx.Response:
        if code[0] in "12":
            return self.said(request, code)
        if field(request, "INFO/TRX_CODE") == "200004":
            return self.told(request, self.detail(self.read(request).number, code, AMOUNT))
        return self.in_body(request, code)

    def in_body(self, request: httpx.Request, code: str, text: str = "说明") -> httpx.Response:
        """An answer whose word stands in the body; a signing that worked brings AGRMNO."""
        trx_code = field(request, "INFO/TRX_CODE")
        more = f"<AGRMNO>{AGREEMENT_NO}</AGRMNO>" if (trx_code, code) == ("310002", "0000") else ""
        _, body = BODIES[trx_code]
        word = f"<RET_CODE>{code}</RET_CODE><ERR_MSG>{text}</ERR_MSG>"
        return self.said(request, "0000", f"<{body}>{word}{more}</{body}>")

    def open_binding(self, request: httpx.Request) -> httpx.Response:
        return self.in_body(request, "0000")

    def code_sent(self, request: httpx.Request) -> httpx.Response:
        return self.in_body(request, "0000")

    def wrong_code(self, request: httpx.Request) -> httpx.Response:
        return self.in_body(request, "3999", "短信验证码错误")

    def expired_code(self, request: httpx.Request) -> httpx.Response:
        return self.in_body(request, "3999", "短信验证码已过期")

    def unbound(self, request: httpx.Request) -> httpx.Response:
        return self.in_body(request, "0000")

    def unbound_before(self, request: httpx.Request) -> httpx.Response:
        return self.in_body(request, "3047")

    def typed(self, request: httpx.Request) -> str | None:
        return read_xml(request.content).findtext("FAGRC/VERCODE")

    def continued(self, request: httpx.Request) -> str | None:
        return read_xml(request.content).findtext("FAGRC/SRCREQSN")

    def agreement_named(self, request: httpx.Request) -> str | None:
        return read_xml(request.content).findtext("*/AGRMNO")

    def said(self, request: httpx.Request, info_code: str, body: str = "") -> httpx.Response:
        """An answer to this request with this INFO/RET_CODE."""
        trx_code, req_sn = field(request, "INFO/TRX_CODE"), field(request, "INFO/REQ_SN")
        return signed(
            f"<AIPG><INFO><TRX_CODE>{trx_code}</TRX_CODE><REQ_SN>{req_sn}</REQ_SN><RET_CODE>{info_code}</RET_CODE>"
            f"<ERR_MSG>处理完成</ERR_MSG>@</INFO>{body}</AIPG>"
        )

    def told(self, request: httpx.Request, *details: str) -> httpx.Response:
        """An answer to a query with these lines."""
        return self.said(request, "0000", f"<QTRANSRSP>{''.join(details)}</QTRANSRSP>")

    def detail(self, number: str, code: str, amount: object) -> str:
        return (
            f"<QTDETAIL><BATCHID>{number}</BATCHID><SN>0</SN><AMOUNT>{amount}</AMOUNT>"
            f"<FINTIME>20260302003100</FINTIME><RET_CODE>{code}</RET_CODE><ERR_MSG>说明</ERR_MSG></QTDETAIL>"
        )

    def processing(self, request: httpx.Request) -> httpx.Response:
        if field(request, "INFO/TRX_CODE") == "300000":
            return self.balance(request)
        return self.said(request, "2000")

    def balance(self, request: httpx.Request, **told: str | None) -> httpx.Response:
        return self.said(request, "0000", self.account_told(request, f"{MERCHANTS['first']}000", told))

    def account_told(self, request: httpx.Request, number: str, told: Mapping[str, str | None]) -> str:
        """ACQUERYREP of an account, to a question that asks for the first merchant's."""
        assert field(request, "INFO/MERCHANT_ID") == request.url.params["MERCHANT_ID"] == MERCHANTS["first"]
        assert field(request, "ACQUERYREQ/ACCTNO") == f"{MERCHANTS['first']}000"
        amounts = "".join(f"<{k}>{v}</{k}>" for k, v in {"BALANCE": "100", **told}.items() if v is not None)
        return f"<ACQUERYREP><ACNODE><ACCTNO>{number}</ACCTNO>{amounts}</ACNODE></ACQUERYREP>"

    def balance_of_another(self, request: httpx.Request) -> httpx.Response:
        return self.said(request, "0000", self.account_told(request, f"{MERCHANTS['second']}000", {}))

    def balance_refused(self, request: httpx.Request) -> httpx.Response:
        return self.said(request, "1000")

    def succeeded(self, request: httpx.Request, amount: int = AMOUNT) -> httpx.Response:
        return self.told(request, self.detail(NUMBER, "0000", amount))

    def not_found(self, request: httpx.Request) -> httpx.Response:
        return self.said(request, "1002")

    def query_failed(self, request: httpx.Request) -> httpx.Response:
        return self.said(request, "1000")

    def unsigned(self, response: httpx.Response) -> httpx.Response:
        before, _, after = SIGNED_MSG.split(response.content)
        return signed(f"{before.decode('gbk')}@{after.decode('gbk')}", by=STRANGER, head="")

    def of_another_order(self, request: httpx.Request) -> httpx.Response:
        return self.told(request, self.detail(OTHER_NUMBER, "0000", AMOUNT))
