"""A custody bank of the lanmao family as the contract suite meets it: its own reader and signer of the signed JSON."""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlencode

import httpx
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from adapters.lanmao import Lanmao
from gateway.domain.failures import FailureCode as F
from gateway.domain.intents import Verb
from gateway.domain.outcomes import Processing, Succeeded
from gateway.domain.scenes import Scene
from gateway.ports import AccountSettings, AskPayment, CallbackRequest, Command, Pay
from tests.adapters.case import CUSTODY_USER_NO, PSP_CODE
from tests.adapters.contract import AMOUNT, NUMBER, OTHER_NUMBER, Case, Meaning, OnTheWire

# As short as the library takes them, since the suite signs thousands of times.
PSP, STRANGER, MERCHANT = (rsa.generate_private_key(public_exponent=65537, key_size=1024) for _ in range(3))
PLATFORMS = {"first": "5000001104", "second": "5000001105"}
BASE = "https://custody.test/bha-neo-app/lanmaotech"
BEIJING = timezone(timedelta(hours=8))
WAYS = {Scene.CUSTODY_QUICK_CHARGE: "SWIFT", Scene.CUSTODY_NETBANK_CHARGE: "WEB", Scene.CUSTODY_WITHHOLD: "PROXY"}

# What this account says of codes that no document lists.
DECLINES: dict[str, F] = {
    "100004": F.CUSTODY_NOT_BOUND,
    "P51": F.INSUFFICIENT_BALANCE,
    f"{PSP_CODE}/P82": F.AUTHENTICATION_REJECTED,
}
NUMBER_USED, NO_RECORD = "100007", "100009"
STATES: dict[str, Meaning] = {
    "SUCCESS": Succeeded,
    "PENDDING": Processing,
    "FAIL": F.CHANNEL_REFUSED,
    "100004": F.CUSTODY_NOT_BOUND,
    "P51": F.INSUFFICIENT_BALANCE,
    "P82": F.AUTHENTICATION_REJECTED,
    "P99": F.CHANNEL_REFUSED,
}
"""rechargeStatus; or the errorCode or (with a P) channelErrorCode of one that failed."""
WORDS = ("SUCCESS", "PENDDING", "FAIL", "WAITING")

Fields = dict[str, Any]


def private_pem(key: rsa.RSAPrivateKey) -> str:
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(pem, pkcs8, serialization.NoEncryption()).decode()


def public_pem(key: rsa.RSAPrivateKey) -> str:
    public = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, public).decode()


def sign(text: str, by: rsa.RSAPrivateKey = PSP) -> str:
    return base64.b64encode(by.sign(text.encode(), padding.PKCS1v15(), hashes.SHA1())).decode()


def direct(said: Fields, by: rsa.RSAPrivateKey = PSP) -> httpx.Response:
    """As a direct call is answered: the JSON is the body, its signature a header."""
    text = json.dumps(said, ensure_ascii=False)
    return httpx.Response(200, content=text.encode(), headers={"sign": sign(text, by)})


def notice(
    said: Fields, platform: str = PLATFORMS["first"], service: str = "RECHARGE", kind: str = "NOTIFY", **more: str
) -> CallbackRequest:
    """A form as the bank's server or the payer's browser brings it."""
    text = json.dumps(said, ensure_ascii=False)
    form = {
        "platformNo": platform, "serviceName": service, "responseType": kind, "keySerial": "1", "respData": text,
        "userDevice": "PC", "sign": sign(text), **more,
    }  # fmt: skip
    headers = {"content-type": "application/x-www-form-urlencoded"}
    return CallbackRequest("POST", "", headers, urlencode(form).encode())


