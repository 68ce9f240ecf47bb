"""LianLian as the contract suite meets it: its own reader (decryption, signatures) and signer of MPAY messages."""

import base64
import hmac
import json
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any, ClassVar

import httpx
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from adapters.lianlian import LianLian
from gateway.domain.failures import FailureCode as F
from gateway.domain.intents import Verb
from gateway.domain.outcomes import (
    Authenticated,
    CodeSent,
    Processing,
    Returned,
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
    CallbackRequest,
    Command,
    ConfirmPayout,
    Pay,
    Payout,
    Refund,
    SendSigningCode,
    Sign,
    Unbind,
)
from tests.adapters.contract import (
    AGREEMENT_NO,
    AMOUNT,
    CARD,
    CONFIRM_CODE,
    NOTIFY_URL,
    NUMBER,
    OTHER_NUMBER,
    Case,
    Meaning,
    OnTheWire,
)

# As short as LianLian takes them, since the suite signs thousands of times.
PSP, STRANGER, MERCHANT = (rsa.generate_private_key(public_exponent=65537, key_size=1024) for _ in range(3))
PARTNERS = {"first": "201304121000001004", "second": "201304121000001005"}
TOKEN = "E4A27991786F7114DCAF88C266A465C2"
BASE = "https://lianlian.test/ll"

# The table "Return Codes" of the handbook, whole, as answers to a payment.
REFUSALS: dict[str, Meaning] = {
    "1000": F.SMS_CODE_EXPIRED,
    "1001": F.CHANNEL_REFUSED,
    "1004": F.CHANNEL_REFUSED,
    "1005": F.CHANNEL_REFUSED,
    "1006": F.CHANNEL_UNAVAILABLE,
    "1008": F.CHANNEL_REFUSED,
    "1009": F.CHANNEL_REFUSED,
    "1012": F.CHANNEL_REFUSED,
    "1014": F.CHANNEL_LIMIT_EXCEEDED,
    "1016": F.CHANNEL_LIMIT_EXCEEDED,
    "1019": F.CHANNEL_LIMIT_EXCEEDED,
    "1100": F.CARD_INVALID,
    "1101": F.CARD_LOST,
    "1102": F.CARD_INVALID,
    "1103": F.CARD_INVALID,
    "1104": F.AUTHENTICATION_REJECTED,
    "1105": F.RISK_REJECTED,
    "1106": F.TOO_MANY_TRIES,
    "1107": F.CARD_UNSUPPORTED,
    "1108": F.ID_MISMATCH,
    "1109": F.ID_MISMATCH,
    "1110": F.CARD_FROZEN,
    "1111": F.CHANNEL_REFUSED,
    "1112": F.ID_MISMATCH,
    "1113": F.NAME_MISMATCH,
    "1114": F.PHONE_MISMATCH,
    "1115": F.PHONE_MISMATCH,
    "1200": F.CARD_UNSUPPORTED,
    "1805": F.CARD_UNSUPPORTED,
    "1900": F.SMS_CODE_WRONG,
    "1901": F.SMS_CODE_EXPIRED,
    "1902": F.CHANNEL_LIMIT_EXCEEDED,
    "2006": F.SMS_CODE_EXPIRED,
    "3001": F.CHANNEL_REFUSED,
    "3002": F.CHANNEL_UNAVAILABLE,
    "3003": F.AGREEMENT_VOID,
    "3004": F.CHANNEL_REFUSED,
    "3006": F.AGREEMENT_VOID,
    "3007": F.AGREEMENT_VOID,
    "3009": F.CHANNEL_REFUSED,
    "3010": F.CHANNEL_REFUSED,
    "3011": F.AGREEMENT_VOID,
    "4000": F.CHANNEL_REFUSED,
    "4007": F.CHANNEL_REFUSED,
    "5001": F.CARD_INVALID,
    "5504": F.CHANNEL_REFUSED,
    "5505": F.CARD_UNSUPPORTED,
    "5601": F.CARD_UNSUPPORTED,
    "6001": F.INSUFFICIENT_BALANCE,
    "6002": F.AGREEMENT_VOID,
    "6601": F.CHANNEL_UNAVAILABLE,
    "7017": F.CHANNEL_REFUSED,
    "7018": F.ID_MISMATCH,
    "7777": F.AGREEMENT_VOID,
    "8000": F.AGREEMENT_VOID,
    "8099": F.ID_MISMATCH,
    "8110": F.SMS_CODE_WRONG,
    "9000": F.CHANNEL_UNAVAILABLE,
    "9002": F.CHANNEL_REFUSED,
    "9091": F.CHANNEL_UNAVAILABLE,
    "9092": F.CHANNEL_REFUSED,
    "9093": F.CHANNEL_REFUSED,
    "9700": F.SMS_CODE_WRONG,
    "9701": F.SMS_CODE_WRONG,
    "9702": F.SMS_CODE_EXPIRED,
    "9703": F.SMS_CODE_EXPIRED,
    "9704": F.CHANNEL_UNAVAILABLE,
    "9901": F.CHANNEL_REFUSED,
    "9903": F.CHANNEL_REFUSED,
    "9907": F.CARD_UNSUPPORTED,
    "9910": F.RISK_REJECTED,
    "9911": F.CHANNEL_LIMIT_EXCEEDED,
    "9912": F.CARD_UNSUPPORTED,
    "9913": F.CHANNEL_REFUSED,
    "9970": F.CHANNEL_UNAVAILABLE,
}
IN_PROCESS = ("1003", "2003", "2004", "2005", "2008")
SAYS_NOTHING = ("1007", "9902", "9999")
NO_FINAL_WORD = (
    *("0106", "1002", "1201", "1202", "2007", "3005", "3008", "4001", "4002", "4003", "4004", "4005", "5002", "5003"),
    *("5004", "5005", "5006", "5007", "5008", "5501", "5502", "5503", "5506", "7001", "7119", "8001", "8002", "8003"),
    *("8006", "8010", "8101", "8102", "8103", "8104", "8105", "8106", "8107", "8108", "8109", "8111", "8112", "8113"),
    *("8114", "8115", "8116", "8117", "8901", "8911", "9094", "9104", "9920", "9921", "9983", "9990", "9991"),
)
UNKNOWNS: dict[str, Meaning] = dict.fromkeys((*NO_FINAL_WORD, *SAYS_NOTHING), Unknown)
# Beside money the same table is read (test_lianlian holds it whole): here is what can be said of cards and codes.
BESIDE_MONEY: dict[str, Meaning] = {
    **{
        code: REFUSALS[code]
        for code in ("1000", "1004", "1108", "1114", "1900", "1901", "3003", "9700", "9704", "9913")
    },
    **dict.fromkeys(("1002", "2004", "9902", "9999"), Unknown),
}

