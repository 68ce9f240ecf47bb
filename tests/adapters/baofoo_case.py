"""Baofoo protocol pay as the contract suite meets it: its own reader, signer and envelopes."""

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlencode

import httpx
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from adapters.baofoo import Baofoo
from gateway.domain.failures import FailureCode as F
from gateway.domain.intents import Verb
from gateway.domain.outcomes import (
    Authenticated,
    CodeSent,
    NotFound,
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
    Pay,
    Payout,
    Refund,
    SendPaymentCode,
    SendSigningCode,
    Sign,
    Unbind,
)
from tests.adapters.contract import (
    AGREEMENT_NO,
    AMOUNT,
    CARD,
    NOTIFY_URL,
    NUMBER,
    OTHER_NUMBER,
    Case,
    Meaning,
    OnTheWire,
)

Fields = dict[str, str]


def new_key() -> rsa.RSAPrivateKey:
    """As short as those in the document's examples, and so as quick."""
    return rsa.generate_private_key(public_exponent=65537, key_size=1024)


PSP, STRANGER = new_key(), new_key()
MERCHANTS = {"first": new_key(), "second": new_key()}
MEMBERS = {"first": ("100025773", "200001173"), "second": ("100025774", "200001174")}
UNIQUE_CODE = "201803221845403000550"
KEY = b"4f66405C4f66405c"
BALANCE_KEY = "a key of the test's own"
NUMBER_CHARS = 25
OPEN_SERVICE = "/open-service/query/service.do"
OF_EVERY_REQUEST = {"version", "send_time", "msg_id", "txn_type", "member_id", "terminal_id", "signature"}

REFUSALS: dict[str, Meaning] = {
    f"BF{code}": meaning
    for meaning, codes in (
        (F.INSUFFICIENT_BALANCE, "00103 00342"),
        (F.CHANNEL_LIMIT_EXCEEDED, "00104 00109 00117 00146 00189 00234 00235 08701 08702 08703 08704 08705"),
        (F.TOO_MANY_TRIES, "00233 00261 00347 00350 00351"),
        (F.CARD_EXPIRED, "00102"),
        (F.CARD_CLOSED, "00140"),
        (F.CARD_LOST, "00141"),
        (F.CARD_FROZEN, "00237"),
        (F.CARD_INVALID, "00182 00236 00312 00344"),
        (F.CARD_UNSUPPORTED, "00107 00110 00122 00142 00147 00187 00232 00311 00320"),
        (F.NAME_MISMATCH, "00345"),
        (F.ID_MISMATCH, "00101 00321 00346"),
        (F.PHONE_MISMATCH, "00258 00343 00353"),
        (F.SMS_CODE_WRONG, "00105 00133"),
        (F.SMS_CODE_EXPIRED, "00106 00119 00130 00132 00256 00259 00260 00317"),
        (F.AGREEMENT_VOID, "00134 00191"),
        (F.AUTHENTICATION_REJECTED, "00143 00188"),
        (F.RISK_REJECTED, "00108 00333 00341"),
        (F.CHANNEL_UNAVAILABLE, "00136 00180 00249 00255 00257 00325"),
        (F.CHANNEL_REFUSED, "00111 00116 00118 00120 00121 00123 00124 00125 00127 00129 00131 00135 00137 00138"),
        (F.CHANNEL_REFUSED, "00177 00192 00193 00194 00195 00196 00197 00198 00199 00200 00201 00204 00248 00253"),
        (F.CHANNEL_REFUSED, "00301 00309 00313 00315 00316 00322 00323 00324 00327 00331 00332"),
    )
    for code in codes.split()
}
MAY_BE_THERE = ("BF00100", "BF00112", "BF00202", "BF00254")
UNDECIDED: dict[str, Meaning] = dict.fromkeys(
    (
        *MAY_BE_THERE,
        *("BF00113", "BF00126", "BF00128", "BF00186", "BF00190", "BF00203", "BF00238", "BF00262", "BF00373"),
    ),
    Unknown,
)
OPEN_ORDER = ("BF00115", "BF00144", "BF00251")