def a_state(word: str = "SUCCESS", number: str = NUMBER, amount: int = AMOUNT, way: str = "PROXY") -> Fields:
    """respData of an order in a state, or that failed with a code."""
    said: Fields = {
        "requestNo": number,
        "code": "0",
        "status": "SUCCESS",
        "rechargeStatus": word,
        "platformUserNo": CUSTODY_USER_NO,
        "amount": in_yuan(amount),
        "commission": "0.00",
        "payCompany": PSP_CODE,
        "rechargeWay": way,
        "payMobile": "138****0077",
        "transactionTime": "20260302003100",
    }
    if word in WORDS:
        return said
    if word.isdecimal():
        by_bank = {"errorCode": word, "errorMessage": "拒绝"}
        return said | by_bank | {"code": "1", "status": "INIT", "rechargeStatus": "FAIL"}
    by_psp = {"channelErrorCode": word, "channelErrorMessage": "余额不足"}
    return said | by_psp | {"errorCode": "100005", "errorMessage": "支付失败", "rechargeStatus": "FAIL"}


def not_called(code: str, number: str | None = NUMBER, **more: str) -> Fields:
    """respData of a call that failed."""
    said: Fields = {"code": "1", "status": "INIT", "errorCode": code, "errorMessage": f"说明[{code}]", **more}
    return said if number is None else said | {"requestNo": number}


def in_yuan(amount: int) -> str:
    return str((Decimal(amount) / 100).quantize(Decimal("0.01")))


ORDER = {"platformUserNo", "requestNo", "amount", "expectPayCompany", "rechargeWay", "timestamp"}
PAGE = ORDER | {"redirectUrl", "expired"}
CHARGE = ORDER | {"bankcode"}
QUESTION = {"requestNo", "transactionType", "timestamp"}


