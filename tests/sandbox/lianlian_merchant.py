"""A merchant of LianLian's mock, writing and reading its JSON by its own code: nothing of `sandbox` is used."""

import asyncio
import base64
import hmac
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from aiohttp import web
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tests.sandbox.merchants import CARD, PATIENCE_S, Fields, private_key, public_key

PHONE = "13800001111"
USER = "user-1"
SEALED = {"bankcardbind", "bankcardprepay"}


class LianLianMerchant:
    """Signs and encrypts as the merchant whose keys the sandbox wrote."""

    def __init__(self, address: str, keys: Path, session: aiohttp.ClientSession) -> None:
        self.address, self.session = address, session
        folder = keys / "lianlian"
        self.account = json.loads((folder / "account.json").read_text())
        self.key = private_key(folder / "merchant.key.pem")
        self.psp_key = public_key((folder / "psp.cert.pem").read_bytes())
        self.numbers = 0

    def number(self) -> str:
        self.numbers += 1
        return f"ll{id(self):x}{self.numbers:06d}"[-32:]

    def signed(self, fields: Fields) -> Fields:
        whole = {"oid_partner": self.account["oid_partner"], "sign_type": "RSA", **fields}
        signature = self.key.sign(signed_text(whole), padding.PKCS1v15(), hashes.MD5())
        return {**whole, "sign": base64.b64encode(signature).decode()}

    def sealed(self, fields: Fields) -> Fields:
        mac_key, key, nonce = (os.urandom(size) for size in (32, 32, 8))
        oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)
        encryptor = Cipher(algorithms.AES(key), modes.CTR(nonce + bytes(7) + b"\x01")).encryptor()
        cipher = encryptor.update(json.dumps(fields).encode()) + encryptor.finalize()
        said = b64(nonce) + "$" + b64(cipher)
        mac = b64(hmac.digest(mac_key, said.encode(), "sha256"))
        keys = [b64(self.psp_key.encrypt(one, oaep)) for one in (mac_key, key)]
        pay_load = "$".join(["lianpay1_0_1", *keys, said, mac])
        return {"oid_partner": self.account["oid_partner"], "pay_load": pay_load}

    async def post(self, path: str, fields: object) -> Fields:
        """The answer as it comes."""
        async with self.session.post(f"{self.address}/lianlian/{path}", json=fields) as answer:
            assert answer.status == 200
            read: Fields = await answer.json()
            return read

    async def send(self, path: str, fields: Fields) -> Fields:
        """Sign, encrypt what must be, send, and verify what says that something was done."""
        signed = self.signed(fields)
        answer = await self.post(path, self.sealed(signed) if path.rpartition("/")[2] in SEALED else signed)
        if answer["ret_code"] in {"0000", "8888"}:
            self.believe(answer)
        else:
            assert "sign" not in answer
        return answer

    def believe(self, answer: Fields) -> None:
        """Raise unless LianLian signed it, without the fields of a question's answer that it never signs."""
        inside = dict(answer)
        if "result_pay" in answer:
            inside = {name: value for name, value in answer.items() if name not in {"memo", "card_no", "bank_name"}}
        signature = base64.b64decode(inside.pop("sign"))
        self.psp_key.verify(signature, signed_text(inside), padding.PKCS1v15(), hashes.MD5())

    async def sms(self) -> Fields:
        url = f"{self.address}/_sandbox/lianlian/sms"
        async with self.session.get(url, params={"phone": PHONE}) as answer:
            newest: Fields = (await answer.json())["sms"][-1]
            return newest

    def card(self, card_no: str = CARD) -> Fields:
        holder = {"acct_name": "张三", "bind_mob": PHONE, "id_type": "0", "id_no": "110101199003070011"}
        return {"card_no": card_no, **holder}

    def order(self, number: str) -> Fields:
        risk = json.dumps({"frms_ware_category": "2010", "user_info_bind_phone": PHONE})
        return {"user_id": USER, "no_order": number, "dt_order": "20260301120000", "pay_type": "2", "risk_item": risk}

    async def wish(self, number: str, card_no: str = CARD) -> Fields:
        return await self.send("mpayapi/v1/bankcardbind", self.order(number) | self.card(card_no))

    async def bind(self, card_no: str = CARD) -> str:
        """Bind a card: its agreement."""
        number = self.number()
        token = (await self.wish(number, card_no))["token"]
        code = (await self.sms())["code"]
        fields = {"user_id": USER, "no_order": number, "token": token, "verify_code": code}
        answer = await self.send("mpayapi/v1/bankcardbindverfy", fields)
        assert answer["ret_code"] == "0000", answer
        return answer["no_agree"]

    def paying(self, number: str, money: str = "12.34", url: str = "", **payer: str) -> Fields:
        order = {"busi_partner": "101001", "name_goods": "订单", "money_order": money, "valid_order": "30"}
        notify_url = url or "http://127.0.0.1:9/callbacks"
        return self.order(number) | order | {"notify_url": notify_url} | (payer or self.card())

    async def prepay(self, number: str, money: str = "12.34", url: str = "", **payer: str) -> Fields:
        return await self.send("mpayapi/v1/bankcardprepay", self.paying(number, money, url, **payer))

    async def pay(self, number: str, token: str, code: str, money: str = "12.34") -> Fields:
        fields = {"no_order": number, "money_order": money, "token": token, "verify_code": code}
        return await self.send("mpayapi/v1/bankcardpay", fields)

    async def query(self, number: str, **more: str) -> Fields:
        return await self.send("queryapi/orderquery.htm", {"no_order": number, "dt_order": "20260301120000", **more})

    async def unbind(self, no_agree: str) -> Fields:
        return await self.send("traderapi/bankcardunbind.htm", {"user_id": USER, "no_agree": no_agree})


@dataclass
class Thanks:
    """Where notices arrive: the first ones are answered with the texts given here, all others with thanks."""

    texts: list[str] = field(default_factory=list)
    arrived: list[Fields] = field(default_factory=list)
    more: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, request: web.Request) -> web.Response:
        self.arrived.append(await request.json())
        self.more.set()
        return web.Response(text=self.texts.pop(0) if self.texts else '{"ret_code": "0000", "ret_msg": "ok"}')

    async def wait_for(self, count: int) -> list[Fields]:
        async with asyncio.timeout(PATIENCE_S):
            while len(self.arrived) < count:
                self.more.clear()
                await self.more.wait()
        return self.arrived


def signed_text(fields: Fields) -> bytes:
    return "&".join(f"{name}={fields[name]}" for name in sorted(fields) if fields[name]).encode()


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
