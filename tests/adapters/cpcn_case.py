"""CPCN as the contract suite meets it: its own reader (lxml) and signer of base64 XML."""

import base64
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar, Final
from urllib.parse import parse_qsl, urlencode

import httpx
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from lxml import etree

from adapters.cpcn import Cpcn
from gateway.domain.failures import FailureCode as F
from gateway.domain.intents import Verb
from gateway.domain.outcomes import NotFound, Processing, Returned, SmsNeeded, Succeeded, Unbound, Unknown
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
from tests.adapters.case import AMOUNT, CARD, NUMBER, OTHER_NUMBER, Case, Meaning, OnTheWire
from tests.adapters.certificates import Identity, identity

INSTITUTIONS = {"first": "900001", "second": "900002"}
SETTLEMENT_FLAG = "0001"
ACCOUNT_NO = "900001880001"
ASSUMED = [
    *("payment_code_again", "refund_states", "page_states", "payout_states", "payout_order", "balance_account"),
    "statement_rows",
]
PSP = identity("Test CPCN")
MERCHANT = identity("Test institution")
STRANGER = identity("Test stranger")

Fields = dict[str, str]
Leaves = Mapping[str, str]

# Of the body, what the account says of it: the banks' codes are not public.
DECLINES = {"51": F.INSUFFICIENT_BALANCE, "14": F.CARD_INVALID, "82": F.ID_MISMATCH}
SMS_WANTED = "71"
BALANCE_SHORT = "240099"
# Of the head.
REFUSED_AS_OURS = [
    *("2002", "2003", "2004", "2005", "2006", "2007", "2012", "2013", "2016", "2017", "240001", "240002", "240003"),
    *(f"2600{n:02d}" for n in (1, 2, 7, 8, 9, 12, 13, 15, 16)),
    *(f"302501{n:02d}" for n in (1, 2, 3, 4, 5, 6, 15, 16, 24, 25)),
    *(f"302511{n:02d}" for n in (1, 2, 3, 4, 5, 6, 10, 11)),
]
REFUSED_CARDS = [
    *(f"2600{n:02d}" for n in (3, 4, 5, 10, 11, 14)),
    *(f"302501{n:02d}" for n in (7, 8, 11, 12, 13, 14, 17, 18, 19, 20, 21, 22)),
]
DUPLICATES = ["2008", "240011", "240012", "270024", "270054", "30250123", "30251107", "30252110"]
SYSTEM_ERRORS = frozenset({"2001", "2011"})
HEADS: dict[str, Meaning] = {
    **dict.fromkeys(REFUSED_AS_OURS, F.CHANNEL_REFUSED),
    **dict.fromkeys(REFUSED_CARDS, F.CARD_UNSUPPORTED),
    **dict.fromkeys(("260006", "30250109", "30250110"), F.CARD_INVALID),
    **dict.fromkeys(("30251108", "30251109"), F.AGREEMENT_VOID),
    **dict.fromkeys((*DUPLICATES, *SYSTEM_ERRORS), Unknown),
}
# One of each kind: the whole table is read by payments, and all that binds or sends an SMS reads the same one.
SOME_HEADS = {code: HEADS[code] for code in ("2002", "240003", "30250101", "30250107", "30250109", "2008", "2001")}
GENERAL = [code for code in REFUSED_AS_OURS if len(code) == 4 or code.startswith("24")]
# 08 is the second refund of a payment, 10 a number that was used before.
HEADS_OF_REFUNDS: dict[str, Meaning] = {
    **dict.fromkeys((*GENERAL, "240005"), F.CHANNEL_REFUSED),
    **dict.fromkeys((f"302521{n:02d}" for n in range(1, 13) if n != 10), F.CHANNEL_REFUSED),
    **dict.fromkeys((*DUPLICATES, *SYSTEM_ERRORS), Unknown),
}
ABSENT_PAYMENTS = ["240005", "270027", "270051", "30251202"]
ABSENT_REFUNDS = ["240020", "270058", "30252202"]
FAILED_QUESTIONS = ["2001", "2002", "2008", "2011", "30251201", "30252201"]
QUESTIONS: dict[str, Meaning] = dict.fromkeys(FAILED_QUESTIONS, Unknown)
TO_A_BINDING: dict[str, Meaning] = {**SOME_HEADS, **DECLINES, "96": F.AUTHENTICATION_REJECTED}
TO_A_PAYMENT: dict[str, Meaning] = {**HEADS, **DECLINES, "96": F.CHANNEL_REFUSED}