class LanmaoCase(Case):
    """One platform and its custody bank."""

    adapter = Lanmao
    scenes = (Scene.CUSTODY_WITHHOLD, Scene.CUSTODY_NETBANK_CHARGE, Scene.CUSTODY_QUICK_CHARGE)
    codes: ClassVar[Mapping[type[Command[Any]], Mapping[str, Meaning]]] = {Pay: STATES, AskPayment: STATES}
    unmapped_code = "WAITING"
    duplicates = (NUMBER_USED,)
    calls_back = frozenset({Verb.PAY})
    # An answer to DIRECT_RECHARGE tells how the order stands, and its notice tells it again.
    states_in_answers = frozenset({*STATES, unmapped_code})

    def account(self, merchant: str = "first") -> AccountSettings:
        settings: dict[str, object] = {
            "base_url": BASE,
            "platform_no": PLATFORMS[merchant],
            "declines": {code: failure.value for code, failure in DECLINES.items()},
            "number_used": [NUMBER_USED],
            "no_record": [NO_RECORD],
            "assumed": ["key_of_its_own", "failed_calls_charge_nothing", "fail_is_final"],
        }
        secrets = {"merchant_private_key": private_pem(MERCHANT), "psp_public_key": public_pem(PSP)}
        return AccountSettings(f"lanmao-{merchant}", "lanmao", settings, secrets)

    def read(self, request: httpx.Request) -> OnTheWire:
        fields = self.checked(request)
        amount = fields.get("amount")
        assert amount is None or len(amount.partition(".")[2]) == 2
        return OnTheWire(fields["requestNo"], None if amount is None else int(Decimal(amount) * 100))

    def checked(self, request: httpx.Request) -> dict[str, str]:
        """reqData, once signature and fields are what the bank wants."""
        assert request.method == "POST"
        assert request.headers["content-type"].startswith("application/x-www-form-urlencoded")
        form = dict(parse_qsl(request.content.decode("ascii"), strict_parsing=True))
        fields: dict[str, str] = json.loads(form["reqData"])
        MERCHANT.public_key().verify(
            base64.b64decode(form["sign"]), form["reqData"].encode(), padding.PKCS1v15(), hashes.SHA1()
        )
        assert (form["platformNo"], form["keySerial"]) == (PLATFORMS["first"], "1")
        assert fields["timestamp"] == "20260302003015"
        assert all(isinstance(value, str) for value in fields.values())
        path, common = request.url.path, {"serviceName", "platformNo", "keySerial", "reqData", "sign"}
        if path.endswith("/gateway"):
            assert form.keys() == common | {"userDevice"}
            assert form["serviceName"] == "RECHARGE"
            self._checked_page(fields)
        else:
            assert path == "/bha-neo-app/lanmaotech/service"
            assert form.keys() == common
            if form["serviceName"] == "QUERY_TRANSACTION":
                assert fields.keys() == QUESTION
                assert fields["transactionType"] == "RECHARGE"
                return fields
            assert form["serviceName"] == "DIRECT_RECHARGE"
            assert fields.keys() == CHARGE
            assert fields["rechargeWay"] == "PROXY"
        assert (fields["platformUserNo"], fields["expectPayCompany"]) == (CUSTODY_USER_NO, PSP_CODE)
        return fields

    def _checked_page(self, fields: Mapping[str, str]) -> None:
        bank = {"bankcode"} & fields.keys()
        if fields["rechargeWay"] == "SWIFT":
            assert fields.keys() == PAGE | {"callbackMode"} | bank
            assert fields["callbackMode"] == "DIRECT_CALLBACK"
        else:
            assert fields["rechargeWay"] == "WEB"
            assert fields.keys() == PAGE | ({"payType"} if bank else set()) | bank
            assert fields.get("payType", "B2C") == "B2C"

    # Answers

    def answer(self, request: httpx.Request, code: str) -> httpx.Response:
        fields = self.checked(request)
        if code == NUMBER_USED:  # of the call, not of what the order came to
            return direct(not_called(code, fields["requestNo"]))
        said = a_state(code, fields["requestNo"])
        if "transactionType" in fields:
            return direct(self.found(said))
        return direct(said)

    def found(self, *records: Fields) -> Fields:
        told = [each | {"createTime": "20260302003016"} for each in records]
        return {"code": "0", "status": "SUCCESS", "records": told}

    def processing(self, request: httpx.Request) -> httpx.Response:
        return self.answer(request, "PENDDING")

    def succeeded(self, request: httpx.Request, amount: int = AMOUNT) -> httpx.Response:
        return direct(self.found(a_state(number=self.checked(request)["requestNo"], amount=amount)))

    def not_found(self, request: httpx.Request) -> httpx.Response:
        self.checked(request)
        return direct(not_called(NO_RECORD, None))

    def query_failed(self, request: httpx.Request) -> httpx.Response:
        self.checked(request)
        return direct(not_called("100001", None))

    def unsigned(self, response: httpx.Response) -> httpx.Response:
        return direct(json.loads(response.content), STRANGER)

    def of_another_order(self, request: httpx.Request) -> httpx.Response:
        self.checked(request)
        return direct(self.found(a_state(number=OTHER_NUMBER)))

    # Notices

    def callback(self, verb: Verb, number: str, amount: int, code: str | None = None) -> CallbackRequest:
        assert verb is Verb.PAY
        return notice(a_state(code or "SUCCESS", number, amount, "SWIFT"))

    def copies(self, number: str, amount: int) -> Mapping[str, CallbackRequest]:
        said = a_state("SUCCESS", number, amount, "WEB")
        return {"browser": notice(said, kind="CALLBACK"), "server": notice(said)}

    def as_callback(self, answer: httpx.Response) -> CallbackRequest:
        said = {"respData": answer.content.decode(), "sign": answer.headers["sign"]}
        form = {"platformNo": PLATFORMS["first"], "serviceName": "RECHARGE", **said}
        return CallbackRequest("POST", "", {}, urlencode(form).encode())

    # What a form of a page says

    def text_told(self, request: httpx.Request) -> str | None:
        return None

    def expiry_told(self, request: httpx.Request) -> datetime | timedelta | None:
        text = self.checked(request)["expired"]
        return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=BEIJING).astimezone(UTC)

    def bank_told(self, request: httpx.Request) -> str | None:
        return self.checked(request).get("bankcode")

    def addresses_told(self, request: httpx.Request) -> tuple[str | None, str | None]:
        return None, self.checked(request)["redirectUrl"]
