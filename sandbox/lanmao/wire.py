"""The letter of the lanmao protocol: a form with signed JSON in, JSON with its signature out, yuan with two decimals.

Sources: three clients of independent companies (H). Of the fields' sizes and the bank's checks nothing is public.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

__all__ = [
    "BEIJING",
    "Called",
    "Fields",
    "RefusedError",
    "fen_of",
    "moment_of",
    "need",
    "parse",
    "render",
    "sign",
    "time_of",
    "yuan_of",
]

Fields = Mapping[str, str]

BEIJING: Final = ZoneInfo("Asia/Shanghai")
DETAIL: Final = "detail"
"""The one field that is no text: the list of CONFIRM_CHECKFILE."""
MAX_FIELDS: Final = 20
MAX_NUMBER_CHARS: Final = 50
_AMOUNT: Final = re.compile(r"([0-9]{1,11})(?:\.([0-9]{1,2}))?")


class RefusedError(Exception):
    """The call is refused with this errorCode; nothing was done."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code} {detail}".rstrip())
        self.code = code
        self.detail = detail


class Called:
    """A call whose signature is right: which service, and what it says."""

    def __init__(self, service: str, fields: Fields) -> None:
        self.service, self.fields = service, fields


def parse(body: bytes, platform_no: str, key: RSAPublicKey) -> Called:
    """The call that a form brings. Raises RefusedError: 100003 unreadable, 100002 platform or signature."""
    try:
        form = dict(parse_qsl(body.decode("ascii"), errors="strict", max_num_fields=MAX_FIELDS))
        sign, text = base64.b64decode(form.get("sign", ""), validate=True), form.get("reqData", "")
    except (ValueError, binascii.Error):
        raise RefusedError("100003", "form") from None
    if form.get("platformNo") != platform_no:
        raise RefusedError("100002", "platformNo")
    try:
        key.verify(sign, text.encode(), PKCS1v15(), hashes.SHA1())  # noqa: S303
    except InvalidSignature:
        raise RefusedError("100002") from None
    try:
        fields: Any = json.loads(text)
    except ValueError:
        raise RefusedError("100003", "JSON") from None
    if not isinstance(fields, dict) or not all(isinstance(fields[name], str) for name in fields.keys() - {DETAIL}):
        raise RefusedError("100003", "texts")
    need(fields, "requestNo", "timestamp")
    if len(fields["requestNo"]) > MAX_NUMBER_CHARS or moment_of(fields["timestamp"]) is None:
        raise RefusedError("100003", "requestNo,timestamp")
    return Called(form.get("serviceName", ""), fields)


def need(fields: Fields, *names: str) -> None:
    """Raise RefusedError with 100003 unless all these fields are there."""
    if missing := [name for name in names if not fields.get(name)]:
        raise RefusedError("100003", ",".join(missing))


def render(said: Mapping[str, Any]) -> str:
    """The JSON of an answer or a notice."""
    return json.dumps(said, ensure_ascii=False)


def sign(text: str, key: RSAPrivateKey) -> str:
    """The signature over JSON, in base64."""
    return base64.b64encode(key.sign(text.encode(), PKCS1v15(), hashes.SHA1())).decode("ascii")  # noqa: S303


def fen_of(money: str) -> int:
    """Yuan as fen. Raises RefusedError with 100003."""
    read = _AMOUNT.fullmatch(money)
    fen = 0 if read is None else int(read[1]) * 100 + int((read[2] or "0").ljust(2, "0"))
    if fen <= 0:
        raise RefusedError("100003", "amount")
    return fen


def yuan_of(fen: int) -> str:
    """Fen as yuan with two decimals."""
    return f"{fen // 100}.{fen % 100:02d}"


def moment_of(text: str) -> float | None:
    """yyyyMMddHHmmss in Beijing as seconds of the epoch; None for what is no such time."""
    try:
        return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=BEIJING).timestamp()
    except ValueError:
        return None


def time_of(moment: float) -> str:
    """Seconds of the epoch as yyyyMMddHHmmss in Beijing."""
    return f"{datetime.fromtimestamp(moment, BEIJING):%Y%m%d%H%M%S}"
