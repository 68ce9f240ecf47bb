"""Intents: what is sent to a PSP at most once and asked about until proved, whatever it is for. Pure values."""

from enum import StrEnum

__all__ = ["Verb"]


class Verb(StrEnum):
    """What an intent asks a PSP to do."""

    AUTHENTICATE = "authenticate"  # bind a card without the user
    PAY = "pay"
    REFUND = "refund"
