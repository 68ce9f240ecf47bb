"""Sensitive fields: who the card belongs to, plain or under UnionPay's public key (the official demo: H).

With `encryption_certificate` accNo and phoneNo go out encrypted, and encryptCertId names the certificate; name, ID
number and SMS code stay in customerInfo, which is base64 alone. The padding is PKCS#1 v1.5 (M).
"""

import base64
from collections.abc import Mapping
from typing import Final

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

from adapters.account import certificate, public_key
from gateway.domain.cards import CardElements
from gateway.domain.identities import IdType
from gateway.domain.payees import Payee
from gateway.ports import AccountSettings

__all__ = ["PAPERS", "Sensitive"]

CERTIFICATE: Final = "encryption_certificate"

# certifTp: four sources agree, the demo among them (H); 99 is "other", which is all there is for a foreigner's permit.
PAPERS: Final[Mapping[IdType, str]] = {
    IdType.ID_CARD: "01",
    IdType.PASSPORT: "03",
    IdType.HK_MACAU_PERMIT: "04",
    IdType.TAIWAN_PERMIT: "05",
    IdType.FOREIGNER_PERMIT: "99",
}
# Inside {k=v&k=v} the demo asks for full-width characters instead of the ones that separate (H, for reqReserved).
_HARMLESS = str.maketrans("&={}[]", "＆＝｛｝【】")


class Sensitive:
    """How one account writes them. Raises AccountError."""

    def __init__(self, account: AccountSettings) -> None:
        self._key = self._cert_id = None
        if CERTIFICATE in account.secrets:
            self._key = public_key(account, CERTIFICATE)
            self._cert_id = str(certificate(account, CERTIFICATE).serial_number)

    def card(self, card: CardElements, sms_code: str | None = None) -> dict[str, str]:
        """The card's number, its holder's elements, and the code that the payer typed."""
        customer = {"certifTp": PAPERS[card.id_type], "certifId": card.id_no, "customerNm": card.holder_name}
        return self._account_number(card.card_no) | self._customer(customer | _code(sms_code), card.phone)

    def number_and_phone(self, card: CardElements) -> dict[str, str]:
        """What an SMS for an opening needs."""
        return self._account_number(card.card_no) | self._customer({}, card.phone)

    def phone(self, card: CardElements) -> dict[str, str]:
        """What an SMS for a payment by token needs."""
        return self._customer({}, card.phone)

    def code(self, sms_code: str) -> dict[str, str]:
        """What the payer typed, alone."""
        return {"customerInfo": _braces(_code(sms_code))}

    def payee(self, payee: Payee) -> dict[str, str]:
        """The account that is paid out to, and its holder's name."""
        fields = self._account_number(payee.account_no) | {"customerInfo": _braces({"customerNm": payee.name})}
        return fields if self._cert_id is None else fields | {"encryptCertId": self._cert_id}

    def _account_number(self, account_no: str) -> dict[str, str]:
        return {"accNo": account_no if self._key is None else self._encrypted(account_no)}

    def _customer(self, customer: Mapping[str, str], phone: str) -> dict[str, str]:
        if self._cert_id is None:
            return {"customerInfo": _braces({**customer, "phoneNo": phone})}
        sealed = self._encrypted(f"phoneNo={phone}")
        return {"customerInfo": _braces(customer, f"encryptedInfo={sealed}"), "encryptCertId": self._cert_id}

    def _encrypted(self, text: str) -> str:
        assert self._key is not None
        return base64.b64encode(self._key.encrypt(text.encode(), PKCS1v15())).decode()


def _code(sms_code: str | None) -> dict[str, str]:
    return {} if sms_code is None else {"smsCode": sms_code}


def _braces(customer: Mapping[str, str], *more: str) -> str:
    pairs = [f"{name}={value.translate(_HARMLESS)}" for name, value in customer.items()]
    return base64.b64encode(f"{{{'&'.join([*pairs, *more])}}}".encode()).decode()
