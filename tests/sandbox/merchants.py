"""Merchants of the mock providers, writing and reading the protocols by their own code: nothing of `sandbox` is used,
so that a mistake in signing cannot cancel out. And the place where a merchant's notifications arrive.
"""

import asyncio
import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl, urlencode

import aiohttp
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

CARD = "6222021234567890"
PHONE = "13800001111"
PATIENCE_S = 60.0

Fields = dict[str, str]


def private_key(path: Path) -> rsa.RSAPrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), None, unsafe_skip_rsa_key_validation=True)
    return cast("rsa.RSAPrivateKey", key)


def public_key(pem: bytes) -> rsa.RSAPublicKey:
    return cast("rsa.RSAPublicKey", x509.load_pem_x509_certificate(pem).public_key())


def digest(fields: Mapping[str, str], charset: str = "utf-8") -> bytes:
    """The hex of SHA-256 over the sorted fields, as UnionPay signs it."""
    text = "&".join(f"{k}={fields[k]}" for k in sorted(fields) if k != "signature")
    return hashlib.sha256(text.encode(charset)).hexdigest().encode()


def read_answer(text: str) -> Fields:
    """`k=v&k=v` where braces and brackets may hold `&`, split by counting depth."""
    parts, depth, start = [], 0, 0
    for at, char in enumerate(text):
        depth += (char in "{[") - (char in "}]")
        if char == "&" and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    parts.append(text[start:])
    return {name: value for name, _, value in (part.partition("=") for part in parts)}


def braces(**pairs: str) -> str:
    return "{" + "&".join(f"{k}={v}" for k, v in pairs.items()) + "}"


