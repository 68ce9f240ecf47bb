"""The words and codes of the lanmao protocol, and what an account says that refusals mean."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from adapters.account import AccountError
from gateway.domain.failures import CODE_REFUSALS, OURS
from gateway.domain.failures import FailureCode as F
from gateway.domain.scenes import Scene
from gateway.ports import AccountSettings

__all__ = ["BANKS", "CALLED", "DONE", "FAIL", "NOT_CALLED", "NOT_DONE", "PENDDING", "SUCCESS", "WAYS", "Reasons"]

# How a bank is called there, in the style of SWIFT (one client's enumeration: M). Mind that CMBC is 招商 there and 民生
# everywhere else. NBBANK by another client alone (M).
BANKS: Final[Mapping[str, str]] = {
    "ICBC": "ICBK",
    "ABC": "ABOC",
    "BOC": "BKCH",
    "CCB": "PCBC",
    "COMM": "COMM",
    "PSBC": "PSBC",
    "CMB": "CMBC",
    "CITIC": "CIBK",
    "CEB": "EVER",
    "HXBANK": "HXBK",
    "CMBC": "MSBC",
    "GDB": "GDBK",
    "SPABANK": "SZDB",
    "CIB": "FJIB",
    "SPDB": "SPDB",
    "EGBANK": "HFBA",
    "BJBANK": "BJCN",
    "NBBANK": "BKNB",
}

WAYS: Final[Mapping[Scene, str]] = {
    Scene.CUSTODY_QUICK_CHARGE: "SWIFT",
    Scene.CUSTODY_NETBANK_CHARGE: "WEB",
    Scene.CUSTODY_WITHHOLD: "PROXY",
}
"""rechargeWay. Money also comes in ways that nobody asks us for: BANK, BACKROLL, VIRTUAL_CARDS."""

# code and status speak of the call (H), rechargeStatus of the money, and is the word that counts (H).
CALLED: Final = "0"
NOT_CALLED: Final = "1"
DONE: Final = "SUCCESS"
NOT_DONE: Final = "INIT"
SUCCESS: Final = "SUCCESS"
FAIL: Final = "FAIL"
PENDDING: Final = "PENDDING"  # so spelled (H)

# Neither the router's words, nor what is about agreements and codes by SMS, which custody payments have not here.
_SAYABLE: Final = frozenset(F) - OURS - CODE_REFUSALS - {F.AGREEMENT_VOID}
_CODE: Final = re.compile(r"(?:[A-Z0-9]{2,16}/)?[0-9A-Za-z_.-]{1,32}")


@dataclass(frozen=True, slots=True)
class Reasons:
    """What the bank's and the PSPs' codes mean: none is public, so the account says it."""

    declines: Mapping[str, F]
    """errorCode or channelErrorCode → failure; a PSP's may be told apart as `YEEPAY/code`."""
    number_used: frozenset[str] = frozenset()
    """errorCodes of a requestNo that there is already."""
    no_record: frozenset[str] = frozenset()
    """errorCodes of a question that found nothing."""

    @classmethod
    def of(cls, account: AccountSettings) -> "Reasons":
        """By the account's settings. Raises AccountError."""
        declines = account.settings.get("declines", {})
        if not isinstance(declines, Mapping):
            raise AccountError(account, "declines", "must be codes with their failure codes")
        if not all(_CODE.fullmatch(str(code)) and str(failure) in _SAYABLE for code, failure in declines.items()):
            raise AccountError(account, "declines", "must be errorCodes with failure codes of ours, as banks have them")
        meant = {str(code): F(str(failure)) for code, failure in declines.items()}
        used, none = _codes(account, "number_used"), _codes(account, "no_record")
        if twice := (meant.keys() & used) | (meant.keys() & none) | (used & none):
            raise AccountError(account, "declines", f"says of {min(twice)} what another setting says otherwise")
        return cls(meant, used, none)

    def failure(self, company: str | None, *codes: str | None) -> F | None:
        """What the first of the codes that the account explains means; `company`: the PSP that said it."""
        told = [code for code in codes if code]
        names = [name for code in told for name in ((f"{company}/{code}", code) if company else (code,))]
        return next((self.declines[name] for name in names if name in self.declines), None)


def _codes(account: AccountSettings, name: str) -> frozenset[str]:
    codes = account.settings.get(name, [])
    if not isinstance(codes, list) or not all(_CODE.fullmatch(str(code)) for code in codes):
        raise AccountError(account, name, "must be a list of errorCodes")
    return frozenset(map(str, codes))
