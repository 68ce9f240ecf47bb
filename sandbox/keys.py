"""Keys, certificates and merchant accounts of the sandbox, made once and never shipped.

Every set is complete when its `account.json` is there: it is written last.
"""

import base64
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic, TypeVar

import orjson
from cryptography import x509

from sandbox.identities import (
    Identity,
    KeysUnreadableError,
    new_identity,
    read_certificate,
    read_identity,
    unreadable,
    write,
    write_identity,
)

__all__ = [
    "ALLINPAY",
    "BAOFOO",
    "CPCN",
    "JD",
    "LANMAO",
    "LIANLIAN",
    "UNIONPAY",
    "YEEPAY",
    "AllinpayKeys",
    "BaofooKeys",
    "CpcnKeys",
    "Identity",
    "JdKeys",
    "KeySet",
    "KeysUnreadableError",
    "LanmaoKeys",
    "LianLianKeys",
    "UnionPayKeys",
    "YeePayKeys",
    "new_identity",
    "read_account",
    "unknown_ca",
]

ACCOUNT_FILE: Final = "account.json"
# UnionPay's published verifier wants `00040000:SIGN` after the second @ on its test system (from memory: L).
UNIONPAY_CN: Final = "041@Z12@00040000:SIGN"
K = TypeVar("K")
TR_ID: Final = "62000000001"  # the token requester number that UnionPay's demo says its test system gives everybody


@dataclass(frozen=True, slots=True, repr=False)
class UnionPayKeys:
    """What the UnionPay mock holds: its own identities, the merchant's certificate and account."""

    psp: Identity
    encryption: Identity
    merchant_certificate: x509.Certificate
    mer_id: str


@dataclass(frozen=True, slots=True, repr=False)
class AllinpayKeys:
    """What the Allinpay mock holds: its own identity, the merchant's certificate and account."""

    psp: Identity
    merchant_certificate: x509.Certificate
    merchant_id: str
    user_name: str
    user_pass: str


@dataclass(frozen=True, slots=True, repr=False)
class BaofooKeys:
    """What the Baofoo mock holds: its own identity, the merchant's certificate, number and terminal, and the key that
    questions about the balance are signed with.
    """

    psp: Identity
    merchant_certificate: x509.Certificate
    member_id: str
    terminal_id: str
    balance_key: str


@dataclass(frozen=True, slots=True, repr=False)
class CpcnKeys:
    """What the CPCN mock holds: its own identity, the merchant's certificate and account."""

    psp: Identity
    merchant_certificate: x509.Certificate
    institution_id: str


@dataclass(frozen=True, slots=True, repr=False)
class JdKeys:
    """What the JD mock shares with its merchant. `des_key` is base64; its first 8 bytes are the key of DES."""

    merchant: str
    terminal: str
    md5_key: str
    des_key: str


@dataclass(frozen=True, slots=True, repr=False)
class LanmaoKeys:
    """What the custody bank's mock holds: its own identity, the platform's certificate and number."""

    psp: Identity
    merchant_certificate: x509.Certificate
    platform_no: str


@dataclass(frozen=True, slots=True, repr=False)
class LianLianKeys:
    """What the LianLian mock holds: its own identity, the merchant's certificate and number."""

    psp: Identity
    merchant_certificate: x509.Certificate
    oid_partner: str


@dataclass(frozen=True, slots=True, repr=False)
class YeePayKeys:
    """What the YeePay mock shares with its merchant."""

    mer_id: str
    key: str


@dataclass(frozen=True, slots=True)
class KeySet(Generic[K]):
    """How the keys and the account of one mock's merchant are made, and how the mock reads them.

    `make` writes what it likes into a new folder and answers with the account's file.
    """

    make: Callable[[Path], dict[str, str]]
    read: Callable[[Path], K]

    def prepared(self, folder: Path) -> K:
        """The set in `folder`, made if it is not there. Raises KeysUnreadableError."""
        if not (folder / ACCOUNT_FILE).exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o700, parents=True)
            account = self.make(folder)
            write(folder / ACCOUNT_FILE, orjson.dumps(account, option=orjson.OPT_INDENT_2) + b"\n")
        return self.read(folder)


def unknown_ca() -> Identity:
    """A signer with the right name, issued by a CA that no merchant pinned: for forged callbacks."""
    return new_identity(UNIONPAY_CN, new_identity("Forged ACP OCA", is_ca=True))


def _with_balance_key(folder: Path) -> Path:
    """Sets that were made before balances could be asked about have none."""
    path = folder / ACCOUNT_FILE
    try:
        account = orjson.loads(path.read_bytes())
        if "balance_key" not in account:
            account["balance_key"] = secrets.token_hex(8)
            write(path, orjson.dumps(account, option=orjson.OPT_INDENT_2) + b"\n")
    except (OSError, ValueError, TypeError) as error:
        raise unreadable(path) from error
    return folder


def _make_unionpay(folder: Path) -> dict[str, str]:
    root = new_identity("Sandbox ACP ROOT CA", is_ca=True)
    middle = new_identity("Sandbox ACP OCA1", root, is_ca=True)
    write(folder / "root.pem", root.pem.encode())
    write(folder / "middle.pem", middle.pem.encode())
    psp = new_identity(UNIONPAY_CN, middle)
    encryption = new_identity("041@Z12@00040000:ENC", middle)
    mer_id = _digits(15)
    merchant = new_identity(f"041@Z2026@{mer_id}:SIGN", middle)
    write_identity(folder, "psp", psp)
    write_identity(folder, "encrypt", encryption)
    write_identity(folder, "merchant", merchant)
    return {
        "mer_id": mer_id,
        "tr_id": TR_ID,
        "cert_id": merchant.cert_id,
        "encrypt_cert_id": encryption.cert_id,
        "psp_common_name": UNIONPAY_CN,
    }


