"""Redirects: what the payer's browser brings to a PSP, and until when the PSP takes it. Pure values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["Form", "RedirectRules"]


@dataclass(frozen=True, slots=True)
class Form:
    """A form that the payer's browser sends to a PSP. Its fields are signed already: they go as they are, in order.

    The same command gives the same form, as often as it is built.
    """

    url: str
    fields: Mapping[str, str]
    method: Literal["GET", "POST"] = "POST"
    charset: Literal["utf-8", "gbk"] = "utf-8"
    """In which the browser must send it. Every field can be written in it."""


@dataclass(frozen=True, slots=True)
class RedirectRules:
    """Until when a PSP takes what its page was opened for."""

    ends_at_expiry: bool
    """It is sent the expiry, and takes no payment after it: a question after expiry and grace that shows no payment
    proves that there is none. Otherwise such an order stays open until the not-found rule, counted from the expiry."""
    grace_s: float
    """How long after the expiry the PSP may still be finishing what was paid before it."""
    lives_from_opening: bool = False
    """It counts an order's life from when its page is opened: opened in its last second it lives as long again."""
