"""The payers of a demonstration: they read the SMS that the sandbox sent and type its code, or do worse."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.run.demo.orders import Paging, Typing

__all__ = ["Payer", "SmsSeen", "phone_of", "sms_seen"]

WRONG = "000000"
"""Six digits, so that it goes to the PSP; one SMS in a million has them."""


@dataclass(slots=True)
class Payer:
    """One payer at one payment."""

    typing: Typing
    paging: Paging = Paging.PAYS
    was_on_page: bool = False
    used: set[tuple[str, str]] = field(default_factory=set)
    """(order at the PSP, code) of SMS that were typed: none is typed twice."""
    has_mistyped: bool = False

    def types(self, inbox: Iterable[Mapping[str, str]]) -> str | None:
        """The code that is typed now; None: no new SMS has come yet. `inbox`: all SMS to the phone, oldest first."""
        new = [sms for sms in inbox if (sms["order_no"], sms["code"]) not in self.used]
        if not new:
            return None
        if self.typing is Typing.MISTYPES and not self.has_mistyped:
            self.has_mistyped = True
            return WRONG if new[-1]["code"] != WRONG else "111111"
        self.used.add((new[-1]["order_no"], new[-1]["code"]))
        return new[-1]["code"]


@dataclass(frozen=True, slots=True)
class SmsSeen:
    """What the phones got. `sent`: (provider, `sign` or `pay`) → how many SMS."""

    sent: Mapping[tuple[str, str], int]
    phones: int
    signed_twice: list[str]
    """Phones that signing SMS came to from more than one provider, which must not be, in words."""

    def __str__(self) -> str:
        each = [self._by(provider) for provider in sorted({provider for provider, _ in self.sent})]
        return f"{sum(self.sent.values())} SMS to {self.phones} phones" + (": " + ", ".join(each) if each else "")

    def _by(self, provider: str) -> str:
        counted = ((self.sent.get((provider, purpose), 0), purpose) for purpose in ("sign", "pay"))
        return f"{provider} " + " and ".join(f"{times} to {purpose}" for times, purpose in counted if times)


def sms_seen(inbox: Iterable[Mapping[str, str]], phones: Iterable[str]) -> SmsSeen:
    """What came to these phones."""
    wanted, sent, signers = set(phones), Counter[tuple[str, str]](), defaultdict[str, set[str]](set)
    reached = set()
    for sms in inbox:
        if sms["phone"] in wanted:
            reached.add(sms["phone"])
            sent[sms["provider"], sms["purpose"]] += 1
            if sms["purpose"] == "sign":
                signers[sms["phone"]].add(sms["provider"])
    twice = [
        f"a phone that ends with {phone[-4:]} got SMS to sign from {' and '.join(sorted(providers))}"
        for phone, providers in sorted(signers.items())
        if len(providers) > 1
    ]
    return SmsSeen(sent, len(reached), twice)


def phone_of(body: Mapping[str, Any]) -> str:
    """Where the codes of an order go; "" where no codes come."""
    return str(body["card"]["phone"]) if "card" in body else ""