# The demo's list of codes of payouts, whole.
HELD_OR_MADE = ("0000", "4002", "4003", "4004")
TO_PAY_OUT: dict[str, Meaning] = {
    **dict.fromkeys(HELD_OR_MADE, Processing),
    **dict.fromkeys(("1001", "1004", "1008", "3001", "4005", "4008", "4010", "4011"), F.CHANNEL_REFUSED),
    "1005": F.CARD_UNSUPPORTED,
    **dict.fromkeys(("4012", "4105"), F.PAYEE_INVALID),
    **dict.fromkeys(("4103", "4104", "9104"), F.MERCHANT_BALANCE_SHORT),
    "9910": F.RISK_REJECTED,
    **dict.fromkeys(("9911", "9912", "9913"), F.CHANNEL_LIMIT_EXCEEDED),
    **dict.fromkeys(("1002", "2005", "4001", "4006", "4007", "4009", "8901", "9999"), Unknown),
}

# Of the same table, whole, as answers to a refund; its states beside 0000.
REFUSED_REFUNDS = (
    "1001",
    "1004",
    "1008",
    "1009",
    "1012",
    "3001",
    "3010",
    "5504",
    "9002",
    "9092",
    "9093",
    "9901",
    "9903",
)
TO_A_REFUND: dict[str, Meaning] = {
    **dict.fromkeys((*REFUSALS, *UNKNOWNS, "1003", "2003", "2004"), Unknown),
    **dict.fromkeys((*REFUSED_REFUNDS, "5002", "5003", "5004", "5007", "5008"), F.CHANNEL_REFUSED),
    **dict.fromkeys(("5006", "9104", "4103", "4104"), F.MERCHANT_BALANCE_SHORT),
    "5005": F.CHANNEL_UNAVAILABLE,
    **dict.fromkeys(("2005", "2008"), Processing),
}
REFUND_STATES: dict[str, Meaning] = {
    **dict.fromkeys(("0", "1"), Processing),
    "2": Succeeded,
    "3": F.CHANNEL_REFUSED,
    "4": Unknown,
}
OF_REFUNDS = ("/refund.htm", "/refundquery.htm")

Fields = dict[str, str]