# Of each transaction: the element that names the order, its states (open, done, failed), and where the order's number
# stands in the request.
TXS: Final[Mapping[str, tuple[str, tuple[str, str, str], str]]] = {
    "2501": ("TxSNBinding", ("10", "30", "20"), "Body"),
    "2502": ("TxSNBinding", ("10", "30", "20"), "Body"),
    "2503": ("TxSNBinding", ("10", "20", "30"), "Body"),
    "2531": ("", ("", "", ""), "Body"),
    "2532": ("TxSNBinding", ("10", "30", "20"), "Body"),
    "2511": ("PaymentNo", ("10", "20", "30"), "Body"),
    "2512": ("PaymentNo", ("10", "20", "30"), "Body"),
    "2541": ("", ("", "", ""), "Body"),
    "2542": ("PaymentNo", ("10", "20", "30"), "Body"),
    "2011": ("TxSN", ("20", "30", "40"), "Head"),
    "2020": ("TxSN", ("20", "30", "40"), "Head"),
    "2521": ("", ("", "", ""), "Body"),
    "2522": ("TxSN", ("10", "40", "20"), "Body"),
    "1133": ("", ("", "", ""), "Body"),
    "1132": ("SerialNumber", ("10", "40", "20"), "Body"),
    "1111": ("PaymentNo", ("", "", ""), "Body"),
    "1120": ("PaymentNo", ("10", "20", "30"), "Body"),
    "1341": ("", ("", "", ""), "Body"),
    "1350": ("SerialNumber", ("30", "40", "50"), "Body"),
    "4510": ("PaymentAccountNumber", ("", "", ""), "Body"),
}
IN_THE_BODY = ("1111", "1120", "1132", "1133", "1341", "1350", "4510")
"""The institution stands in the body of these, as in the templates of the demo."""
PAGE_FIELDS = [
    *("InstitutionID", "PaymentNo", "Amount", "Fee", "PayerID", "PayerName", "SettlementFlag", "Usage", "Remark"),
    *("NotificationURL", "BankID", "AccountType", "CardType"),
]
REFUND_FIELDS = {
    "2521": ["TxSN", "PaymentNo", "Amount", "Remark"],
    "1133": ["InstitutionID", "SerialNumber", "PaymentNo", "Amount", "Remark", "RefundType"],
}
PAYOUT_FIELDS = [
    *("InstitutionID", "SerialNumber", "OrderNo", "Amount", "Remark", "AccountType", "PaymentAccountName"),
    *("PaymentAccountNumber", "BankAccount"),
]
ACCOUNT_FIELDS = ["BankID", "AccountName", "AccountNumber", "BranchName", "Province", "City"]
CARD_FIELDS = {
    "BankID": "102",
    "AccountName": CARD.holder_name,
    "AccountNumber": CARD.card_no,
    "IdentificationType": "0",
    "IdentificationNumber": CARD.id_no,
    "PhoneNumber": CARD.phone,
}


def elements(leaves: Leaves) -> str:
    return "".join(f"<{name}>{text}</{name}>" for name, text in leaves.items())


def document(tag: str, head: Leaves, body: Leaves | None) -> bytes:
    inside = f"<Head>{elements(head)}</Head>" + ("" if body is None else f"<Body>{elements(body)}</Body>")
    return f'<?xml version="1.0" encoding="UTF-8"?><{tag} version="2.0">{inside}</{tag}>'.encode()


def signature(text: bytes, by: Identity = PSP) -> str:
    return by.key.sign(text, padding.PKCS1v15(), hashes.SHA1()).hex()


def answer_of(text: bytes, by: Identity = PSP, signed: bytes | None = None) -> httpx.Response:
    """An answer with this text, signed over it or over `signed`."""
    whole = f"{base64.b64encode(text).decode()},{signature(text if signed is None else signed, by)}"
    return httpx.Response(200, content=whole.encode())