class UnionPayMerchant:
    """Signs as the merchant whose keys the sandbox wrote, and believes answers of the pinned chain only."""

    def __init__(self, address: str, keys: Path, session: aiohttp.ClientSession) -> None:
        self.address = f"{address}/unionpay/gateway/api/"
        self.session = session
        folder = keys / "unionpay"
        self.account = json.loads((folder / "account.json").read_text())
        self.key = private_key(folder / "merchant.key.pem")
        self.middle = x509.load_pem_x509_certificate((folder / "middle.pem").read_bytes())
        self.root = x509.load_pem_x509_certificate((folder / "root.pem").read_bytes())
        self.encrypt = x509.load_pem_x509_certificate((folder / "encrypt.cert.pem").read_bytes())
        self.numbers = 0

    def number(self) -> str:
        self.numbers += 1
        return f"order{id(self):x}{self.numbers:06d}"

    def fields(self, kind: str, order_no: str, **more: str) -> Fields:
        txn_type, sub_type, biz_type = kind.split("/")
        return {
            "version": "5.1.0",
            "encoding": "UTF-8",
            "signMethod": "01",
            "txnType": txn_type,
            "txnSubType": sub_type,
            "bizType": biz_type,
            "channelType": "07",
            "accessType": "0",
            "merId": self.account["mer_id"],
            "orderId": order_no,
            "txnTime": "20260301120000",
            "certId": self.account["cert_id"],
            **more,
        }

    def signed(self, fields: Fields) -> Fields:
        charset = "gbk" if fields["encoding"] == "GBK" else "utf-8"
        signature = self.key.sign(digest(fields, charset), padding.PKCS1v15(), hashes.SHA256())
        return {**fields, "signature": base64.b64encode(signature).decode()}

    async def post(self, path: str, fields: Fields) -> tuple[int, bytes]:
        charset = "gbk" if fields.get("encoding") == "GBK" else "utf-8"
        body = urlencode(fields, encoding=charset)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        async with self.session.post(self.address + path, data=body, headers=headers) as answer:
            return answer.status, await answer.read()

    async def send(self, fields: Fields, path: str = "backTransReq.do") -> Fields:
        """Sign, send, verify: the answer's fields."""
        status, body = await self.post(path, self.signed(fields))
        assert status == 200
        charset = "gbk" if fields["encoding"] == "GBK" else "utf-8"
        answer = read_answer(body.decode(charset))
        self.believe(answer, charset)
        return answer

    def believe(self, answer: Fields, charset: str = "utf-8") -> None:
        """Raise unless the answer was signed under the pinned chain."""
        certificate = x509.load_pem_x509_certificate(answer["signPubKeyCert"].encode())
        certificate.verify_directly_issued_by(self.middle)
        self.middle.verify_directly_issued_by(self.root)
        assert "00040000:SIGN" in certificate.subject.rfc4514_string()
        key = public_key(answer["signPubKeyCert"].encode())
        key.verify(base64.b64decode(answer["signature"]), digest(answer, charset), padding.PKCS1v15(), hashes.SHA256())

    @staticmethod
    def customer(**more: str) -> str:
        elements = {"certifTp": "01", "certifId": "110101199003070011", "customerNm": "张三", "phoneNo": PHONE}
        return base64.b64encode(braces(**elements | more).encode()).decode()

    def opening(self, order_no: str, card: str = CARD, **customer: str) -> Fields:
        return self.fields(
            "79/00/000902",
            order_no,
            accType="01",
            accNo=card,
            tokenPayData=braces(trId=self.account["tr_id"], tokenType="01"),
            customerInfo=self.customer(**customer),
        )

    def opening_sms(self, order_no: str, card: str = CARD, **customer: str) -> Fields:
        return self.fields("77/00/000902", order_no, accType="01", accNo=card, customerInfo=self.customer(**customer))

    def consuming_sms(self, order_no: str, token: str, amount: int = 1000) -> Fields:
        return self.fields(
            "77/02/000902",
            order_no,
            accType="01",
            txnAmt=str(amount),
            currencyCode="156",
            tokenPayData=braces(token=token, trId=self.account["tr_id"]),
            customerInfo=self.customer(),
        )

    def deleting(self, token: str) -> Fields:
        return self.fields("74/01/000902", self.number(), tokenPayData=braces(token=token, trId=self.account["tr_id"]))

    async def open(self, card: str = CARD) -> str:
        """Open a card: its token."""
        answer = await self.send(self.opening(self.number(), card))
        assert answer["respCode"] == "00", answer["respMsg"]
        return read_answer(answer["tokenPayData"][1:-1])["token"]

    def withholding(self, order_no: str, amount: int = 1000, *, card: str = CARD, back_url: str = "") -> Fields:
        return self.fields(
            "11/00/000501",
            order_no,
            accType="01",
            accNo=card,
            customerInfo=self.customer(),
            txnAmt=str(amount),
            currencyCode="156",
            backUrl=back_url or "http://127.0.0.1:9/callbacks",
        )

    def consuming(self, order_no: str, token: str, amount: int = 1000, back_url: str = "") -> Fields:
        return self.fields(
            "01/01/000902",
            order_no,
            accType="01",
            tokenPayData=braces(token=token, trId=self.account["tr_id"]),
            txnAmt=str(amount),
            currencyCode="156",
            backUrl=back_url or "http://127.0.0.1:9/callbacks",
        )

    def refunding(self, order_no: str, query_id: str, amount: int = 1000, *, back_url: str = "") -> Fields:
        return self.fields(
            "04/00/000501",
            order_no,
            origQryId=query_id,
            txnAmt=str(amount),
            currencyCode="156",
            backUrl=back_url or "http://127.0.0.1:9/callbacks",
        )

    async def paid(self, sandbox: "Sandbox", amount: int = 1000) -> Fields:
        """A withhold that succeeded: the synchronous answer, with its queryId."""
        await self.open()
        answer = await self.send(self.withholding(self.number(), amount))
        assert (await sandbox.final("unionpay", answer["orderId"]))["state"] == "succeeded"
        return answer

    async def query(self, order_no: str, **more: str) -> Fields:
        fields = self.fields("00/00/000000", order_no) | more
        return await self.send(fields, "queryTrans.do")


SIGNED_MSG = re.compile(rb"<SIGNED_MSG>([0-9a-f]+)</SIGNED_MSG>")


