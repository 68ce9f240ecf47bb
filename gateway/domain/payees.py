"""Whom a payout goes to: a person's or a firm's account; and which payees a provider can say. Pure values."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Final, Literal

from gateway.domain.cards import mask_card_no
from gateway.domain.failures import FailureCode
from gateway.domain.outcomes import Declined

__all__ = ["Payee", "PayeeRules", "PayeeType", "PayeeUnfit"]


class PayeeType(StrEnum):
    """Whose account it is."""

    PERSONAL = "personal"  # 对私
    CORPORATE = "corporate"  # 对公


@dataclass(frozen=True, slots=True)
class Payee:
    """The account that money goes to. Never shown: `repr` is masked."""

    type: PayeeType
    account_no: str
    name: str
    bank: str
    """In our codes, as of cards: ICBC, ABC, …"""
    branch: str | None = None
    """开户支行, by its full name."""
    cnaps: str | None = None
    """The branch's number in the clearing system (联行号), 12 digits."""
    province: str | None = None
    city: str | None = None

    def __repr__(self) -> str:
        return f"Payee({self.type}, {mask_card_no(self.account_no)})"

    __str__ = __repr__


PayeeUnfit = Literal["type_unsupported", "bank_unsupported", "field_missing", "text_unwritable"]

_FAILURES: Final[Mapping[PayeeUnfit, FailureCode]] = {
    "type_unsupported": FailureCode.CARD_UNSUPPORTED,
    "bank_unsupported": FailureCode.CARD_UNSUPPORTED,
    "field_missing": FailureCode.PAYEE_INVALID,
    "text_unwritable": FailureCode.CARD_UNSUPPORTED,
}


@dataclass(frozen=True, slots=True)
class PayeeRules:
    """The payees that a wire protocol can say: a payout to any other would certainly fail, and is never sent.

    `needs`: the types that it pays, each with the fields of a payee that may not be empty, beside number, name and
    bank. `banks`: those that it can name (None: any); `banks_of_firms`: those of them where firms are paid (None: all).
    `charset`: of all texts.
    """

    needs: Mapping[PayeeType, frozenset[str]] = field(default_factory=lambda: dict.fromkeys(PayeeType, frozenset()))
    banks: frozenset[str] | None = None
    charset: str = "utf-8"
    banks_of_firms: frozenset[str] | None = None

    def lacks(self, payee: Payee) -> tuple[str, ...]:
        """The fields that are empty and may not be, in alphabetical order."""
        return tuple(sorted(name for name in self.needs.get(payee.type, ()) if not getattr(payee, name)))

    def why_not(self, payee: Payee) -> PayeeUnfit | None:
        """Why a payee cannot be paid here; None: they can."""
        if payee.type not in self.needs:
            return "type_unsupported"
        if not self._names(payee):
            return "bank_unsupported"
        if self.lacks(payee):
            return "field_missing"
        return None if self._writes(payee) else "text_unwritable"

    def refusal(self, payee: Payee) -> Declined | None:
        """The same as an adapter says it, which sends nothing then; None: it can be sent."""
        unfit = self.why_not(payee)
        if unfit is None:
            return None
        about = ": " + ", ".join(self.lacks(payee)) if unfit == "field_missing" else ""
        return Declined(_FAILURES[unfit], channel_message=f"not sent: {unfit.replace('_', ' ')}{about}")

    def _names(self, payee: Payee) -> bool:
        of_firms = self.banks_of_firms if payee.type is PayeeType.CORPORATE else None
        return all(banks is None or payee.bank in banks for banks in (self.banks, of_firms))

    def _writes(self, payee: Payee) -> bool:
        told = (getattr(payee, each.name) for each in fields(payee))
        try:
            "".join(text for text in told if text).encode(self.charset)
        except UnicodeEncodeError:
            return False
        return True
