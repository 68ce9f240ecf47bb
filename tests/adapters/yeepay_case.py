"""YeePay as the contract suite meets it: its own reader and signer of forms, answers and notices."""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, ClassVar
from urllib.parse import parse_qsl, quote_plus, urlencode

import httpx

from adapters.registry import ProviderClass
from adapters.yeepay import YeePay
from gateway.domain.failures import FailureCode as F
from gateway.domain.intents import Verb
from gateway.domain.outcomes import Closed, NotFound, Processing, Returned, Succeeded, Unknown
from gateway.domain.scenes import Scene
from gateway.ports import AccountSettings, AskPayment, AskRefund, CallbackRequest, Cancel, Command, Refund
from tests.adapters.contract import AMOUNT, OTHER_NUMBER, TRANSACTION_NO, Case, Meaning, OnTheWire

NODE = "https://node.yeepay.example.com/app-merchant-proxy/node"
COMMAND = "https://cha.yeepay.example.com/app-merchant-proxy/command"
MER_IDS = {"first": "10000000001", "second": "10000000002"}
KEYS = {"first": "a key of tests, of no merchant", "second": "another key of tests"}
TRX_ID = "717301480118460I"
FORM = {"content-type": "application/x-www-form-urlencoded"}

ORDERS: Mapping[str, str] = {
    "Buy": "p0_Cmd p1_MerId p2_Order p3_Amt p4_Cur p5_Pid p6_Pcat p7_Pdesc p8_Url p9_SAF pa_MP pb_ServerNotifyUrl "
    "pd_FrpId pm_Period pn_Unit pr_NeedResponse",
    "QueryOrdDetail": "p0_Cmd p1_MerId p2_Order pv_Ver p3_ServiceType",
    "CancelOrd": "p0_Cmd p1_MerId pb_TrxId pv_Ver",
    "RefundOrd": "p0_Cmd p1_MerId p2_Order pb_TrxId p3_Amt p4_Cur p5_Desc",
    "RefundResults": "p0_Cmd p1_MerId p2_Order pb_TrxId",
}
"""In which order the fields of each command are signed."""
UNITS = {"second": timedelta(seconds=1), "minute": timedelta(minutes=1), "day": timedelta(days=1)}


def hmac_md5(text: str, key: str) -> str:
    """RFC 2104 by hand, as YeePay's demos write it: over UTF-8, whatever the charset of the wire."""
    padded = key.encode().ljust(64, b"\0")
    inner = hashlib.md5(bytes(byte ^ 0x36 for byte in padded) + text.encode()).digest()
    return hashlib.md5(bytes(byte ^ 0x5C for byte in padded) + inner).hexdigest()


def signatures(values: Iterable[str], key: str = KEYS["first"]) -> dict[str, str]:
    values = list(values)
    return {"hmac": hmac_md5("".join(values), key), "hmac_safe": hmac_md5("#".join(v for v in values if v), key)}


def told(fields: Mapping[str, str], key: str = KEYS["first"], **unsigned: str) -> httpx.Response:
    """An answer: its fields are signed in the order in which they stand, but for some."""
    lines = {**fields, **unsigned, **signatures(fields.values(), key)}
    text = "".join(f"{name}={quote_plus(value, encoding='gbk')}\n" for name, value in lines.items())
    return httpx.Response(200, content=text.encode("ascii"))


def found(number: str, status: str, amount: str, pid: str = "还款 March", code: str = "1") -> dict[str, str]:
    return {
        "r0_Cmd": "QueryOrdDetail",
        "r1_Code": code,
        "r2_TrxId": TRX_ID,
        "r3_Amt": amount,
        "r4_Cur": "RMB",
        "r5_Pid": pid,
        "r6_Order": number,
        "r8_MP": "",
        "rw_RefundRequestID": "",
        "rx_CreateTime": "2026-03-02 00:30:16",
        "ry_FinshTime": "2026-03-02 00:31:02" if status == "SUCCESS" else "",
        "rz_RefundAmount": "",
        "rb_PayStatus": status,
        "rc_RefundCount": "0",
        "rd_RefundAmt": "0.0",
    }


def taken(number: str, amount: str, code: str = "1", fee: str = "0.12") -> httpx.Response:
    """The answer to RefundOrd."""
    fields = {"r0_Cmd": "RefundOrd", "r1_Code": code, "r2_TrxId": TRANSACTION_NO, "r3_Amt": amount, "r4_Cur": "CNY"}
    return told(fields, r4_Order=number, rf_fee=fee)


