"""What can be done on an account, as the catalogue asks: files and operators' changes are checked by it.

An account is offered what its adapter has a command for, without what stands on an assumption that the account has not
taken. A refusal names the commands that are missing, and the assumption that would bring them.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.domain.catalogue import CAN_SIGN_BY_SMS, AuthenticationMode, mode_of
from gateway.domain.payees import PayeeRules, PayeeType
from gateway.domain.scenes import REDIRECT_SCENES, Scene
from gateway.ports.commands import (
    AskAuthentication,
    AskBalance,
    AskPayment,
    Authenticate,
    Command,
    Pay,
    Redirect,
    SendPaymentCode,
    SendSigningCode,
    Sign,
    command_name,
)
from gateway.ports.providers import Assumption, Declaration

__all__ = ["Offer", "pays_out", "why_not_primary"]

Kind = type[Command[Any]]

_BY_MODE: Final[Mapping[AuthenticationMode, tuple[Kind, ...]]] = {
    AuthenticationMode.NONE: (),
    AuthenticationMode.SILENT: (Authenticate, AskAuthentication),
    AuthenticationMode.SMS: (SendSigningCode, Sign),
}
_TO_PAY_OUT: Final = frozenset({"payout", "ask_payout"})
"""Commands without which there are no payouts, by the names that people read."""


def _payees_of(declaration: Declaration) -> PayeeRules | None:
    """None: it has no payouts. A declaration need not say so."""
    return getattr(declaration, "payees", None)


def pays_out(declaration: Declaration) -> frozenset[PayeeType]:
    """The types of payees that a provider can pay out to; none: it has no payouts."""
    payees = _payees_of(declaration)
    return frozenset(payees.needs) if payees else frozenset()


@dataclass(frozen=True, slots=True)
class Offer:
    """What a provider can do; of an account: what it can do there."""

    declaration: Declaration
    commands: frozenset[Kind]
    withheld: Mapping[Kind, tuple[Assumption, ...]] = field(default_factory=dict)
    """What it could do besides, if the account took these assumptions."""
    withheld_from_statements: tuple[Assumption, ...] = ()
    """Assumptions that the account must take before the PSP's statements are read."""
    describes_statements: bool = False
    """The account says how its statements are read."""

    @property
    def provider(self) -> str:
        """The catalogue's name of the protocol."""
        return self.declaration.provider

    def why_not_pay(self, scene: Scene) -> str | None:
        """Why a rule of this scene cannot lead here; None: it can."""
        if scene not in self.declaration.scenes:
            return f"{self.provider} cannot pay {scene}, only {', '.join(sorted(self.declaration.scenes))}"
        if why := self._missing(Redirect if scene in REDIRECT_SCENES else Pay, AskPayment):
            return f"{self.provider} cannot pay: {why}"
        return None

    def why_not_pay_out(self, payee: PayeeType) -> str | None:
        """Why a payout rule of this type of payee cannot lead here; None: it can."""
        types = pays_out(self.declaration)
        if not types:
            return f"{self.provider} has no payouts"
        if payee not in types:
            return f"{self.provider} pays out to {' and '.join(sorted(types))} payees alone"
        needed = [kind for kind in self.withheld if command_name(kind) in _TO_PAY_OUT]
        assumed = dict.fromkeys(each for kind in needed for each in self.withheld[kind])
        return f"{self.provider} cannot pay out: {_say_first(assumed)}" if assumed else None

    def why_no_balance(self) -> str | None:
        """Why it cannot be asked what the account has; None: it can."""
        if AskBalance not in self.commands and AskBalance not in self.withheld:
            return f"{self.provider} states no balance"
        assumed = self.withheld.get(AskBalance, ())
        return f"{self.provider} states no balance: {_say_first(dict.fromkeys(assumed))}" if assumed else None

    def why_no_statements(self) -> str | None:
        """What keeps the statements of the account from being read; None: nothing does."""
        if not self.declaration.statements and not self.describes_statements:
            return f"{self.provider} states nothing: describe the file that it gives (setting statement)"
        assumed = dict.fromkeys(self.withheld_from_statements)
        return f"{self.provider} states nothing here: {_say_first(assumed)}" if assumed else None

    def pays_at(self, payee: PayeeType, bank: str) -> bool:
        """Whether a payout to this type of payee at this bank can be said here."""
        payees = _payees_of(self.declaration)
        if payees is None or payee not in payees.needs:
            return False
        of_firms = payees.banks_of_firms if payee is PayeeType.CORPORATE else None
        return all(banks is None or bank in banks for banks in (payees.banks, of_firms))

    def why_not_authenticate(self, mode: AuthenticationMode) -> str | None:
        """Why a channel here cannot authenticate cards this way; None: it can."""
        each_payment = mode is AuthenticationMode.SMS_EACH_PAYMENT
        why = self._why_not_each_payment() if each_payment else self._missing(*_BY_MODE[mode])
        return f"{self.provider} cannot authenticate by {mode}: {why}" if why else None

    def why_not_way(self, scene: Scene, mode: AuthenticationMode) -> str | None:
        """Why a scene that can be paid, and a mode that cards can be authenticated by, do not fit; None: they do."""
        if mode is AuthenticationMode.NONE and scene in self.declaration.authenticated_scenes:
            return f"{self.provider} pays {scene} from authenticated cards alone: its authentication cannot be {mode}"
        if mode is AuthenticationMode.SMS_EACH_PAYMENT and scene in self.declaration.codeless_scenes:
            return f"{self.provider} has no code for each payment of {scene}: its authentication cannot be {mode}"
        return None

    def _why_not_each_payment(self) -> str | None:
        """Something must send the code. Where the protocol wants an agreement, too, either way of binding will do."""
        sends = () if self.declaration.pay_sends_code else (SendPaymentCode,)
        if why := self._missing(*sends):
            return why
        if not self.declaration.code_wants_agreement:
            return None
        ways = [self._missing(kind) for kind in (Authenticate, Sign)]
        return None if None in ways else f"the card is bound first, and {' and '.join(filter(None, ways))}"

    def _missing(self, *kinds: Kind) -> str | None:
        missing = [kind for kind in kinds if kind not in self.commands]
        absent = [kind for kind in missing if kind not in self.withheld]
        if absent:
            return "it has no " + " and no ".join(map(command_name, absent))
        assumed = dict.fromkeys(each for kind in missing for each in self.withheld[kind])
        return _say_first(assumed) if assumed else None