def private_pem(key: rsa.RSAPrivateKey) -> str:
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(pem, pkcs8, serialization.NoEncryption()).decode()


def public_pem(key: rsa.RSAPrivateKey) -> str:
    public = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, public).decode()


def text_to_sign(fields: Mapping[str, str]) -> bytes:
    pairs = [f"{name}={value}" for name, value in sorted(fields.items()) if name != "sign" and value != ""]
    return "&".join(pairs).encode()


def signed(fields: Mapping[str, str], by: rsa.RSAPrivateKey = PSP) -> Fields:
    signature = by.sign(text_to_sign(fields), padding.PKCS1v15(), hashes.MD5())
    return {**fields, "sign": base64.b64encode(signature).decode()}


def as_json(fields: Mapping[str, object]) -> httpx.Response:
    return httpx.Response(200, content=json.dumps(fields, ensure_ascii=False).encode())


@lru_cache
def opened(pay_load: str) -> bytes:
    """What was encrypted for LianLian, which is read more than once. Raises AssertionError for a false HMAC."""
    version, mac_key, key, nonce, cipher, mac = pay_load.split("$")
    oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)
    assert version == "lianpay1_0_1"
    by = PSP.decrypt(base64.b64decode(mac_key), oaep)
    assert hmac.digest(by, f"{nonce}${cipher}".encode(), "sha256") == base64.b64decode(mac)
    counter = base64.b64decode(nonce) + bytes(7) + b"\x01"
    decryptor = Cipher(
        algorithms.AES(PSP.decrypt(base64.b64decode(key), oaep)),
        modes.CTR(counter),
    ).decryptor()
    return decryptor.update(base64.b64decode(cipher)) + decryptor.finalize()


def notice(fields: Mapping[str, str], by: rsa.RSAPrivateKey = PSP) -> CallbackRequest:
    body = json.dumps(signed(fields, by), ensure_ascii=False).encode()
    return CallbackRequest("POST", "", {"content-type": "text/json;charset=utf-8"}, body)


def a_notice(number: str = NUMBER, amount: int = AMOUNT, state: str = "SUCCESS") -> Fields:
    return {
        "oid_partner": PARTNERS["first"],
        "dt_order": "20260302003015",
        "no_order": number,
        "oid_paybill": "2026030213121201",
        "money_order": in_yuan(amount),
        "result_pay": state,
        "settle_date": "20260302",
        "pay_type": "2",
        "bank_code": "01020000",
        "sign_type": "RSA",
    }


def in_yuan(amount: int) -> str:
    return str((Decimal(amount) / 100).quantize(Decimal("0.01")))


PLAIN_PATHS = {
    "/ll/mpayapi/v1/bankcardbindverfy": {"token", "no_order", "user_id", "verify_code"},
    "/ll/mpayapi/v1/bankcardpay": {"token", "no_order", "money_order", "verify_code"},
    "/ll/traderapi/bankcardunbind.htm": {"user_id", "pay_type", "no_agree"},
    "/ll/paymentapi/queryPayment.htm": {"no_order", "api_version"},
    "/ll/traderapi/traderAcctQuery.htm": {"api_version"},
    "/ll/queryapi/orderquery.htm": {"no_order", "dt_order", "query_version"},
    "/ll/traderapi/refund.htm": {"no_refund", "dt_refund", "money_refund", "no_order", "dt_order", "notify_url"},
    "/ll/queryapi/refundquery.htm": {"no_refund", "dt_refund"},
}
CARD_FIELDS = {"card_no", "acct_name", "bind_mob", "id_type", "id_no"}
OF_BIND = {*CARD_FIELDS, "user_id", "no_order", "dt_order", "pay_type", "notify_url", "risk_item"}
OF_PREPAY = {
    *("user_id", "no_order", "dt_order", "pay_type", "notify_url", "risk_item"),
    *("busi_partner", "name_goods", "money_order", "valid_order"),
}


OF_PAYOUTS = {
    "/ll/paymentapi/payment.htm": {
        *("no_order", "dt_order", "api_version", "money_order", "card_no", "acct_name", "flag_card", "info_order"),
        "memo",
        "notify_url",
    },
    "/ll/paymentapi/confirmPayment.htm": {"no_order", "api_version", "confirm_code", "notify_url"},
}
OF_FIRMS = {"bank_code", "bank_name", "prcptcd"}


def a_payouts_notice(number: str = NUMBER, amount: int = AMOUNT, state: str = "SUCCESS") -> Fields:
    told = a_notice(number, amount, state)
    del told["pay_type"], told["bank_code"]
    return {**told, "info_order": "还款"}