class AllinpayMerchant:
    """Signs GBK XML as the merchant whose keys the sandbox wrote."""

    def __init__(self, address: str, keys: Path, session: aiohttp.ClientSession) -> None:
        self.address = f"{address}/allinpay/aipg/ProcessServlet"
        self.session = session
        folder = keys / "allinpay"
        self.account = json.loads((folder / "account.json").read_text())
        self.key = private_key(folder / "merchant.key.pem")
        self.psp_key = public_key((folder / "psp.cert.pem").read_bytes())
        self.numbers = 0

    def number(self) -> str:
        self.numbers += 1
        return f"{self.account['merchant_id']}-{id(self):x}{self.numbers:04d}"

    def package(self, trx_code: str, req_sn: str, body: str, **head: str) -> bytes:
        leaves = {
            "TRX_CODE": trx_code,
            "VERSION": "03",
            "DATA_TYPE": "2",
            "LEVEL": "5",
            "USER_NAME": self.account["user_name"],
            "USER_PASS": self.account["user_pass"],
            "REQ_SN": req_sn,
            **head,
        }
        inner = "".join(f"<{k}>{v}</{k}>" for k, v in leaves.items())
        return f'<?xml version="1.0" encoding="GBK"?><AIPG><INFO>{inner}</INFO>{body}</AIPG>'.encode("gbk")

    def signed(self, package: bytes) -> bytes:
        signature = self.key.sign(package, padding.PKCS1v15(), hashes.SHA1()).hex().encode()
        return package.replace(b"</INFO>", b"<SIGNED_MSG>" + signature + b"</SIGNED_MSG></INFO>")

    async def post(self, raw: bytes) -> tuple[int, bytes]:
        async with self.session.post(self.address, data=raw, headers={"Content-Type": "text/xml"}) as answer:
            return answer.status, await answer.read()

    async def send(self, package: bytes) -> str:
        """Sign, send, verify: the text of the answer."""
        status, raw = await self.post(self.signed(package))
        assert status == 200
        return self.believe(raw)

    def believe(self, raw: bytes) -> str:
        found = SIGNED_MSG.search(raw)
        assert found is not None
        rest = raw[: found.start()] + raw[found.end() :]
        self.psp_key.verify(bytes.fromhex(found.group(1).decode()), rest, padding.PKCS1v15(), hashes.SHA1())
        return rest.decode("gbk")

    def collecting(self, req_sn: str, amount: int = 1000, *, card: str = CARD, name: str = "张三") -> bytes:
        body = (
            f"<TRANS><BUSINESS_CODE>10600</BUSINESS_CODE><MERCHANT_ID>{self.account['merchant_id']}</MERCHANT_ID>"
            f"<SUBMIT_TIME>20260301120000</SUBMIT_TIME><BANK_CODE>0102</BANK_CODE><ACCOUNT_TYPE>00</ACCOUNT_TYPE>"
            f"<ACCOUNT_NO>{card}</ACCOUNT_NO><ACCOUNT_NAME>{name}</ACCOUNT_NAME><ACCOUNT_PROP>0</ACCOUNT_PROP>"
            f"<AMOUNT>{amount}</AMOUNT><CURRENCY>CNY</CURRENCY></TRANS>"
        )
        return self.package("100011", req_sn, body)

    def refunding(self, req_sn: str, original: str, amount: int) -> bytes:
        told = {
            "BUSINESS_CODE": "09200",
            "SUBMIT_TIME": "20260301120000",
            "ORGBATCHID": original,
            "ORGBATCHSN": "0",
            "AMOUNT": str(amount),
        }
        return self.about_agreements("REFUND", req_sn, "REFUND", **told)

    async def refund(self, req_sn: str, original: str, amount: int) -> list[str]:
        return codes(await self.send(self.refunding(req_sn, original, amount)))

    def about_agreements(self, trx_code: str, req_sn: str, body: str, **leaves: str) -> bytes:
        told = {"MERCHANT_ID": self.account["merchant_id"], **leaves}
        inner = "".join(f"<{name}>{value}</{name}>" for name, value in told.items())
        return self.package(trx_code, req_sn, f"<{body}>{inner}</{body}>", MERCHANT_ID=self.account["merchant_id"])

    def signing_sms(self, req_sn: str, card: str = CARD, phone: str = PHONE) -> bytes:
        holder = {"ACCOUNT_NO": card, "ACCOUNT_NAME": "张三", "ID_TYPE": "0", "ID": "110101199003070011", "TEL": phone}
        bank = {"BANK_CODE": "0102", "ACCOUNT_TYPE": "00", "ACCOUNT_PROP": "0"}
        return self.about_agreements("310001", req_sn, "FAGRA", **bank, **holder)

    def signing(self, sms_of: str, code: str, req_sn: str | None = None) -> bytes:
        return self.about_agreements("310002", req_sn or self.number(), "FAGRC", SRCREQSN=sms_of, VERCODE=code)

    def giving_up(self, agrmno: str) -> bytes:
        return self.about_agreements("310003", self.number(), "FAGRCNL", AGRMNO=agrmno)

    def paying(self, req_sn: str, agrmno: str, amount: int = 1000, *, card: str = CARD, phone: str = PHONE) -> bytes:
        return self.about_agreements(
            "310011",
            req_sn,
            "FASTTRX",
            BUSINESS_CODE="10600",
            SUBMIT_TIME="20260301120000",
            AGRMNO=agrmno,
            ACCOUNT_NO=card,
            ACCOUNT_NAME="张三",
            AMOUNT=str(amount),
            CURRENCY="CNY",
            TEL=phone,
        )

    async def collect(self, req_sn: str, amount: int = 1000, *, card: str = CARD) -> list[str]:
        return codes(await self.send(self.collecting(req_sn, amount, card=card)))

    async def query_text(self, order_no: str) -> str:
        body = (
            f"<QTRANSREQ><MERCHANT_ID>{self.account['merchant_id']}</MERCHANT_ID><QUERY_SN>{order_no}</QUERY_SN>"
            f"<STATUS>2</STATUS><TYPE>1</TYPE></QTRANSREQ>"
        )
        return await self.send(self.package("200004", self.number(), body))

    async def query(self, order_no: str) -> list[str]:
        return codes(await self.query_text(order_no))