def refund_found(number: str, state: str, code: str = "1", taken_on: str = "1") -> dict[str, str]:
    return {
        "r0_Cmd": "RefundResults",
        "r1_Code": code,
        "r2_TrxId": TRANSACTION_NO,
        "r4_Order": number,
        "refundStatus": taken_on,
        "refundFrpStatus": state,
    }


def notice(number: str, amount: str, by: str = "1", merchant: str = "first", **changed: str) -> dict[str, str]:
    """The fields of a notice, signed in the order in which they stand."""
    fields = {
        "p1_MerId": MER_IDS[merchant],
        "r0_Cmd": "Buy",
        "r1_Code": "1",
        "r2_TrxId": TRX_ID,
        "r3_Amt": amount,
        "r4_Cur": "RMB",
        "r5_Pid": "还款 March",
        "r6_Order": number,
        "r7_Uid": "7",
        "r8_MP": "",
        "r9_BType": by,
    } | changed
    unsigned = {"rb_BankId": "ICBC-NET"}
    return {**fields, **signatures(fields.values(), KEYS[merchant]), **unsigned}


def by_browser(fields: Mapping[str, str]) -> CallbackRequest:
    return CallbackRequest("POST", "", FORM, urlencode(fields, encoding="gbk").encode("ascii"))


def by_server(fields: Mapping[str, str]) -> CallbackRequest:
    return CallbackRequest("GET", urlencode(fields, encoding="gbk"), {}, b"")


def yuan(amount: int) -> str:
    return f"{amount // 100}.{amount % 100:02}"


