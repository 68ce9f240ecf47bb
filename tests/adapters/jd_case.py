"""JD express as the contract suite meets it: its own reader (lxml, openssl's DES) and signer of CHINABANK letters."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlencode
from xml.sax.saxutils import escape

import httpx
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from lxml import etree

from adapters.jd import Jd
from gateway.domain.failures import FailureCode as F
from gateway.domain.intents import Verb
from gateway.domain.outcomes import CodeSent, NotFound, Outcome, Processing, Succeeded, Unknown
from gateway.domain.scenes import Scene
from gateway.ports import (
    AccountSettings,
    AskPayment,
    AskRefund,
    CallbackRequest,
    Command,
    Pay,
    Provider,
    Refund,
    SendPaymentCode,
    Transport,
)
from tests.adapters.contract import AMOUNT, OTHER_NUMBER, SMS_CODE, Case, Meaning, OnTheWire

URL = "http://jd.example.com/express.htm"
MERCHANTS = {"first": "110000000001", "second": "110000000002"}
MD5_KEY = "the md5 key of a test"
DES_KEY = base64.b64encode(b"8 bytes, and 16 of no use").decode()
OTHER_DES_KEY = base64.b64encode(b"8 others").decode()
HEAD = '<?xml version="1.0" encoding="UTF-8"?>'

INVALID = "EES0012 EES0013 EES0014 EEB0008 EEB0009 EEB0030 EEB0051 EEB0055 EEB0057"
LIMITS = "EEB0015 EEB0016 EEB0017 EEB0029 EEB0038 EEB0039 EEB0043 EEB0052 EEB0053 EER0002 EER0003 EER0004"
UNSUPPORTED = "EES0028 EES0029 EEB0001 EEB0010 EEB0011 EEB0013 EEB0026 EEB0027 EEB0035 EEB0037 EEB0042 EEB0046"
OURS = [
    *(f"EES{number:04d}" for number in (*range(1, 12), 16, *range(19, 27), 36, 37, 42)),
    *("EEN0011", "EEN0013", "EEN0018", "EEB0004"),
]
REFUSALS: dict[str, Meaning] = {
    "EEB0014": F.INSUFFICIENT_BALANCE,
    **dict.fromkeys(INVALID.split(), F.CARD_INVALID),
    "EEB0012": F.CARD_FROZEN,
    "EEB0054": F.CARD_EXPIRED,
    **dict.fromkeys(("EES0015", "EEB0005"), F.NAME_MISMATCH),
    **dict.fromkeys(("EES0017", "EEB0007", "EEB0040", "EEB0044", "EEB0045", "EEN0012"), F.ID_MISMATCH),
    **dict.fromkeys(("EES0018", "EEB0006"), F.PHONE_MISMATCH),
    **dict.fromkeys(("EES0027", "EEN0017"), F.SMS_CODE_WRONG),
    **dict.fromkeys(("EES0035", "EEN0002", "EEB0025"), F.SMS_CODE_EXPIRED),
    **dict.fromkeys(("EES0038", "EES0041", "EEN0007", "EEN0014", "EEB0047"), F.TOO_MANY_TRIES),
    **dict.fromkeys(("EER0001", "EEB0028", "EEB0056"), F.RISK_REJECTED),
    **dict.fromkeys(LIMITS.split(), F.CHANNEL_LIMIT_EXCEEDED),
    **dict.fromkeys(UNSUPPORTED.split(), F.CARD_UNSUPPORTED),
    **dict.fromkeys(("EEB0002", "EEN0021"), F.AUTHENTICATION_REJECTED),
    **dict.fromkeys(("EES0043", "EES0044", "EEB0050"), F.AGREEMENT_VOID),
    **dict.fromkeys(
        ("EES0030", "EES0031", "EES0034", "EEB0036", "EEB0041", "EEB0062", "EEN0003", "EEN0016"), F.CHANNEL_UNAVAILABLE
    ),
    **dict.fromkeys(OURS, F.CHANNEL_REFUSED),
}
PAID_BEFORE = ("EEN0001", "EEN0015", "EEB0060", "EEB0061", "EEB0063", "EES0032", "EES0033")
OF_REFUNDS = ("EEB0003", "EES0040", *(f"EEN{number:04d}" for number in (4, 5, 6, 8, 9, 10, 19, 20)))
NOT_EVEN_RECEIVED = ("EEE0001", "EEE0002", "EEE0004")
NO_WORD: dict[str, Meaning] = dict.fromkeys(
    (*PAID_BEFORE, *OF_REFUNDS, *NOT_EVEN_RECEIVED, "EEE0003", "EEN0000", "EEB0023"), Unknown
)
IN_PROCESS = ("0001", "EEB0058", "EES0039")
STATES: dict[str, Meaning] = {
    "0000/0": Succeeded,
    "0000/6": Processing,
    "0000/7": F.CHANNEL_REFUSED,
    "0000/3": Unknown,
    "0000/": Unknown,
}
# What is ours to write, and that there is no such payment; all else about a refund is not public.
TO_A_REFUND: dict[str, Meaning] = {
    **dict.fromkeys((*REFUSALS, *NO_WORD), Unknown),
    **dict.fromkeys((*(each for each in OURS if each.startswith("EES") and each != "EES0042"),), F.CHANNEL_REFUSED),
    **dict.fromkeys(IN_PROCESS, Processing),
}
TO_A_QUESTION: dict[str, Meaning] = {
    **dict.fromkeys((*REFUSALS, *NO_WORD), Unknown),
    **dict.fromkeys(IN_PROCESS, Processing),
    **dict.fromkeys(("EES0036", "EES0037"), NotFound),
}


def cipher(key: str) -> Cipher[modes.ECB]:
    return Cipher(TripleDES(base64.b64decode(key)[:8] * 3), modes.ECB())


def encrypted(text: bytes, key: str = DES_KEY) -> str:
    padder, encryptor = padding.PKCS7(64).padder(), cipher(key).encryptor()
    padded = padder.update(text) + padder.finalize()
    return base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()


def unpadded(blocks: bytes) -> str:
    """Whole blocks, encrypted without the padding that belongs behind them."""
    encryptor = cipher(DES_KEY).encryptor()
    return base64.b64encode(encryptor.update(blocks) + encryptor.finalize()).decode()


def padded_to_a_block(text: str) -> bytes:
    raw = text.encode()
    return raw + b" " * (-len(raw) % 8)


def decrypted(data: str, key: str = DES_KEY) -> bytes:
    unpadder, decryptor = padding.PKCS7(64).unpadder(), cipher(key).decryptor()
    padded = decryptor.update(base64.b64decode(data)) + decryptor.finalize()
    return unpadder.update(padded) + unpadder.finalize()


def signature(merchant: str, data: str, md5_key: str = MD5_KEY) -> str:
    return hashlib.md5(f"1.0.0{merchant}00000001{data}{md5_key}".encode()).hexdigest()


def letter(data: str, merchant: str = MERCHANTS["first"], sign: str | None = None) -> str:
    """What stands behind `resp=`."""
    sign = signature(merchant, data) if sign is None else sign
    xml = (
        f"{HEAD}\n<CHINABANK>\n  <VERSION>1.0.0</VERSION>\n  <MERCHANT>{merchant}</MERCHANT>\n"
        f"  <TERMINAL>00000001</TERMINAL>\n  <DATA>{data}</DATA>\n  <SIGN>{sign}</SIGN>\n</CHINABANK>"
    )
    return base64.b64encode(xml.encode()).decode()


def told(inside: str) -> httpx.Response:
    """A signed answer with this DATA."""
    return httpx.Response(200, content=f"resp={letter(encrypted(f'{HEAD}{inside}'.encode()))}".encode())


def inside(kind: str, number: str, amount: str, code: str) -> str:
    """DATA with a code, `0000/6` meaning 0000 with STATUS 6. A refusal has STATUS 0, as one was seen in the wild."""
    stated = ""
    if kind != "V":
        code, _, status = code.partition("/")
        stated = f"<STATUS>{status if code == '0000' else '0'}</STATUS>"
    trade = f"<TYPE>{kind}</TYPE><ID>{number}</ID><AMOUNT>{amount}</AMOUNT><CURRENCY>CNY</CURRENCY>{stated}"
    returned = f"<CODE>{code}</CODE><DESC>说明{escape('&')}</DESC>"
    return f"<DATA><TRADE>{trade}</TRADE><RETURN>{returned}</RETURN></DATA>"


def read_xml(content: bytes) -> "etree._Element":
    return etree.fromstring(content, etree.XMLParser(resolve_entities=False, no_network=True))


def as_notice(resp: str) -> CallbackRequest:
    body = urlencode({"resp": resp}).encode()
    return CallbackRequest("POST", "", {"content-type": "application/x-www-form-urlencoded"}, body)


class JdCase(Case):
    """One JD merchant and the platform it talks to."""

    adapter = Jd
    scenes = (Scene.QUICK_CHARGE,)
    codes: ClassVar[Mapping[type[Command[Any]], Mapping[str, Meaning]]] = {
        Pay: {**REFUSALS, **NO_WORD, **STATES, **dict.fromkeys(IN_PROCESS, Processing)},
        AskPayment: {**TO_A_QUESTION, **STATES},
        Refund: {**TO_A_REFUND, **STATES},
        AskRefund: {**TO_A_QUESTION, **STATES},
        SendPaymentCode: {**REFUSALS, **NO_WORD, "0000": CodeSent, **dict.fromkeys(IN_PROCESS, Unknown)},
    }
    unmapped_code = "0000/9"
    duplicates = PAID_BEFORE
    not_received: ClassVar[Mapping[type[Command[Any]], frozenset[str]]] = {
        Pay: frozenset(NOT_EVEN_RECEIVED),
        AskPayment: frozenset(TO_A_QUESTION),
        Refund: frozenset(NOT_EVEN_RECEIVED),
        AskRefund: frozenset(TO_A_QUESTION),
        SendPaymentCode: frozenset({*NO_WORD, *IN_PROCESS} - {*PAID_BEFORE}),
    }
    calls_back = frozenset({Verb.PAY, Verb.REFUND})
    states_in_answers = frozenset(STATES)

    def account(self, merchant: str = "first") -> AccountSettings:
        return AccountSettings(
            code=f"jd-{merchant}",
            provider="jd",
            settings={"url": URL, "merchant": MERCHANTS[merchant], "assumed": ["order_numbers", "refunds_as_payments"]},
            secrets={"md5_key": MD5_KEY, "des_key": DES_KEY},
        )

    def build(self, account: AccountSettings, transport: Transport) -> Provider:
        """The contract's payments have no SMS code; JD's always do."""
        provider = Jd(account, transport)
        pay = provider.commands[Pay]

        async def with_a_code(command: Pay) -> Outcome:
            outcome: Outcome = await pay(replace(command, sms_code=command.sms_code or SMS_CODE))
            return outcome

        provider.commands = {**provider.commands, Pay: with_a_code}
        return provider

    def read(self, request: httpx.Request) -> OnTheWire:
        data = self.checked(request)
        amount = data.findtext("TRADE/AMOUNT")
        return OnTheWire(str(data.findtext("TRADE/ID")), None if amount is None else int(amount))

    def typed(self, request: httpx.Request) -> str | None:
        return self.checked(request).findtext("TRADE/CODE")

    def continued(self, request: httpx.Request) -> str | None:
        return None  # the order's number is enough

    def checked(self, request: httpx.Request) -> "etree._Element":
        """DATA of a request that JD would read."""
        assert request.method == "POST"
        assert str(request.url) == URL
        form = dict(parse_qsl(request.content.decode("ascii"), strict_parsing=True))
        assert form.keys() == {"charset", "req"}
        assert form["charset"] == "UTF-8"
        root = read_xml(base64.b64decode(form["req"], validate=True))
        parts = [(element.tag, element.text) for element in root]
        (_, version), (_, merchant), (_, terminal), (_, sealed), (_, sign) = parts
        assert [tag for tag, _ in parts] == ["VERSION", "MERCHANT", "TERMINAL", "DATA", "SIGN"]
        assert (version, terminal) == ("1.0.0", "00000001")
        assert sign == signature(str(merchant), str(sealed))
        data = read_xml(decrypted(str(sealed)))
        kind = data.findtext("TRADE/TYPE")
        assert kind in {"V", "S", "Q", "R"}
        assert [element.tag for element in data] == (["TRADE"] if kind in {"Q", "R"} else ["CARD", "TRADE"])
        return data

    def answer(self, request: httpx.Request, code: str) -> httpx.Response:
        data = self.checked(request)
        amount = data.findtext("TRADE/AMOUNT") or str(AMOUNT)
        return told(inside(str(data.findtext("TRADE/TYPE")), str(data.findtext("TRADE/ID")), amount, code))

    def processing(self, request: httpx.Request) -> httpx.Response:
        return self.answer(request, "0000/6")

    def succeeded(self, request: httpx.Request, amount: int = AMOUNT) -> httpx.Response:
        return told(inside("Q", self.read(request).number, str(amount), "0000/0"))

    def not_found(self, request: httpx.Request) -> httpx.Response:
        return self.answer(request, "EES0037")

    def query_failed(self, request: httpx.Request) -> httpx.Response:
        return self.answer(request, "EEE0001")

    def unsigned(self, response: httpx.Response) -> httpx.Response:
        root = read_xml(base64.b64decode(response.text.removeprefix("resp=")))
        data = str(root.findtext("DATA"))
        sign = signature(MERCHANTS["first"], data, "the md5 key of a stranger")
        return httpx.Response(200, content=f"resp={letter(data, sign=sign)}".encode())

    def miscoded(self, answer: httpx.Response) -> httpx.Response:
        return self._again(answer, self._data(answer).decode().encode("gbk"))

    def undecipherable(self, answer: httpx.Response) -> httpx.Response | None:
        return self._again(answer, self._data(answer), OTHER_DES_KEY)

    def _data(self, answer: httpx.Response) -> bytes:
        root = read_xml(base64.b64decode(answer.text.removeprefix("resp=")))
        return decrypted(str(root.findtext("DATA")))

    def _again(self, answer: httpx.Response, data: bytes, key: str = DES_KEY) -> httpx.Response:
        """Rightly signed, with this DATA."""
        return httpx.Response(200, content=f"resp={letter(encrypted(data, key))}".encode())

    def of_another_order(self, request: httpx.Request) -> httpx.Response:
        return told(inside("Q", OTHER_NUMBER, str(AMOUNT), "0000/0"))

    def callback(self, verb: Verb, number: str, amount: int, code: str | None = None) -> CallbackRequest:
        kind = {Verb.PAY: "S", Verb.REFUND: "R"}[verb]
        data = f"{HEAD}{inside(kind, number, str(amount), code or '0000/0')}".encode()
        return as_notice(letter(encrypted(data)))

    def as_callback(self, answer: httpx.Response) -> CallbackRequest:
        return as_notice(answer.text.removeprefix("resp="))

    def code_sent(self, request: httpx.Request) -> httpx.Response:
        """To a wish for an SMS: it is on its way."""
        return self.answer(request, "0000")

    def wrong_code(self, request: httpx.Request) -> httpx.Response:
        """To a payment: the SMS code is not the one that was sent."""
        return self.answer(request, "EES0027")

    def expired_code(self, request: httpx.Request) -> httpx.Response:
        """To a payment: the SMS code is too old."""
        return self.answer(request, "EES0035")