def codes(text: str) -> list[str]:
    """Every RET_CODE in order: INFO's, then the body's."""
    return re.findall(r"<RET_CODE>(\d+)</RET_CODE>", text)


@dataclass
class Mailbox:
    """Where notifications arrive. `statuses` are answered in turn, then 200 for ever."""

    url: str = ""
    text: str = "ok"
    statuses: list[int] = field(default_factory=list)
    arrived: list[Fields] = field(default_factory=list)
    more: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, request: web.Request) -> web.Response:
        self.arrived.append(dict(parse_qsl(await request.text(), strict_parsing=True)))
        self.more.set()
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200, text=self.text)

    async def wait_for(self, count: int) -> list[Fields]:
        async with asyncio.timeout(PATIENCE_S):
            while len(self.arrived) < count:
                self.more.clear()
                await self.more.wait()
        return self.arrived


@dataclass
class Sandbox:
    """A running sandbox: its address, a session, and the merchants at it."""

    address: str
    session: aiohttp.ClientSession
    unionpay: UnionPayMerchant
    allinpay: AllinpayMerchant
    stop: Callable[[], Any]

    async def control(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        async with self.session.request(method, f"{self.address}/_sandbox/{path}", json=body) as answer:
            return answer.status, await answer.json() if answer.content_type == "application/json" else None

    async def fault(self, provider: str, fault: str, **more: Any) -> str:
        status, shown = await self.control("POST", f"{provider}/faults", {"fault": fault, **more})
        assert status == 201, shown
        return str(shown["id"])

    async def order(self, provider: str, order_no: str) -> dict[str, Any] | None:
        _, shown = await self.control("GET", f"{provider}/transactions?order_no={order_no}")
        return shown["transactions"][0] if shown["transactions"] else None

    async def inbox(self, phone: str = PHONE, path: str = "sms") -> list[dict[str, str]]:
        """What arrived at a phone."""
        _, shown = await self.control("GET", f"{path}?phone={phone}")
        return list(shown["sms"])

    async def final(self, provider: str, order_no: str) -> dict[str, Any]:
        """The order once it is final."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                order = await self.order(provider, order_no)
                if order is not None and order["state"] != "processing":
                    return order
                await asyncio.sleep(0.005)