def form_of(text: bytes, by: Identity = PSP) -> CallbackRequest:
    """A notice with this text."""
    body = urlencode({"message": base64.b64encode(text).decode(), "signature": signature(text, by)}).encode()
    return CallbackRequest("POST", "", {"content-type": "application/x-www-form-urlencoded"}, body)


def notice_of(number: str, amount: object, status: str, code: str = "", **head: str) -> bytes:
    return document(
        "Request",
        {"TxCode": "2018", "InstitutionID": INSTITUTIONS["first"], "TxSN": number, **head},
        {
            "Amount": str(amount),
            "Status": status,
            "BankTxTime": "20260302003100",
            "ResponseCode": code,
            "ResponseMessage": "说明",
        },
    )


def page_notice_of(number: str, amount: object, status: str = "20", tx: str = "1118", **body: str) -> bytes:
    """What tells of a payment on a page, by server and by browser: as in the demo's template."""
    told = {"InstitutionID": INSTITUTIONS["first"], "PaymentNo": number, "Amount": str(amount), "Status": status}
    return document("Request", {"TxCode": tx}, {**told, "BankNotificationTime": "20260302003100", **body})


def payout_notice_of(number: str, amount: object, status: str = "40", **body: str) -> bytes:
    """What tells of a payout: as in the demo's receiver."""
    told = {"InstitutionID": INSTITUTIONS["first"], "SerialNumber": number, "OrderNo": number, "Amount": str(amount)}
    return document("Request", {"TxCode": "1348"}, {**told, "Status": status, "TransferTime": "20260302003100", **body})


def refund_notice_of(number: str, amount: object, status: str = "40", **body: str) -> bytes:
    """What tells of a refund of what was paid on a page: as in the demo's receiver, with the number of its payment."""
    told = {"InstitutionID": INSTITUTIONS["first"], "SerialNumber": number, "PaymentNo": OTHER_NUMBER}
    told |= {"Amount": str(amount), "Status": status, "RefundTime": "20260302003100"}
    return document("Request", {"TxCode": "1138"}, {**told, **body})


def parsed(request: httpx.Request) -> "etree._Element":
    return read_form(request.content)


@lru_cache(maxsize=4)
def read_form(content: bytes) -> "etree._Element":
    fields = dict(parse_qsl(content.decode("ascii"), strict_parsing=True))
    assert set(fields) == {"message", "signature"}
    text = base64.b64decode(fields["message"], validate=True)
    key = MERCHANT.key.public_key()
    key.verify(bytes.fromhex(fields["signature"]), text, padding.PKCS1v15(), hashes.SHA1())
    return etree.fromstring(text, etree.XMLParser(resolve_entities=False, no_network=True))


def fields_of(request: httpx.Request) -> Fields:
    """Every leaf of a request, by its name, with the transaction's code and the order's number."""
    root = parsed(request)
    return {str(leaf.tag): leaf.text or "" for part in root for leaf in part.iter() if not len(leaf)}


