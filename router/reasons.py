"""The words a decision uses for what it refused, why a channel is not in it, and amounts."""

from enum import StrEnum


class Refusal(StrEnum):
    """Why no channel was named, or which limit one channel fails. The values are failure codes of the API."""

    NO_CHANNEL_AVAILABLE = "no_channel_available"
    CARD_NEEDS_SIGNING = "card_needs_signing"
    SIGNING_IN_PROGRESS = "signing_in_progress"
    SINGLE_LIMIT_EXCEEDED = "single_limit_exceeded"
    DAILY_LIMIT_EXCEEDED = "daily_limit_exceeded"
    DAILY_INSUFFICIENT_BALANCE_EXCEEDED = "daily_insufficient_balance_exceeded"
    CHANNEL_TOTAL_EXCEEDED = "channel_total_exceeded"
    CARD_LIMIT_EXCEEDED = "card_limit_exceeded"
    NO_ELIGIBLE_CHANNEL = "no_eligible_channel"
    BLOCKED = "blocked"


class Hidden(StrEnum):
    """Why step 1 leaves a channel out; where several hold, the first of this order is told."""

    RULE_DISABLED = "rule_disabled"
    CHANNEL_OFF = "channel_off"
    IN_MAINTENANCE = "in_maintenance"
    ACCOUNT_UNUSABLE = "account_unusable"
    BANK_UNSUPPORTED = "bank_unsupported"
    NAME_UNWRITABLE = "name_unwritable"
    ID_TYPE_UNSUPPORTED = "id_type_unsupported"
    NEEDS_SIGNING = "needs_signing"
    SIGNING_IN_PROGRESS = "signing_in_progress"
    CHANNEL_FULL = "channel_full"
    CHANNEL_SWITCHED_OFF = "channel_switched_off"
    CHANNEL_AILING = "channel_ailing"


def yuan(fen: int | None) -> str:
    """An amount as people read it; None is nothing."""
    fen = fen or 0
    return f"{fen // 100}.{fen % 100:02d} yuan"