def _make_allinpay(folder: Path) -> dict[str, str]:
    merchant_id = _digits(15)
    write_identity(folder, "psp", new_identity("Sandbox TLT"))
    write_identity(folder, "merchant", new_identity(f"Sandbox TLT merchant {merchant_id}"))
    return {"merchant_id": merchant_id, "user_name": f"{merchant_id}04", "user_pass": secrets.token_hex(8)}


def _make_baofoo(folder: Path) -> dict[str, str]:
    member_id = _digits(9)
    write_identity(folder, "psp", new_identity("Sandbox protocol pay"))
    write_identity(folder, "merchant", new_identity(f"Sandbox protocol pay merchant {member_id}"))
    return {"member_id": member_id, "terminal_id": _digits(9), "balance_key": secrets.token_hex(8)}


def _make_cpcn(folder: Path) -> dict[str, str]:
    institution_id = _digits(6)
    write_identity(folder, "psp", new_identity("Sandbox CPCN"))
    write_identity(folder, "merchant", new_identity(f"Sandbox CPCN institution {institution_id}"))
    return {"institution_id": institution_id, "settlement_flag": "0001"}


def _make_jd(_: Path) -> dict[str, str]:
    # The merchant is given 24 bytes (H), as for Triple DES.
    des_key = base64.b64encode(secrets.token_bytes(24)).decode("ascii")
    return {
        "merchant": _digits(12),
        "terminal": "00000001",
        "md5_key": secrets.token_urlsafe(24),
        "des_key": des_key,
    }


def _make_lanmao(folder: Path) -> dict[str, str]:
    platform_no = _digits(10)
    write_identity(folder, "psp", new_identity("Sandbox custody bank"))
    write_identity(folder, "merchant", new_identity(f"Sandbox custody platform {platform_no}"))
    return {"platform_no": platform_no, "key_serial": "1"}


def _make_lianlian(folder: Path) -> dict[str, str]:
    oid_partner = _digits(18)
    write_identity(folder, "psp", new_identity("Sandbox LianLian"))
    write_identity(folder, "merchant", new_identity(f"Sandbox LianLian merchant {oid_partner}"))
    return {"oid_partner": oid_partner, "ware_category": "2010"}


def _make_yeepay(_: Path) -> dict[str, str]:
    return {"mer_id": _digits(11), "key": secrets.token_urlsafe(45)}


def _digits(count: int) -> str:
    return str(secrets.randbelow(9) + 1) + "".join(str(secrets.randbelow(10)) for _ in range(count - 1))


def _read_unionpay(folder: Path) -> UnionPayKeys:
    return UnionPayKeys(
        psp=read_identity(folder, "psp"),
        encryption=read_identity(folder, "encrypt"),
        merchant_certificate=read_certificate(folder, "merchant"),
        mer_id=read_account(folder, "mer_id")[0],
    )


def _read_allinpay(folder: Path) -> AllinpayKeys:
    merchant_id, user_name, user_pass = read_account(folder, "merchant_id", "user_name", "user_pass")
    return AllinpayKeys(
        psp=read_identity(folder, "psp"),
        merchant_certificate=read_certificate(folder, "merchant"),
        merchant_id=merchant_id,
        user_name=user_name,
        user_pass=user_pass,
    )


def _read_baofoo(folder: Path) -> BaofooKeys:
    member_id, terminal_id, balance_key = read_account(
        _with_balance_key(folder), "member_id", "terminal_id", "balance_key"
    )
    return BaofooKeys(
        psp=read_identity(folder, "psp"),
        merchant_certificate=read_certificate(folder, "merchant"),
        member_id=member_id,
        terminal_id=terminal_id,
        balance_key=balance_key,
    )


def _read_cpcn(folder: Path) -> CpcnKeys:
    return CpcnKeys(
        psp=read_identity(folder, "psp"),
        merchant_certificate=read_certificate(folder, "merchant"),
        institution_id=read_account(folder, "institution_id")[0],
    )


def _read_lanmao(folder: Path) -> LanmaoKeys:
    [platform_no] = read_account(folder, "platform_no")
    return LanmaoKeys(read_identity(folder, "psp"), read_certificate(folder, "merchant"), platform_no)


def _read_lianlian(folder: Path) -> LianLianKeys:
    return LianLianKeys(
        psp=read_identity(folder, "psp"),
        merchant_certificate=read_certificate(folder, "merchant"),
        oid_partner=read_account(folder, "oid_partner")[0],
    )


def _read_jd(folder: Path) -> JdKeys:
    return JdKeys(*read_account(folder, "merchant", "terminal", "md5_key", "des_key"))


def _read_yeepay(folder: Path) -> YeePayKeys:
    return YeePayKeys(*read_account(folder, "mer_id", "key"))


def read_account(folder: Path, *names: str) -> list[str]:
    """These values of an account's file. Raises KeysUnreadableError."""
    try:
        account = orjson.loads((folder / ACCOUNT_FILE).read_bytes())
        return [str(account[name]) for name in names]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise unreadable(folder / ACCOUNT_FILE) from error


UNIONPAY: Final = KeySet(_make_unionpay, _read_unionpay)
ALLINPAY: Final = KeySet(_make_allinpay, _read_allinpay)
BAOFOO: Final = KeySet(_make_baofoo, _read_baofoo)
CPCN: Final = KeySet(_make_cpcn, _read_cpcn)
JD: Final = KeySet(_make_jd, _read_jd)
LANMAO: Final = KeySet(_make_lanmao, _read_lanmao)
LIANLIAN: Final = KeySet(_make_lianlian, _read_lianlian)
YEEPAY: Final = KeySet(_make_yeepay, _read_yeepay)