class CpcnCase(Case):
    """One institution and the platform it talks to."""

    adapter = Cpcn
    scenes = (Scene.QUICK_CHARGE, Scene.WITHHOLD, Scene.NETBANK_CHARGE)
    codes: ClassVar[Mapping[type[Command[Any]], Mapping[str, Meaning]]] = {
        Pay: TO_A_PAYMENT,
        AskPayment: {
            **QUESTIONS,
            **DECLINES,
            "96": F.CHANNEL_REFUSED,
            **dict.fromkeys(ABSENT_PAYMENTS, NotFound),
            "30252202": Unknown,
        },
        Refund: HEADS_OF_REFUNDS,
        AskRefund: {
            **QUESTIONS,
            **dict.fromkeys(("51", "14", "96"), F.CHANNEL_REFUSED),
            **dict.fromkeys(ABSENT_REFUNDS, NotFound),
            "30251202": Unknown,
        },
        Payout: {
            **dict.fromkeys(GENERAL, F.CHANNEL_REFUSED),
            **dict.fromkeys((*DUPLICATES, *SYSTEM_ERRORS), Unknown),
            BALANCE_SHORT: F.MERCHANT_BALANCE_SHORT,
            "2000": Processing,
        },
        AskPayout: {
            **QUESTIONS,
            **dict.fromkeys(ABSENT_PAYMENTS, NotFound),
            "30252202": Unknown,
            **dict.fromkeys(("10", "15", "30"), Processing),
            "40": Succeeded,
            "50": Returned,
            "20": Unknown,
        },
        Authenticate: {**TO_A_BINDING, SMS_WANTED: SmsNeeded},
        SendSigningCode: SOME_HEADS,
        Sign: {**TO_A_BINDING, "20": F.SMS_CODE_EXPIRED, "30": F.SMS_CODE_WRONG},
        Unbind: {
            **dict.fromkeys(GENERAL, F.CHANNEL_REFUSED),
            **dict.fromkeys((f"3025030{n}" for n in range(1, 7)), F.CHANNEL_REFUSED),
            **dict.fromkeys(("30250205", "30251108", "30251109"), Unbound),
            **dict.fromkeys((*DUPLICATES, *SYSTEM_ERRORS), Unknown),
            "10": Unknown,
            "20": Unbound,
            "30": F.CHANNEL_REFUSED,
        },
        SendPaymentCode: {**SOME_HEADS, "30251109": F.AGREEMENT_VOID},
    }
    codes_on_pages: ClassVar[Mapping[str, Meaning]] = {
        **QUESTIONS,
        **dict.fromkeys(ABSENT_PAYMENTS, NotFound),
        "30252202": Unknown,
        "10": Processing,
        "20": Succeeded,
        "30": Unknown,
    }
    balance_fields: ClassVar[Mapping[str, str]] = {"Balance": "total"}
    codes_of_payments_by_code = {  # noqa: RUF012  the class beside it has no ClassVar, either
        **SOME_HEADS,
        **DECLINES,
        "20": F.SMS_CODE_EXPIRED,
        "30": F.SMS_CODE_WRONG,
    }
    unmapped_code = "99"
    duplicates = tuple(DUPLICATES)
    not_received: ClassVar[Mapping[type[Command[Any]], frozenset[str]]] = {
        Pay: SYSTEM_ERRORS,
        Refund: SYSTEM_ERRORS,
        Payout: SYSTEM_ERRORS,
        AskPayout: frozenset({*FAILED_QUESTIONS, "30252202"}),
        AskPayment: frozenset({*FAILED_QUESTIONS, "30252202"}),
        AskRefund: frozenset({*FAILED_QUESTIONS, "30251202"}),
    }
    calls_back = frozenset({Verb.PAY, Verb.REFUND, Verb.PAYOUT})
    agreement_no = NUMBER

    def account(self, merchant: str = "first") -> AccountSettings:
        settings: dict[str, object] = {
            "base_url": "https://cpcn.test/cpcn",
            "institution_id": INSTITUTIONS[merchant],
            "settlement_flag": SETTLEMENT_FLAG,
            "declines": {code: str(failure) for code, failure in DECLINES.items()},
            "sms_wanted": [SMS_WANTED],
            "payout_declines": {BALANCE_SHORT: "merchant_balance_short"},
            "balance_account_no": ACCOUNT_NO,
            "balance_account_name": "某某公司",
            "assumed": ASSUMED,
        }
        secrets = {"merchant_private_key": MERCHANT.key_pem, "psp_certificate": PSP.pem}
        return AccountSettings(f"cpcn-{merchant}", "cpcn", settings, secrets)

    def read(self, request: httpx.Request) -> OnTheWire:
        fields = self.checked(request)
        tx = fields["TxCode"]
        number = {
            "2503": "TxSNUnBinding",
            "2531": "TxSNBinding",
            "2541": "PaymentNo",
            "2521": "TxSN",
            "1133": "SerialNumber",
            "1341": "SerialNumber",
        }.get(tx)
        told = fields[number or TXS[tx][0]]
        # The second binding of an order has a number that begins like the first one's.
        told = NUMBER if told != OTHER_NUMBER and told[:30] == NUMBER[:30] else told
        return OnTheWire(told, int(fields["Amount"]) if "Amount" in fields else None)

    def checked(self, request: httpx.Request) -> Fields:
        assert request.method == "POST"
        root, fields = parsed(request), fields_of(request)
        assert (root.tag, root.get("version")) == ("Request", "2.0")
        tx = root.findtext("Head/TxCode")
        assert str(request.url) == f"https://cpcn.test/cpcn/Gateway/Interface{'I' if tx == '1111' else 'II'}"
        where = "Body" if tx in IN_THE_BODY else "Head"
        assert root.findtext(f"{where}/InstitutionID") == INSTITUTIONS["first"]
        name, _, place = TXS[str(tx)]
        assert not name or root.findtext(f"{place}/{name}")
        if tx in {"2501", "2531", "2011"}:
            assert CARD_FIELDS.items() <= fields.items()
        if tx in {"2501", "2531"}:
            assert fields["CardType"] == "10"
        if tx == "1111":
            assert [str(leaf.tag) for leaf in root[1]] == PAGE_FIELDS
            assert (fields["Fee"], fields["AccountType"], fields["CardType"]) == ("0", "11", "")
            assert len(fields["Remark"].encode()) <= 30
        if tx == "1341":
            assert [str(each.tag) for each in root[1]] == PAYOUT_FIELDS
            assert [str(each.tag) for each in root[1][-1]] == ACCOUNT_FIELDS
            assert len(fields["Remark"].encode()) <= 30
        if tx in {"2511", "2541", "2011", "1111"}:
            assert fields["SettlementFlag"] == SETTLEMENT_FLAG
        if tx in {"2511", "2541"}:
            assert fields["TxSNBinding"]
            assert not set(CARD_FIELDS) & set(fields)
        if tx == "2011":
            assert (fields["AccountType"], fields["CardMediaType"]) == ("11", "10")
        if tx in REFUND_FIELDS:
            assert fields["PaymentNo"] == OTHER_NUMBER
            assert [str(leaf.tag) for leaf in root[1]] == REFUND_FIELDS[str(tx)]
            assert len(fields["Remark"].encode()) <= 30
        return fields

    def answer(self, request: httpx.Request, code: str) -> httpx.Response:
        tx = self.checked(request)["TxCode"]
        if not TXS[tx][0] or len(code) > 2:
            return self.said(request, code)
        if tx in {"2532", "2542"} and code in {"20", "30"}:
            return self.told(request, VerifyStatus=code, Status="", ResponseMessage="说明")
        if tx == "1120":
            # A bank that refuses leaves the order to its payer, and nobody is told why.
            states = {"10", "20", "30", self.unmapped_code}
            return self.told(request, Status=code if code in states else "10", Amount=str(AMOUNT))
        if tx == "1350":
            return self.told(request, Status=code, Amount=str(AMOUNT))
        verified = {"VerifyStatus": "40"} if tx in {"2532", "2542"} else {}
        if code == self.unmapped_code or tx == "2503":
            return self.told(request, **verified, Status=code)
        return self.told(request, **verified, Status=TXS[tx][1][2], ResponseCode=code, ResponseMessage="说明")

    def said(self, request: httpx.Request, code: str) -> httpx.Response:
        """An answer to this request with a head alone."""
        self.checked(request)
        return answer_of(document("Response", {"Code": code, "Message": "说明"}, None))

    def told(self, request: httpx.Request, **body: str) -> httpx.Response:
        """An answer to this request that was handled, with this body."""
        fields = self.checked(request)
        name = TXS[fields["TxCode"]][0]
        named = {name: fields[name]} if name else {}
        whole = {"InstitutionID": fields["InstitutionID"], **named, **body}
        return answer_of(document("Response", {"Code": "2000", "Message": "OK."}, whole))

    def _state(self, request: httpx.Request, which: int, **body: str) -> httpx.Response:
        tx = self.checked(request)["TxCode"]
        if not TXS[tx][0]:
            return self.said(request, "2000")
        verified = {"VerifyStatus": "40"} if tx in {"2532", "2542"} else {}
        return self.told(request, **{**verified, "Status": TXS[tx][1][which], **body})

    def processing(self, request: httpx.Request) -> httpx.Response:
        if self.checked(request)["TxCode"] == "4510":
            return self.balance(request)
        return self._state(request, 0)

    def balance(self, request: httpx.Request, **told: str | None) -> httpx.Response:
        fields = self.checked(request)
        assert (fields["PaymentAccountNumber"], fields["PaymentAccountName"]) == (ACCOUNT_NO, "某某公司")
        amounts = {name: text for name, text in {"Balance": "100", **told}.items() if text is not None}
        return self.told(request, PaymentAccountUsage="11", **amounts)

    def balance_of_another(self, request: httpx.Request) -> httpx.Response:
        return self.told(request, Balance="100", PaymentAccountNumber="900002880001")

    def balance_refused(self, request: httpx.Request) -> httpx.Response:
        return self.said(request, "2001")

    def succeeded(self, request: httpx.Request, amount: int = AMOUNT) -> httpx.Response:
        stated = {} if self.checked(request)["TxCode"] == "2512" else {"Amount": str(amount)}
        return self._state(request, 1, BankTxTime="20260302003100", **stated)

    def not_found(self, request: httpx.Request) -> httpx.Response:
        tx = self.checked(request)["TxCode"]
        absent = {"2512": "30251202", "2522": "30252202", "1132": "240020"}
        return self.said(request, absent.get(tx, "240005"))

    def query_failed(self, request: httpx.Request) -> httpx.Response:
        return self.said(request, "2001")

    def unsigned(self, response: httpx.Response) -> httpx.Response:
        return answer_of(base64.b64decode(response.text.partition(",")[0]), by=STRANGER)

    def miscoded(self, answer: httpx.Response) -> httpx.Response:
        return answer_of(base64.b64decode(answer.text.partition(",")[0]).decode().encode("gbk"))

    def of_another_order(self, request: httpx.Request) -> httpx.Response:
        name = TXS[self.checked(request)["TxCode"]][0]
        return self._state(request, 1, **{name: OTHER_NUMBER})

    def callback(self, verb: Verb, number: str, amount: int, code: str | None = None) -> CallbackRequest:
        if verb is Verb.PAYOUT:
            return form_of(payout_notice_of(number, amount, code or "40"))
        if verb is Verb.REFUND:
            return form_of(self._of_a_refund(number, amount, code))
        return form_of(notice_of(number, amount, "30" if code is None else "40", code or ""))

    @staticmethod
    def _of_a_refund(number: str, amount: int, code: str | None) -> bytes:
        if code is None:
            return refund_notice_of(number, amount)
        return refund_notice_of(number, amount, "20" if len(code) == 2 else code, ResponseCode=code)

    def copies(self, number: str, amount: int) -> Mapping[str, CallbackRequest]:
        return {"browser and server": form_of(page_notice_of(number, amount))}

    def text_told(self, request: httpx.Request) -> str | None:
        return self.checked(request)["Remark"]

    def bank_told(self, request: httpx.Request) -> str | None:
        return self.checked(request)["BankID"] or None

    def addresses_told(self, request: httpx.Request) -> tuple[str | None, str | None]:
        return None, self.checked(request)["NotificationURL"]

    def as_callback(self, answer: httpx.Response) -> CallbackRequest:
        message, _, sign = answer.text.partition(",")
        body = urlencode({"message": message, "signature": sign}).encode()
        return CallbackRequest("POST", "", {}, body)

    def open_binding(self, request: httpx.Request) -> httpx.Response:
        return self._state(request, 1)

    def no_binding(self, request: httpx.Request) -> httpx.Response:
        return self.said(request, "30250205")

    def sms_needed(self, request: httpx.Request) -> httpx.Response:
        return self._state(request, 2, ResponseCode=SMS_WANTED)

    def code_sent(self, request: httpx.Request) -> httpx.Response:
        return self.said(request, "2000")

    def wrong_code(self, request: httpx.Request) -> httpx.Response:
        return self.told(request, VerifyStatus="30", Status="")

    def expired_code(self, request: httpx.Request) -> httpx.Response | None:
        return self.told(request, VerifyStatus="20", Status="")

    def unbound(self, request: httpx.Request) -> httpx.Response:
        return self._state(request, 1)

    def unbound_before(self, request: httpx.Request) -> httpx.Response | None:
        return self.said(request, "30250205")

    def typed(self, request: httpx.Request) -> str | None:
        return fields_of(request).get("SMSValidationCode")

    def agreement_named(self, request: httpx.Request) -> str | None:
        return fields_of(request).get("TxSNBinding")
