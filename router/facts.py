"""What a decision is made from: the request, the route rules as they stand now, and what the user did before.

Everything here is a value. Amounts are fen, times are aware. How the facts are counted (which attempts, which day)
is the caller's business; the router believes what it is given.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from router.ailing import Ailing
from router.fees import Fee
from router.limits import NO_CHANNEL_LIMITS, NO_RULE_LIMITS, ChannelLimits, RuleLimits

Blame = Literal["payer", "channel", "platform"]
Unfit = Literal["bank_unsupported", "name_unwritable", "id_type_unsupported"]
Signing = Literal["ready", "needs_signing", "signing_in_progress"]
CountedBy = Literal["user", "card"]


@dataclass(frozen=True, slots=True)
class LastAttempt:
    """The user's latest attempt on a channel that ended. A failure without a known blame is not the payer's.

    `unresolved_since`: it has not ended, and counts as failed until it does (`or_unresolved`); when it was recorded.
    Raises ValueError for a naive time.
    """

    status: Literal["succeeded", "failed"]
    blame: Blame | None = None
    finished_at: datetime | None = None
    unresolved_since: datetime | None = None

    def __post_init__(self) -> None:
        if any(at is not None and at.tzinfo is None for at in (self.finished_at, self.unresolved_since)):
            raise ValueError("the times of an attempt must be aware")

    @property
    def failed_by_other_than_payer(self) -> bool:
        return self.status == "failed" and self.blame != "payer"


def or_unresolved(
    last: LastAttempt | None, open_since: datetime, now: datetime, after: timedelta
) -> LastAttempt | None:
    """The attempt that counts as the user's last one on a channel, where the oldest open one was recorded `open_since`.

    One that is open for longer than `after`, and newer than what ended last, counts as failed by the channel.
    """
    if now - open_since <= after:
        return last
    if last is not None and last.finished_at is not None and open_since <= last.finished_at:
        return last
    return LastAttempt("failed", "channel", unresolved_since=open_since)


@dataclass(frozen=True, slots=True)
class ChannelFacts:
    """What one user did on one channel, over all scenes, banks and cards.

    `channel_used_today` (all users), `card_used_today` and `card_insufficient_today` (this card number, whoever used
    it) are needed only where a limit counts them. What is in flight is a part of what is used, and changes no choice;
    None: not known.
    """

    used_today: int = 0
    insufficient_today: int = 0
    last_attempt: LastAttempt | None = None
    channel_used_today: int = 0
    card_used_today: int = 0
    bound: bool = False
    """This card is authenticated there already."""
    in_flight_today: int | None = None
    channel_in_flight_today: int | None = None
    card_in_flight_today: int | None = None
    card_insufficient_today: int = 0


@dataclass(frozen=True, slots=True)
class Candidate:
    """One route rule (channel, scene, bank) with what is known of its channel now, and the limits of both.

    `unfit` says why the channel can never carry this card: its bank, its holder's name or its kind of ID.
    `signing` says whether the channel can authenticate this card now: by an agreement, silently, by being the primary
    that may sign by SMS, or by an SMS at each payment while the customer is present. `account_usable`: the settings
    of its account can be used. `full`: it carries as many calls as it can; only charges are told. `ailing`: too few
    payments succeed there; None: it is well, or nobody wants it avoided.
    """

    channel: str
    scene: str
    bank: str
    fee: Fee
    enabled: bool = True
    channel_on: bool = True
    in_maintenance: bool = False
    account_usable: bool = True
    unfit: Unfit | None = None
    signing: Signing = "ready"
    full: bool = False
    ailing: Ailing | None = None
    priority: int = 0
    authentication_fee: int = 0
    """What authenticating a card once costs, in fen; 0 where nothing is bound, or each payment sends its own SMS."""
    limits: RuleLimits = NO_RULE_LIMITS
    channel_limits: ChannelLimits = NO_CHANNEL_LIMITS
    daily_insufficient_by: CountedBy = "user"
    """Whose failures for want of balance `daily_insufficient_limit` counts."""


@dataclass(frozen=True, slots=True)
class RouteRequest:
    """What is to be paid. `last_attempt_max_age`: an older last attempt counts as none; None keeps them for ever.

    `authentication_spread`: over how many payments the fee of an authentication is spread where channels are compared;
    None: payment fees alone are. `blocked`: which kinds of entries of the merchant's block list name this payer; any of
    them refuses the request before the steps. Raises ValueError for an amount or a spread that is not positive, and a
    naive `now`.
    """

    user_id: str
    scene: str
    bank: str
    amount: int
    now: datetime
    customer_present: bool = False
    last_attempt_max_age: timedelta | None = None
    authentication_spread: int | None = None
    blocked: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.authentication_spread is not None and self.authentication_spread <= 0:
            raise ValueError("the fee of an authentication is spread over a positive number of payments")
        if self.amount <= 0:
            raise ValueError("the amount of a route request is a positive number of fen")
        if self.now.tzinfo is None:
            raise ValueError("the time of a route request must be aware")