class YeePayCase(Case):
    adapter: ClassVar[ProviderClass] = YeePay
    scenes = (Scene.NETBANK_CHARGE,)
    codes: ClassVar[Mapping[type[Command[Any]], Mapping[str, Meaning]]] = {
        AskPayment: {"SUCCESS": Succeeded, "INIT": Processing, "CANCELED": Closed, "50": NotFound, "2": Unknown},
        Cancel: {"1": Closed, "53": Unknown, "50": NotFound, "2": Unknown},
        Refund: {
            "1": Processing,
            **dict.fromkeys(["2", "7", "10", "32", "50", "55", "526", "6801", "10803"], F.CHANNEL_REFUSED),
            **dict.fromkeys(("18", "900"), F.MERCHANT_BALANCE_SHORT),
        },
        AskRefund: {
            "1": Processing,
            "2": Succeeded,
            "3": F.CHANNEL_REFUSED,
            "4": Returned,
            "5": Unknown,
            "-1": Unknown,
            "-2": Unknown,
            "-3": NotFound,
        },
    }
    unmapped_code = "FROZEN"
    duplicates = ("51",)
    not_received: ClassVar[Mapping[type[Command[Any]], frozenset[str]]] = {
        AskPayment: frozenset({"2"}),
        Cancel: frozenset({"2"}),
        AskRefund: frozenset({"-1", "-2"}),
    }
    calls_back = frozenset({Verb.PAY})
    charset = "gbk"
    wrong_charset = "utf-8"

    def account(self, merchant: str = "first") -> AccountSettings:
        settings = {
            "node_url": NODE,
            "command_url": COMMAND,
            "mer_id": MER_IDS[merchant],
            "assumed": ["cancelled_stays_unpaid"],
        }
        return AccountSettings(f"yeepay-{merchant}", "yeepay", settings, {"key": KEYS[merchant]})

    def checked(self, request: httpx.Request) -> dict[str, str]:
        """The fields of a request, in the order in which they came, if both signatures are right."""
        pairs = parse_qsl(request.content.decode("ascii"), True, strict_parsing=True, encoding="gbk", errors="strict")
        fields = dict(pairs)
        assert len(fields) == len(pairs)
        names = ORDERS[fields["p0_Cmd"]].split()
        assert set(fields) == {*names, "hmac", "hmac_safe"}
        assert {name: fields[name] for name in ("hmac", "hmac_safe")} == signatures(fields[name] for name in names)
        assert str(request.url) == (NODE if fields["p0_Cmd"] in {"Buy", "RefundResults"} else COMMAND)
        assert not fields["p0_Cmd"].startswith("Refund") or fields["pb_TrxId"] == TRANSACTION_NO
        assert (request.method, fields["p1_MerId"]) == ("POST", MER_IDS["first"])
        assert len(fields.get("p5_Pid", "").encode("gbk")) <= 20
        return fields

    def read(self, request: httpx.Request) -> OnTheWire:
        fields = self.checked(request)
        if "p3_Amt" not in fields:
            return OnTheWire(fields.get("p2_Order") or fields["pb_TrxId"], None)
        whole, point, cents = fields["p3_Amt"].partition(".")
        assert (point, len(cents), fields["p4_Cur"]) == (".", 2, "CNY")
        return OnTheWire(fields["p2_Order"], int(whole + cents))

    def expiry_told(self, request: httpx.Request) -> timedelta:
        fields = self.checked(request)
        return int(fields["pm_Period"]) * UNITS[fields["pn_Unit"]]

    def text_told(self, request: httpx.Request) -> str:
        return self.checked(request)["p5_Pid"]

    def bank_told(self, request: httpx.Request) -> str | None:
        return self.checked(request)["pd_FrpId"] or None

    def addresses_told(self, request: httpx.Request) -> tuple[str, str]:
        fields = self.checked(request)
        return fields["pb_ServerNotifyUrl"], fields["p8_Url"]

    def answer(self, request: httpx.Request, code: str) -> httpx.Response:
        fields = self.checked(request)
        if fields["p0_Cmd"] == "CancelOrd":
            return told({"r0_Cmd": "CancelOrd", "r1_Code": code})
        if fields["p0_Cmd"] == "RefundOrd":
            return taken(fields["p2_Order"], fields["p3_Amt"], code)
        if fields["p0_Cmd"] == "RefundResults":
            failed = code.startswith("-")
            found_as = refund_found("", "", code, "") if failed else refund_found(fields["p2_Order"], code)
            return told(found_as)
        if code.isdigit():
            return told(dict.fromkeys(found("", "", ""), "") | {"r0_Cmd": "QueryOrdDetail", "r1_Code": code})
        return told(found(fields["p2_Order"], code, yuan(AMOUNT)))

    def processing(self, request: httpx.Request) -> httpx.Response:
        states = {"QueryOrdDetail": "INIT", "RefundOrd": "1", "RefundResults": "1"}
        return self.answer(request, states.get(self.checked(request)["p0_Cmd"], "2"))

    def succeeded(self, request: httpx.Request, amount: int = AMOUNT) -> httpx.Response:
        if self.checked(request)["p0_Cmd"] == "RefundResults":
            return self.answer(request, "2")
        return told(found(self.read(request).number, "SUCCESS", yuan(amount)))

    def not_found(self, request: httpx.Request) -> httpx.Response:
        return self.answer(request, "-3" if self.checked(request)["p0_Cmd"] == "RefundResults" else "50")

    def query_failed(self, request: httpx.Request) -> httpx.Response:
        return self.answer(request, "-1" if self.checked(request)["p0_Cmd"] == "RefundResults" else "2")

    def cancelled(self, request: httpx.Request) -> httpx.Response:
        return told({"r0_Cmd": "CancelOrd", "r1_Code": "1"})

    def cancelled_too_late(self, request: httpx.Request) -> httpx.Response:
        return told({"r0_Cmd": "CancelOrd", "r1_Code": "53"})

    def unsigned(self, response: httpx.Response) -> httpx.Response:
        pairs = parse_qsl("&".join(response.text.split()), True, encoding="gbk", errors="strict")
        return told({name: value for name, value in pairs if not name.startswith("hmac")}, KEYS["second"])

    def of_another_order(self, request: httpx.Request) -> httpx.Response:
        if self.checked(request)["p0_Cmd"] == "RefundResults":
            return told(refund_found(OTHER_NUMBER, "2"))
        return told(found(OTHER_NUMBER, "SUCCESS", yuan(AMOUNT)))

    def callback(self, verb: Verb, number: str, amount: int, code: str | None = None) -> CallbackRequest:
        paid = code in {None, "SUCCESS"}
        return by_browser(notice(number, yuan(amount), r1_Code="1" if paid else str(code)))

    def copies(self, number: str, amount: int) -> Mapping[str, CallbackRequest]:
        fields = {by: notice(number, yuan(amount), by) for by in ("1", "2")}
        return {"browser": by_browser(fields["1"]), "server": by_server(fields["2"])}

    def as_callback(self, answer: httpx.Response) -> CallbackRequest:
        return CallbackRequest("POST", "", FORM, "&".join(answer.text.split()).encode("ascii"))
