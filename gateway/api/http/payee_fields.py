"""Fields of a payee: whose account a payout goes to. What is checked, kept and sent is the one form of it."""

from typing import Annotated

from pydantic import AfterValidator, Field

from gateway.api.http.card_fields import HolderName
from gateway.api.http.fields import PATTERN_MEANS, BankCode, PlaceName, RequestModel, wrong
from gateway.domain.one_form import name_in_one_form, number_in_one_form
from gateway.domain.payees import Payee, PayeeType

__all__ = ["PayeeFields"]

MIN_NUMBER, MAX_NUMBER = 5, 34
_CNAPS = r"^[0-9]{12}$"
PATTERN_MEANS |= {_CNAPS: "must be the 12 digits of the branch's number in the clearing system"}


def _account_number(value: str) -> str:
    number = number_in_one_form(value)
    bare = number.replace("-", "")
    if not (MIN_NUMBER <= len(number) <= MAX_NUMBER and bare.isascii() and bare.isalnum()):
        raise wrong("wrong_format", f"is {MIN_NUMBER} to {MAX_NUMBER} digits, letters and hyphens")
    return number


AccountNumber = Annotated[str, Field(max_length=64, repr=False), AfterValidator(_account_number)]


class PayeeFields(RequestModel):
    """The account that money goes to: a person's (personal, 对私) or a firm's (corporate, 对公)."""

    type: Annotated[PayeeType, Field(strict=False)]
    account_no: Annotated[AccountNumber, Field(description="digits; a firm's may have letters and hyphens")]
    name: Annotated[HolderName, Field(repr=False, description="as the bank knows it")]
    bank: BankCode
    branch: Annotated[PlaceName | None, Field(description="开户支行, its full name")] = None
    cnaps: Annotated[str | None, Field(pattern=_CNAPS, description="联行号, 12 digits")] = None
    province: PlaceName | None = None
    city: PlaceName | None = None

    def payee(self) -> Payee:
        """The payee in one form."""
        return Payee(
            self.type,
            self.account_no,
            name_in_one_form(self.name),
            self.bank,
            self.branch,
            self.cnaps,
            self.province,
            self.city,
        )

    def __repr__(self) -> str:
        return "PayeeFields(…)"

    __str__ = __repr__