def _say_first(assumed: Collection[Assumption]) -> str:
    meant = "; ".join(each.meaning.rstrip(".") for each in assumed)
    names = ", ".join(f'"{each.name}"' for each in assumed)
    return f"add {names} to assumed in the account's settings once its PSP has confirmed it: {meant}"


def why_not_primary(offer: Offer, authentication: Mapping[str, AuthenticationMode], bank: str | None) -> str | None:
    """Why a channel cannot be the primary signer of a bank, or (None) of all banks; None: it can.

    `authentication`: the channel's. For all banks it is enough that it can sign the cards of one.
    """
    if why := offer.why_not_authenticate(AuthenticationMode.SMS):
        return why
    if bank is None:
        modes: Collection[AuthenticationMode | None] = authentication.values()
    else:
        modes = (mode_of(authentication, bank),)
    signs = CAN_SIGN_BY_SMS
    if offer.declaration.code_wants_agreement:  # the card is signed before its payments have codes of their own
        signs = signs | {AuthenticationMode.SMS_EACH_PAYMENT}
    if signs.isdisjoint(modes):
        where = "every bank" if bank is None else bank
        said = ", ".join(sorted({mode or "absent" for mode in modes}))
        may = "sms or silent" if signs == CAN_SIGN_BY_SMS else "sms, silent or sms_each_payment"
        return f"its authentication of {where} must be {may}, not {said}"
    return None