def a_refunds_notice(number: str = NUMBER, amount: int = AMOUNT, state: str = "2") -> Fields:
    """As the handbook shows one: with a return code."""
    return {
        "ret_code": "0000",
        "ret_msg": "交易成功",
        "oid_partner": PARTNERS["first"],
        "no_refund": number,
        "dt_refund": "20260302003015",
        "oid_refundno": "2026030213121299",
        "money_refund": in_yuan(amount),
        "sta_refund": state,
        "settle_date": "20260302",
        "sign_type": "RSA",
    }


class LianLianCase(Case):
    """One merchant and LianLian."""

    adapter = LianLian
    scenes = (Scene.QUICK_CHARGE,)
    codes: ClassVar[Mapping[type[Command[Any]], Mapping[str, Meaning]]] = {
        Pay: {
            **REFUSALS,
            **UNKNOWNS,
            **dict.fromkeys(IN_PROCESS, Processing),
            "0000": Succeeded,
            "8888": SmsNeeded,
        },
        AskPayment: {
            "SUCCESS": Succeeded,
            "WAITING": Processing,
            "PROCESSING": Processing,
            "FAILURE": F.CHANNEL_REFUSED,
            "REFUND": Unknown,
        },
        Refund: {**TO_A_REFUND, **REFUND_STATES},
        AskRefund: REFUND_STATES,
        Payout: TO_PAY_OUT,
        ConfirmPayout: {**dict.fromkeys(TO_PAY_OUT, Unknown), **dict.fromkeys(HELD_OR_MADE, Processing)},
        AskPayout: {
            **dict.fromkeys(("APPLY", "CHECK", "PROCESSING"), Processing),
            "SUCCESS": Succeeded,
            **dict.fromkeys(("FAILURE", "CLOSED"), F.CHANNEL_REFUSED),
            "CANCEL": Returned,
            "WAITING": Unknown,
        },
        SendSigningCode: {**BESIDE_MONEY, "0000": Unknown, "8888": CodeSent},
        Sign: {**BESIDE_MONEY, "0000": Authenticated, "8888": Unknown, "3009": Unknown, "9913": Unknown},
        Unbind: {
            **BESIDE_MONEY,
            **dict.fromkeys(("0000", "3003", "3011"), Unbound),
            **dict.fromkeys(("3004", "4000"), F.CHANNEL_REFUSED),
        },
    }
    # The same reading as of a payment without a code, whose table is whole.
    codes_of_payments_by_code: Mapping[str, Meaning] | None = {
        **{code: REFUSALS[code] for code in ("1000", "1900", "1901", "2006", "6001", "9702", "9910")},
        **dict.fromkeys(("1002", "2007", "9990", "9999"), Unknown),
        "0000": Succeeded,
        "2008": Processing,
        "8888": SmsNeeded,
    }
    unmapped_code = "7654"
    duplicates = ("1002", "2005", "2007", "9983")
    not_received: ClassVar[Mapping[type[Command[Any]], frozenset[str]]] = {
        Pay: frozenset(SAYS_NOTHING),
        Payout: frozenset({"4006", "4007", "4009", "9999"}),
        Refund: frozenset(SAYS_NOTHING),
    }
    calls_back = frozenset({Verb.PAY, Verb.PAYOUT, Verb.REFUND})
    states_in_answers = frozenset(REFUND_STATES)
    without_question = frozenset({Verb.AUTHENTICATE})
    continuation = TOKEN
    balance_fields: ClassVar[Mapping[str, str]] = {"amt_balance": "for_payouts", "amt_unsettle": "for_refunds"}
    balance_in_yuan = True

    def account(self, merchant: str = "first") -> AccountSettings:
        settings: dict[str, object] = {
            "base_url": BASE,
            "oid_partner": PARTNERS[merchant],
            "ware_category": "2010",
            "risk_item": {"frms_client_chnl": "16"},
            "assumed": ["short_risk_item", "same_number_again", "payout_product", "payout_firms", "refund_product"],
        }
        secrets = {"merchant_private_key": private_pem(MERCHANT), "psp_public_key": public_pem(PSP)}
        return AccountSettings(f"lianlian-{merchant}", "lianlian", settings, secrets)

    def read(self, request: httpx.Request) -> OnTheWire:
        fields = self.checked(request)
        amount = fields.get("money_refund", fields.get("money_order"))
        assert amount is None or len(amount.partition(".")[2]) == 2
        number = fields.get("no_refund", fields.get("no_order", NUMBER))
        return OnTheWire(number, None if amount is None else int(Decimal(amount) * 100))

    def checked(self, request: httpx.Request) -> Fields:
        """The request's fields, decrypted where they must be encrypted."""
        assert request.method == "POST"
        assert request.headers["content-type"] == "application/json;charset=utf-8"
        fields: Fields = json.loads(request.content)
        if (wanted := PLAIN_PATHS.get(request.url.path)) is None:
            assert fields.keys() == {"oid_partner", "pay_load"}
            fields = json.loads(opened(fields["pay_load"]))
            wanted = self._of_sealed(request, fields)
        assert fields.keys() == {*wanted, "oid_partner", "sign_type", "sign"}
        assert all(isinstance(value, str) for value in fields.values())
        assert fields["sign_type"] == "RSA"
        signature = base64.b64decode(fields["sign"])
        MERCHANT.public_key().verify(signature, text_to_sign(fields), padding.PKCS1v15(), hashes.MD5())
        told_at = "20260301003015" if "no_refund" in fields else "20260302003015"  # a payment that is given back
        assert fields.get("dt_order", told_at) == told_at
        assert fields.get("dt_refund", "20260302003015") == "20260302003015"
        assert fields.get("notify_url", NOTIFY_URL) == NOTIFY_URL
        assert fields.get("pay_type", "2") == "2"
        if "card_no" in fields and "bind_mob" in fields:
            sent = [fields[name] for name in ("card_no", "acct_name", "bind_mob", "id_type", "id_no")]
            assert sent == [CARD.card_no, CARD.holder_name, CARD.phone, "0", CARD.id_no]
        if "risk_item" in fields:
            risk = json.loads(fields["risk_item"])
            assert (risk["frms_ware_category"], risk["frms_client_chnl"]) == ("2010", "16")
            assert (risk["user_info_mercht_userno"], risk["user_info_bind_phone"]) == (fields["user_id"], CARD.phone)
        return fields

    def _of_sealed(self, request: httpx.Request, fields: Fields) -> set[str]:
        """What a request must say that goes encrypted."""
        if (of_payout := OF_PAYOUTS.get(request.url.path)) is not None:
            return of_payout | (
                OF_FIRMS | ({"brabank_name"} & fields.keys()) if fields.get("flag_card") == "1" else set()
            )
        if request.url.path == "/ll/mpayapi/v1/bankcardbind":
            return OF_BIND
        assert request.url.path == "/ll/mpayapi/v1/bankcardprepay"
        return OF_PREPAY | ({"no_agree"} if "no_agree" in fields else CARD_FIELDS)

    def told(self, request: httpx.Request, code: str, **more: str) -> httpx.Response:
        """An answer to this request with this ret_code; rightly signed, also where the real one signs nothing."""
        asked = self.checked(request)
        echoed: Fields = {
            str(name): asked[name]
            for name in ("oid_partner", "no_order", "dt_order", "money_order", "user_id", "sign_type")
            if name in asked
        }
        if request.url.path.endswith(OF_REFUNDS):
            names = ("oid_partner", "no_refund", "money_refund", "sign_type")
            echoed = {name: asked[name] for name in names if name in asked}
        return as_json(signed({**echoed, "ret_code": code, "ret_msg": f"说明[{code}]", **more}))

    def answer(self, request: httpx.Request, code: str) -> httpx.Response:
        if request.url.path.endswith(("/orderquery.htm", "/queryPayment.htm")):
            return self.state(request, code)
        is_refund = request.url.path.endswith("/refund.htm")
        if request.url.path.endswith("/refundquery.htm") or (is_refund and code in REFUND_STATES):
            return self.refund_state(request, code)
        if code in {"4002", "4003", "4004"} and request.url.path in OF_PAYOUTS:
            return self.told(request, code, confirm_code=CONFIRM_CODE)
        if code == "8888":
            return self.told(request, code, token=TOKEN)
        if code == "0000" and request.url.path.endswith("/bankcardbindverfy"):
            return self.open_binding(request)
        if code == "0000" and "money_order" in self.checked(request):
            return self.told(request, code, oid_paybill="2026030213121201", settle_date="20260302")
        return self.told(request, code)

    def state(self, request: httpx.Request, state: str, amount: int = AMOUNT, **more: str) -> httpx.Response:
        """To a question: the order is in this state."""
        return self.told(
            request, "0000", result_pay=state, money_order=in_yuan(amount), oid_paybill="2026030213121201", **more
        )

    def refund_state(self, request: httpx.Request, state: str, amount: int = AMOUNT, **more: str) -> httpx.Response:
        said = {"money_refund": in_yuan(amount), "oid_refundno": "2026030213121299", "sta_refund": state, **more}
        return self.told(request, "0000", **said)

    def processing(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith(OF_REFUNDS):
            return self.refund_state(request, "1")
        if request.url.path.endswith("/traderAcctQuery.htm"):
            return self.balance(request)
        if request.url.path.endswith(("/orderquery.htm", "/queryPayment.htm")):
            return self.state(request, "PROCESSING")
        if request.url.path in OF_PAYOUTS:
            return self.told(request, "0000", oid_paybill="2026030213121201")
        return self.told(request, "2008")

    def balance(self, request: httpx.Request, **told: str | None) -> httpx.Response:
        """As LianLian's demo reads it: it does not say whose it is."""
        assert self.checked(request)["api_version"] == "1.0"
        amounts = {name: text for name, text in {"amt_balance": "1.00", **told}.items() if text is not None}
        return as_json(signed({"ret_code": "0000", "ret_msg": "交易成功", "sign_type": "RSA", **amounts}))

    def balance_of_another(self, request: httpx.Request) -> httpx.Response:
        return self.told(request, "0000", oid_partner=PARTNERS["second"], amt_balance="1.00", amt_unsettle="1.00")

    def balance_refused(self, request: httpx.Request) -> httpx.Response:
        return self.refused(request, "3001")

    def succeeded(self, request: httpx.Request, amount: int = AMOUNT) -> httpx.Response:
        if request.url.path.endswith(OF_REFUNDS):
            return self.refund_state(request, "2", amount, settle_date="20260302")
        return self.state(request, "SUCCESS", amount, settle_date="20260302", bank_code="01020000")

    def not_found(self, request: httpx.Request) -> httpx.Response:
        return self.refused(request, "8901")

    def query_failed(self, request: httpx.Request) -> httpx.Response:
        return self.refused(request, "9999")

    def refused(self, request: httpx.Request, code: str) -> httpx.Response:
        """As LianLian refuses: without a signature, and without saying whom."""
        self.checked(request)
        return as_json({"ret_code": code, "ret_msg": f"说明[{code}]"})

    def unsigned(self, response: httpx.Response) -> httpx.Response:
        fields = json.loads(response.content)
        return as_json(signed({name: value for name, value in fields.items() if name != "sign"}, STRANGER))

    def of_another_order(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith(OF_REFUNDS):
            return self.refund_state(request, "2", no_refund=OTHER_NUMBER)
        return self.state(request, "SUCCESS", no_order=OTHER_NUMBER)

    def callback(self, verb: Verb, number: str, amount: int, code: str | None = None) -> CallbackRequest:
        if verb is Verb.REFUND:
            return notice(a_refunds_notice(number, amount, code or "2"))
        if verb is Verb.PAYOUT:
            return notice(a_payouts_notice(number, amount, code or "SUCCESS"))
        return notice(a_notice(number, amount, code or "SUCCESS"))

    def as_callback(self, answer: httpx.Response) -> CallbackRequest:
        return CallbackRequest("POST", "", {"content-type": "text/json;charset=utf-8"}, answer.content)

    def open_binding(self, request: httpx.Request) -> httpx.Response:
        return self.told(request, "0000", no_agree=AGREEMENT_NO, card_no=CARD.card_no[-4:])

    def sms_needed(self, request: httpx.Request) -> httpx.Response:
        return self.told(request, "8888", token=TOKEN)

    def code_sent(self, request: httpx.Request) -> httpx.Response:
        return self.told(request, "8888", token=TOKEN)

    def wrong_code(self, request: httpx.Request) -> httpx.Response:
        return self.refused(request, "1900")

    def expired_code(self, request: httpx.Request) -> httpx.Response:
        return self.refused(request, "1901")

    def unbound(self, request: httpx.Request) -> httpx.Response:
        return as_json(signed({"ret_code": "0000", "ret_msg": "交易成功", "sign_type": "RSA"}))

    def unbound_before(self, request: httpx.Request) -> httpx.Response:
        return self.refused(request, "3003")

    def typed(self, request: httpx.Request) -> str | None:
        return self.checked(request)["verify_code"]

    def continued(self, request: httpx.Request) -> str | None:
        return self.checked(request).get("token")

    def agreement_named(self, request: httpx.Request) -> str | None:
        return self.checked(request)["no_agree"]