TO_PAY: dict[str, Meaning] = {
    **REFUSALS,
    **UNDECIDED,
    **dict.fromkeys(OPEN_ORDER, Processing),
    "BF00130": SmsNeeded,
    "0000": Succeeded,
    "BF00114": Succeeded,
}
TO_PAY_BY_CODE: Mapping[str, Meaning] = {**TO_PAY, "BF00130": F.SMS_CODE_EXPIRED}
BESIDE_MONEY: dict[str, Meaning] = {**REFUSALS, **UNDECIDED, **dict.fromkeys((*OPEN_ORDER, "BF00114"), Unknown)}


def text_to_sign(fields: Mapping[str, str]) -> bytes:
    return "&".join(f"{k}={v}" for k, v in sorted(fields.items()) if v != "" and k != "signature").encode()


def signed(fields: Mapping[str, str], by: rsa.RSAPrivateKey = PSP) -> Fields:
    digest = hashlib.sha1(text_to_sign(fields)).hexdigest().encode()
    return {**fields, "signature": by.sign(digest, padding.PKCS1v15(), hashes.SHA1()).hex()}


def text_of(fields: Mapping[str, str]) -> httpx.Response:
    return httpx.Response(200, content="&".join(f"{key}={value}" for key, value in fields.items()).encode())


