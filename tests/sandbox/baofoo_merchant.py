"""A merchant of Baofoo's mock, writing and reading protocol pay by its own code: nothing of `sandbox` is used."""

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from tests.sandbox.merchants import CARD, Fields, Sandbox, private_key, public_key

KEY = b"4f66405C4f66405c"
PHONE = "13800001111"
SENT_AT = "2026-03-01 12:00:00"


def digest(fields: Mapping[str, str]) -> bytes:
    text = "&".join(f"{k}={fields[k]}" for k in sorted(fields) if k != "signature" and fields[k])
    return hashlib.sha1(text.encode()).hexdigest().encode()


def hidden(text: str) -> str:
    encoded = base64.b64encode(text.encode())
    lacking = 16 - len(encoded) % 16
    cipher = Cipher(AES(KEY), CBC(KEY)).encryptor()
    return (cipher.update(encoded + bytes([lacking]) * lacking) + cipher.finalize()).hex()


class BaofooMerchant:
    """Signs as the merchant whose keys the sandbox wrote."""

    def __init__(self, sandbox: Sandbox, keys: Path) -> None:
        self.sandbox, self.session = sandbox, sandbox.session
        self.address = f"{sandbox.address}/baofoo/cutpayment/protocol/backTransRequest"
        folder = keys / "baofoo"
        self.account = json.loads((folder / "account.json").read_text())
        self.key = private_key(folder / "merchant.key.pem")
        self.psp_key = public_key((folder / "psp.cert.pem").read_bytes())
        self.numbers = 0

    def number(self) -> str:
        self.numbers += 1
        return f"order{id(self):x}{self.numbers:06d}"

    def fields(self, kind: str, secret: Mapping[str, str] | None = None, **more: str) -> Fields:
        envelope = self.psp_key.encrypt(base64.b64encode(b"01|" + KEY), padding.PKCS1v15()).hex()
        return {
            "version": "4.0.0.0",
            "send_time": SENT_AT,
            "msg_id": f"m{id(self) % 10**8}{self.number()[-6:]}",
            "txn_type": kind,
            **self.account,
            **({"dgtl_envlp": envelope} if secret else {}),
            **{name: hidden(text) for name, text in (secret or {}).items()},
            **more,
        }

    def signed(self, fields: Fields) -> Fields:
        return {**fields, "signature": self.key.sign(digest(fields), padding.PKCS1v15(), hashes.SHA1()).hex()}

    async def post(self, fields: Fields) -> Fields:
        """Send, verify, open: the answer's fields."""
        form = aiohttp.FormData(fields)
        async with self.session.post(self.address, data=form) as answer:
            assert answer.status == 200
            text = await answer.text("utf-8")
        read = dict(pair.split("=", 1) for pair in text.split("&"))
        self.believe(read)
        if "dgtl_envlp" in read:
            inside = base64.b64decode(self.key.decrypt(bytes.fromhex(read["dgtl_envlp"]), padding.PKCS1v15()))
            cipher = Cipher(AES(inside[3:]), CBC(inside[3:])).decryptor
            for name in read.keys() & {"unique_code", "protocol_no", "protocols"}:
                padded = cipher().update(bytes.fromhex(read[name]))
                read[name] = base64.b64decode(padded[: -padded[-1]]).decode()
        return read

    def believe(self, fields: Mapping[str, str]) -> None:
        """Raise unless Baofoo signed it."""
        signature = bytes.fromhex(fields["signature"])
        self.psp_key.verify(signature, digest(fields), padding.PKCS1v15(), hashes.SHA1())

    async def send(self, kind: str, secret: Mapping[str, str] | None = None, **more: str) -> Fields:
        return await self.post(self.signed(self.fields(kind, secret, **more)))

    async def pre_bind(self, card: str = CARD, user_id: str = "u1", *, phone: str = PHONE, **more: str) -> Fields:
        account = f"{card}|张三|110101199003070011|{phone}||"
        told: dict[str, str] = {"user_id": user_id, "card_type": "101", "id_card_type": "01", **more}
        return await self.send("01", {"acc_info": account}, **told)

    async def sms(self) -> dict[str, Any]:
        """The newest SMS."""
        _, shown = await self.sandbox.control("GET", f"baofoo/sms?phone={PHONE}")
        newest: dict[str, Any] = shown["sms"][-1]
        return newest

    async def bind(self, card: str = CARD, user_id: str = "u1") -> str:
        """Bind a card by SMS: its agreement."""
        asked = await self.pre_bind(card, user_id)
        code = (await self.sms())["code"]
        answer = await self.send("02", {"unique_code": f"{asked['unique_code']}|{code}"})
        assert (answer["resp_code"], answer["biz_resp_code"]) == ("S", "0000"), answer["biz_resp_msg"]
        return answer["protocol_no"]

    def order(self, trans_id: str, amount: int = 1000, **more: str) -> dict[str, str]:
        risk = '{"goodsCategory":"02","chPayIp":"127.0.0.1"}'
        return {"trans_id": trans_id, "user_id": "u1", "txn_amt": str(amount), "risk_item": risk, **more}

    async def pay(self, agreement_no: str, trans_id: str, amount: int = 1000, **more: str) -> Fields:
        return await self.send("08", {"protocol_no": agreement_no}, **self.order(trans_id, amount, **more))

    async def query(self, trans_id: str, sent_at: str = SENT_AT) -> Fields:
        return await self.send("07", orig_trans_id=trans_id, orig_trade_date=sent_at)


def said(answer: Mapping[str, str]) -> tuple[str, str]:
    """Both codes of an answer."""
    return answer["resp_code"], answer["biz_resp_code"]