def fields_of(request: httpx.Request) -> Fields:
    pairs = parse_qsl(request.content.decode("ascii"), keep_blank_values=True, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def hidden(text: str, key: bytes = KEY) -> str:
    """A field under an envelope's key."""
    encoded = base64.b64encode(text.encode())
    lacking = 16 - len(encoded) % 16
    cipher = Cipher(AES(key), CBC(key)).encryptor()
    return (cipher.update(encoded + bytes([lacking]) * lacking) + cipher.finalize()).hex()


def envelope_for(merchant: str, inside: bytes = b"01|" + KEY) -> str:
    """A `dgtl_envlp` that this merchant can open."""
    key = MERCHANTS[merchant].public_key()
    return key.encrypt(base64.b64encode(inside), padding.PKCS1v15()).hex()


def opened(fields: Mapping[str, str], name: str) -> str:
    """A field of a request as Baofoo opens it."""
    envelope = PSP.decrypt(bytes.fromhex(fields["dgtl_envlp"]), padding.PKCS1v15())
    kind, _, key = base64.b64decode(envelope, validate=True).partition(b"|")
    assert (kind, len(key)) == (b"01", 16)
    cipher = Cipher(AES(key), CBC(key)).decryptor()
    padded = cipher.update(bytes.fromhex(fields[name])) + cipher.finalize()
    assert 1 <= padded[-1] <= 16
    return base64.b64decode(padded[: -padded[-1]], validate=True).decode()


def a_notice(number: str = NUMBER, amount: int = AMOUNT, code: str = "0000") -> Fields:
    told = {
        "resp_code": "S" if code in ("0000", "BF00114") else "F",
        "biz_resp_code": code,
        "biz_resp_msg": "说明",
        "member_id": MEMBERS["first"][0],
        "terminal_id": MEMBERS["first"][1],
        "order_id": "58752185",
        "trans_id": number,
    }
    if told["resp_code"] == "F":
        return told
    return {**told, "succ_amt": str(amount), "succ_time": "2026-03-02 00:31:00"}


def notification(fields: Mapping[str, str], by: rsa.RSAPrivateKey = PSP, method: str = "POST") -> CallbackRequest:
    form = urlencode(signed(fields, by))
    query, body = (form, b"") if method == "GET" else ("merchant=m1", form.encode())
    return CallbackRequest(method, query, {"content-type": "application/x-www-form-urlencoded"}, body)


# Of refunds: nobody's balance is short but the merchant's, and nothing is said of a payer, a code or an agreement.
OF_THE_CARD = (
    F.CARD_EXPIRED, F.CARD_CLOSED, F.CARD_LOST, F.CARD_FROZEN, F.CARD_INVALID, F.CARD_UNSUPPORTED, F.RISK_REJECTED,
    F.CHANNEL_LIMIT_EXCEEDED, F.CHANNEL_UNAVAILABLE,
)  # fmt: skip
REFUSED_REFUNDS: dict[str, Meaning] = {
    code: F.MERCHANT_BALANCE_SHORT
    if meaning is F.INSUFFICIENT_BALANCE
    else meaning
    if meaning in OF_THE_CARD
    else F.CHANNEL_REFUSED
    for code, meaning in REFUSALS.items()
}
FAILED_REFUND_QUESTIONS = tuple(
    f"BF00{n}"
    for n in (116, 118, 120, 121, 123, 124, 125, 127, 129, 135, 137, 138, *range(192, 200), 301, 313, 315, 316, 323)
)
TAKEN_ON = ("BF00115", "BF00144", "BF00203")
TO_REFUND: dict[str, Meaning] = {
    **REFUSED_REFUNDS,
    **UNDECIDED,
    **dict.fromkeys(("BF00114", "BF00251"), Unknown),
    **dict.fromkeys(("0000", *TAKEN_ON), Processing),
    "BF00128": F.CHANNEL_REFUSED,
}
TO_A_REFUNDS_QUESTION: dict[str, Meaning] = {
    **TO_REFUND,
    **dict.fromkeys(FAILED_REFUND_QUESTIONS, Unknown),
    "BF00128": NotFound,
    "0000": Succeeded,
}

PAYOUT_STATES = ("0", "1", "-1", "2", "3", "BF09999", "BF00126", "BF00190", "BF00373")
"""All that is not a return_code is told as the state of a payout."""
TO_PAY_OUT: dict[str, Meaning] = {
    "0000": Processing,
    "200": Processing,
    **dict.fromkeys(("0001", "0002", "0003", "0004", "0201", "0202", "0203", "0204", "0206"), F.CHANNEL_REFUSED),
    **dict.fromkeys(("0207", "0208", "0301", "0501", "0601"), F.CHANNEL_REFUSED),
    "0205": F.RISK_REJECTED,
    **dict.fromkeys(("0300", "0999", "0401"), Unknown),
}
FAILED_QUESTIONS = ("0001", "0002", "0004", "0202", "0300", "0301", "0999")


def letter(content: object, by: rsa.RSAPrivateKey = PSP, charset: str = "utf-8", block: int = 117) -> bytes:
    """What is written with a private key about payouts."""
    return sealed_json({"trans_content": content}, by, charset, block)


def sealed_json(content: object, by: rsa.RSAPrivateKey = PSP, charset: str = "utf-8", block: int = 117) -> bytes:
    """What is written with a private key: PKCS #1, block type 1, over base64 of JSON."""
    written = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    text = base64.b64encode(written.encode(charset))
    return b"".join(_sealed(text[at : at + block], by) for at in range(0, len(text), block)).hex().encode()


@lru_cache(maxsize=512)
def _sealed(piece: bytes, by: rsa.RSAPrivateKey) -> bytes:
    """One block. Letters that begin alike have blocks that are the same: kept, since this is slow."""
    numbers, size = by.private_numbers(), by.key_size // 8
    number = int.from_bytes(b"\x00\x01" + b"\xff" * (size - len(piece) - 3) + b"\x00" + piece)
    by_p, by_q = pow(number, numbers.dmp1, numbers.p), pow(number, numbers.dmq1, numbers.q)
    return (by_q + (numbers.iqmp * (by_p - by_q)) % numbers.p * numbers.q).to_bytes(size)


def read_letter(hexadecimal: bytes, key: rsa.RSAPublicKey) -> Any:
    """A letter about payouts, read with the public key."""
    return opened_json(hexadecimal, key)["trans_content"]


def opened_json(hexadecimal: bytes, key: rsa.RSAPublicKey) -> Any:
    """The same of any letter."""
    numbers, size, raw = key.public_numbers(), key.key_size // 8, bytes.fromhex(hexadecimal.decode("ascii"))
    text = b"".join(_opened(raw[at : at + size], numbers) for at in range(0, len(raw), size))
    return json.loads(base64.b64decode(text, validate=True))


@lru_cache(maxsize=512)
def _opened(block: bytes, numbers: rsa.RSAPublicNumbers) -> bytes:
    padded = pow(int.from_bytes(block), numbers.e, numbers.n).to_bytes(len(block))
    kind, _, piece = padded[2:].partition(b"\x00")
    assert padded[:2] == b"\x00\x01"
    assert not kind.strip(b"\xff")
    return piece


def about_payouts(items: list[dict[str, object]], code: str = "0000") -> dict[str, object]:
    """An answer of the payouts' product."""
    told: dict[str, object] = {"trans_head": {"return_code": code}}
    return {**told, "trans_reqDatas": [{"trans_reqData": items}]} if items else told


def a_payout_told(number: str = NUMBER, state: str = "1", amount: int = AMOUNT, **more: object) -> dict[str, object]:
    return {"trans_no": number, "trans_money": f"{amount // 100}.{amount % 100:02d}", "state": state, **more}


def a_refunds_notice(number: str = NUMBER, amount: object = AMOUNT, code: str = "0000", **more: object) -> bytes:
    """What a notice of a refund tells, as in the document's example: numbers are numbers there."""
    return sealed_json({
        "terminal_id": int(MEMBERS["first"][1]), "member_id": int(MEMBERS["first"][0]), "refund_order_no": number,
        "additional_info": "", "refund_business_no": "20160119458974", "refund_amt": amount, "resp_code": code,
        "resp_msg": f"说明[{code}]", **more,
    })  # fmt: skip


def refund_notification(content: bytes) -> CallbackRequest:
    body = urlencode({"data_content": content.decode()}).encode()
    return CallbackRequest("POST", "merchant=m1", {"content-type": "application/x-www-form-urlencoded"}, body)


REFUNDS_PATH = "/cutpayment/api/backTransRequest"
REFUND_FIELDS = {
    "09": {
        "terminal_id", "member_id", "txn_sub_type", "refund_type", "trans_id", "refund_order_no", "trans_serial_no",
        "refund_reason", "refund_amt", "refund_time", "additional_info", "req_reserved", "notice_url",
    },
    "10": {
        "terminal_id", "member_id", "txn_sub_type", "refund_order_no", "trans_serial_no", "additional_info",
        "req_reserved",
    },
}  # fmt: skip


class BaofooCase(Case):
    adapter = Baofoo
    # Withholds too, but the suite's have no agreement: `test_baofoo` has them.
    scenes = (Scene.QUICK_CHARGE,)
    codes: ClassVar[Mapping[type[Command[Any]], Mapping[str, Meaning]]] = {
        Pay: TO_PAY,
        AskPayment: {**TO_PAY, "BF00128": NotFound},
        SendSigningCode: {**BESIDE_MONEY, "0000": CodeSent},
        SendPaymentCode: {**BESIDE_MONEY, "0000": CodeSent},
        Sign: {**BESIDE_MONEY, "0000": Authenticated},
        Unbind: {**BESIDE_MONEY, "0000": Unbound, "BF00134": Unbound},
        Refund: TO_REFUND,
        AskRefund: TO_A_REFUNDS_QUESTION,
        Payout: TO_PAY_OUT,
        AskPayout: {
            **dict.fromkeys(FAILED_QUESTIONS, Unknown),
            "0401": NotFound,
            "0": Processing,
            "1": Succeeded,
            "-1": F.CHANNEL_REFUSED,
            "2": Returned,
            "3": Unknown,
        },
    }
    codes_of_payments_by_code = TO_PAY_BY_CODE
    unmapped_code = "BF09999"
    duplicates = ("BF00126", "BF00190", "BF00373")
    not_received: ClassVar[Mapping[type[Command[Any]], frozenset[str]]] = dict.fromkeys(
        (Pay, AskPayment), frozenset({*MAY_BE_THERE, "BF00128"})
    ) | {
        Refund: frozenset(MAY_BE_THERE),
        AskRefund: frozenset({*MAY_BE_THERE, *FAILED_REFUND_QUESTIONS}),
        Payout: frozenset({"0300", "0999", "0401"}),
        AskPayout: frozenset(FAILED_QUESTIONS),
    }
    calls_back = frozenset({Verb.PAY, Verb.REFUND})
    not_by_notice = frozenset({F.SMS_CODE_WRONG, F.SMS_CODE_EXPIRED})
    same_bytes = False
    continuation = UNIQUE_CODE
    balance_fields: ClassVar[Mapping[str, str]] = {"balance": "for_payouts"}
    balance_in_yuan = True
    signs_balance = False

    def account(self, merchant: str = "first") -> AccountSettings:
        member_id, terminal_id = MEMBERS[merchant]
        return AccountSettings(
            code=f"baofoo-{merchant}",
            provider="baofoo",
            settings={
                "base_url": "https://baofoo.test",
                "member_id": member_id,
                "terminal_id": terminal_id,
                "balance_terminal_id": "200009",
                "assumed": [
                    "order_time",
                    "another_code",
                    "payout_fields",
                    "returned_list",
                    "refund_fields",
                    "refund_codes",
                    "balance_query",
                    "statement_files",
                ],
            },
            secrets={
                "merchant_private_key": MERCHANTS[merchant]
                .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
                .decode(),
                "psp_certificate": PSP.public_key()
                .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
                .decode(),
                "balance_key": BALANCE_KEY,
            },
        )

    def checked(self, request: httpx.Request) -> Fields:
        """The fields of a request, as Baofoo checks them before it looks at what is asked."""
        fields = fields_of(request)
        assert request.method == "POST"
        assert str(request.url) == "https://baofoo.test/cutpayment/protocol/backTransRequest"
        assert all(fields.values())
        digest = hashlib.sha1(text_to_sign(fields)).hexdigest().encode()
        key = MERCHANTS["first"].public_key()
        key.verify(bytes.fromhex(fields["signature"]), digest, padding.PKCS1v15(), hashes.SHA1())
        assert (fields["member_id"], fields["terminal_id"]) == MEMBERS["first"]
        assert (fields["version"], fields["send_time"]) == ("4.0.0.0", "2026-03-02 00:30:15")
        assert len(fields["msg_id"]) <= 32
        assert fields["msg_id"].isalnum()
        assert len(fields.get("user_id", "")) <= 50
        return fields

    def payout_of(self, request: httpx.Request) -> dict[str, str]:
        """The one payout, or day, that a request of the payouts' product is about, as Baofoo checks it."""
        fields = fields_of(request)
        assert (fields.pop("member_id"), fields.pop("terminal_id")) == MEMBERS["first"]
        assert (fields.pop("data_type"), fields.pop("version")) == ("json", "4.0.0")
        content = read_letter(fields.pop("data_content").encode(), MERCHANTS["first"].public_key())
        assert not fields
        [group] = content["trans_reqDatas"]
        [item] = group["trans_reqData"]
        assert all(isinstance(value, str) for value in item.values())
        return dict(item)

    def refund_of(self, request: httpx.Request) -> dict[str, str]:
        """The refund that a request is about, as Baofoo checks it."""
        fields = fields_of(request)
        assert (fields["version"], fields["txn_type"], fields["data_type"]) == ("4.0.0.0", "331", "json")
        content = opened_json(fields["data_content"].encode(), MERCHANTS["first"].public_key())
        for told in (fields, content):
            assert (told["member_id"], told["terminal_id"]) == MEMBERS["first"]
        kind = fields["txn_sub_type"]
        assert content["txn_sub_type"] == kind
        assert content.keys() == REFUND_FIELDS[kind]
        assert all(isinstance(value, str) for value in content.values())
        assert 8 <= len(content["trans_serial_no"]) <= 32
        assert content["trans_serial_no"].isalnum()
        assert content["refund_order_no"] != content["trans_serial_no"]
        if kind == "09":
            assert content["refund_reason"]
            told = tuple(content[name] for name in ("refund_type", "trans_id", "refund_time", "notice_url"))
            assert told == ("8", OTHER_NUMBER, "20260302003015", NOTIFY_URL)
        return dict(content)

    def read(self, request: httpx.Request) -> OnTheWire:
        if request.url.path == REFUNDS_PATH:
            content = self.refund_of(request)
            return OnTheWire(
                content["refund_order_no"], int(content["refund_amt"]) if "refund_amt" in content else None
            )
        if request.url.path.startswith("/baofoo-fopay/"):
            item = self.payout_of(request)
            amount = int(item["trans_money"].replace(".", "")) if "trans_money" in item else None
            return OnTheWire(item.get("trans_no", NUMBER), amount)
        fields = self.checked(request)
        number, kind = f"{int(fields['msg_id'][:NUMBER_CHARS], 36):032x}", fields["txn_type"]
        assert fields["msg_id"][NUMBER_CHARS:].startswith(kind)
        wanted = {
            "01": {"dgtl_envlp", "user_id", "card_type", "id_card_type", "acc_info"},
            "02": {"dgtl_envlp", "unique_code"},
            "03": {"dgtl_envlp", "acc_no"},
            "04": {"dgtl_envlp", "user_id", "protocol_no"},
            "05": {"dgtl_envlp", "user_id", "protocol_no", "trans_id", "txn_amt", "risk_item", "return_url"},
            "06": {"dgtl_envlp", "unique_code"},
            "07": {"orig_trans_id", "orig_trade_date"},
            "08": {"dgtl_envlp", "user_id", "protocol_no", "trans_id", "txn_amt", "risk_item", "return_url"},
        }[kind]
        assert fields.keys() - wanted == OF_EVERY_REQUEST
        assert wanted - {"return_url"} <= fields.keys()
        if kind == "07":
            assert (fields["orig_trans_id"], fields["orig_trade_date"]) == (number, fields["send_time"])
        if kind in ("05", "08"):
            assert fields["trans_id"] == number
            assert json.loads(fields["risk_item"]).keys() == {"goodsCategory", "chPayIp"}
        return OnTheWire(number, int(fields["txn_amt"]) if "txn_amt" in fields else None)

    def said(self, request: httpx.Request, state: str, code: str, **more: str) -> httpx.Response:
        """An answer to this request with these codes."""
        return text_of(signed(self.unsigned_answer(request, state, code) | more))

    def unsigned_answer(self, request: httpx.Request, state: str, code: str) -> Fields:
        asked = self.checked(request)
        answer = {name: asked[name] for name in ("version", "send_time", "txn_type", "member_id", "terminal_id")}
        if asked["txn_type"] in ("06", "07", "08"):
            answer["trans_id"] = self.read(request).number
            answer["order_id"] = "58752185"
        return {
            **answer,
            "msg_id": "4a3f0b1862b94b6f853c1d28f9913f82",
            "resp_code": state,
            "biz_resp_code": code,
            "biz_resp_msg": f"说明[{code}]",
        }

    def done(self, request: httpx.Request, amount: int = AMOUNT, code: str = "0000", **more: Any) -> httpx.Response:
        """What this request asks for was done."""
        kind = fields_of(request)["txn_type"]
        result = {
            "01": {"dgtl_envlp": envelope_for("first"), "unique_code": hidden(UNIQUE_CODE)},
            "02": {"dgtl_envlp": envelope_for("first"), "protocol_no": hidden(AGREEMENT_NO), "bank_code": "ICBC"},
            "03": {"dgtl_envlp": envelope_for("first"), "protocols": hidden(a_binding())},
            "05": {"dgtl_envlp": envelope_for("first"), "unique_code": hidden(UNIQUE_CODE)},
        }.get(kind, {})
        if kind in ("06", "07", "08"):
            result = {"succ_amt": str(amount), "succ_time": "2026-03-02 00:31:00"}
        return self.said(request, "S", code, **(result | more))

    def answer(self, request: httpx.Request, code: str) -> httpx.Response:
        if request.url.path.startswith("/baofoo-fopay/"):
            return self.payout_said(request, code)
        if request.url.path == REFUNDS_PATH:
            return self.refund_said(request, code)
        if code in ("0000", "BF00114"):
            return self.done(request, code=code)
        return self.said(request, "I" if code == "BF00115" else "F", code)

    def payout_said(self, request: httpx.Request, code: str, amount: int = AMOUNT) -> httpx.Response:
        """An answer of the payouts' product: a return_code, or to a question the state of the payout."""
        asks = request.url.path.endswith("/BF0040002.do")
        if asks and code in PAYOUT_STATES:
            item = a_payout_told(self.read(request).number, code, amount)
            return httpx.Response(200, content=letter(about_payouts([item])))
        return httpx.Response(200, content=letter(about_payouts([], code)))

    def refund_said(self, request: httpx.Request, code: str, amount: object = AMOUNT, **more: object) -> httpx.Response:
        """An answer about refunds."""
        asked = self.refund_of(request)
        echoed = {name: asked[name] for name in ("member_id", "terminal_id", "txn_sub_type", "refund_order_no")}
        told = {
            **echoed, "txn_type": "331", "data_type": "json", "version": "4.0.0.1",
            "refund_amt": str(amount) if code == "0000" else "", "resp_code": code, "resp_msg": f"说明[{code}]",
        }  # fmt: skip
        return httpx.Response(200, content=sealed_json({**told, **more}))

    def balance(self, request: httpx.Request, **told: str | None) -> httpx.Response:
        return self.balance_said(request, {"account_type": "1", "balance": "1.00", **told})

    def balance_said(
        self, request: httpx.Request, item: Mapping[str, str | None], code: str = "0000"
    ) -> httpx.Response:
        """An answer of the open service, to a question that it checks."""
        assert (request.method, str(request.url)) == ("POST", f"https://baofoo.test{OPEN_SERVICE}")
        asked = fields_of(request)
        names = ("member_id", "terminal_id", "return_type", "trans_code", "version", "account_type")
        assert tuple(asked) == (*names, "sign")
        assert [asked[name] for name in names] == [MEMBERS["first"][0], "200009", "json", "BF0001", "4.0.0", "1"]
        text = "&".join([*(f"{name}={asked[name]}" for name in names), f"key={BALANCE_KEY}"])
        assert asked["sign"] == hashlib.md5(text.encode()).hexdigest().upper()
        told = {name: value for name, value in item.items() if value is not None}
        head = {"return_code": code, "return_msg": "说明"}
        content = {"trans_content": {"trans_head": head, "trans_reqDatas": {"trans_reqData": told}}}
        return httpx.Response(200, content=json.dumps(content, ensure_ascii=False).encode())

    def balance_of_another(self, request: httpx.Request) -> httpx.Response:
        return self.balance_said(request, {"account_type": "3", "balance": "1.00"})

    def balance_refused(self, request: httpx.Request) -> httpx.Response:
        return self.balance_said(request, {}, "0202")

    def processing(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == REFUNDS_PATH:
            return self.refund_said(request, "BF00115")
        if request.url.path == OPEN_SERVICE:
            return self.balance(request)
        if request.url.path.startswith("/baofoo-fopay/"):
            return self.payout_said(request, "0" if request.url.path.endswith("2.do") else "0000")
        return self.said(request, "I", "BF00115")

    def succeeded(self, request: httpx.Request, amount: int = AMOUNT) -> httpx.Response:
        if request.url.path.startswith("/baofoo-fopay/"):
            return self.payout_said(request, "1", amount)
        if request.url.path == REFUNDS_PATH:
            return self.refund_said(request, "0000", amount)
        return self.done(request, amount)

    def not_found(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith("/baofoo-fopay/"):
            return self.payout_said(request, "0401")
        if request.url.path == REFUNDS_PATH:
            return self.refund_said(request, "BF00128")
        return self.said(request, "FF", "BF00128")

    def query_failed(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith("/baofoo-fopay/"):
            return self.payout_said(request, "0999")
        if request.url.path == REFUNDS_PATH:
            return self.refund_said(request, "BF00124")
        return self.said(request, "FF", "BF00103")

    def unsigned(self, response: httpx.Response) -> httpx.Response:
        if response.content.startswith(b"{"):
            return response  # of a balance: nobody signs it
        if b"=" not in response.content:
            return httpx.Response(
                200, content=sealed_json(opened_json(response.content, PSP.public_key()), by=STRANGER)
            )
        fields = dict(pair.split("=", 1) for pair in response.text.split("&"))
        return text_of(signed(fields, by=STRANGER))

    def miscoded(self, answer: httpx.Response) -> httpx.Response:
        if b"=" in answer.content:
            return super().miscoded(answer)
        return httpx.Response(200, content=sealed_json(opened_json(answer.content, PSP.public_key()), charset="gbk"))

    def undecipherable(self, answer: httpx.Response) -> httpx.Response | None:
        if b"=" not in answer.content:
            return None
        fields = dict(pair.split("=", 1) for pair in answer.text.split("&"))
        if "dgtl_envlp" not in fields:
            return None
        return text_of(signed(fields | {"dgtl_envlp": envelope_for("second")}))

    def of_another_order(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith("/baofoo-fopay/"):
            return httpx.Response(200, content=letter(about_payouts([a_payout_told(OTHER_NUMBER)])))
        if request.url.path == REFUNDS_PATH:
            return self.refund_said(request, "0000", refund_order_no=OTHER_NUMBER)
        return self.done(request, trans_id=OTHER_NUMBER)

    def callback(self, verb: Verb, number: str, amount: int, code: str | None = None) -> CallbackRequest:
        if verb is Verb.REFUND:
            return refund_notification(a_refunds_notice(number, amount, code or "0000"))
        assert verb is Verb.PAY
        return notification(a_notice(number, amount, code or "0000"))

    def as_callback(self, answer: httpx.Response) -> CallbackRequest:
        if b"=" not in answer.content:
            return refund_notification(answer.content)
        form = urlencode(dict(pair.split("=", 1) for pair in answer.text.split("&")))
        return CallbackRequest("POST", "", {}, form.encode())

    def open_binding(self, request: httpx.Request) -> httpx.Response:
        return self.done(request)

    def no_binding(self, request: httpx.Request) -> httpx.Response:
        return self.said(request, "F", "BF00134")

    def sms_needed(self, request: httpx.Request) -> httpx.Response:
        return self.said(request, "F", "BF00130")

    def code_sent(self, request: httpx.Request) -> httpx.Response:
        return self.done(request)

    def wrong_code(self, request: httpx.Request) -> httpx.Response:
        return self.said(request, "F", "BF00105")

    def expired_code(self, request: httpx.Request) -> httpx.Response | None:
        return self.said(request, "F", "BF00106")

    def unbound(self, request: httpx.Request) -> httpx.Response:
        return self.done(request)

    def unbound_before(self, request: httpx.Request) -> httpx.Response | None:
        return self.said(request, "F", "BF00134")

    def typed(self, request: httpx.Request) -> str | None:
        return opened(self.checked(request), "unique_code").split("|")[1]

    def continued(self, request: httpx.Request) -> str | None:
        return opened(self.checked(request), "unique_code").split("|")[0]

    def agreement_named(self, request: httpx.Request) -> str | None:
        return opened(self.checked(request), "protocol_no")


def a_binding(agreement_no: str = AGREEMENT_NO, user_id: str | None = None, card_no: str = CARD.card_no) -> str:
    told = hashlib.sha256(b"u-1").hexdigest()[:50] if user_id is None else user_id
    return f"{agreement_no}|{told}|{card_no}|ICBC|中国工商银行"
